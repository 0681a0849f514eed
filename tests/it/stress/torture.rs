//! Everybody says `1`: hundreds of clients at once, through every door and in both eras, on two servers, one of each era.
//! Each request has the same id and each wants its progress under the same token. Whoever gets what belongs to another,
//! anything twice, or nothing, fails the test.

mod door;
mod exchange;
mod old;
mod post;

use std::collections::HashMap;

use serde_json::Value;

use self::door::{Client, DOORS, Door, Way};
use self::exchange::Exchange;
use self::post::Http2;
use super::*;
use crate::support::Client as Witness;

const CLIENTS: usize = 500;
/// Those that start a process each.
const PIPES: usize = 8;
/// Of so many clients, those with HTTP/2 share one connection.
const SHARING: usize = 250;
/// How often each client asks; `make torture` multiplies it until there are a million messages.
const CALLS: usize = 40;
const SERVERS: [&str; 2] = ["legacy", "modern"];
/// Enough reports for everybody to be on their way at the same time.
const OPENING: (u64, u64) = (20, 150);

/// Who a client is.
#[derive(Debug, Clone, Copy)]
struct Seat {
    number: usize,
    door: Door,
    server: &'static str,
}

/// Spreads the clients over doors and servers: a few come by pipes, the others as evenly as can be.
fn seats() -> impl Iterator<Item = Seat> {
    let through = |is_pipe: bool| {
        let doors = DOORS.iter().filter(move |door| (door.1 == Way::Pipes) == is_pipe);
        doors.flat_map(|door| SERVERS.map(|server| (*door, server)))
    };
    let doors = through(true).cycle().take(PIPES).chain(through(false).cycle());
    doors
        .take(CLIENTS)
        .enumerate()
        .map(|(number, (door, server))| Seat { number, door, server })
}

/// Starts a gateway with a shared process of each era, whose answers overtake each other.
fn gateway() -> Gateway {
    let server = |era: &str| {
        let arguments = format!("\"--era\", \"{era}\", \"--delay\", \"1\", \"--delay-jitter\", \"15\"");
        format!(
            "[servers.{era}]\ncommand = \"@self\"\nargs = [\"mock-server\", {arguments}]\nsharing = \"shared\"\n\
             protocol-era = \"{era}\"\n"
        )
    };
    Gateway::start(&SERVERS.map(server).concat())
}

async fn come_in(gateway: &Gateway) -> Vec<(Seat, Client)> {
    let connections = (0..CLIENTS.div_ceil(SHARING)).map(|_| Http2::open(gateway.address()));
    let connections = &join_all(connections).await;
    let clients = seats().map(async |seat| {
        let shared = &connections[seat.number / SHARING];
        let client = Client::open(seat.door, gateway, seat.server, shared).await;
        (seat, client)
    });
    join_all(clients).await
}

/// Lets all clients make exchanges at once, each one after the other; returns how many messages that were.
async fn play<E>(clients: Vec<(Seat, Client)>, exchanges: impl Fn(usize) -> E) -> (Vec<(Seat, Client)>, usize)
where
    E: Iterator<Item = Exchange> + Send + 'static,
{
    let work = clients.into_iter().map(|(seat, mut client)| {
        let exchanges = exchanges(seat.number);
        async move {
            let mut messages = 0;
            for exchange in exchanges {
                let came = client.make(&exchange).await;
                assert!(
                    exchange.owns(&came),
                    "{seat:?}: {came:?} is not what {exchange:?} is to get"
                );
                messages += exchange.messages();
            }
            ((seat, client), messages)
        }
    });
    let (clients, messages): (Vec<_>, Vec<usize>) = all(work).await.into_iter().unzip();
    (clients, messages.into_iter().sum())
}

/// Plays the first exchange of all clients, which lasts; returns how many were in flight together, and the messages.
async fn open_together(gateway: &Gateway, clients: Vec<(Seat, Client)>) -> (Vec<(Seat, Client)>, u64, usize) {
    let (steps, ms) = OPENING;
    let playing = play(clients, move |client| {
        std::iter::once(Exchange::opening(client, steps, ms))
    });
    let playing = tokio::spawn(playing);
    let mut peak = 0;
    while !playing.is_finished() {
        let status = gateway.admin("status").await;
        peak = peak.max(status["inFlight"].as_u64().expect("a number"));
    }
    let (clients, messages) = playing.await.expect("everybody gets their own");
    (clients, peak, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_that_all_say_1_get_their_own() {
    let _turn = alone().await;
    raise_descriptor_limit(4_096);
    let gateway = gateway();
    let clients = come_in(&gateway).await;
    let (clients, peak, opening) = open_together(&gateway, clients).await;
    assert!(peak >= CLIENTS as u64, "{peak} were in flight together");

    let calls = scaled(CALLS);
    let start = Instant::now();
    let exchanges_of = move |client| (0..calls).map(move |call| Exchange::of(client, call));
    let (clients, messages) = play(clients, exchanges_of).await;
    let seconds = start.elapsed().as_secs_f64();
    report(&format!(
        "{CLIENTS} clients through {} doors, {peak} in flight together, all with the id 1: {} messages, {:.0} a second",
        DOORS.len(),
        opening + messages,
        messages as f64 / seconds
    ));
    for server in SERVERS {
        each_reached_once(&gateway, server, calls).await;
    }
    all(clients.into_iter().map(|(_, client)| client.leave())).await;
    gateway.stop().await;
}

/// Panics unless the server has been asked as often as its clients did ask, and said nothing that nobody wanted.
async fn each_reached_once(gateway: &Gateway, server: &str, calls: usize) {
    let record = gateway.admin(&format!("servers/{server}")).await;
    let instances = record["instances"].as_array().map(Vec::as_slice);
    let Some([instance]) = instances else {
        panic!("one process serves all: {record}");
    };
    assert_eq!(
        (&record["restarts"], &instance["unknownAnswers"]),
        (&json!(0), &json!(0)),
        "{record}"
    );
    let clients = seats().filter(|seat| seat.server == server);
    let exchanges = clients.flat_map(|seat| (0..calls).map(move |call| Exchange::of(seat.number, call)));
    let mut sent: HashMap<&str, u64> = HashMap::new();
    for exchange in exchanges {
        *sent.entry(exchange.method()).or_default() += 1;
    }
    let mut witness = Witness::open(gateway, server).await;
    let state: Value = serde_json::from_str(text_of(&witness.call("state", json!({})).await)).expect("JSON");
    for method in ["resources/read", "prompts/get"] {
        assert_eq!(state["asked"][method], sent[method], "{method}: {state}");
    }
    assert_eq!(
        (&state["cancelled"], &state["running"]),
        (&json!(0), &json!(0)),
        "{state}"
    );
    witness.close().await;
}

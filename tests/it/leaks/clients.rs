//! A client vanishes without a word: no FIN, no RST, no DELETE.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use super::{Nuisance, assert_none_left};
use crate::support::Gateway;
use crate::support::census::{self, Census};

const TOP: &str = "[http]\ntcp-user-timeout = \"3s\"\n[sessions]\nidle-timeout = \"1s\"";
const MORE: &str = "sharing = \"session\"\nstop-grace = \"100ms\"\nlinger = \"0s\"\nidle-timeout = \"1h\"";

/// Sends a request over a connection of its own, and returns that and the head of the answer.
fn send(address: SocketAddr, method: &str, session: Option<&str>, body: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    let session = session.map_or(String::new(), |id| {
        format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n")
    });
    let accept = if method == "GET" {
        "text/event-stream"
    } else {
        "application/json, text/event-stream"
    };
    let length = body.len();
    write!(
        stream,
        "{method} /mcp/mock HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{session}\r\n{body}"
    )
    .expect("it reads");
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a descriptor is free"));
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("it answers") > 0, "{head}");
    }
    (stream, head)
}

fn open_session(address: SocketAddr) -> String {
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"it","version":"1"}}}"#;
    let (_, head) = send(address, "POST", None, initialize);
    let id = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("mcp-session-id: ")
                .map(str::to_owned)
        })
        .expect("a session is opened");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let (_, head) = send(address, "POST", Some(&id), initialized);
    assert!(head.starts_with("HTTP/1.1 202"), "{head}");
    id
}

/// Closes a socket without telling the other side; whether the system lets this process do that.
fn vanish(stream: TcpStream) -> bool {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).expect("four bytes");
    // SAFETY: the descriptor is open, and the option's value lives and has the size that is said.
    let refused = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_REPAIR,
            (&raw const on).cast(),
            size,
        )
    };
    refused == 0
}

/// The timer of the gateway's end of a connection: 2 is keep-alive (proc(5), `tr` of `/proc/net/tcp`).
fn timer_of(gateway: SocketAddr, client: SocketAddr) -> Option<u8> {
    let form = |address: SocketAddr| match address {
        SocketAddr::V4(address) => format!(
            "{:08X}:{:04X}",
            address.ip().to_bits().swap_bytes(),
            address.port()
        ),
        SocketAddr::V6(_) => panic!("loopback is IPv4 here"),
    };
    let mut table = String::new();
    std::fs::File::open("/proc/net/tcp")
        .and_then(|mut file| file.read_to_string(&mut table))
        .expect("this is Linux");
    let line = table
        .lines()
        .find(|line| line.contains(&format!("{} {}", form(gateway), form(client))))?;
    let timer = line.split_whitespace().nth(5)?;
    timer.split(':').next()?.parse().ok()
}

/// The gateway's own timers are what notices, and without `CAP_NET_ADMIN` all that can be seen is that they run.
#[test]
fn a_client_that_vanished_leaves_no_process() {
    let census = Census::new();
    let gateway = Gateway::start(&format!("{TOP}\n{}", Nuisance::Deaf.table(&census, MORE)));
    let session = open_session(gateway.address());
    let (stream, head) = send(gateway.address(), "GET", Some(&session), "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    census::until(|| census.count() == Nuisance::Deaf.processes());
    let client = stream.local_addr().expect("it is connected");
    census::until(|| timer_of(gateway.address(), client) == Some(2));
    let all = gateway.process().descendants();
    if vanish(stream) {
        assert_none_left(&census, &all);
    }
}

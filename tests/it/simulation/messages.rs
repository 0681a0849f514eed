//! What a scripted peer says: answers with and without faults, as chance decides.

use std::time::Duration;

use serde_json::{Value, json};

use super::dice::Dice;

/// The longest line that the pool under test takes from a server.
pub(super) const LINE_MAX: usize = 4096;

/// Something to write to stdout, so long after the request came.
pub(super) type Said = (Duration, Vec<u8>);

/// Returns a message as one line.
pub(super) fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// The one right answer: it repeats the request's own number.
fn answer(request: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": { "n": request["params"]["n"] } })
}

/// Answers a request; `nastiness` is how likely a fault is, out of a hundred.
pub(super) fn answer_to(request: &Value, dice: &mut Dice, nastiness: u64) -> Vec<Said> {
    let delay = dice.time(Duration::from_secs(3));
    let right = line(&answer(request));
    if !dice.percent(nastiness) {
        return vec![(delay, right)];
    }
    let with = |before: Vec<u8>| vec![(delay, before), (delay, right.clone())];
    match dice.below(12) {
        0 => Vec::new(),
        1 => vec![(delay, right.clone()), (delay, right)],
        2 => vec![(Duration::from_secs(dice.below(90)), right)],
        3 => with(b"Listening on port 3000\n\n\xff\xfe{]\n".to_vec()),
        4 => halves(&right, delay, dice),
        5 => with(line(&json!({ "jsonrpc": "2.0", "id": 1_000_000, "result": {} }))),
        6 => {
            let filler = "x".repeat(LINE_MAX);
            vec![(
                delay,
                line(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": filler })),
            )]
        }
        7 => vec![(
            delay,
            line(
                &json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": -1, "message": "no", "data": request["params"]["n"] } }),
            ),
        )],
        8 => vec![(
            delay,
            line(&json!([answer(request), { "jsonrpc": "2.0", "method": "x" }])),
        )],
        9 => with(line(
            &json!({ "jsonrpc": "2.0", "id": "s", "method": "roots/list" }),
        )),
        10 => with(line(&json!({ "jsonrpc": "2.0", "id": "s", "method": "ping" }))),
        _ => progress(request, &right),
    }
}

fn halves(right: &[u8], delay: Duration, dice: &mut Dice) -> Vec<Said> {
    let length = right.len() as u64;
    let cut = usize::try_from(dice.below(length)).expect("a length fits");
    let pause = dice.time(Duration::from_secs(5));
    vec![
        (delay, right[..cut].to_vec()),
        (delay + pause, right[cut..].to_vec()),
    ]
}

/// Reports progress for longer than any patience, then answers.
fn progress(request: &Value, right: &[u8]) -> Vec<Said> {
    let token = &request["params"]["_meta"]["progressToken"];
    let step = |n: u64| {
        let params = json!({ "progressToken": token, "progress": n });
        (
            Duration::from_secs(n * 2),
            line(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })),
        )
    };
    let mut said: Vec<Said> = (1..8).map(step).collect();
    said.push((Duration::from_secs(16), right.to_vec()));
    said
}

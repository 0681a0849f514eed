//! One exchange: what is asked, and what alone may come back. Everything carries a number that no other exchange has.

use serde_json::{Value, json};

/// The id of every request, and the token of all progress.
const ID: u64 = 1;
/// More than the calls of a client, so that no two exchanges share a number.
const CALLS_MAX: u64 = 1 << 32;
/// How often a call reports progress, where one does.
const STEPS: u64 = 3;

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    method: &'static str,
    params: Value,
    /// Its number.
    own: u64,
    /// How often progress is reported.
    steps: u64,
    /// Where its answer has what.
    answer: (&'static str, String),
}

impl Exchange {
    /// Returns the `call`th exchange of the `client`th client.
    pub(super) fn of(client: usize, call: usize) -> Self {
        let own = client as u64 * CALLS_MAX + call as u64;
        match (client + call) % 4 {
            0 => Self::echo(own),
            1 => Self::progress(own, STEPS, 0),
            2 => Self::read(own),
            _ => Self::prompt(own),
        }
    }

    /// Returns a client's first exchange: as many reports as this, so many milliseconds apart.
    pub(super) fn opening(client: usize, steps: u64, ms: u64) -> Self {
        Self::progress(client as u64 * CALLS_MAX + CALLS_MAX - 1, steps, ms)
    }

    fn echo(own: u64) -> Self {
        let arguments = json!({ "own": own });
        let text = arguments.to_string();
        Self::call(own, "echo", &arguments, 0, text)
    }

    fn progress(own: u64, steps: u64, ms: u64) -> Self {
        let arguments = json!({ "steps": steps, "ms": ms, "total": own });
        Self::call(own, "progress", &arguments, steps, format!("made {steps} steps"))
    }

    fn call(own: u64, tool: &str, arguments: &Value, steps: u64, text: String) -> Self {
        Self {
            method: "tools/call",
            params: json!({ "name": tool, "arguments": arguments }),
            own,
            steps,
            answer: ("/result/content/0/text", text),
        }
    }

    fn read(own: u64) -> Self {
        let uri = format!("test://template/{own}/data");
        Self {
            method: "resources/read",
            params: json!({ "uri": uri }),
            own,
            steps: 0,
            answer: ("/result/contents/0/uri", uri),
        }
    }

    fn prompt(own: u64) -> Self {
        let arguments = json!({ "arg1": own.to_string(), "arg2": "x" });
        Self {
            method: "prompts/get",
            params: json!({ "name": "test_prompt_with_arguments", "arguments": arguments }),
            own,
            steps: 0,
            answer: (
                "/result/messages/0/content/text",
                format!("Prompt with arguments: arg1='{own}', arg2='x'"),
            ),
        }
    }

    /// Returns its method.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the request, with these entries besides the token in its `_meta`.
    pub(super) fn request(&self, meta: &Value) -> Value {
        let mut params = self.params.clone();
        params["_meta"] = meta.clone();
        params["_meta"]["progressToken"] = ID.into();
        json!({ "jsonrpc": "2.0", "id": ID, "method": self.method, "params": params })
    }

    /// Returns how many messages it has, the request included.
    pub(super) fn messages(&self) -> usize {
        usize::try_from(self.steps).expect("a few") + 2
    }

    /// Returns whether that is all that it is to get, in this order.
    pub(super) fn owns(&self, messages: &[Value]) -> bool {
        match messages {
            [reports @ .., answer] => self.is_answer(answer) && self.are_reports(reports),
            [] => false,
        }
    }

    fn is_answer(&self, message: &Value) -> bool {
        let (pointer, expected) = &self.answer;
        message["id"] == ID && message.pointer(pointer).is_some_and(|found| found == expected)
    }

    fn are_reports(&self, messages: &[Value]) -> bool {
        let expected = (1..=self.steps).map(|step| {
            let params = json!({ "progressToken": ID, "progress": step, "total": self.own });
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
        });
        expected.eq(messages.iter().cloned())
    }
}

#[test]
fn only_what_is_its_own_passes() {
    let answer = |id: u64, text: &str| json!({ "id": id, "result": { "content": [{ "text": text }] } });
    let report = |step: u64, own: u64| {
        let params = json!({ "progressToken": 1, "progress": step, "total": own });
        json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
    };
    let exchange = Exchange::progress(7, 2, 0);
    let good = [report(1, 7), report(2, 7), answer(1, "made 2 steps")];
    assert!(exchange.owns(&good));
    assert!(!exchange.owns(&good[1..]) && !exchange.owns(&good[..2]) && !exchange.owns(&[]));
    for (place, wrong) in [
        (0, report(1, 8)),
        (1, report(1, 7)),
        (2, answer(2, "made 2 steps")),
        (2, answer(1, "made 3 steps")),
    ] {
        let mut messages = good.clone();
        messages[place] = wrong;
        assert!(!exchange.owns(&messages), "{messages:?}");
    }
}

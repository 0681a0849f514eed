//! A remote server that answers what a test wants, well-formed or not. One request per connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    /// The message in it; null where there is none.
    pub(super) message: Value,
}

/// A part of what is sent back.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Bytes.
    Send(String),
    /// These bytes, again and again, until nobody wants them.
    Forever(&'static str),
    /// What comes out of here, once that is something.
    Later(watch::Receiver<String>),
    /// Nothing, until the client goes.
    Hold,
}

/// The server.
#[derive(Debug)]
pub(super) struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Starts it; `answer` is asked for each request, with how many like it (by method of HTTP and of MCP) came before.
    pub(super) async fn start(answer: impl Fn(&Seen, usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("it listens");
                connections.spawn(serve(stream, kept.clone(), answer.clone()));
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no holder panics").clone()
    }

    /// Returns how many messages of this method came.
    pub(super) fn count(&self, method: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.message["method"] == method)
            .count()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<A>(mut stream: TcpStream, kept: Arc<Mutex<Vec<Seen>>>, answer: Arc<A>)
where
    A: Fn(&Seen, usize) -> Vec<Step>,
{
    let Some(seen) = read(&mut stream).await else {
        return;
    };
    let before = {
        let mut kept = kept.lock().expect("no holder panics");
        let alike = |other: &&Seen| {
            (&other.method, &other.message["method"]) == (&seen.method, &seen.message["method"])
        };
        let before = kept.iter().filter(alike).count();
        kept.push(seen.clone());
        before
    };
    for step in answer(&seen, before) {
        match step {
            Step::Send(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Step::Forever(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Step::Later(mut text) => {
                let text = text
                    .wait_for(|text| !text.is_empty())
                    .await
                    .expect("the server lives")
                    .clone();
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Step::Hold => {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    }
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = parse(&bytes) {
            return Some(seen);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().expect("a number"));
    (body.len() >= length).then(|| Seen {
        method: first.next().unwrap_or_default().to_owned(),
        path: first.next().unwrap_or_default().to_owned(),
        headers,
        message: serde_json::from_str(body).unwrap_or_default(),
    })
}

/// Returns the head of an answer, with further header lines; what follows it ends with the connection.
pub(super) fn head(status: u16, kind: &str, more: &str) -> Step {
    Step::Send(format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-type: {kind}\r\n{more}\r\n"
    ))
}

/// Returns an answer of a status alone.
pub(super) fn status(status: u16) -> Vec<Step> {
    vec![Step::Send(format!(
        "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    ))]
}

/// Returns a text of a type.
pub(super) fn text(kind: &str, text: &str) -> Vec<Step> {
    vec![head(200, kind, ""), Step::Send(text.to_owned())]
}

/// Returns the answer to a request with this result.
pub(super) fn result(seen: &Seen, result: Value) -> Vec<Step> {
    text("application/json", &answer(seen, result).to_string())
}

/// Returns the message that answers a request.
pub(super) fn answer(seen: &Seen, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": seen.message["id"], "result": result })
}

/// Returns an event stream that begins with this text.
pub(super) fn events(begin: &str) -> Vec<Step> {
    text("text/event-stream", begin)
}

/// Answers what a well-behaved server with a session and no stream of its own answers; `None` for requests beyond the
/// handshake.
pub(super) fn polite(seen: &Seen) -> Option<Vec<Step>> {
    let method = seen.message["method"].as_str().unwrap_or_default();
    match (&*seen.method, method) {
        ("POST", "initialize") => {
            let result = json!({
                "protocolVersion": seen.message["params"]["protocolVersion"], "capabilities": { "tools": {} },
                "serverInfo": { "name": "scripted", "version": "1" },
            });
            let text = answer(seen, result).to_string();
            Some(vec![
                head(200, "application/json", "mcp-session-id: s1\r\n"),
                Step::Send(text),
            ])
        }
        ("POST", "server/discover") => Some(status(400)),
        // The gateway looks at what there is by itself.
        ("POST", "tools/list") => Some(result(seen, json!({ "tools": [] }))),
        ("POST", _) if seen.message["id"].is_null() || seen.message.get("method").is_none() => {
            Some(status(202))
        }
        ("POST", _) => None,
        ("DELETE", _) => Some(status(204)),
        _ => Some(status(405)),
    }
}

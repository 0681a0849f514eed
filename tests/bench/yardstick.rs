//! The bare bridge: hyper in front, a pipe behind, and nothing between but an id and a table of waiters.
//!
//! It is what any bridge must do to share one child among many clients: take the body of a POST, put a number
//! of its own for the id, queue the line, write whole batches, read answers, give each to who waits for it. It
//! refuses nothing, checks nothing, limits nothing and survives nothing; it is here to be measured against.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::ops::Range;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use crate::message;

/// Lines that may wait for the child; senders wait when it is full.
const QUEUE: usize = 4096;
/// Bytes gathered into one write.
const BATCH: usize = 256 * 1024;
/// Free space kept for the next read.
const READ: usize = 256 * 1024;

const SESSION_HEADER: &str = "mcp-session-id";
/// Requests of the era without sessions have it.
const METHOD_HEADER: &str = "mcp-method";
/// As long as a real one, so that both sides parse as many bytes.
const SESSION: HeaderValue = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"yardstick","version":"1.0.0"}}}"#;
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Serves one child on a free port until its own stdin ends.
pub(crate) fn run() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--child")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (queue, lines) = mpsc::channel(QUEUE);
    let bridge = Arc::new(Bridge::new(queue));
    tokio::spawn(write_lines(child.stdin.take().expect("stdin is piped"), lines));
    tokio::spawn(read_answers(
        child.stdout.take().expect("stdout is piped"),
        Arc::clone(&bridge),
    ));
    bridge.shake_hands().await;

    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        outcome = accept(listener, bridge) => outcome,
        outcome = end_of_input() => outcome,
    }
}

/// Waits until whoever started the bridge is gone.
async fn end_of_input() -> io::Result<()> {
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink())
        .await
        .map(drop)
}

async fn accept(listener: TcpListener, bridge: Arc<Bridge>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bridge = Arc::clone(&bridge);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(&bridge, request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle is none of the yardstick's business.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(bridge: &Bridge, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::POST {
        return Ok(empty(StatusCode::OK));
    }
    let has = |name| request.headers().contains_key(name);
    let opens_session = !has(SESSION_HEADER) && !has(METHOD_HEADER);
    let Ok(body) = request.into_body().collect().await else {
        return Ok(empty(StatusCode::BAD_REQUEST));
    };
    let body = body.to_bytes();
    let Some(id) = message::member(&body, b"id") else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    let client_id = body.slice(id.clone());
    let answer = match bridge.initialize.get() {
        Some(answer) if opens_session => Some(answer.clone()),
        _ => bridge.forward(body, id).await,
    };
    let Some(answer) = answer else {
        return Ok(empty(StatusCode::BAD_GATEWAY));
    };
    let mut response = Response::new(Full::new(answer.with_id(&client_id)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if opens_session {
        response.headers_mut().insert(SESSION_HEADER, SESSION);
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// What connections, writer and reader share.
struct Bridge {
    queue: mpsc::Sender<Line>,
    /// A look-up held for nanoseconds; a waiter that left is found out when its answer comes.
    pending: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    last_id: AtomicU64,
    initialize: OnceLock<Answer>,
}

/// A message of a client on its way to the child.
struct Line {
    body: Bytes,
    client_id: Range<usize>,
    id: u64,
}

/// A message of the child, and where its id stands.
#[derive(Clone)]
struct Answer {
    line: Bytes,
    id: Range<usize>,
}

impl Answer {
    fn with_id(&self, client_id: &[u8]) -> Bytes {
        let mut body = BytesMut::with_capacity(self.line.len() + client_id.len());
        body.extend_from_slice(&self.line[..self.id.start]);
        body.extend_from_slice(client_id);
        body.extend_from_slice(&self.line[self.id.end..]);
        body.freeze()
    }
}

impl Bridge {
    fn new(queue: mpsc::Sender<Line>) -> Self {
        Self {
            queue,
            pending: Mutex::default(),
            last_id: AtomicU64::new(0),
            initialize: OnceLock::new(),
        }
    }

    /// Initialises the child and keeps its answer for every client.
    async fn shake_hands(&self) {
        let body = Bytes::from_static(INITIALIZE);
        let id = message::member(&body, b"id").expect("the constant has an id");
        let answer = self
            .forward(body, id)
            .await
            .expect("the child answers initialize");
        self.initialize
            .set(answer)
            .unwrap_or_else(|_| unreachable!("hands are shaken once"));
        let line = Line {
            body: Bytes::from_static(INITIALIZED),
            client_id: 0..0,
            id: 0,
        };
        self.queue
            .send(line)
            .await
            .expect("the writer lives as long as the child");
    }

    /// Sends a request to the child; nothing comes back when the child is gone.
    async fn forward(&self, body: Bytes, client_id: Range<usize>) -> Option<Answer> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (waiter, answer) = oneshot::channel();
        self.waiters().insert(id, waiter);
        self.queue.send(Line { body, client_id, id }).await.ok()?;
        answer.await.ok()
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.pending.lock().expect("nobody panics with the table in hand")
    }

    /// Hands an answer to who waits for it.
    fn deliver(&self, line: Bytes) {
        let Some(id) = message::member(&line, b"id") else {
            return;
        };
        let number = std::str::from_utf8(&line[id.clone()])
            .ok()
            .and_then(|text| text.parse().ok());
        let waiter = number.and_then(|number: u64| self.waiters().remove(&number));
        if let Some(waiter) = waiter {
            let _ = waiter.send(Answer { line, id });
        }
    }
}

/// Writes what has been queued, in batches: one write for all lines that wait.
async fn write_lines(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Line>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(line) = lines.recv().await {
        line.append_to(&mut batch);
        // Whoever sends wakes the writer at once; letting the other connections run first makes the batch.
        tokio::task::yield_now().await;
        while batch.len() < BATCH {
            let Ok(line) = lines.try_recv() else { break };
            line.append_to(&mut batch);
        }
        stdin.write_all(&batch).await?;
        batch.clear();
    }
    Ok(())
}

impl Line {
    fn append_to(&self, batch: &mut Vec<u8>) {
        let start = batch.len();
        if self.client_id.is_empty() {
            batch.extend_from_slice(&self.body);
        } else {
            batch.extend_from_slice(&self.body[..self.client_id.start]);
            write!(batch, "{}", self.id).expect("a vector takes every write");
            batch.extend_from_slice(&self.body[self.client_id.end..]);
        }
        // In JSON a raw line break is only ever white space between tokens, but it would end the line.
        while let Some(at) = memchr::memchr2(b'\n', b'\r', &batch[start..]) {
            batch[start + at] = b' ';
        }
        batch.push(b'\n');
    }
}

/// Cuts what the child says into lines and delivers each.
async fn read_answers(mut stdout: ChildStdout, bridge: Arc<Bridge>) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ);
    let mut searched = 0;
    while stdout.read_buf(&mut buffer).await? > 0 {
        while let Some(at) = memchr::memchr(b'\n', &buffer[searched..]) {
            let line = buffer.split_to(searched + at + 1).freeze();
            bridge.deliver(line.slice(..line.len() - 1));
            searched = 0;
        }
        searched = buffer.len();
        buffer.reserve(READ);
    }
    bridge.waiters().clear();
    Ok(())
}

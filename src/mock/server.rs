//! The server: reads messages, hands requests to the methods, and answers now or later.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::additions::Additions;
use super::catalogue::Catalogue;
use super::client_requests::{Questions, Reply};
use super::eras;
use super::faults::{Arrival, Faults};
use super::input::Input;
use super::locked::Locked;
use super::message;
use super::modern::Modern;
use super::options::MockOptions;
use super::output::{self, Output};
use super::peer::Peer;
use super::schedule::Schedule;
use super::tally::Tally;
use super::tasks::Tasks;
use super::{descendants, methods, noise};
use crate::protocol::names::code;
use crate::protocol::reply::ErrorObject;
use crate::protocol::scan::{ScanOptions, UniqueKeys, scan_array};
use crate::protocol::{Kind, Message, MessageError, ProtocolVersion, RequestId};

/// How long an ending process waits for a client to take what was already answered.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the end of the input waits for a client that reads slowly.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// Answers of one chunk of input are written together, up to about this many bytes.
const ANSWERS_MAX: usize = 1 << 20;
/// As deep as a gateway may be told to let through.
const SCAN: ScanOptions = ScanOptions {
    depth_max: 1024,
    unique_keys: UniqueKeys::Envelope,
};

/// Why the mock could not go on.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// Standard output or a descendant could not be set up.
    #[error("the mock server cannot start")]
    Start(#[source] io::Error),
    /// Standard input failed, or a line was too long.
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
}

/// Serves on standard input and output until standard input ends.
///
/// # Errors
/// If the server cannot start, or its input fails. Too much unread output and crashes on demand end the process.
pub fn serve(options: MockOptions) -> Result<(), MockError> {
    if options.ignore_sigterm {
        descendants::ignore_sigterm().map_err(MockError::Start)?;
    }
    if let Some(kind) = options.idle {
        descendants::idle(kind);
        return Ok(());
    }
    let server = Server::start(options).map_err(MockError::Start)?;
    let read = read_all(&server, Input::new(io::stdin().lock(), server.options.input_max));
    if server.options.ignore_eof {
        sleep_forever();
    }
    server.output.drain(LAST_ANSWERS);
    read.map_err(MockError::Input)
}

fn read_all(server: &Arc<Server>, mut input: Input<impl io::Read>) -> io::Result<()> {
    let mut answers = Vec::new();
    while input.fill()? {
        while let Some(line) = input.next_line() {
            server.receive(line, &mut answers);
            if answers.len() > ANSWERS_MAX {
                server.send(&mut answers);
            }
        }
        server.send(&mut answers);
    }
    server.receive(input.rest(), &mut answers);
    server.send(&mut answers);
    Ok(())
}

/// Everything the threads of the mock share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: MockOptions,
    pub(crate) catalogue: Catalogue,
    pub(crate) additions: Locked<Additions>,
    pub(crate) peer: Locked<Peer>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) counts: Counts,
    pub(crate) started_once: Once,
    pub(crate) faults: Option<Faults>,
    pub(crate) output: Output,
    pub(crate) questions: Questions,
    pub(crate) modern: Modern,
    pub(crate) tally: Tally,
    pub(crate) tasks: Locked<Tasks>,
    /// Requests being worked on: the number of the run, and the id of the request.
    pub(crate) running: Locked<BTreeMap<u64, RequestId>>,
    descendants: Vec<u32>,
}

/// What the server has seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: AtomicU64,
    notifications: AtomicU64,
    /// Answers of the client to questions of ours.
    pub(crate) responses: AtomicU64,
    /// Answers of the client to nothing we asked.
    pub(crate) responses_unmatched: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    invalid: AtomicU64,
    pub(crate) runs: AtomicU64,
}

impl Counts {
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}

/// What is said to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// Raw JSON.
    Result(&'a str),
    Error(&'a ErrorObject),
}

impl Answer<'_> {
    pub(crate) fn write(&self, line: &mut Vec<u8>, id: &RequestId) {
        match self {
            Self::Result(result) => message::write_result(line, id, result),
            Self::Error(error) => message::write_error(line, Some(id), error),
        }
    }
}

impl Server {
    /// Sets everything up, starts the descendants and the threads, and is slow about it if told so.
    fn start(options: MockOptions) -> io::Result<Arc<Self>> {
        if let Some(text) = &options.stderr {
            noise::say(text);
        }
        let server = Arc::new(Self {
            catalogue: Catalogue::new(&options),
            additions: Locked::default(),
            peer: Locked::default(),
            schedule: Arc::default(),
            counts: Counts::default(),
            started_once: Once::new(),
            faults: Faults::new(&options),
            output: Output::new(output::standard_output()?, options.output_max),
            questions: Questions::default(),
            modern: Modern::new(&options)?,
            tally: Tally::default(),
            tasks: Locked::default(),
            running: Locked::default(),
            descendants: descendants::start(&options)?,
            options,
        });
        let (writer, timer) = (Arc::clone(&server), Arc::clone(&server.schedule));
        start_thread("output", move || writer.output.write_forever())?;
        start_thread("schedule", move || timer.run_forever())?;
        if let Some(rate) = server.options.stderr_flood {
            start_thread("stderr", move || noise::flood_standard_error(rate))?;
        }
        std::thread::sleep(Duration::from_millis(server.options.slow_start));
        Ok(server)
    }

    /// Handles one line. What is answered at once is appended to `answers`.
    fn receive(self: &Arc<Self>, line: &[u8], answers: &mut Vec<u8>) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        let line = Bytes::copy_from_slice(line);
        if line[0] == b'[' {
            self.receive_batch(&line, answers);
        } else {
            self.receive_message(line, answers);
        }
    }

    /// Batches exist in 2025-03-26 only. Their members are answered one by one, as each is ready.
    fn receive_batch(self: &Arc<Self>, line: &Bytes, answers: &mut Vec<u8>) {
        let refusal = match scan_array(line, SCAN, usize::MAX) {
            Err(error) => error.into(),
            Ok(_) if self.peer.lock().version != ProtocolVersion::V2025_03_26 => {
                invalid("this protocol version has no batches")
            }
            Ok(Some(members)) if !members.is_empty() => {
                for member in members {
                    self.receive_message(line.slice(member), answers);
                }
                return;
            }
            Ok(_) => invalid("an empty batch"),
        };
        self.refuse(refusal, answers);
    }

    fn receive_message(self: &Arc<Self>, text: Bytes, answers: &mut Vec<u8>) {
        let message = match Message::parse(text, SCAN) {
            Ok(message) => message,
            Err(error) => return self.refuse(error, answers),
        };
        match (message.kind(), message.id()) {
            (Kind::Request, Some(id)) => self.receive_request(id, &message, answers),
            (Kind::Response, id) => self.receive_response(id, &message, answers),
            (Kind::Request | Kind::Notification, _) => {
                self.counts.notifications.fetch_add(1, Relaxed);
                methods::notice(self, &message);
            }
        }
    }

    fn receive_request(self: &Arc<Self>, id: &RequestId, message: &Message, answers: &mut Vec<u8>) {
        let method = &*message.method();
        let number = self.counts.requests.fetch_add(1, Relaxed) + 1;
        let arrival = self
            .faults
            .as_ref()
            .map_or(Arrival::Handled, |faults| faults.arrival(number, method));
        match arrival {
            Arrival::Handled | Arrival::HandledLast => {
                let outcome = eras::handle(self, message);
                self.follow(id, method, outcome, answers);
            }
            Arrival::Forgotten => {}
            Arrival::Crash => self.end(self.options.exit_code, answers),
        }
        if arrival == Arrival::HandledLast {
            self.send(answers);
            sleep_forever();
        }
    }

    fn receive_response(self: &Arc<Self>, id: Option<&RequestId>, message: &Message, answers: &mut Vec<u8>) {
        let reply = match message.result() {
            Some(result) => Reply::Result(result),
            None => Reply::Error(message.error().unwrap_or_default()),
        };
        self.take_reply(id, &reply, answers);
    }

    /// Refuses what is no proper message.
    fn refuse(&self, error: MessageError, answers: &mut Vec<u8>) {
        self.counts.invalid.fetch_add(1, Relaxed);
        let why = ErrorObject::new(error.code, error.message);
        message::write_error(answers, error.id.as_ref(), &why);
    }

    /// Returns what the `state` tool tells.
    pub(crate) fn state(&self) -> Value {
        let peer = self.peer.lock();
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        json!({
            "pid": std::process::id(),
            "cwd": std::env::current_dir().ok(),
            "descendants": self.descendants,
            "protocolVersion": peer.version_told,
            "clientInfo": peer.client_info,
            "clientCapabilities": peer.capabilities,
            "logLevel": peer.level.as_str(),
            "subscriptions": peer.subscriptions,
            "requests": count(&self.counts.requests),
            "notifications": count(&self.counts.notifications),
            "responses": count(&self.counts.responses),
            "responsesUnmatched": count(&self.counts.responses_unmatched),
            "cancelled": count(&self.counts.cancelled),
            "invalid": count(&self.counts.invalid),
            "running": self.running.lock().len(),
            "asked": self.tally.to_json(),
            "listens": self.modern.listens.to_json(),
            "lastMeta": self.modern.last_meta(),
        })
    }

    pub(crate) fn send(&self, bytes: &mut Vec<u8>) {
        if let Err(error) = self.output.send(bytes) {
            noise::say(&format!("mock-server: {error}"));
            exit(1);
        }
    }

    /// Ends the process, once what was answered before is written.
    pub(crate) fn end(&self, code: i32, answers: &mut Vec<u8>) -> ! {
        self.send(answers);
        self.output.drain(LAST_WORDS);
        exit(code)
    }
}

fn invalid(message: &str) -> MessageError {
    MessageError {
        code: code::INVALID_REQUEST,
        message: message.to_owned(),
        id: None,
    }
}

#[expect(
    clippy::exit,
    reason = "a crash on demand is the end of the process, on whatever thread it comes"
)]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // The threads live as long as the process: it ends by returning from `serve` or by `exit`.
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
}

fn sleep_forever() -> ! {
    loop {
        std::thread::park();
    }
}

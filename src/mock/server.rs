//! The server: reads messages, hands requests to the methods, and answers now or later.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::additions::Additions;
use super::catalogue::Catalogue;
use super::client_requests::{Asked, Question, Questions, Reply};
use super::faults::{Arrival, Faults};
use super::input::Input;
use super::locked::Locked;
use super::message::{self, Envelope, INVALID_REQUEST, PARSE_ERROR, RpcError};
use super::options::MockOptions;
use super::output::{self, Output};
use super::peer::Peer;
use super::schedule::Schedule;
use super::script::{Action, Outcome, OwnedRequest, Run, Step};
use super::version::Version;
use super::{descendants, methods, noise};

/// How long an ending process waits for a client to take what was already answered.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Answers of one chunk of input are written together, up to about this many bytes.
const ANSWERS_MAX: usize = 1 << 20;

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
    server.output.drain(LAST_WORDS);
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
    faults: Option<Faults>,
    output: Output,
    questions: Questions,
    /// Requests being worked on: the number of the run, and the id of the request.
    running: Locked<BTreeMap<u64, Box<str>>>,
    descendants: Vec<u32>,
}

/// What the server has seen.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    requests: AtomicU64,
    notifications: AtomicU64,
    /// Answers of the client to questions of ours.
    responses: AtomicU64,
    /// Answers of the client to nothing we asked.
    responses_unmatched: AtomicU64,
    cancelled: AtomicU64,
    invalid: AtomicU64,
    runs: AtomicU64,
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
    Error(&'a RpcError),
}

impl Answer<'_> {
    pub(crate) fn write(&self, line: &mut Vec<u8>, id: &str) {
        match self {
            Self::Result(result) => message::write_result(line, id, result),
            Self::Error(error) => message::write_error(line, id, error),
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
            catalogue: Catalogue::new(options.page_size),
            additions: Locked::default(),
            peer: Locked::default(),
            schedule: Arc::default(),
            counts: Counts::default(),
            started_once: Once::new(),
            faults: Faults::new(&options),
            output: Output::new(output::standard_output()?, options.output_max),
            questions: Questions::default(),
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
        match serde_json::from_slice::<Envelope<'_>>(line) {
            Ok(envelope) => self.receive_message(&envelope, answers),
            Err(_) if line[0] == b'[' => self.receive_batch(line, answers),
            Err(error) => {
                let code = if error.is_data() {
                    INVALID_REQUEST
                } else {
                    PARSE_ERROR
                };
                self.refuse(None, code, &error.to_string(), answers);
            }
        }
    }

    /// Batches exist in 2025-03-26 only. Their members are answered one by one, as each is ready.
    fn receive_batch(self: &Arc<Self>, line: &[u8], answers: &mut Vec<u8>) {
        if self.peer.lock().version != Version::V2025_03_26 {
            return self.refuse(
                None,
                INVALID_REQUEST,
                "this protocol version has no batches",
                answers,
            );
        }
        match serde_json::from_slice::<Vec<&RawValue>>(line) {
            Ok(members) if !members.is_empty() => {
                for member in members.iter().map(|member| member.get()) {
                    match serde_json::from_str::<Envelope<'_>>(member) {
                        Ok(envelope) => self.receive_message(&envelope, answers),
                        Err(error) => self.refuse(None, INVALID_REQUEST, &error.to_string(), answers),
                    }
                }
            }
            Ok(_) => self.refuse(None, INVALID_REQUEST, "an empty batch", answers),
            Err(error) => self.refuse(None, PARSE_ERROR, &error.to_string(), answers),
        }
    }

    fn receive_message(self: &Arc<Self>, envelope: &Envelope<'_>, answers: &mut Vec<u8>) {
        if envelope.jsonrpc.as_deref() != Some("2.0") {
            return self.refuse(envelope.id, INVALID_REQUEST, "jsonrpc must be \"2.0\"", answers);
        }
        match (envelope.method.as_deref(), envelope.id) {
            (Some(method), Some(id)) => self.receive_request(id, method, envelope.params, answers),
            (Some(method), None) => {
                self.counts.notifications.fetch_add(1, Relaxed);
                methods::notice(self, method, envelope.params);
            }
            (None, Some(id)) => self.receive_response(id, envelope, answers),
            (None, None) => self.refuse(None, INVALID_REQUEST, "neither a method nor an id", answers),
        }
    }

    fn receive_request(
        self: &Arc<Self>,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
        answers: &mut Vec<u8>,
    ) {
        if !id
            .get()
            .starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
        {
            return self.refuse(None, INVALID_REQUEST, "an id is a string or a number", answers);
        }
        let number = self.counts.requests.fetch_add(1, Relaxed) + 1;
        let arrival = self
            .faults
            .as_ref()
            .map_or(Arrival::Handled, |faults| faults.arrival(number, method));
        match arrival {
            Arrival::Handled | Arrival::HandledLast => {
                let outcome = methods::handle(self, method, params);
                self.follow(id.get(), method, outcome, answers);
            }
            Arrival::Forgotten => {}
            Arrival::Crash => self.end(self.options.exit_code, answers),
        }
        if arrival == Arrival::HandledLast {
            self.send(answers);
            sleep_forever();
        }
    }

    fn receive_response(self: &Arc<Self>, id: &RawValue, envelope: &Envelope<'_>, answers: &mut Vec<u8>) {
        let reply = match (envelope.result, envelope.error) {
            (Some(result), None) => Reply::Result(result),
            (None, Some(error)) => Reply::Error(error),
            _ => {
                return self.refuse(
                    None,
                    INVALID_REQUEST,
                    "a response has a result or an error",
                    answers,
                );
            }
        };
        let Some(asked) = self.questions.take(id.get()) else {
            self.counts.responses_unmatched.fetch_add(1, Relaxed);
            return;
        };
        self.counts.responses.fetch_add(1, Relaxed);
        if self.running.lock().remove(&asked.run).is_some() {
            let request = &asked.request;
            self.answer(
                &request.id,
                &request.method,
                &Answer::Result(&asked.result(reply)),
                answers,
            );
        }
    }

    /// Does what a method decided, as far as it can be done at once.
    fn follow(self: &Arc<Self>, id: &str, method: &str, outcome: Outcome, answers: &mut Vec<u8>) {
        match outcome {
            Outcome::Result(result) => self.answer(id, method, &Answer::Result(&result), answers),
            Outcome::Error(error) => self.answer(id, method, &Answer::Error(&error), answers),
            Outcome::Script(steps) => {
                let (number, request) = self.begin(id, method);
                let run = Run {
                    number,
                    request,
                    answered: false,
                    steps: steps.into_iter(),
                };
                self.advance(run, answers);
            }
            Outcome::Ask(question) => self.ask(id, method, &question, answers),
        }
    }

    /// Registers a request as being worked on, so that it can be cancelled.
    fn begin(&self, id: &str, method: &str) -> (u64, OwnedRequest) {
        let number = self.counts.runs.fetch_add(1, Relaxed);
        self.running.lock().insert(number, id.into());
        (
            number,
            OwnedRequest {
                id: id.into(),
                method: method.into(),
            },
        )
    }

    fn ask(&self, id: &str, method: &str, question: &Question, lines: &mut Vec<u8>) {
        let (number, request) = self.begin(id, method);
        let question_id = self.questions.remember(Asked::new(number, request, question));
        message::write_request(lines, question_id, &question.method, question.params.as_deref());
    }

    /// Does the steps that are due and schedules the rest. A cancelled run ends.
    fn advance(self: &Arc<Self>, mut run: Run, lines: &mut Vec<u8>) {
        loop {
            if !run.answered && !self.running.lock().contains_key(&run.number) {
                return;
            }
            let Some(next) = run.steps.as_mut_slice().first_mut() else {
                break;
            };
            let wait = std::mem::take(&mut next.after);
            if !wait.is_zero() {
                let server = Arc::clone(self);
                return self.schedule.after(wait, move || {
                    let mut lines = Vec::new();
                    server.advance(run, &mut lines);
                    server.send(&mut lines);
                });
            }
            let Some(Step { action, .. }) = run.steps.next() else {
                break;
            };
            if let Action::Answer(result) = &action {
                run.answered = true;
                self.running.lock().remove(&run.number);
                self.answer(
                    &run.request.id,
                    &run.request.method,
                    &Answer::Result(result),
                    lines,
                );
            } else {
                self.perform(&action, lines);
            }
        }
        self.running.lock().remove(&run.number);
    }

    /// Does what belongs to no request.
    pub(crate) fn perform_now(&self, action: &Action) {
        let mut lines = Vec::new();
        self.perform(action, &mut lines);
        self.send(&mut lines);
    }

    fn perform(&self, action: &Action, lines: &mut Vec<u8>) {
        match action {
            Action::Nothing => {}
            Action::Notify(method, params) => message::write_notification(lines, method, params.as_deref()),
            Action::Log(level, data) => {
                if *level >= self.peer.lock().level {
                    let params = format!(
                        "{{\"level\":\"{}\",\"logger\":\"mock\",\"data\":{data}}}",
                        level.as_str()
                    );
                    message::write_notification(lines, "notifications/message", Some(&params));
                }
            }
            Action::Answer(_) => debug_assert!(false, "answers belong to a run"),
            Action::Exit(code) => self.end(*code, lines),
            Action::Abort => std::process::abort(),
        }
    }

    /// Answers a request, with everything that is to go wrong, now or after the delay of the options.
    fn answer(self: &Arc<Self>, id: &str, method: &str, answer: &Answer<'_>, lines: &mut Vec<u8>) {
        let Some(faults) = &self.faults else {
            return answer.write(lines, id);
        };
        let mut line = Vec::new();
        let closes = faults.write(&mut line, id, method, answer);
        let delay = faults.delay();
        if delay.is_zero() {
            lines.append(&mut line);
            return self.close_if(closes, lines);
        }
        let server = Arc::clone(self);
        self.schedule.after(delay, move || {
            server.send(&mut line);
            server.close_if(closes, &mut line);
        });
    }

    fn close_if(&self, closes: bool, lines: &mut Vec<u8>) {
        if closes {
            self.send(lines);
            self.output.drain(LAST_WORDS);
            self.output.close();
        }
    }

    /// Refuses what is no proper message.
    fn refuse(&self, id: Option<&RawValue>, code: i32, why: &str, answers: &mut Vec<u8>) {
        self.counts.invalid.fetch_add(1, Relaxed);
        message::write_error(
            answers,
            id.map_or("null", RawValue::get),
            &RpcError::new(code, why),
        );
    }

    /// Drops the work on a request, and the question that it waits for.
    pub(crate) fn cancel(&self, id: &str) {
        let mut numbers = Vec::new();
        self.running.lock().retain(|number, of| {
            let matches = &**of == id;
            numbers.extend(matches.then_some(*number));
            !matches
        });
        self.counts.cancelled.fetch_add(numbers.len() as u64, Relaxed);
        for question in numbers
            .into_iter()
            .filter_map(|number| self.questions.withdraw(number))
        {
            let params = json!({ "requestId": question, "reason": "the call was cancelled" }).to_string();
            self.perform_now(&Action::Notify("notifications/cancelled".into(), Some(params)));
        }
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
        })
    }

    fn send(&self, bytes: &mut Vec<u8>) {
        if let Err(error) = self.output.send(bytes) {
            noise::say(&format!("mock-server: {error}"));
            exit(1);
        }
    }

    /// Ends the process, once what was answered before is written.
    fn end(&self, code: i32, answers: &mut Vec<u8>) -> ! {
        self.send(answers);
        self.output.drain(LAST_WORDS);
        exit(code)
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

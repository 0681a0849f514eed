//! A server with a handshake that takes each step when the test says so; on its own it only shakes hands and lists.

use std::sync::{Arc, Mutex, MutexGuard};

use portcullis::upstream::launch::{
    ChildProcess, EndFuture, Exit, Launch, LaunchFuture, LaunchSpec, Launched, ProcessEnd,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};

/// More than any test leaves unread.
const PIPE: usize = 1 << 20;

/// Its processes, those that have ended included.
#[derive(Default)]
pub(super) struct Server(Arc<Mutex<Vec<Process>>>);

/// What is known of one process.
struct Process {
    says: mpsc::UnboundedSender<Value>,
    is_to_end: mpsc::UnboundedSender<()>,
    is_alive: bool,
    calls: Vec<Call>,
    questions: Vec<Question>,
}

/// A call that it was asked for.
struct Call {
    id: Value,
    token: Value,
    name: String,
    is_open: bool,
}

/// Something that it has asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    id: String,
    /// What it says: the name of its call and a number.
    pub(super) text: String,
    /// All that it was answered, errors included.
    pub(super) answers: Vec<Value>,
    pub(super) is_withdrawn: bool,
}

impl Question {
    pub(super) fn is_settled(&self) -> bool {
        self.is_withdrawn || !self.answers.is_empty()
    }
}

impl Server {
    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.0.lock().expect("no holder panics")
    }

    /// Does something in the process that works on a call; `None` if none does.
    fn at<T>(&self, name: &str, act: impl FnOnce(&mut Process, usize) -> T) -> Option<T> {
        let mut processes = self.processes();
        let open = |process: &Process| {
            process
                .calls
                .iter()
                .position(|call| call.is_open && call.name == name)
        };
        let place = |process: &Process| open(process).filter(|_| process.is_alive);
        let (process, index) = processes.iter_mut().find_map(|process| {
            let index = place(process)?;
            Some((process, index))
        })?;
        Some(act(process, index))
    }

    /// Returns the calls that are under way.
    pub(super) fn calls(&self) -> Vec<String> {
        let processes = self.processes();
        let alive = processes.iter().filter(|process| process.is_alive);
        let calls = alive.flat_map(|process| process.calls.iter().filter(|call| call.is_open));
        calls.map(|call| call.name.clone()).collect()
    }

    /// Returns how many processes live.
    pub(super) fn alive(&self) -> usize {
        self.processes().iter().filter(|process| process.is_alive).count()
    }

    /// Asks the client something while it works on a call; returns the text.
    pub(super) fn ask(&self, name: &str) -> Option<String> {
        self.at(name, |process, _| {
            let number = process.questions.len();
            let (id, text) = (format!("q{number}"), format!("{name}:{number}"));
            let schema = json!({ "type": "object", "properties": { "said": { "type": "string" } } });
            let params = json!({ "message": text, "requestedSchema": schema });
            process.say(json!({ "id": id, "method": "elicitation/create", "params": params }));
            process.questions.push(Question {
                id,
                text: text.clone(),
                answers: Vec::new(),
                is_withdrawn: false,
            });
            text
        })
    }

    /// Takes back the oldest question of a call that has no answer.
    pub(super) fn withdraw(&self, name: &str) {
        self.at(name, |process, _| {
            let open = process
                .questions
                .iter_mut()
                .find(|question| !question.is_settled());
            let Some(question) = open else { return };
            question.is_withdrawn = true;
            let params = json!({ "requestId": question.id });
            process.say(json!({ "method": "notifications/cancelled", "params": params }));
        });
    }

    fn end(&self, name: &str, answer: Value) {
        self.at(name, |process, index| {
            let call = &mut process.calls[index];
            call.is_open = false;
            let mut answer = answer;
            answer["id"] = call.id.clone();
            process.say(answer);
        });
    }

    /// Answers a call with its name.
    pub(super) fn answer(&self, name: &str) {
        let result = json!({ "content": [{ "type": "text", "text": name }] });
        self.end(name, json!({ "result": result }));
    }

    /// Answers a call with a page that is to be visited first.
    pub(super) fn want_visit(&self, name: &str) {
        let page = json!({ "mode": "url", "elicitationId": "1", "url": "https://a", "message": format!("{name}:page") });
        let data = json!({ "elicitations": [page] });
        self.end(
            name,
            json!({ "error": { "code": -32042, "message": "visit", "data": data } }),
        );
    }

    /// Says how far a call is.
    pub(super) fn progress(&self, name: &str, step: u64) {
        self.at(name, |process, index| {
            let params =
                json!({ "progressToken": process.calls[index].token, "progress": step, "message": name });
            process.say(json!({ "method": "notifications/progress", "params": params }));
        });
    }

    /// Logs something while it works on a call.
    pub(super) fn log(&self, name: &str) {
        self.at(name, |process, _| {
            let params = json!({ "level": "info", "data": name });
            process.say(json!({ "method": "notifications/message", "params": params }));
        });
    }

    /// Ends the process that works on a call.
    pub(super) fn die(&self, name: &str) {
        self.at(name, |process, _| {
            // It may have ended.
            let _ = process.is_to_end.send(());
        });
    }

    /// Returns what was asked in processes that live.
    pub(super) fn questions(&self) -> Vec<Question> {
        let processes = self.processes();
        let alive = processes.iter().filter(|process| process.is_alive);
        alive.flat_map(|process| process.questions.clone()).collect()
    }

    /// Returns what was asked in any process.
    pub(super) fn all_questions(&self) -> Vec<Question> {
        let processes = self.processes();
        processes
            .iter()
            .flat_map(|process| process.questions.clone())
            .collect()
    }

    /// Returns what processes that live and have no call under way still want to know.
    pub(super) fn stale_questions(&self) -> Vec<Question> {
        let processes = self.processes();
        let idle = processes
            .iter()
            .filter(|process| process.is_alive && !process.calls.iter().any(|call| call.is_open));
        let questions = idle.flat_map(|process| process.questions.iter());
        questions
            .filter(|question| !question.is_settled())
            .cloned()
            .collect()
    }
}

impl Process {
    fn say(&self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        // It may have ended.
        let _ = self.says.send(message);
    }

    fn hear(&mut self, line: &str) {
        let message: Value = serde_json::from_str(line).expect("the gateway sends JSON");
        let id = &message["id"];
        let answer = |result: Value| json!({ "id": id, "result": result });
        match message["method"].as_str() {
            Some("initialize") => self.say(answer(json!({
                "protocolVersion": "2025-11-25", "capabilities": { "tools": {}, "logging": {} },
                "serverInfo": { "name": "scripted", "version": "1" },
            }))),
            Some("tools/list") => {
                let tool = json!({ "name": "work", "inputSchema": { "type": "object" } });
                self.say(answer(json!({ "tools": [tool] })));
            }
            Some("tools/call") => self.calls.push(Call {
                id: id.clone(),
                token: message["params"]["_meta"]["progressToken"].clone(),
                name: message["params"]["arguments"]["call"]
                    .as_str()
                    .expect("a name")
                    .to_owned(),
                is_open: true,
            }),
            Some("notifications/cancelled") => {
                let cancelled = &message["params"]["requestId"];
                let calls = self.calls.iter_mut().filter(|call| call.id == *cancelled);
                calls.for_each(|call| call.is_open = false);
            }
            Some(_) if id.is_null() => {}
            Some(_) => self.say(answer(json!({}))),
            None => {
                let asked = self.questions.iter_mut().find(|question| *id == *question.id);
                asked.expect("it has asked").answers.push(message);
            }
        }
    }
}

impl Launch for Server {
    fn launch<'a>(&'a self, _: &'a LaunchSpec) -> LaunchFuture<'a> {
        let (stdin, its_stdin) = duplex(PIPE);
        let (its_stdout, stdout) = duplex(PIPE);
        let (says, messages) = mpsc::unbounded_channel();
        let (is_to_end, orders) = mpsc::unbounded_channel();
        let (ended, end) = watch::channel(false);
        let index = {
            let mut processes = self.processes();
            processes.push(Process {
                says,
                is_to_end: is_to_end.clone(),
                is_alive: true,
                calls: Vec::new(),
                questions: Vec::new(),
            });
            processes.len() - 1
        };
        let processes = self.0.clone();
        let life = async move {
            tokio::select! {
                () = listen(&processes, index, its_stdin, orders) => {}
                () = talk(its_stdout, messages) => {}
            }
            processes.lock().expect("no holder panics")[index].is_alive = false;
            let _ = ended.send(true);
        };
        tokio::spawn(life);
        let process = Handle { is_to_end, end };
        Box::pin(async move {
            Ok(Launched {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                stderr: Box::new(tokio::io::empty()),
                process: Box::new(process),
            })
        })
    }
}

/// Hears what the gateway says, until that is over or the process has to end.
async fn listen(
    processes: &Mutex<Vec<Process>>,
    index: usize,
    stdin: DuplexStream,
    mut orders: mpsc::UnboundedReceiver<()>,
) {
    let mut lines = BufReader::new(stdin).lines();
    loop {
        tokio::select! {
            biased;
            _ = orders.recv() => return,
            line = lines.next_line() => match line {
                Ok(Some(line)) => processes.lock().expect("no holder panics")[index].hear(&line),
                _ => return,
            },
        }
    }
}

/// Says what there is to say; it never ends on its own.
async fn talk(mut stdout: DuplexStream, mut messages: mpsc::UnboundedReceiver<Value>) {
    while let Some(message) = messages.recv().await {
        if stdout.write_all(format!("{message}\n").as_bytes()).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// What the supervisor holds.
struct Handle {
    is_to_end: mpsc::UnboundedSender<()>,
    end: watch::Receiver<bool>,
}

impl ChildProcess for Handle {
    fn pid(&self) -> Option<u32> {
        None
    }

    fn terminate(&mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        let _ = self.is_to_end.send(());
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            self.end.wait_for(|ended| *ended).await.expect("it says so");
            ProcessEnd {
                exit: Exit::Code(0),
                stragglers: 0,
                survivors: 0,
            }
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.kill();
    }
}

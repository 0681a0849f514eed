//! A server's process that follows a [`Script`], and the launch that starts it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::upstream::launch::{
    ChildProcess, EndFuture, Exit, Launch, LaunchError, LaunchFuture, LaunchSpec, Launched, ProcessEnd,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::dice::Dice;
use super::messages::{answer_to, line};
use super::script::{HandshakeFate, LaunchFate, Mishap, Obedience, Script};
use super::world::World;

/// Starts scripted peers.
pub(super) struct ScriptedLaunch {
    pub(super) world: Arc<World>,
    pub(super) dice: Mutex<Dice>,
    pub(super) trouble: u64,
    /// From this start on, everything goes well: a server that was mended.
    pub(super) mended_after: usize,
    pub(super) starts: AtomicUsize,
}

impl Launch for ScriptedLaunch {
    fn launch<'a>(&'a self, _: &'a LaunchSpec) -> LaunchFuture<'a> {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let trouble = if start >= self.mended_after {
            0
        } else {
            self.trouble
        };
        let mut dice = self.dice.lock().expect("no holder panics").fork();
        let script = Script::new(&mut dice, trouble);
        let under_way = UnderWay::new(Arc::clone(&self.world));
        Box::pin(start_peer(script, dice, under_way))
    }
}

/// A launch that has not returned yet. Dropping it ends what was started, as a real one does.
struct UnderWay {
    world: Arc<World>,
    began: Instant,
    pid: Option<u32>,
    is_over: bool,
}

impl UnderWay {
    fn new(world: Arc<World>) -> Self {
        world.launch_begins();
        Self {
            world,
            began: Instant::now(),
            pid: None,
            is_over: false,
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.world.launch_over();
        if !self.is_over {
            self.world.launch_dropped(self.began.elapsed());
            if let Some(pid) = self.pid {
                self.world.ended(pid);
            }
        }
    }
}

async fn start_peer(script: Script, dice: Dice, mut under_way: UnderWay) -> Result<Launched, LaunchError> {
    tokio::time::sleep(script.launch_before).await;
    let refusal = match script.launch {
        LaunchFate::NotFound => Some(LaunchError::NotFound {
            program: "server".to_owned(),
        }),
        LaunchFate::Refused => Some(LaunchError::Guard {
            action: "making pipes",
            source: std::io::ErrorKind::OutOfMemory.into(),
        }),
        LaunchFate::Succeeds | LaunchFate::Hangs => None,
    };
    if let Some(refusal) = refusal {
        under_way.is_over = true;
        return Err(refusal);
    }
    let pid = under_way.world.born();
    under_way.pid = Some(pid);
    if script.launch == LaunchFate::Hangs {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(script.launch_after).await;
    under_way.is_over = true;
    Ok(Peer::start(pid, script, dice, Arc::clone(&under_way.world)))
}

/// What is done to a process.
#[derive(Debug, Clone, Copy)]
enum Order {
    Terminate,
    Kill,
}

/// The handle that the supervisor holds.
struct ScriptedProcess {
    pid: u32,
    orders: mpsc::UnboundedSender<Order>,
    end: watch::Receiver<Option<ProcessEnd>>,
    world: Arc<World>,
}

impl ChildProcess for ScriptedProcess {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn terminate(&mut self) {
        self.world.note(format!("SIGTERM to {}", self.pid));
        let _ = self.orders.send(Order::Terminate);
    }

    fn kill(&mut self) {
        self.world.note(format!("SIGKILL to {}", self.pid));
        self.world.killed(self.pid);
        let _ = self.orders.send(Order::Kill);
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            let end = self.end.wait_for(Option::is_some).await;
            end.expect("a peer ends before it is gone")
                .expect("it was waited for")
        })
    }
}

impl Drop for ScriptedProcess {
    fn drop(&mut self) {
        self.world.let_go(self.pid);
        let _ = self.orders.send(Order::Kill);
    }
}

/// What a peer will do.
enum Act {
    Say(Vec<u8>),
    Suffer(Mishap),
    End(Exit),
}

/// The process itself.
struct Peer {
    pid: u32,
    script: Script,
    dice: Dice,
    world: Arc<World>,
    stdin: Option<DuplexStream>,
    reads: bool,
    output: Option<mpsc::UnboundedSender<Vec<u8>>>,
    writer: AbortHandle,
    stderr: DuplexStream,
    agenda: BTreeMap<(Instant, u64), Act>,
    planned: u64,
    over: Option<Exit>,
}

impl Peer {
    fn start(pid: u32, script: Script, dice: Dice, world: Arc<World>) -> Launched {
        let (stdin, far_stdin) = duplex(script.pipe);
        let (far_stdout, stdout) = duplex(script.pipe);
        let (far_stderr, stderr) = duplex(4096);
        let (orders, orders_rx) = mpsc::unbounded_channel();
        let (end_tx, end) = watch::channel(None);
        let (output, lines) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write(far_stdout, lines)).abort_handle();
        let mut peer = Self {
            pid,
            script,
            dice,
            world: Arc::clone(&world),
            stdin: Some(far_stdin),
            reads: true,
            output: Some(output),
            writer,
            stderr: far_stderr,
            agenda: BTreeMap::new(),
            planned: 0,
            over: None,
        };
        if let Some((at, mishap)) = peer.script.mishap {
            peer.plan(at, Act::Suffer(mishap));
        }
        tokio::spawn(peer.live(orders_rx, end_tx));
        Launched {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            process: Box::new(ScriptedProcess {
                pid,
                orders,
                end,
                world,
            }),
        }
    }

    async fn live(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        end: watch::Sender<Option<ProcessEnd>>,
    ) {
        let mut buffer = Vec::new();
        while self.over.is_none() {
            let due = self.agenda.first_key_value().map(|((at, _), _)| *at);
            tokio::select! {
                biased;
                Some(order) = orders.recv() => self.obey(order),
                count = read(&mut self.stdin, &mut buffer), if self.reads => self.heard(count, &mut buffer),
                () = sleep_until(due) => {
                    if let Some((_, act)) = self.agenda.pop_first() {
                        self.act(act);
                    }
                }
            }
        }
        self.end(&end);
    }

    fn end(mut self, end: &watch::Sender<Option<ProcessEnd>>) {
        match (self.script.output_outlives, self.output.take()) {
            (Some(time), Some(output)) => drop(tokio::spawn(async move {
                tokio::time::sleep(time).await;
                drop(output);
            })),
            _ => self.writer.abort(),
        }
        self.world.ended(self.pid);
        let exit = self.over.expect("only an ended one comes here");
        // The supervisor may have let go of it.
        let _ = end.send(Some(ProcessEnd {
            exit,
            stragglers: u32::from(self.dice.percent(10)),
            survivors: 0,
        }));
    }

    fn plan(&mut self, after: Duration, act: Act) {
        self.planned += 1;
        self.agenda.insert((Instant::now() + after, self.planned), act);
    }

    fn obey(&mut self, order: Order) {
        let (obedience, exit) = match order {
            Order::Terminate => (self.script.on_terminate, Exit::Signal(15)),
            Order::Kill => (self.script.on_kill, Exit::Signal(9)),
        };
        self.end_as(obedience, exit);
    }

    fn end_as(&mut self, obedience: Obedience, exit: Exit) {
        if let Obedience::EndsAfter(time) = obedience {
            self.plan(time, Act::End(exit));
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::End(exit) | Act::Suffer(Mishap::Exits(exit)) => self.over = Some(exit),
            Act::Suffer(Mishap::ClosesOutput) => self.output = None,
            Act::Suffer(Mishap::BreaksInput) => self.stdin = None,
            Act::Suffer(Mishap::StopsReading) => self.reads = false,
            Act::Say(bytes) => {
                // Once closed, it is closed.
                let _ = self.output.as_ref().map(|output| output.send(bytes));
            }
        }
    }

    fn heard(&mut self, count: usize, buffer: &mut Vec<u8>) {
        if count == 0 {
            self.reads = false;
            return self.end_as(self.script.on_end_of_input, Exit::Code(0));
        }
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let message = buffer.drain(..=end).collect::<Vec<u8>>();
            match serde_json::from_slice::<Value>(&message) {
                Ok(message) => self.take(&message),
                Err(error) => self.world.broken(format!("a peer was sent no JSON: {error}")),
            }
        }
    }

    fn take(&mut self, message: &Value) {
        if message.get("id").is_none() || message.get("method").is_none() {
            return;
        }
        match message["method"].as_str() {
            Some("initialize") => self.shake_hands(&message["id"]),
            Some("ping") if !self.script.answers_pings => {}
            Some("ping") => {
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": {} });
                self.plan(Duration::ZERO, Act::Say(line(&answer)));
            }
            _ => {
                for (after, bytes) in answer_to(message, &mut self.dice, self.script.nastiness) {
                    self.plan(after, Act::Say(bytes));
                }
            }
        }
    }

    fn shake_hands(&mut self, id: &Value) {
        let result =
            |version: &str| json!({ "protocolVersion": version, "capabilities": {}, "serverInfo": {} });
        let answer = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
        let act = match self.script.handshake {
            HandshakeFate::Hangs => return,
            HandshakeFate::Succeeds => Act::Say(line(&answer(result("2025-11-25")))),
            HandshakeFate::WrongVersion => Act::Say(line(&answer(result("1999-01-01")))),
            HandshakeFate::Nonsense => Act::Say(line(&answer(json!([1, 2])))),
            HandshakeFate::Refused => {
                let error = json!({ "code": -32600, "message": "not today" });
                Act::Say(line(&json!({ "jsonrpc": "2.0", "id": id, "error": error })))
            }
            HandshakeFate::Exits => Act::End(Exit::Code(2)),
            HandshakeFate::ClosesOutput => Act::Suffer(Mishap::ClosesOutput),
        };
        self.plan(self.script.handshake_delay, act);
    }
}

/// Last words, for the tail of stderr.
impl Drop for Peer {
    fn drop(&mut self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let stderr = std::pin::Pin::new(&mut self.stderr);
        // A full pipe is as good as a silent process.
        let _ = tokio::io::AsyncWrite::poll_write(stderr, &mut context, b"last words\n");
    }
}

async fn write(mut stdout: DuplexStream, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = lines.recv().await {
        if stdout.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Reads what there is; 0 is end of file. A broken input never gives anything.
async fn read(stdin: &mut Option<DuplexStream>, buffer: &mut Vec<u8>) -> usize {
    match stdin {
        Some(stdin) => stdin.read_buf(buffer).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

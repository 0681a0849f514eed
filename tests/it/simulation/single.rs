//! Single lives, told step by step on paused time: what is to be seen in one moment and not in thousands of schedules.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use portcullis::config::{Loader, PidNamespace, Routes, ServerDefaults, ServerSpec};
use portcullis::gateway::{Answer, Delivery, Gateway, GatewayOptions, RequestContext};
use portcullis::protocol::Message;
use portcullis::protocol::scan::{ScanOptions, UniqueKeys};
use portcullis::registry::{Actor, EventLog, Registry, Source};
use portcullis::session::Transport;
use portcullis::upstream::launch::{
    ChildProcess, EndFuture, Exit, Launch, LaunchFuture, LaunchSpec, Launched, ProcessEnd,
};
use portcullis::upstream::{PoolContext, ServerMessages, ServerPool};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::actors::Ear;
use super::dice::Dice;
use crate::support::anonymous;

/// A process that ends like this, or never.
struct Life(Option<Exit>);

impl ChildProcess for Life {
    fn pid(&self) -> Option<u32> {
        Some(1)
    }

    fn terminate(&mut self) {}

    fn kill(&mut self) {}

    fn wait(&mut self) -> EndFuture<'_> {
        let end = self.0.map(|exit| ProcessEnd {
            exit,
            stragglers: 0,
            survivors: 0,
        });
        Box::pin(async move {
            match end {
                Some(end) => end,
                None => std::future::pending().await,
            }
        })
    }
}

type Inbound = Box<dyn Fn(u64) -> Arc<dyn ServerMessages> + Send + Sync>;

fn context(launch: impl Launch, shared_inbound: Inbound) -> PoolContext {
    PoolContext {
        launch: Arc::new(launch),
        tasks: TaskTracker::new(),
        starting: Arc::new(Semaphore::new(1)),
        observer: Arc::new(|_| {}),
        shared_inbound,
        pid_namespace: PidNamespace::Off,
        environment: BTreeMap::new(),
        chance: Arc::new(|| 0.5),
        next_instance: AtomicU64::new(0),
    }
}

fn spec(registration: &Value) -> ServerSpec {
    ServerSpec::from_api(registration, &ServerDefaults::default()).expect("it is valid")
}

/// Starts slowly, shakes hands, and never says anything else.
struct SlowAndMute;

const START: Duration = Duration::from_secs(20);

impl Launch for SlowAndMute {
    fn launch<'a>(&'a self, _: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(async {
            sleep(START).await;
            let (stdin, far_stdin) = duplex(64 << 10);
            let (far_stdout, stdout) = duplex(64 << 10);
            tokio::spawn(shake_hands(far_stdin, far_stdout));
            Ok(Launched {
                stdin: Box::new(stdin),
                stdout: Box::new(stdout),
                stderr: Box::new(tokio::io::empty()),
                process: Box::new(Life(None)),
            })
        })
    }
}

async fn shake_hands(stdin: DuplexStream, mut stdout: DuplexStream) {
    let mut lines = BufReader::new(stdin).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).expect("the gateway sends JSON");
        if message["method"] == "initialize" {
            let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
            let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
            let sent = stdout.write_all(format!("{answer}\n").as_bytes()).await;
            sent.expect("the gateway reads");
        }
    }
}

fn gateway() -> Arc<Gateway> {
    let loader = Loader {
        flags: vec![("state-dir".to_owned(), "/nowhere".into())],
        ..Loader::default()
    };
    let options = GatewayOptions {
        config: Arc::new(loader.load().expect("the defaults are valid").config),
        registry: Registry::new(Arc::new(EventLog::new(1)), Routes::new()),
        tasks: TaskTracker::new(),
        plugins: Arc::default(),
    };
    Gateway::new(options, |gateway| {
        let hub = move |instance| -> Arc<dyn ServerMessages> {
            gateway.upgrade().expect("it lives").new_hub(instance)
        };
        context(SlowAndMute, Box::new(hub))
    })
}

/// One deadline for the whole of a request: what it waited for its process is not given to it again for the answer.
#[tokio::test(start_paused = true)]
async fn the_wait_for_the_process_is_part_of_a_requests_time() {
    let gateway = gateway();
    let spec = spec(&json!({ "name": "slow", "command": "slow", "requestTimeout": "30s" }));
    let registered = gateway.register(Arc::new(spec), Source::Config, Actor::Config);
    let server = registered.await.expect("the name is free");
    let ctx = RequestContext {
        session: gateway.new_session(server, anonymous(), Transport::OneShot),
        delivery: Delivery::JsonOnly,
        pinned: None,
    };
    let text = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let options = ScanOptions {
        depth_max: 16,
        unique_keys: UniqueKeys::Everywhere,
    };
    let message = Message::parse(text, options).expect("it is a request");
    let asked = Instant::now();
    let Answer::Json(answer, _) = gateway.handle(&ctx, message).await else {
        panic!("it is answered as JSON")
    };
    let answer: Value = serde_json::from_slice(&answer).expect("it is JSON");
    assert_eq!(answer["error"]["data"]["reason"], "timeout", "{answer}");
    let took = asked.elapsed().as_secs_f64();
    assert!(
        (30.0..=31.1).contains(&took),
        "it took {took} s, of which the start was 20"
    );
}

/// Ends at once; what it had to say comes out of the pipe a moment later.
struct LateWords;

impl Launch for LateWords {
    fn launch<'a>(&'a self, _: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(async {
            let (mut far_stderr, stderr) = duplex(1024);
            tokio::spawn(async move {
                sleep(Duration::from_millis(500)).await;
                let said = far_stderr.write_all(b"the licence has expired\n").await;
                said.expect("the gateway reads");
            });
            Ok(Launched {
                stdin: Box::new(tokio::io::sink()),
                stdout: Box::new(tokio::io::empty()),
                stderr: Box::new(stderr),
                process: Box::new(Life(Some(Exit::Code(1)))),
            })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn last_words_are_waited_for() {
    let spec = spec(&json!({ "name": "brief", "command": "brief", "restartAttemptsMax": 0 }));
    let ear = |_| -> Arc<dyn ServerMessages> {
        Arc::new(Ear {
            dice: Mutex::new(Dice::new(1)),
            keeps_process: false,
            congests: false,
        })
    };
    let context = context(LateWords, Box::new(ear));
    let pool = ServerPool::new(Arc::new(spec), Arc::new(context));
    pool.start_and_settle("operator").await;
    let upstream = pool.instances().remove(0);
    assert_eq!(upstream.state().last_exit.as_deref(), Some("exit status 1"));
    assert_eq!(upstream.stderr_lines(), ["the licence has expired"]);
}

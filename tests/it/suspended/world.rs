//! A whole gateway without a wire: its clients are tasks of the test, which can be held where something may cross them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use portcullis::config::{Loader, PidNamespace};
use portcullis::gateway::{Answer, Delivery, Gateway, GatewayError, GatewayOptions, RequestContext, Visit};
use portcullis::plugin::Plugins;
use portcullis::protocol::Message;
use portcullis::protocol::modern::ladder;
use portcullis::protocol::scan::{ScanOptions, UniqueKeys};
use portcullis::registry::{Actor, EventLog, Registry, Source, Target};
use portcullis::session::Caller;
use portcullis::upstream::{PoolContext, StateChange};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::server::Server;

/// The name of the one server.
pub(super) const NAME: &str = "s";
const SCAN: ScanOptions = ScanOptions {
    depth_max: 64,
    unique_keys: UniqueKeys::Everywhere,
};
/// As often as the app does.
const ROUNDS: Duration = Duration::from_secs(1);

pub(super) struct World {
    pub(super) gateway: Arc<Gateway>,
    pub(super) server: Arc<Server>,
    tasks: TaskTracker,
    rounds: JoinHandle<()>,
}

impl World {
    /// Returns a gateway with these keys of its configuration.
    pub(super) async fn new(keys: &[(&str, &str)]) -> Self {
        let fixed = [
            ("state-dir", "/nowhere"),
            ("servers.s.command", "scripted"),
            ("servers.s.protocol-era", "legacy"),
            ("servers.s.idle-timeout", "10s"),
            ("servers.s.linger", "20s"),
            ("requests.timeout", "30s"),
            ("requests.suspended-timeout", "60s"),
        ];
        let flags = fixed.iter().chain(keys);
        let loader = Loader {
            flags: flags
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Loader::default()
        };
        let config = Arc::new(loader.load().expect("valid").config);
        let (server, tasks) = (Arc::<Server>::default(), TaskTracker::new());
        let registry = Registry::new(Arc::new(EventLog::new(1)), config.routes.clone());
        let options = GatewayOptions {
            config: config.clone(),
            registry: registry.clone(),
            tasks: tasks.clone(),
            plugins: Arc::<Plugins>::default(),
        };
        let (launch, of_pools) = (server.clone(), tasks.clone());
        let gateway = Gateway::new(options, |gateway| pools(gateway, launch, of_pools));
        for spec in config.servers.values() {
            let registered = gateway.register(spec.clone(), Source::Config, Actor::Config);
            registered.await.expect("its name is free");
        }
        let rounds = tokio::spawn(look_after(Arc::downgrade(&gateway)));
        Self {
            gateway,
            server,
            tasks,
            rounds,
        }
    }

    /// Waits until nothing happens any more that needs no time.
    pub(super) async fn settled(&self) {
        sleep(Duration::from_millis(1)).await;
    }

    /// Makes a request that waits for nothing.
    pub(super) fn send(&self, owner: &'static str, call: &str, more: Value) -> Request {
        let request = self.hold(owner, call, more);
        request.go();
        request.leave();
        request
    }

    /// Makes a request that is received, and then waits for [`Request::go`] and [`Request::leave`].
    pub(super) fn hold(&self, owner: &'static str, call: &str, more: Value) -> Request {
        let (held, stays) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let said = Arc::<Mutex<Said>>::default();
        let caller = Caller {
            principal: owner.into(),
            mode: None,
        };
        let errand = Errand {
            gateway: self.gateway.clone(),
            caller,
            held: held.clone(),
            stays: stays.clone(),
            said: said.clone(),
        };
        Request {
            held,
            stays,
            said,
            task: Some(tokio::spawn(errand.run(message(call, more)))),
        }
    }

    /// Makes a request and returns its answer.
    pub(super) async fn ask(&self, owner: &'static str, call: &str, more: Value) -> Value {
        let request = self.send(owner, call, more);
        self.settled().await;
        request.answer()
    }

    /// Ends everything; returns what is left.
    pub(super) async fn end(self) -> Vec<String> {
        let Self {
            gateway,
            server,
            tasks,
            rounds,
        } = self;
        let mut left = Vec::new();
        let mut check = |is_left: bool, what: String| {
            if is_left {
                left.push(what);
            }
        };
        let sessions: usize = gateway
            .registry()
            .servers()
            .iter()
            .map(|server| server.sessions())
            .sum();
        check(
            gateway.suspended() > 0,
            format!("{} suspended calls", gateway.suspended()),
        );
        check(
            gateway.in_flight() > 0,
            format!("{} requests in flight", gateway.in_flight()),
        );
        check(sessions > 0, format!("{sessions} sessions"));
        check(server.alive() > 0, format!("{} processes", server.alive()));
        gateway.close("the test is over").await;
        rounds.abort();
        let _ = rounds.await;
        tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(60), tasks.wait()).await;
        check(ended.is_err(), format!("{} tasks", tasks.len()));
        let last = Arc::downgrade(&gateway);
        drop(gateway);
        check(last.upgrade().is_some(), "the gateway".to_owned());
        left
    }
}

fn pools(gateway: Weak<Gateway>, launch: Arc<Server>, tasks: TaskTracker) -> PoolContext {
    let of_observer = gateway.clone();
    let observer = move |change: &StateChange| {
        if let Some(gateway) = of_observer.upgrade() {
            gateway.registry().note(change);
            gateway.note(change);
        }
    };
    PoolContext {
        launch,
        tasks,
        starting: Arc::new(Semaphore::new(4)),
        observer: Arc::new(observer),
        shared_inbound: Box::new(move |instance| {
            let gateway = gateway.upgrade().expect("a pool lives in its gateway");
            gateway.new_hub(instance)
        }),
        pid_namespace: PidNamespace::Off,
        environment: BTreeMap::new(),
        chance: Arc::new(|| 0.5),
        next_instance: AtomicU64::new(0),
    }
}

async fn look_after(gateway: Weak<Gateway>) {
    loop {
        sleep(ROUNDS).await;
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.look_after_sessions();
    }
}

/// Returns a call of the server's one tool with more parameters.
fn message(call: &str, more: Value) -> Message {
    let mut params = json!({
        "name": "work", "arguments": { "call": call },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {}, "url": {} } },
            "io.modelcontextprotocol/clientInfo": { "name": "it", "version": "1" },
            "io.modelcontextprotocol/logLevel": "info",
            "progressToken": call,
        },
    });
    let more = more.as_object().cloned().unwrap_or_default();
    params.as_object_mut().expect("it is one").extend(more);
    let text = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    Message::parse(text.into(), SCAN).expect("a request")
}

/// What a client has heard.
#[derive(Debug, Default)]
struct Said {
    events: Vec<Value>,
    answers: Vec<Value>,
}

/// A request of a client, which is over when it is dropped or has left.
pub(super) struct Request {
    held: Arc<Semaphore>,
    stays: Arc<Semaphore>,
    said: Arc<Mutex<Said>>,
    task: Option<JoinHandle<()>>,
}

impl Request {
    /// Lets it go on from where it was received.
    pub(super) fn go(&self) {
        self.held.add_permits(1);
    }

    /// Lets it leave once it is answered.
    pub(super) fn leave(&self) {
        self.stays.add_permits(1);
    }

    /// Has its client go away.
    pub(super) async fn abort(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Returns its answers: there is one, or none yet.
    pub(super) fn answers(&self) -> Vec<Value> {
        self.said.lock().expect("no holder panics").answers.clone()
    }

    /// Returns its answer.
    pub(super) fn answer(&self) -> Value {
        let answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].clone()
    }

    /// Returns what came before the answer.
    pub(super) fn events(&self) -> Vec<Value> {
        self.said.lock().expect("no holder panics").events.clone()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The way of one request.
struct Errand {
    gateway: Arc<Gateway>,
    caller: Caller,
    held: Arc<Semaphore>,
    stays: Arc<Semaphore>,
    said: Arc<Mutex<Said>>,
}

impl Errand {
    async fn run(self, request: Message) {
        let (visit, request) = match self.receive(request).await {
            Ok(received) => received,
            Err(error) => {
                let error = error.to_error_object();
                return self
                    .hear(json!({ "id": 1, "error": { "code": error.code, "message": error.message } }));
            }
        };
        wait(&self.held).await;
        let ctx = RequestContext {
            session: visit.session().clone(),
            delivery: Delivery::JsonOrStream,
            pinned: None,
        };
        match self.gateway.handle(&ctx, request).await {
            Answer::Json(answer, _) => self.hear(parsed(&answer)),
            Answer::Stream(mut reader) => {
                while let Some(events) = reader.next().await {
                    events.iter().for_each(|event| self.hear(parsed(&event.data)));
                }
            }
            other => self.hear(json!({ "id": 1, "error": { "code": 0, "message": format!("{other:?}") } })),
        }
        wait(&self.stays).await;
    }

    async fn receive(&self, request: Message) -> Result<(Visit, Message), GatewayError> {
        let server = self.gateway.registry().server(NAME);
        let target = Target::Server(server.map_err(|_| GatewayError::NoServer)?);
        let meta = ladder::stated(&request).expect("it says everything");
        let version = ladder::supported(&meta).expect("a version");
        let receiving = self
            .gateway
            .receive((&target, &self.caller), None, (meta, version), request);
        Box::pin(receiving).await
    }

    fn hear(&self, message: Value) {
        let mut said = self.said.lock().expect("no holder panics");
        match message.get("id") {
            Some(_) => said.answers.push(message),
            None => said.events.push(message),
        }
    }
}

async fn wait(gate: &Semaphore) {
    gate.acquire().await.expect("it is never closed").forget();
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the gateway says JSON")
}

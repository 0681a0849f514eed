//! What hostile policies cost others: the requests of a quiet session through a real gateway, while many sessions of other
//! modes make their policies misbehave. Compared, in one run, with neighbours who send as much and whose policies behave.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::hostile;
use crate::report::Report;
use crate::samples::Samples;

/// Sessions that are measured.
const QUIET: usize = 2;
/// Sessions beside them.
const LOUD: usize = 12;
/// One stretch beside one kind of neighbours.
const STRETCH: Duration = Duration::from_millis(1500);
/// How often each; the stretches take turns.
const ROUNDS: usize = 3;

const TOOLS_CALL: &str = "tools/call";

/// A running gateway and its folder. Dropping it ends both.
struct Gateway {
    process: Child,
    folder: PathBuf,
    address: String,
}

/// A session of a mode.
#[derive(Clone)]
struct Session {
    client: Client,
    url: String,
    id: String,
}

/// Sessions, each with the methods that it sends in turn.
type Loud = Vec<(Session, &'static [&'static str])>;

/// Measures all kinds of neighbours.
pub(crate) async fn measure(program: &Path, bundled: &Path, report: &mut Report) -> Result<(), String> {
    let gateway =
        Gateway::start(program, bundled).map_err(|error| format!("{}: {error}", program.display()))?;
    let quiet = sessions(&gateway, "quiet", QUIET).await?;
    for round in 0..=ROUNDS {
        for (name, loud) in neighbours(&gateway).await? {
            let samples = stretch(&quiet, loud).await?;
            // The first round warms up.
            if round > 0 {
                report.neighbour(&name, samples);
            }
        }
    }
    Ok(())
}

/// Returns who there is beside the quiet sessions.
async fn neighbours(gateway: &Gateway) -> Result<Vec<(String, Loud)>, String> {
    // Often enough to keep its policy busy, and not so often that the breaker leaves it alone.
    const EVIL: &[&str] = &[hostile::METHOD, TOOLS_CALL, TOOLS_CALL];
    let mut all = vec![("nobody".to_owned(), Vec::new())];
    let behaving = sessions(gateway, "spin", LOUD).await?;
    all.push((
        format!("{LOUD} that behave"),
        behaving
            .into_iter()
            .map(|session| (session, &[TOOLS_CALL][..]))
            .collect(),
    ));
    for name in hostile::names() {
        let sessions = sessions(gateway, name, LOUD).await?;
        all.push((
            format!("{LOUD}: {name}"),
            sessions.into_iter().map(|session| (session, EVIL)).collect(),
        ));
    }
    let mixed = join_all(hostile::names().map(|name| sessions(gateway, name, LOUD / 6))).await;
    let mixed: Result<Vec<_>, _> = mixed.into_iter().collect();
    let mixed = mixed?.into_iter().flatten().map(|session| (session, EVIL));
    all.push((format!("{LOUD}: all of these"), mixed.collect()));
    Ok(all)
}

/// Times the requests of the quiet sessions for a while.
async fn stretch(quiet: &[Session], loud: Loud) -> Result<Samples, String> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for (session, methods) in loud {
        let is_over = is_over.clone();
        others.spawn(async move {
            for method in methods.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                // A policy that breaks is an answer, too.
                session.ask(method).await?;
            }
            Ok::<_, String>(())
        });
    }
    let end = Instant::now() + STRETCH;
    let timed = quiet.iter().map(|session| async move {
        let mut samples = Samples::default();
        while Instant::now() < end {
            let start = Instant::now();
            let answer = session.ask(TOOLS_CALL).await?;
            samples.push(start.elapsed());
            if answer.get("result").is_none() {
                return Err(format!("a quiet session was refused: {answer}"));
            }
        }
        Ok(samples)
    });
    let timed = join_all(timed).await;
    is_over.store(true, Ordering::Relaxed);
    for other in others.join_all().await {
        other?;
    }
    let mut all = Samples::default();
    for samples in timed {
        all.extend(samples?);
    }
    Ok(all)
}

async fn sessions(gateway: &Gateway, mode: &str, count: usize) -> Result<Vec<Session>, String> {
    let all = join_all((0..count).map(|_| Session::open(gateway, mode))).await;
    all.into_iter().collect()
}

impl Session {
    async fn open(gateway: &Gateway, mode: &str) -> Result<Self, String> {
        let client = Client::builder().no_proxy().build();
        let client = client.map_err(|error| error.to_string())?;
        let url = format!("http://{}/modes/{mode}/mcp/mock", gateway.address);
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": "bench", "version": "1.0.0" },
        });
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let answer = post(&client, &url).body(request.to_string()).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let id = answer
            .headers()
            .get("mcp-session-id")
            .and_then(|id| id.to_str().ok());
        let id = id
            .ok_or_else(|| format!("{url} opened no session: {}", answer.status()))?
            .to_owned();
        let session = Self { client, url, id };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        session.send(&initialized).await?;
        Ok(session)
    }

    async fn ask(&self, method: &str) -> Result<Value, String> {
        let params = json!({ "name": "echo", "arguments": { "text": "a short text" } });
        let answer = self
            .send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
            .await?;
        serde_json::from_slice(&answer).map_err(|error| format!("{error}: {answer:?}"))
    }

    async fn send(&self, message: &Value) -> Result<Vec<u8>, String> {
        let request = post(&self.client, &self.url)
            .header("mcp-session-id", &self.id)
            .header("mcp-protocol-version", "2025-11-25");
        let answer = request
            .body(message.to_string())
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
        Ok(bytes.to_vec())
    }
}

fn post(client: &Client, url: &str) -> RequestBuilder {
    let accepted = "application/json, text/event-stream";
    client
        .post(url)
        .header("accept", accepted)
        .header("content-type", "application/json")
}

impl Gateway {
    fn start(program: &Path, bundled: &Path) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("portcullis-bench-{}", std::process::id()));
        let plugins = folder.join("plugins");
        hostile::drop_into(&plugins)?;
        let access = plugins.join("mode-access");
        fs::create_dir_all(&access)?;
        for file in ["plugin.toml", "plugin.wasm"] {
            fs::copy(bundled.join("mode-access").join(file), access.join(file))?;
        }
        let file = folder.join("portcullis.toml");
        fs::write(&file, configuration(&folder, &plugins))?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening on http://")?;
            let end = rest.find(|next: char| !(next.is_ascii_digit() || ".:".contains(next)));
            Some(rest[..end.unwrap_or(rest.len())].to_owned())
        });
        // Nobody else reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let gateway = Self {
            process,
            folder,
            address: address.unwrap_or_default(),
        };
        match gateway.address.is_empty() {
            true => Err(io::Error::other("the gateway did not start")),
            false => Ok(gateway),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It is told to stop, so that its servers end with it.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(folder: &Path, plugins: &Path) -> String {
    let (state, dir) = (
        folder.join("state").display().to_string(),
        plugins.display().to_string(),
    );
    let modes: Vec<&str> = hostile::names().chain(["quiet"]).collect();
    let mut text = format!(
        "state-dir = {state:?}\ndefault-mode = \"quiet\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n\
         [anonymous]\nmodes = {modes:?}\n\
         [plugin-host]\ndir = {dir:?}\nwatch = false\n[[plugins]]\nname = \"mode-access\"\n"
    );
    for name in hostile::names() {
        text += &format!("[[plugins]]\nname = {name:?}\nmodes = [{name:?}]\n");
    }
    for mode in modes {
        text += &format!("[modes.{mode}]\nallowed-servers = [\"*\"]\nallowed-capabilities = [\"*\"]\n");
    }
    text
}

//! A client at the end of a channel: a WebSocket, or the pipes of `portcullis stdio`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use futures_util::{SinkExt, StreamExt};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Gateway, LIMIT, Process, within};

/// A client.
pub(crate) struct Channel {
    way: Way,
}

enum Way {
    Socket(Box<WebSocketStream<Box<dyn Io>>>),
    Pipes(Box<Pipes>),
}

/// What a WebSocket runs on.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

/// A process and its pipes. It is killed if the test forgets it.
struct Pipes {
    child: Child,
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// Why there is no WebSocket: the status, and the body as text.
pub(crate) type Refused = (StatusCode, String);

impl Channel {
    /// Connects to a server of a gateway by WebSocket.
    pub(crate) async fn socket(gateway: &Gateway, path: &str) -> Self {
        let connected =
            Self::socket_with(gateway.address(), path, &[("sec-websocket-protocol", "mcp")]).await;
        connected
            .unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
            .0
    }

    /// Connects by WebSocket with these headers, and returns the subprotocol that was chosen too.
    pub(crate) async fn socket_with(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Self, Option<String>), Refused> {
        let stream = within("connecting", TcpStream::connect(address))
            .await
            .expect("the gateway listens");
        Self::socket_on(Box::new(stream), &address.to_string(), path, headers).await
    }

    /// The same on a connection that is there already.
    pub(crate) async fn socket_on(
        stream: Box<dyn Io>,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Self, Option<String>), Refused> {
        let mut request = Request::builder()
            .uri(format!("ws://{host}{path}"))
            .header("host", host)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in headers {
            match *name {
                "host" => request
                    .headers_mut()
                    .expect("valid so far")
                    .insert("host", value.parse().expect("a value")),
                name => {
                    request = request.header(name, *value);
                    None
                }
            };
        }
        let request = request.body(()).expect("tests write valid headers");
        match within("the upgrade", client_async(request, stream)).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().expect("text").to_owned());
                let way = Way::Socket(Box::new(socket));
                Ok((Self { way }, protocol))
            }
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Starts `portcullis stdio` with a configuration and these further arguments.
    pub(crate) fn pipes(configuration: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let cache = configuration.with_file_name("cache");
        command
            .arg("stdio")
            .arg("--config")
            .arg(configuration)
            .args(arguments);
        command.env("XDG_CACHE_HOME", cache);
        Self::of(command)
    }

    /// Starts `portcullis stdio` in front of a URL, with these further arguments and variables.
    pub(crate) fn bridge(url: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["stdio", "--url", url]).args(arguments);
        command.envs(variables.iter().copied());
        Self::of(command)
    }

    /// Starts a program that is a server on its standard input and output.
    pub(crate) fn of(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("it has been built");
        let process = Process::find(child.id().expect("it has not been waited for"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let way = Way::Pipes(Box::new(Pipes {
            process: process.expect("it is not reaped yet"),
            stdin: child.stdin.take(),
            stdout: BufReader::new(stdout).lines(),
            child,
        }));
        Self { way }
    }

    /// Sends text as one message; where there are lines, with its line end.
    pub(crate) async fn send(&mut self, text: &str) {
        let sent = async {
            match &mut self.way {
                Way::Socket(socket) => socket.send(Message::text(text)).await.is_ok(),
                Way::Pipes(pipes) => {
                    let stdin = pipes.stdin.as_mut().expect("it is open");
                    stdin.write_all(format!("{text}\n").as_bytes()).await.is_ok()
                }
            }
        };
        assert!(within("sending", sent).await, "nobody takes {text:.200}");
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(&message.to_string()).await;
    }

    /// Returns the next message; nothing at the end. Whatever is no JSON panics.
    pub(crate) async fn hear(&mut self) -> Option<Value> {
        let text = within("the next message or the end", async {
            match &mut self.way {
                Way::Socket(socket) => loop {
                    match socket.next().await {
                        Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(other)) => panic!("{other:?} is no message"),
                        Some(Err(_)) | None => return None,
                    }
                },
                Way::Pipes(pipes) => pipes.stdout.next_line().await.expect("the output is text"),
            }
        });
        let text = text.await?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}")))
    }

    /// Returns the next message; panics at the end.
    pub(crate) async fn message(&mut self) -> Value {
        self.hear().await.expect("there is one more")
    }

    /// Opens the session and returns what `initialize` was answered with.
    pub(crate) async fn open(&mut self, version: &str, capabilities: Value) -> Value {
        let info = json!({ "name": "it", "version": "1.0.0" });
        let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": info });
        self.say(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }))
            .await;
        let answer = self.message().await;
        if answer.get("result").is_some() {
            self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
                .await;
        }
        answer
    }

    /// Sends a request and returns every message up to its answer, which is the last.
    pub(crate) async fn ask(&mut self, request: &Value) -> Vec<Value> {
        self.say(request).await;
        self.up_to(&request["id"]).await
    }

    /// Returns every message up to the answer to a request.
    pub(crate) async fn up_to(&mut self, id: &Value) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        while messages
            .last()
            .is_none_or(|last| last["id"] != *id || last.get("method").is_some())
        {
            messages.push(self.message().await);
        }
        messages
    }

    /// Calls a tool and returns the answer.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let request = json!({ "jsonrpc": "2.0", "id": format!("call of {tool}"), "method": "tools/call", "params": params });
        self.ask(&request).await.pop().expect("an answer")
    }

    /// Returns the WebSocket, for what only that can do.
    pub(crate) fn as_socket(&mut self) -> &mut WebSocketStream<Box<dyn Io>> {
        match &mut self.way {
            Way::Socket(socket) => socket,
            Way::Pipes(_) => panic!("these are pipes"),
        }
    }

    /// Reads on to the end of the WebSocket and returns how it was closed.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        let socket = self.as_socket();
        within("the end", async {
            loop {
                match socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// Returns the process at the other end of the pipes.
    pub(crate) fn process(&self) -> Process {
        match &self.way {
            Way::Pipes(pipes) => pipes.process,
            Way::Socket(_) => panic!("this is a socket"),
        }
    }

    /// Closes the client's end: after that the other one has nothing more to read.
    pub(crate) async fn close_input(&mut self) {
        match &mut self.way {
            Way::Socket(socket) => drop(WebSocketStream::close(socket, None).await),
            Way::Pipes(pipes) => drop(pipes.stdin.take()),
        }
    }

    /// Closes, waits until the process has ended, and panics if anything that it started lives on.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        self.close_input().await;
        self.ended().await
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn ended(self) -> Option<ExitStatus> {
        let Way::Pipes(mut pipes) = self.way else {
            return None;
        };
        let descendants = pipes.process.descendants();
        let status = within("the end of the process", pipes.child.wait()).await;
        let left = tokio::task::spawn_blocking(move || {
            let is_left = |process: &Process| !process.ends_within(LIMIT);
            descendants.into_iter().filter(is_left).count()
        });
        assert_eq!(left.await.expect("no panic"), 0, "processes are left");
        Some(status.expect("it is our child"))
    }
}

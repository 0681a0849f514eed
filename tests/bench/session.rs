//! One client session of the load: a keep-alive connection with one request in flight, every answer checked.
//!
//! HTTP is written and read by hand: a client library would cost more than what is being measured.

use std::io::{self, Write};
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::message;

const INITIALIZE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#;
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What every call says of its client in the era without sessions.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}},"#;
/// The headers that mirror it.
const MIRRORS: &str = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n";

/// A client, of which a session of the other era has shaken hands.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    /// Whether it has a session that has to be ended.
    is_modern: bool,
    /// Makes the texts of this session unlike those of any other.
    tag: String,
    padding: Vec<u8>,
    last_id: u64,
    /// The text of the request in flight, and the request's body; both are reused.
    text: Vec<u8>,
    body: Vec<u8>,
}

impl Session {
    /// Connects; where there are sessions, initialises and keeps the session id for every later request.
    ///
    /// `payload` is the length of the text that each call carries and gets back, in bytes; a text is never
    /// shorter than what makes it unique.
    pub(crate) async fn open(
        (address, path): (SocketAddr, &str),
        is_modern: bool,
        tag: String,
        payload: usize,
    ) -> io::Result<Self> {
        let mut connection = Connection::open(address, path).await?;
        match is_modern {
            true => connection.head.push_str(MIRRORS),
            false => connection.shake_hands().await?,
        }
        let unique = tag.len() + "-00000000000-".len();
        let padding = vec![b'x'; payload.saturating_sub(unique)];
        Ok(Self {
            connection,
            is_modern,
            tag,
            padding,
            last_id: 0,
            text: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Calls `echo` once; an answer that is not exactly the one asked for is an error that shows it.
    pub(crate) async fn call(&mut self) -> io::Result<()> {
        self.last_id += 1;
        self.compose()?;
        self.connection.post(&self.body).await?;
        if self.is_answered() {
            return Ok(());
        }
        let asked = format!("call {} of session {}", self.last_id, self.tag);
        Err(self.connection.complaint(&asked))
    }

    /// Ends the session; whether the other side keeps sessions at all is its business.
    pub(crate) async fn close(mut self) -> io::Result<()> {
        match self.is_modern {
            true => Ok(()),
            false => self.connection.send("DELETE", b"").await,
        }
    }

    fn compose(&mut self) -> io::Result<()> {
        self.text.clear();
        write!(self.text, "{}-{:011}-", self.tag, self.last_id)?;
        self.text.extend_from_slice(&self.padding);
        self.body.clear();
        write!(
            self.body,
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"echo",{}"#,
            self.last_id,
            if self.is_modern { META } else { "" }
        )?;
        self.body.extend_from_slice(br#""arguments":{"text":""#);
        self.body.extend_from_slice(&self.text);
        self.body.extend_from_slice(br#""}}}"#);
        Ok(())
    }

    /// Checks status, id, and the whole text up to its closing quote.
    fn is_answered(&self) -> bool {
        let body = self.connection.body();
        let id = message::value(body, b"id").and_then(|id| std::str::from_utf8(id).ok()?.parse::<u64>().ok());
        let unique = &self.text[..self.text.len() - self.padding.len()];
        let rest = memmem::find(body, unique).and_then(|at| body.get(at - 1..));
        self.connection.status == 200
            && id == Some(self.last_id)
            && rest
                .and_then(|rest| rest.strip_prefix(b"\""))
                .is_some_and(|rest| rest.starts_with(&self.text) && rest.get(self.text.len()) == Some(&b'"'))
    }
}

/// An HTTP/1.1 connection that understands answers with a `Content-Length`, and no others.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// The headers of every request, after the request line.
    head: String,
    path: String,
    request: Vec<u8>,
    status: u16,
    /// The last answer: its head up to `head_end`, then its body.
    answer: Vec<u8>,
    head_end: usize,
}

impl Connection {
    async fn open(address: SocketAddr, path: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "Host: {address}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        );
        let path = path.to_owned();
        Ok(Self {
            stream,
            head,
            path,
            request: Vec::new(),
            status: 0,
            answer: Vec::new(),
            head_end: 0,
        })
    }

    async fn shake_hands(&mut self) -> io::Result<()> {
        self.post(INITIALIZE).await?;
        let id = self.header("mcp-session-id").map(str::to_owned);
        let id = id.ok_or_else(|| self.complaint("initialize opened no session"))?;
        let session = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        self.head.push_str(&session);
        self.post(INITIALIZED).await?;
        match self.status {
            202 => Ok(()),
            _ => Err(self.complaint("notifications/initialized was not accepted")),
        }
    }

    async fn post(&mut self, body: &[u8]) -> io::Result<()> {
        self.send("POST", body).await
    }

    /// Sends one request and reads one answer, no byte more and no byte less.
    async fn send(&mut self, method: &str, body: &[u8]) -> io::Result<()> {
        self.request.clear();
        write!(self.request, "{method} {} HTTP/1.1\r\n{}", self.path, self.head)?;
        write!(self.request, "Content-Length: {}\r\n\r\n", body.len())?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        self.head_end = self.read_head().await?;
        let expected = self.head_end + self.content_length()?;
        self.answer.reserve(expected.saturating_sub(self.answer.len()));
        while self.answer.len() < expected {
            self.read_some().await?;
        }
        if self.answer.len() > expected {
            Err(self.complaint("bytes after the answer"))
        } else {
            Ok(())
        }
    }

    async fn read_head(&mut self) -> io::Result<usize> {
        loop {
            self.read_some().await?;
            if let Some(at) = memmem::find(&self.answer, b"\r\n\r\n") {
                let status = self
                    .answer
                    .get(9..12)
                    .and_then(|digits| std::str::from_utf8(digits).ok());
                self.status = status.and_then(|digits| digits.parse().ok()).unwrap_or(0);
                return Ok(at + 4);
            }
        }
    }

    async fn read_some(&mut self) -> io::Result<()> {
        self.answer.reserve(16 * 1024);
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed in an answer",
            )),
            _ => Ok(()),
        }
    }

    fn content_length(&self) -> io::Result<usize> {
        if self.status == 202 || self.status == 204 {
            return Ok(self
                .header("content-length")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0));
        }
        let length = self.header("content-length").and_then(|value| value.parse().ok());
        length.ok_or_else(|| self.complaint("an answer without Content-Length"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.answer[..self.head_end]).ok()?;
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn body(&self) -> &[u8] {
        &self.answer[self.head_end..]
    }

    /// Makes an error of what was expected and the beginning of what came.
    fn complaint(&self, expected: &str) -> io::Error {
        let shown = String::from_utf8_lossy(&self.answer[..self.answer.len().min(600)]).into_owned();
        io::Error::other(format!("{expected}: got {shown}"))
    }
}

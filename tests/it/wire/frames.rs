//! Clients of HTTP/2 that do not behave, frame by frame (RFC 9113 §6).

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Gateway, within};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
/// The head is whole, and there is no body.
const LONE_HEAD: u8 = 5;

/// A frame.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Returns the head of a GET, in which nothing is compressed (RFC 7541 §6.2.2).
fn head_of_get(path: &str, accept: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("accept", accept),
    ];
    let length = |text: &str| u8::try_from(text.len()).expect("short");
    let field = |(name, value): (&str, &str)| {
        let name = [&[0, length(name)], name.as_bytes()].concat();
        [&name, &[length(value)][..], value.as_bytes()].concat()
    };
    fields.into_iter().flat_map(field).collect()
}

/// A connection that sends and receives frames.
struct Frames(TcpStream);

impl Frames {
    async fn open(gateway: &Gateway, settings: &[u8]) -> Self {
        let stream = TcpStream::connect(gateway.address()).await;
        let mut frames = Self(stream.expect("the gateway listens"));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let opening = [&preface[..], &frame(SETTINGS, 0, 0, settings)].concat();
        frames.send(&opening).await;
        frames
    }

    async fn send(&mut self, frames: &[u8]) {
        self.0.write_all(frames).await.expect("the system takes it");
    }

    /// Returns the next frame; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let read = within("a frame or the end", self.0.read_exact(&mut head)).await;
        read.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Waits for a frame, answering pings meanwhile.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let next = self.next().await;
            let next = next.unwrap_or_else(|| panic!("the end, and not {what}"));
            if wanted(&next) {
                return next;
            }
            if next.kind == PING && next.flags & ACK == 0 {
                self.send(&frame(PING, ACK, 0, &next.payload)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_at_once_ends_the_connection() {
    let gateway = Gateway::with_mock(&[], "");
    let mut frames = Frames::open(&gateway, &[]).await;
    let head = head_of_get("/", "*/*");
    let taken_back = |number: u32| {
        let stream = 2 * number + 1;
        let request = frame(HEADERS, LONE_HEAD, stream, &head);
        [request, frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let flood: Vec<u8> = (0..2_000).flat_map(taken_back).collect();
    // It may close before it has read everything.
    let _ = frames.0.write_all(&flood).await;
    let mut reasons = Vec::new();
    while let Some(next) = frames.next().await {
        reasons.extend((next.kind == GOAWAY).then(|| next.payload[7]));
    }
    assert!(reasons.contains(&0xb), "ENHANCE_YOUR_CALM: {reasons:?}");
    assert_eq!(
        gateway.admin("status").await["draining"],
        false,
        "others are served"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_begins_as_its_connection_is_to_end_is_served_and_leaves_nothing() {
    let gateway = Gateway::with_mock(&[], "[http]\nheader-timeout = \"100ms\"\nkeep-alive = \"1s\"\n");
    let mut frames = Frames::open(&gateway, &[]).await;
    frames.until("a farewell", |frame| frame.kind == GOAWAY).await;
    let listen = head_of_get("/mcp/mock", "text/event-stream");
    frames.send(&frame(HEADERS, LONE_HEAD, 1, &listen)).await;
    let is_comment = |frame: &Frame| frame.kind == DATA && frame.payload.starts_with(b": keep-alive");
    frames.until("a comment a second later", is_comment).await;
    drop(frames);
    let gone = async { while gateway.admin("status").await["openStreams"] != 0 {} };
    within("the end of the stream", gone).await;
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_that_its_client_has_no_room_for_is_kept_for_so_long() {
    let gateway = Gateway::with_mock(&[], "[http]\ntcp-user-timeout = \"1s\"\n");
    // SETTINGS_INITIAL_WINDOW_SIZE: 0.
    let mut frames = Frames::open(&gateway, &[0, 4, 0, 0, 0, 0]).await;
    let get = head_of_get("/healthz", "*/*");
    frames.send(&frame(HEADERS, LONE_HEAD, 1, &get)).await;
    frames.until("the head", |frame| frame.kind == HEADERS).await;
    let is_end = |frame: &Frame| matches!(frame.kind, RESET | DATA) && frame.stream == 1;
    let end = frames.until("the end of the stream", is_end).await;
    assert_eq!(end.kind, RESET, "{end:?}");
    gateway.stop().await;
}

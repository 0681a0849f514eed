//! The other way to have a policy: a service on loopback that is sent each message.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::body::Body;
use crate::samples::Samples;

const PASS: &str = r#"{"decision":"pass"}"#;

/// A connection to the service.
pub(crate) struct Callout {
    client: reqwest::Client,
    url: String,
}

impl Callout {
    /// Starts the service, as lean as one could be, in a thread of its own.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/judge", listener.local_addr()?);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The benchmark is over when its client goes.
                let _ = serve(stream);
            }
        });
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { client, url })
    }

    /// Times questions to it.
    pub(crate) async fn calls(&self, body: &Body, calls: usize) -> Result<Samples, String> {
        let mut samples = Samples::default();
        for _ in 0..calls {
            let start = Instant::now();
            let request = self.client.post(&self.url).body(body.text().clone());
            let response = request.send().await.map_err(|error| error.to_string())?;
            let answer = response.text().await.map_err(|error| error.to_string())?;
            samples.push(start.elapsed());
            if answer != PASS {
                return Err(format!("the callout answered {answer}"));
            }
        }
        Ok(samples)
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let (head, length) = loop {
            if let Some(found) = request(&buffer) {
                break found;
            }
            if !read_more(&mut stream, &mut buffer)? {
                return Ok(());
            }
        };
        while buffer.len() < head + length {
            if !read_more(&mut stream, &mut buffer)? {
                return Ok(());
            }
        }
        let message: serde_json::Value = serde_json::from_slice(&buffer[head..head + length])?;
        let path = message["params"]["arguments"]["path"].as_str();
        assert!(path.is_some_and(|path| !path.contains("../")));
        buffer.drain(..head + length);
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{PASS}",
            PASS.len()
        )?;
    }
}

/// Returns where a request's body begins and how long it is, once its head is there.
fn request(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..end]).ok()?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    Some((end, length.parse().ok()?))
}

fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 64 << 10];
    let read = stream.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..read]);
    Ok(read > 0)
}

//! The MCP server behind both sides: one thread that answers every complete line it has read in one write.
//!
//! It is as quick as a stdio server can be, so that the bridge and not the child is what gets measured. It
//! speaks enough of the protocol to be accepted by any gateway, in either era: the handshake, `server/discover`, `ping`,
//! and one tool, `echo`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use crate::message;

/// The bytes asked for with one read.
const READ_SIZE: usize = 1 << 20;

const DISCOVERED: &[u8] = br#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench-child","version":"1.0.0"}}}"#;
const TOOLS: &[u8] = br#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{"name":"echo","description":"Gives its text back","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}]}"#;

/// Answers stdin on stdout until end of file.
pub(crate) fn run() -> io::Result<()> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; READ_SIZE];
    let (mut filled, mut answers) = (0, Vec::with_capacity(READ_SIZE));
    loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let count = input.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        let Some(last) = memchr::memrchr(b'\n', &buffer[filled..filled + count]) else {
            filled += count;
            continue;
        };
        let (complete, end) = (filled + last + 1, filled + count);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer[..complete]) {
            answer(&buffer[start..newline], &mut answers);
            start = newline + 1;
        }
        output.write_all(&answers)?;
        answers.clear();
        buffer.copy_within(complete..end, 0);
        filled = end - complete;
    }
}

/// Appends the answer to one line; a notification has none.
fn answer(line: &[u8], answers: &mut Vec<u8>) {
    let Some(id) = message::value(line, b"id") else {
        return;
    };
    answers.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    answers.extend_from_slice(id);
    match message::value(line, b"method") {
        Some(br#""tools/call""#) => echo(line, answers),
        Some(br#""ping""#) => result(b"{}", answers),
        Some(br#""tools/list""#) => result(TOOLS, answers),
        Some(br#""initialize""#) => initialize(line, answers),
        Some(br#""server/discover""#) => result(DISCOVERED, answers),
        _ => answers.extend_from_slice(br#","error":{"code":-32601,"message":"method not found"}"#),
    }
    answers.extend_from_slice(b"}\n");
}

fn result(value: &[u8], answers: &mut Vec<u8>) {
    answers.extend_from_slice(br#","result":"#);
    answers.extend_from_slice(value);
}

fn echo(line: &[u8], answers: &mut Vec<u8>) {
    let text = message::value(line, b"params")
        .and_then(|params| message::value(params, b"arguments"))
        .and_then(|arguments| message::value(arguments, b"text"));
    match text {
        Some(text) => {
            answers.extend_from_slice(
                br#","result":{"resultType":"complete","content":[{"type":"text","text":"#,
            );
            answers.extend_from_slice(text);
            answers.extend_from_slice(b"}]}");
        }
        None => answers.extend_from_slice(br#","error":{"code":-32602,"message":"text is missing"}"#),
    }
}

/// Agrees to whatever handshake-era version the client proposes.
fn initialize(line: &[u8], answers: &mut Vec<u8>) {
    let version = message::value(line, b"params")
        .and_then(|params| message::value(params, b"protocolVersion"))
        .unwrap_or(br#""2025-11-25""#);
    answers.extend_from_slice(br#","result":{"protocolVersion":"#);
    answers.extend_from_slice(version);
    answers.extend_from_slice(
        br#","capabilities":{"tools":{}},"serverInfo":{"name":"bench-child","version":"1.0.0"}}"#,
    );
}

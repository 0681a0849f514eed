//! One JSON-RPC 2.0 message: the bytes it came as, and where its parts stand in them.

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use super::id::{RequestId, write_integer};
use super::member::member;
use super::names::code;
use super::scan::{ScanError, ScanOptions, Span, Spans, scan};

/// What a message is (JSON-RPC 2.0 §4, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id; wants one answer.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result or an error, and the id of a request.
    Response,
}

/// A message whose shape has been checked.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    /// In a place of their own: a message is moved many times on its way.
    spans: Box<Spans>,
    kind: Kind,
    id: Option<RequestId>,
}

/// Why a text is no message. `id` is there when it could be read, so that the answer finds its request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct MessageError {
    /// [`code::PARSE_ERROR`] or [`code::INVALID_REQUEST`].
    pub code: i32,
    /// What is wrong, fit for the sender.
    pub message: String,
    /// The id of the refused request.
    pub id: Option<RequestId>,
}

impl From<ScanError> for MessageError {
    fn from(error: ScanError) -> Self {
        let code = match error {
            ScanError::Syntax { .. } | ScanError::Encoding { .. } => code::PARSE_ERROR,
            ScanError::Depth { .. } | ScanError::DuplicateKey { .. } | ScanError::NotAnObject => {
                code::INVALID_REQUEST
            }
        };
        Self {
            code,
            message: error.to_string(),
            id: None,
        }
    }
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// The text is not JSON, breaks a limit of `options`, or is not a JSON-RPC 2.0 message.
    pub fn parse(bytes: Bytes, options: ScanOptions) -> Result<Self, MessageError> {
        let spans = Box::new(scan(&bytes, options)?);
        let raw_id = spans.id.clone().map(|span| &bytes[span]);
        let id = match raw_id {
            None | Some(b"null") => None,
            Some(text) => Some(
                RequestId::from_json(text)
                    .ok_or_else(|| invalid("id must be a string or an integer", None))?,
            ),
        };
        let kind = kind_of(&bytes, &spans, id.as_ref())?;
        Ok(Self {
            bytes,
            spans,
            kind,
            id,
        })
    }

    /// Returns the message as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns what the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the id; `None` for notifications and for errors that answer no request in particular.
    pub fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// Returns the method; empty for responses.
    pub fn method(&self) -> Cow<'_, str> {
        self.spans
            .method
            .as_ref()
            .map_or(Cow::Borrowed(""), |span| string_at(&self.bytes, span))
    }

    /// Returns `params` as it stands in the message.
    pub fn params(&self) -> Option<Bytes> {
        self.part(self.spans.params.as_ref())
    }

    /// Returns `result` as it stands in the message.
    pub fn result(&self) -> Option<Bytes> {
        self.part(self.spans.result.as_ref())
    }

    /// Returns `error` as it stands in the message.
    pub fn error(&self) -> Option<Bytes> {
        self.part(self.spans.error.as_ref())
    }

    /// Returns the code of an error.
    pub fn error_code(&self) -> Option<i32> {
        let error = &self.bytes[self.spans.error.clone()?];
        serde_json::from_str(member(error, "code")?.get()).ok()
    }

    /// Returns `params.name` if it is a string: the tool or prompt meant.
    pub fn name(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.name.as_ref())
    }

    /// Returns `params.uri` if it is a string: the resource meant.
    pub fn uri(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.uri.as_ref())
    }

    /// Returns `params._meta` as it stands in the message.
    pub fn meta(&self) -> Option<&[u8]> {
        self.spans.meta.clone().map(|span| &self.bytes[span])
    }

    /// Returns `params.requestState` if it is a string: the call that the request goes on with.
    pub fn request_state(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.request_state.as_ref())
    }

    /// Returns the least severe level of log messages that the client of a request wants to hear of; without it there are
    /// none.
    pub fn log_level(&self) -> Option<Cow<'_, str>> {
        self.string(self.spans.meta_log_level.as_ref())
    }

    /// Returns whether a request says anything of log messages.
    pub fn names_log_level(&self) -> bool {
        self.spans.meta_log_level.is_some()
    }

    /// Returns `params._meta.progressToken` of a request.
    pub fn wanted_progress_token(&self) -> Option<RequestId> {
        RequestId::from_json(&self.bytes[self.spans.meta_progress_token.clone()?])
    }

    /// Returns `params.progressToken` of a progress notification.
    pub fn progress_token(&self) -> Option<RequestId> {
        RequestId::from_json(&self.bytes[self.spans.progress_token.clone()?])
    }

    /// Returns `params.requestId` of a cancellation.
    pub fn cancelled_request(&self) -> Option<RequestId> {
        RequestId::from_json(&self.bytes[self.spans.request_id.clone()?])
    }

    /// Appends this message as one line without its end, with another id and, where the request asks for progress,
    /// another progress token. Everything else stays as it came.
    pub fn write_request(&self, id: i64, progress_token: Option<i64>, out: &mut Vec<u8>) {
        let mut edits = Edits::default();
        edits.set(self.spans.id.as_ref(), Replacement::Integer(id));
        if let Some(token) = progress_token {
            edits.set(
                self.spans.meta_progress_token.as_ref(),
                Replacement::Integer(token),
            );
        }
        self.write_edited(edits, out);
    }

    /// Appends this message with another id, of either kind.
    pub fn write_with_id(&self, id: &RequestId, out: &mut Vec<u8>) {
        let mut edits = Edits::default();
        edits.set(self.spans.id.as_ref(), Replacement::Id(id));
        self.write_edited(edits, out);
    }

    /// Appends this progress notification with another token.
    pub fn write_with_progress_token(&self, token: &RequestId, out: &mut Vec<u8>) {
        let mut edits = Edits::default();
        edits.set(self.spans.progress_token.as_ref(), Replacement::Id(token));
        self.write_edited(edits, out);
    }

    /// Appends this cancellation with another request id.
    pub fn write_with_cancelled_request(&self, id: &RequestId, out: &mut Vec<u8>) {
        let mut edits = Edits::default();
        edits.set(self.spans.request_id.as_ref(), Replacement::Id(id));
        self.write_edited(edits, out);
    }

    /// Appends this message on one line, as it came.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_edited(Edits::default(), out);
    }

    fn write_edited(&self, edits: Edits<'_>, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len() + 32);
        let start = out.len();
        let mut at = 0;
        for (span, replacement) in edits.in_order() {
            out.extend_from_slice(&self.bytes[at..span.start]);
            match replacement {
                Replacement::Integer(number) => write_integer(*number, out),
                Replacement::Id(id) => id.write(out),
            }
            at = span.end;
        }
        out.extend_from_slice(&self.bytes[at..]);
        if self.spans.has_line_breaks {
            // Between tokens only: a raw line break inside a string is not JSON.
            out[start..]
                .iter_mut()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .for_each(|byte| *byte = b' ');
        }
    }

    fn part(&self, span: Option<&Span>) -> Option<Bytes> {
        span.map(|span| self.bytes.slice(span.clone()))
    }

    fn string(&self, span: Option<&Span>) -> Option<Cow<'_, str>> {
        let span = span?;
        (self.bytes[span.start] == b'"').then(|| string_at(&self.bytes, span))
    }
}

enum Replacement<'a> {
    Integer(i64),
    Id(&'a RequestId),
}

/// At most two places of a message that change.
#[derive(Default)]
struct Edits<'a>([Option<(&'a Span, Replacement<'a>)>; 2]);

impl<'a> Edits<'a> {
    fn set(&mut self, span: Option<&'a Span>, replacement: Replacement<'a>) {
        let Some(span) = span else { return };
        let free = self.0.iter_mut().find(|edit| edit.is_none());
        *free.expect("no caller makes more than two edits") = Some((span, replacement));
    }

    fn in_order(&self) -> impl Iterator<Item = &(&'a Span, Replacement<'a>)> {
        let swapped = matches!(&self.0, [Some(first), Some(second)] if first.0.start > second.0.start);
        let (first, second) = if swapped { (1, 0) } else { (0, 1) };
        [self.0[first].as_ref(), self.0[second].as_ref()]
            .into_iter()
            .flatten()
    }
}

fn kind_of(bytes: &[u8], spans: &Spans, id: Option<&RequestId>) -> Result<Kind, MessageError> {
    let fail = |message: &str| Err(invalid(message, id.cloned()));
    let version = spans.jsonrpc.as_ref().filter(|span| bytes[span.start] == b'"');
    if version.map(|span| string_at(bytes, span)).as_deref() != Some("2.0") {
        return fail("jsonrpc must be \"2.0\"");
    }
    if let Some(params) = &spans.params
        && bytes[params.start] != b'{'
    {
        return fail("params must be an object");
    }
    match (&spans.method, &spans.result, &spans.error) {
        (Some(method), None, None) => {
            if bytes[method.start] != b'"' {
                return fail("method must be a string");
            }
            match (&spans.id, id) {
                (None, _) => Ok(Kind::Notification),
                (Some(_), Some(_)) => Ok(Kind::Request),
                (Some(_), None) => fail("id must not be null in a request"),
            }
        }
        (None, Some(_), None) if id.is_some() => Ok(Kind::Response),
        (None, None, Some(error)) if bytes[error.start] == b'{' => Ok(Kind::Response),
        (None, Some(_), None) => fail("a result needs the id of its request"),
        (None, None, Some(_)) => fail("error must be an object"),
        (None, None, None) => fail("a message has a method, a result or an error"),
        _ => fail("a message has one of method, result and error, not several"),
    }
}

fn invalid(message: &str, id: Option<RequestId>) -> MessageError {
    MessageError {
        code: code::INVALID_REQUEST,
        message: message.to_owned(),
        id,
    }
}

/// Returns the text of the JSON string at `span`; of anything else, its JSON.
fn string_at<'a>(bytes: &'a [u8], span: &Span) -> Cow<'a, str> {
    let raw = &bytes[span.clone()];
    let plain = raw.len() >= 2 && raw[0] == b'"' && !raw.contains(&b'\\');
    if plain {
        return String::from_utf8_lossy(&raw[1..raw.len() - 1]);
    }
    serde_json::from_slice::<String>(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::scan::UniqueKeys;

    const STRICT: ScanOptions = ScanOptions {
        depth_max: 32,
        unique_keys: UniqueKeys::Everywhere,
    };

    fn parse(text: &str) -> Result<Message, MessageError> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), STRICT)
    }

    #[track_caller]
    fn check_kind(text: &str, expect: Result<Kind, (i32, &str)>) {
        let seen = parse(text).map(|message| message.kind());
        let seen = seen
            .as_ref()
            .map_err(|error| (error.code, error.message.as_str()))
            .copied();
        assert_eq!(seen, expect, "{text}");
    }

    #[test]
    fn tells_the_kinds_apart() {
        check_kind(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Ok(Kind::Request));
        check_kind(
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            Ok(Kind::Notification),
        );
        check_kind(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, Ok(Kind::Response));
        check_kind(
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":""}}"#,
            Ok(Kind::Response),
        );
        let bad = |message| Err((code::INVALID_REQUEST, message));
        check_kind(r#"{"id":1,"method":"ping"}"#, bad("jsonrpc must be \"2.0\""));
        check_kind(
            r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
            bad("jsonrpc must be \"2.0\""),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            bad("id must be a string or an integer"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            bad("id must not be null in a request"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            bad("method must be a string"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
            bad("params must be an object"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1}"#,
            bad("a message has a method, a result or an error"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","result":{}}"#,
            bad("a result needs the id of its request"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#,
            bad("error must be an object"),
        );
        check_kind(
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            bad("a message has one of method, result and error, not several"),
        );
        check_kind("[]", bad("a JSON-RPC message is an object"));
        check_kind(
            "{",
            Err((
                code::PARSE_ERROR,
                "not valid JSON at byte 1: a key in double quotes",
            )),
        );
    }

    #[test]
    fn a_refused_request_keeps_its_id() {
        let error = parse(r#"{"jsonrpc":"1.0","id":"x","method":"ping"}"#).expect_err("wrong version");
        assert_eq!(error.id, Some(RequestId::String("x".into())));
    }

    #[track_caller]
    fn check_write(text: &str, write: impl Fn(&Message, &mut Vec<u8>), expect: &str) {
        let mut out = Vec::new();
        write(&parse(text).expect("valid"), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    }

    #[test]
    fn splices_ids_and_tokens_in_either_order() {
        let rewrite = |message: &Message, out: &mut Vec<u8>| message.write_request(42, Some(43), out);
        check_write(
            r#"{"jsonrpc":"2.0","id":"x","method":"m","params":{"_meta":{"progressToken":"t","k":1},"z":[1.50]},"extra":1}"#,
            rewrite,
            r#"{"jsonrpc":"2.0","id":42,"method":"m","params":{"_meta":{"progressToken":43,"k":1},"z":[1.50]},"extra":1}"#,
        );
        check_write(
            r#"{"params":{"_meta":{"progressToken":"t"}},"method":"m","id":1,"jsonrpc":"2.0"}"#,
            rewrite,
            r#"{"params":{"_meta":{"progressToken":43}},"method":"m","id":42,"jsonrpc":"2.0"}"#,
        );
        check_write(
            "{\"jsonrpc\":\"2.0\",\n\"id\":1,\r\n\"method\":\"a\\nb\"}",
            rewrite,
            "{\"jsonrpc\":\"2.0\", \"id\":42,  \"method\":\"a\\nb\"}",
        );
    }

    #[test]
    fn splices_answers_and_notifications() {
        let id = RequestId::String("me".into());
        check_write(
            r#"{"result":{"id":9},"id":9,"jsonrpc":"2.0"}"#,
            |m, out| m.write_with_id(&id, out),
            r#"{"result":{"id":9},"id":"me","jsonrpc":"2.0"}"#,
        );
        check_write(
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":9,"progress":1.0}}"#,
            |m, out| m.write_with_progress_token(&id, out),
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"me","progress":1.0}}"#,
        );
        check_write(
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9,"reason":"r"}}"#,
            |m, out| m.write_with_cancelled_request(&RequestId::Number(3), out),
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"r"}}"#,
        );
    }

    #[test]
    fn reads_what_routing_needs() {
        let call =
            parse(r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"\u0065cho","uri":5}}"#);
        let call = call.expect("valid");
        assert_eq!(call.method(), "tools/call");
        assert_eq!(call.name().as_deref(), Some("echo"));
        assert_eq!(call.uri(), None);
    }
}

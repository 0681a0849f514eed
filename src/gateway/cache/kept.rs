//! An answer that may be given again, and for how long.

use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use tokio::time::Instant;

use crate::protocol::Message;
use crate::protocol::document::Document;
use crate::protocol::scan::Span;
use crate::upstream::SCAN;

/// Nothing is kept for longer, whatever its server says.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);

const TTL: &[u8] = b"\"ttlMs\"";

/// The answer.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    bytes: Bytes,
    /// Where it says for how long it may be kept.
    ttl_at: Span,
    until: Instant,
    is_public: bool,
}

impl Kept {
    /// Returns an answer that came at `now`; `None` if it is not to be kept, or longer than `bytes_max`.
    pub(super) fn of(answer: &Message, bytes_max: usize, now: Instant) -> Option<Self> {
        if answer.bytes().len() > bytes_max || !may_last(answer.bytes()) {
            return None;
        }
        let document = Document::new(answer.bytes().clone());
        let at = |pointer: &str| document.at(pointer).ok();
        let is = |span: Option<Span>, text: &str| span.is_some_and(|span| document.text(span) == text);
        let kind = at("/result/resultType")?;
        if kind.is_some() && !is(kind, r#""complete""#) {
            return None;
        }
        let ttl_at = at("/result/ttlMs")??;
        let ttl: u64 = document.text(ttl_at.clone()).parse().ok()?;
        let is_public = is(at("/result/cacheScope")?, r#""public""#);
        Some(Self {
            // A copy: the message may be a piece of a much larger buffer.
            bytes: Bytes::copy_from_slice(answer.bytes()),
            ttl_at,
            until: now + Duration::from_millis(ttl).min(TTL_MAX),
            is_public,
        })
    }

    /// Returns the answer, which says how much is left of its time.
    pub(super) fn at(&self, now: Instant) -> Message {
        let left = self.left(now);
        let mut text = Vec::with_capacity(self.bytes.len());
        text.extend_from_slice(&self.bytes[..self.ttl_at.start]);
        text.extend_from_slice(left.to_string().as_bytes());
        text.extend_from_slice(&self.bytes[self.ttl_at.end..]);
        Message::parse(text.into(), SCAN).expect("one number stands for another")
    }

    /// Returns whether there is something left of its time.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.left(now) > 0
    }

    /// Returns whether it is for others too than who asked.
    pub(super) fn is_public(&self) -> bool {
        self.is_public
    }

    /// Returns how many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// In whole milliseconds.
    fn left(&self, now: Instant) -> u128 {
        self.until.saturating_duration_since(now).as_millis()
    }
}

/// A quick look: most servers say that nothing may be kept.
fn may_last(answer: &[u8]) -> bool {
    memmem::find_iter(answer, TTL).any(|at| {
        let value = answer[at + TTL.len()..].trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        value.first().is_some_and(|digit| (b'1'..=b'9').contains(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rest: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0","id":7,{rest}}}"#).into(), SCAN).expect("an answer")
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_says_how_much_is_left_of_its_time() {
        let now = Instant::now();
        let kept = answer(
            r#""result":{"tools":[{"description":"\"ttlMs\":5"}],"ttlMs" : 1500,"cacheScope":"public"}"#,
        );
        let kept = Kept::of(&kept, 1000, now).expect("it may be kept");
        assert!(kept.is_public());
        let said = |after| {
            let answer = kept.at(now + Duration::from_micros(after));
            String::from_utf8_lossy(answer.bytes()).into_owned()
        };
        let text = |left| {
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{{"description":"\"ttlMs\":5"}}],"ttlMs" : {left},"cacheScope":"public"}}}}"#
            )
        };
        assert_eq!(said(0), text(1500));
        assert_eq!(said(600_500), text(899));
        assert_eq!(said(1_499_000), text(1));
        assert!(kept.is_fresh(now + Duration::from_millis(1499)));
        let late = now + Duration::from_micros(1_499_001);
        assert!(!kept.is_fresh(late), "less than a millisecond is nothing");
        assert!(!kept.is_fresh(now + Duration::from_secs(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_its_server_does_not_allow_is_not_kept() {
        let now = Instant::now();
        let kept = |rest: &str| Kept::of(&answer(rest), 1000, now);
        for rest in [
            r#""result":{}"#,
            r#""result":{"ttlMs":0}"#,
            r#""result":{"ttlMs":-5}"#,
            r#""result":{"ttlMs":1.5}"#,
            r#""result":{"ttlMs":1e3}"#,
            r#""result":{"ttlMs":"5"}"#,
            r#""result":{"ttlMs":99999999999999999999999}"#,
            r#""result":{"ttlMs":5,"resultType":"input_required"}"#,
            r#""result":{"ttlMs":5,"ttlMs":6}"#,
            r#""result":{"_meta":{"ttlMs":5}}"#,
            r#""error":{"code":1,"message":"m","ttlMs":5}"#,
        ] {
            assert!(kept(rest).is_none(), "{rest}");
        }
        let plain = kept(r#""result":{"resultType":"complete","ttlMs":5}"#).expect("it may be kept");
        assert!(!plain.is_public(), "it does not say so");
        let whole = answer(r#""result":{"ttlMs":5}"#);
        let len = whole.bytes().len();
        assert!(Kept::of(&whole, len, now).is_some() && Kept::of(&whole, len - 1, now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_for_ever() {
        let now = Instant::now();
        let kept = answer(&format!(r#""result":{{"ttlMs":{}}}"#, u64::MAX));
        let kept = Kept::of(&kept, 1000, now).expect("it may be kept");
        assert!(kept.is_fresh(now + TTL_MAX - Duration::from_millis(1)));
        assert!(!kept.is_fresh(now + TTL_MAX));
    }
}

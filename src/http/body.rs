//! Reading a request's body: up to a limit, within a time.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyRefused {
    /// It is longer than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// How much is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) bytes_max: usize,
    pub(super) timeout: Duration,
    /// How long it says that it is. No more than that is ever put aside for it, and no more than it may have.
    pub(super) announced: usize,
}

/// Returns how long a body says that it is; 0 if it does not.
pub(super) fn announced_length(headers: &HeaderMap) -> usize {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// How long the rest of a body that is too long is read and thrown away, so that its sender gets to see the answer.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads a body. One that arrives in one piece is not copied.
pub(super) async fn read_body<B: Buf, E>(
    stream: impl Stream<Item = Result<B, E>>,
    limits: BodyLimits,
) -> Result<Bytes, BodyRefused> {
    let mut stream = pin!(stream);
    let collecting = collect(stream.as_mut(), limits);
    let collected = tokio::time::timeout(limits.timeout, collecting)
        .await
        .map_err(|_| BodyRefused::TooSlow)?;
    if collected == Err(BodyRefused::TooLarge) {
        let leftover = discard(stream.as_mut(), limits.bytes_max);
        let _ = tokio::time::timeout(LEFTOVER_TIMEOUT, leftover).await;
    }
    collected
}

/// Reads on without keeping anything, as many bytes as a body may have.
async fn discard<B: Buf, E>(mut stream: Pin<&mut impl Stream<Item = Result<B, E>>>, bytes_max: usize) {
    let mut bytes = 0;
    while let Some(Ok(chunk)) = stream.next().await {
        bytes += chunk.remaining();
        if bytes > bytes_max {
            return;
        }
    }
}

async fn collect<B: Buf, E>(
    mut stream: Pin<&mut impl Stream<Item = Result<B, E>>>,
    limits: BodyLimits,
) -> Result<Bytes, BodyRefused> {
    let bytes_max = limits.bytes_max;
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|_| BodyRefused::Broken)?;
        let length = all.as_ref().map_or(first.len(), BytesMut::len) + chunk.remaining();
        if length > bytes_max {
            return Err(BodyRefused::TooLarge);
        }
        let chunk = chunk.copy_to_bytes(chunk.remaining());
        match &mut all {
            None if first.is_empty() => first = chunk,
            None => {
                let mut both = BytesMut::with_capacity(limits.announced.clamp(length, bytes_max));
                both.extend_from_slice(&first);
                both.extend_from_slice(&chunk);
                all = Some(both);
            }
            Some(all) => all.extend_from_slice(&chunk),
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn limits(bytes_max: usize) -> BodyLimits {
        BodyLimits {
            bytes_max,
            timeout: Duration::from_secs(1),
            announced: 4,
        }
    }

    fn body(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, ()>> + use<> {
        stream::iter(
            parts
                .iter()
                .map(|part| Ok(Bytes::from_static(part.as_bytes())))
                .collect::<Vec<_>>(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn reads_up_to_the_limit_and_no_longer_than_the_time() {
        assert_eq!(
            read_body(body(&["ab", "", "cd", "e"]), limits(5)).await,
            Ok(Bytes::from_static(b"abcde"))
        );
        assert_eq!(
            read_body(body(&["ab", "cd", "ef"]), limits(5)).await,
            Err(BodyRefused::TooLarge)
        );
        assert_eq!(read_body(body(&[]), limits(5)).await, Ok(Bytes::new()));
        let stalled = body(&["ab"]).chain(stream::pending());
        assert_eq!(read_body(stalled, limits(5)).await, Err(BodyRefused::TooSlow));
        let broken = stream::iter([Ok(Bytes::from_static(b"a")), Err(())]);
        assert_eq!(read_body(broken, limits(5)).await, Err(BodyRefused::Broken));
    }
}

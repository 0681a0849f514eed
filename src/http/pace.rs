//! The pace at which a client takes the answer on a stream of HTTP/2. TCP notices a peer that reads nothing; on HTTP/2 one
//! that goes on reading and answering pings can leave the window of a stream shut for ever.
//!
//! So an answer is offered in pieces, the next one once there was room for the last. Who leaves a piece waiting for too
//! long loses the stream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tracing::debug;

/// Bytes of a piece: as many as a frame has by default.
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// The pace of the stream that this task serves.
    static PACE: Arc<Pace>;
}

/// Since when a piece has been waiting for room, if one is. A std mutex, held to copy that.
#[derive(Debug, Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().expect("no holder panics")
    }

    /// Waits until a piece has been waiting for so long.
    async fn is_lost(&self, patience: Duration) {
        loop {
            let now = Instant::now();
            let due = self.since().unwrap_or(now) + patience;
            if due <= now {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// Serves a stream for as long as its client takes what is offered within `patience`.
pub(super) async fn serve_paced(stream: impl Future, patience: Duration) {
    let pace = Arc::new(Pace::default());
    tokio::select! {
        biased;
        _ = PACE.scope(pace.clone(), stream) => {}
        () = pace.is_lost(patience) => debug!(?patience, "a client did not take its answer in time"),
    }
}

/// A body that is offered in pieces.
#[derive(Debug)]
pub(super) struct Paced<B> {
    body: B,
    /// What is left of the last chunk of the body.
    rest: Bytes,
    pace: Arc<Pace>,
}

impl<B> Paced<B> {
    /// Returns the body of an answer, whose head is offered herewith.
    ///
    /// # Panics
    /// Outside of [`serve_paced`].
    pub(super) fn new(body: B) -> Self {
        let pace = PACE.with(Arc::clone);
        *pace.since() = Some(Instant::now());
        Self {
            body,
            rest: Bytes::new(),
            pace,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        *this.pace.since() = None;
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        *this.pace.since() = Some(Instant::now());
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_piece_is_waited_for_so_long_and_an_answer_for_as_long_as_it_takes() {
        let taken = Arc::new(Mutex::new(0));
        let counted = taken.clone();
        let stream = async move {
            tokio::time::sleep(PATIENCE * 10).await;
            let mut body = Paced::new(Full::new(Bytes::from(vec![b'x'; 3 * PIECE])));
            assert_eq!(body.size_hint().exact(), Some(3 * PIECE as u64));
            for left in [2, 1] {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                let piece = body.frame().await.expect("there is more").expect("memory");
                *counted.lock().expect("no holder panics") += piece.into_data().expect("data").len();
                let rest = (body.size_hint().exact(), body.is_end_stream());
                assert_eq!(rest, (Some(left * PIECE as u64), false));
            }
            std::future::pending::<()>().await;
        };
        let start = Instant::now();
        serve_paced(stream, PATIENCE).await;
        assert_eq!(*taken.lock().expect("no holder panics"), 2 * PIECE);
        let slowly = PATIENCE * 10 + (PATIENCE - Duration::from_secs(1)) * 2;
        assert_eq!(start.elapsed(), slowly + PATIENCE);
    }
}

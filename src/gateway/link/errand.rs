//! A request without a handshake that came on a channel (2026-07-28, "stdio"): a visit of its own, whose answer goes to
//! the channel, and before it what there is to say on the way.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::visits::Place;
use crate::gateway::context::{Answer, Delivery, RequestContext};
use crate::gateway::error::GatewayError;
use crate::gateway::gateway::Gateway;
use crate::gateway::policy::Pinned;
use crate::gateway::visit::Visit;
use crate::protocol::modern::RequestMeta;
use crate::protocol::reply::write_error;
use crate::protocol::{Message, ProtocolVersion, RequestId};
use crate::registry::Target;
use crate::session::{Caller, OutboxReader, OutboxWriter};

/// The way of one request. Whoever drops it takes the request back; when the channel's session ends it is answered first.
pub(super) struct Errand {
    pub(super) gateway: Arc<Gateway>,
    pub(super) target: Target,
    pub(super) caller: Caller,
    pub(super) pinned: Option<Pinned>,
    pub(super) place: Place,
    pub(super) channel: OutboxWriter,
}

impl Errand {
    /// Brings the request to its end.
    pub(super) async fn run(self, said: (RequestMeta, ProtocolVersion), request: Message) {
        let id = request.id().cloned();
        let place = (&self.target, &self.caller);
        let received = tokio::select! {
            received = self.gateway.receive(place, self.pinned.as_ref(), said, request) => received,
            () = self.channel.closed() => Err(GatewayError::SessionEnded),
        };
        match received {
            Ok((visit, request)) => self.visit(visit, request).await,
            Err(error) => self.refuse(id.as_ref(), &error),
        }
    }

    fn refuse(self, id: Option<&RequestId>, error: &GatewayError) {
        let mut out = Vec::new();
        write_error(id, &error.to_error_object(), &mut out);
        drop(self.place);
        self.channel.push(out.into());
    }

    async fn visit(mut self, visit: Visit, request: Message) {
        let ctx = RequestContext {
            session: visit.session().clone(),
            delivery: Delivery::JsonOrStream,
            pinned: self.pinned.take(),
        };
        let gateway = self.gateway.clone();
        let mut handling = pin!(gateway.handle(&ctx, request));
        // From now on it is in flight, and a drain waits for it.
        let first = poll_fn(|task| Poll::Ready(handling.as_mut().poll(task))).await;
        self.place.begun();
        let answer = match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => self.to_its_end(&visit, handling).await,
        };
        match answer {
            Answer::Json(answer, _) | Answer::Refused(answer) => self.leave(visit, [answer]).await,
            Answer::Stream(reader) => self.pass_on(visit, reader).await,
            Answer::Accepted | Answer::Withdrawn => {}
        }
    }

    /// Waits for something of a visit, which ends with the channel's session.
    async fn to_its_end<T>(&self, visit: &Visit, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            done = work.as_mut() => return done,
            () = self.channel.closed() => {}
        }
        self.gateway.end_session(visit.session(), "its channel has ended");
        work.await
    }

    /// Passes on what there is to say, up to the answer.
    async fn pass_on(self, visit: Visit, mut reader: OutboxReader) {
        // Its client is there, so it is not idle.
        let _open = visit.session().stream_opened();
        while let Some(events) = self.to_its_end(&visit, reader.next()).await {
            let messages = events.into_iter().map(|event| event.data);
            if reader.is_over() {
                return self.leave(visit, messages).await;
            }
            self.say(messages).await;
        }
    }

    /// Says the last of it. By then the client may make another request, which may have the same id and want what this one
    /// held.
    async fn leave(self, visit: Visit, last: impl IntoIterator<Item = Bytes>) {
        drop(visit);
        let Self { place, channel, .. } = self;
        drop(place);
        say(&channel, last).await;
    }

    async fn say(&self, messages: impl IntoIterator<Item = Bytes>) {
        say(&self.channel, messages).await;
    }
}

/// Puts messages on the channel, no faster than its client reads.
async fn say(channel: &OutboxWriter, messages: impl IntoIterator<Item = Bytes>) {
    for message in messages {
        channel.room().await;
        channel.push(message);
    }
}

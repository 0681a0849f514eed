//! Where a server's own messages go: its requests and notifications that answer nobody.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::connection::Connection;
use crate::protocol::Message;

/// Who takes what a server says on its own. Called from the task that reads the server's output, in the order of
/// arrival: never blocks.
pub trait ServerMessages: Send + Sync + 'static {
    /// Takes a request of the server (`sampling/createMessage`, `roots/list`, …). It is answered exactly once by
    /// [`Connection::respond`] or [`Connection::refuse`]. `ping` has been answered already.
    fn request(&self, connection: &Arc<Connection>, message: Message);

    /// Takes a notification of the server, other than progress of a request that waits.
    fn notification(&self, connection: &Arc<Connection>, message: Message);

    /// Called when a new generation has been initialised, before anything else is sent to it: what the sessions had
    /// set (log level, subscriptions) is to be set again.
    fn ready(&self, connection: &Arc<Connection>);

    /// Called when everyone has been told that the generation is ready: what is told of it from here on comes later.
    fn announced(&self, _connection: &Arc<Connection>) {}

    /// Returns whether the process is needed although nobody asks it anything: somebody has subscribed.
    fn keeps_process(&self) -> bool;

    /// Returns something to wait for if the receiver cannot keep up: reading pauses, the child's pipe fills, the
    /// child waits. Only an instance that serves one session does that; a shared one must not wait for anybody.
    fn congestion(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>>;
}

/// A receiver without a session: refuses every request and drops everything else.
#[cfg(test)]
pub(crate) struct Deaf;

#[cfg(test)]
impl ServerMessages for Deaf {
    fn request(&self, connection: &Arc<Connection>, message: Message) {
        let id = message.id().expect("a request has an id");
        connection.refuse(
            id,
            &crate::protocol::reply::ErrorObject::new(-32601, "nobody to ask"),
        );
    }

    fn notification(&self, _: &Arc<Connection>, _: Message) {}

    fn ready(&self, _: &Arc<Connection>) {}

    fn keeps_process(&self) -> bool {
        false
    }

    fn congestion(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        None
    }
}

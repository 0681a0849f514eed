//! The way to a server: a program to start, or a place to reach. The supervisor opens it and treats what comes out
//! alike.

use std::fmt;
use std::sync::Arc;

use super::environment::launch_spec;
use super::launch::{Launch, LaunchFuture, LaunchSpec};
use super::pool::PoolContext;
use super::remote::RemoteServer;
use crate::config::ServerSpec;

/// How an instance comes to its server. Cheap to clone.
#[derive(Clone)]
pub enum Door {
    /// A program is started.
    Process(Arc<dyn Launch>, Arc<LaunchSpec>),
    /// A remote server is reached.
    Remote(Arc<RemoteServer>),
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(_, spec) => spec.fmt(formatter),
            Self::Remote(server) => server.fmt(formatter),
        }
    }
}

impl Door {
    /// Returns the way to a server.
    pub(super) fn new(spec: &ServerSpec, context: &PoolContext) -> Self {
        match &spec.remote {
            Some(remote) => Self::Remote(Arc::new(RemoteServer::new(remote, spec))),
            None => {
                let spec = launch_spec(spec, &context.environment, context.pid_namespace);
                Self::Process(context.launch.clone(), Arc::new(spec))
            }
        }
    }

    /// Returns whether a server may end at what it does not know: a program may, and so may one who has all in one stream.
    /// Over Streamable HTTP it refuses.
    pub(super) fn may_close(&self) -> bool {
        match self {
            Self::Process(..) => true,
            Self::Remote(server) => server.has_one_stream(),
        }
    }

    /// Opens it. Dropping the future before it is ready ends whatever was started.
    pub(super) fn open(&self) -> LaunchFuture<'_> {
        match self {
            Self::Process(launch, spec) => launch.launch(spec),
            Self::Remote(server) => Box::pin(server.open()),
        }
    }
}

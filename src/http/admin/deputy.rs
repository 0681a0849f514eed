//! Principals at the admin API: with their own token they may see servers and order them about, as far as the
//! configuration lets each of them (`principals.NAME.registry`) and the policies on access allow it in its mode. Where
//! there are no modes, or no policy judges, they may do nothing.

use std::sync::Arc;

use http::HeaderMap;
use tracing::info;

use super::super::entrance::Entrance;
use super::error::AdminError;
use super::operation::Operation;
use crate::config::RegistryAccess;
use crate::gateway::Gateway;
use crate::registry::Server;
use crate::session::Caller;

/// The principals that may do something here.
#[derive(Debug)]
pub(super) struct Deputies(Arc<Entrance>);

/// One of them, who has shown its token.
#[derive(Debug)]
pub(super) struct Deputy {
    caller: Caller,
    access: RegistryAccess,
}

impl Deputies {
    /// Returns those that an entrance knows.
    pub(super) fn new(entrance: Arc<Entrance>) -> Self {
        Self(entrance)
    }

    /// Returns whose token the headers hold, if it is one of a deputy.
    ///
    /// # Errors
    /// It is, and the request is in no mode.
    pub(super) fn find(&self, headers: &HeaderMap) -> Result<Option<Deputy>, AdminError> {
        let admission = self.0.current();
        let Ok(principal) = admission.principals.of(headers) else {
            return Ok(None);
        };
        let Some(access) = admission.registry.get(&principal).copied() else {
            return Ok(None);
        };
        let selected = admission.modes.select(&principal, None, headers);
        let mode = selected.map_err(|refusal| AdminError::Forbidden(refusal.to_string()))?;
        let Some(mode) = mode.mode().cloned() else {
            return Ok(None);
        };
        let caller = Caller {
            principal,
            mode: Some(mode),
        };
        Ok(Some(Deputy { caller, access }))
    }
}

impl Deputy {
    /// Lets an operation on a server pass, or says why not.
    pub(super) async fn check(
        &self,
        gateway: &Gateway,
        operation: Operation,
        server: &str,
    ) -> Result<(), AdminError> {
        let Some(method) = method_of(operation, self.access) else {
            let message = "this needs the admin token: principals only see servers and order them about, as far as \
                           principals.NAME.registry says";
            return Err(AdminError::Forbidden(message.to_owned()));
        };
        let server = (!server.is_empty()).then_some(server);
        match gateway.may_operate(&self.caller, method, server).await {
            Ok(true) => {
                let Caller { principal, mode } = &self.caller;
                info!(%principal, mode = mode.as_deref(), method, server, "a principal operates the registry");
                Ok(())
            }
            Ok(false) => Err(AdminError::Forbidden(
                "no policy judges who may use the registry".to_owned(),
            )),
            Err(error) => Err(AdminError::Forbidden(error.to_string())),
        }
    }

    /// Returns the servers that it may know of.
    pub(super) async fn servers(&self, gateway: &Gateway) -> Result<Vec<Arc<Server>>, AdminError> {
        let seen = gateway.servers_seen_by(&self.caller, LIST).await;
        seen.map_err(|error| AdminError::Forbidden(error.to_string()))
    }
}

const LIST: &str = "registry/list";

/// Returns how the policies know an operation, if whoever has this access may do it at all.
fn method_of(operation: Operation, access: RegistryAccess) -> Option<&'static str> {
    let (method, needed) = match operation {
        Operation::ListServers => (LIST, RegistryAccess::Read),
        Operation::ShowServer => ("registry/show", RegistryAccess::Read),
        Operation::Start => ("registry/start", RegistryAccess::Operate),
        Operation::Stop => ("registry/stop", RegistryAccess::Operate),
        Operation::Restart => ("registry/restart", RegistryAccess::Operate),
        Operation::Enable => ("registry/enable", RegistryAccess::Operate),
        Operation::Disable => ("registry/disable", RegistryAccess::Operate),
        // Whoever registers a server runs programs, and what is left concerns everybody's sessions.
        _ => return None,
    };
    (access >= needed).then_some(method)
}

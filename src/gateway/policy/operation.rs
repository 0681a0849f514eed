//! What a client may do to the servers of the registry: the policies on access say so, in its mode.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::circumstances::{Occasion, circumstances_before_session};
use super::item::server_item;
use super::judge::Judge;
use crate::gateway::{Gateway, GatewayError};
use crate::plugin::call::{CallContext, CatalogItem, Direction, MessageKind, Topic};
use crate::plugin::{Hook, Matter};
use crate::protocol::document::Document;
use crate::registry::Server;
use crate::session::Caller;

impl Gateway {
    /// Returns whether a caller may do something to a server, or to none in particular. `method` is
    /// `registry/<operation>`, so that the capability is `registry`. Where no policy judges access to that, nobody may.
    ///
    /// # Errors
    /// A policy refused, or could not judge.
    pub async fn may_operate(
        &self,
        caller: &Caller,
        method: &str,
        server: Option<&str>,
    ) -> Result<bool, GatewayError> {
        let Some(operation) = self.operation(caller, method, server) else {
            return Ok(false);
        };
        let item = server.map(server_item);
        let Operation { judge, ctx, matter } = &operation;
        judge.set().authorize(ctx, matter, item.as_ref()).await?;
        Ok(true)
    }

    /// Returns the servers that a caller may know of, by name.
    ///
    /// # Errors
    /// A policy could not judge.
    pub async fn servers_seen_by(
        &self,
        caller: &Caller,
        method: &str,
    ) -> Result<Vec<Arc<Server>>, GatewayError> {
        let Some(operation) = self.operation(caller, method, None) else {
            return Ok(Vec::new());
        };
        let servers = self.registry.servers();
        let items: Vec<CatalogItem> = servers
            .iter()
            .map(|server| server_item(server.name().as_str()))
            .collect();
        let Operation { judge, ctx, matter } = &operation;
        let kept = judge.set().filter(ctx, matter, &items).await?;
        let kept = servers.into_iter().zip(kept).filter(|(_, kept)| *kept);
        Ok(kept.map(|(server, _)| server).collect())
    }

    /// Returns what the policies are told; `None` if none of them judges access to it.
    fn operation(&self, caller: &Caller, method: &str, server: Option<&str>) -> Option<Operation> {
        let judge = self.policy().judge_without_client(self.pin(|_| None)?);
        let params = server.map_or_else(|| json!({}), |server| json!({ "name": server }));
        let message = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
        let message = Bytes::from(message.to_string());
        let occasion = Occasion {
            direction: Direction::ClientToServer,
            kind: MessageKind::Request,
            method: method.to_owned(),
            target: server.map(str::to_owned),
        };
        let mut ctx = circumstances_before_session(&judge, caller, occasion, message.len());
        ctx.server = server.map(str::to_owned);
        if !judge.set().wants(Hook::Access, &Topic::of(&ctx)) {
            return None;
        }
        let matter = Matter {
            message: Arc::new(Document::new(message)),
            input_schema: None,
        };
        Some(Operation { judge, ctx, matter })
    }
}

/// An operation as the policies see it.
struct Operation {
    judge: Judge,
    ctx: CallContext,
    matter: Matter,
}

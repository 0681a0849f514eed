//! The bundled policies as `config/example.toml` has them, and as a request meets them: access and validation judge each
//! call, validation each answer, and routing where a session begins.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use portcullis::config::Loader;
use portcullis::plugin::cache::CompileCache;
use portcullis::plugin::call::{CallContext, Candidate, CatalogItem, Direction, MessageKind};
use portcullis::plugin::{Aim, Matter, PluginOrders, PluginSet, Plugins, Refusal, Roster, RosterOptions};
use portcullis::protocol::document::Document;
use portcullis::protocol::scan::{ScanOptions, UniqueKeys};

use crate::body::{self, Body};
use crate::samples::Samples;

/// The set of them.
pub(crate) struct Bundled {
    set: Arc<PluginSet>,
    /// Holds the set.
    _roster: Arc<Roster>,
    item: CatalogItem,
    candidates: Vec<Candidate>,
}

/// Times of what a client does.
#[derive(Default)]
pub(crate) struct Times {
    /// A call of a tool until it goes on to its server.
    pub(crate) call: Samples,
    /// The same, and its answer.
    pub(crate) call_and_answer: Samples,
    /// The beginning of a session whose way forks.
    pub(crate) routing: Samples,
}

const SCAN: ScanOptions = ScanOptions {
    depth_max: 128,
    unique_keys: UniqueKeys::Everywhere,
};

impl Bundled {
    /// Loads them as the gateway does.
    pub(crate) async fn load(config: &Path) -> Result<Self, String> {
        let loader = Loader {
            file: Some(config.to_owned()),
            ..Loader::for_process()
        };
        let config = loader.load().map_err(|error| error.to_string())?.config;
        let orders = PluginOrders::of(&config);
        let plugins = Arc::new(Plugins::default());
        let options = RosterOptions {
            source: Arc::new(move || Ok(orders.clone())),
            cache: CompileCache::of_user(),
            schemas: Arc::default(),
            plugins: plugins.clone(),
        };
        let roster = Roster::start(options).await;
        let built = |error| format!("{error}\n(`make plugins` builds the bundled policies)");
        let candidate = |server: &str, weight: u32, tier: &str| Candidate {
            server: server.to_owned(),
            instance: None,
            healthy: true,
            in_flight: 0,
            weight,
            labels: vec![("tier".to_owned(), tier.to_owned())],
        };
        Ok(Self {
            _roster: roster.map_err(built)?,
            set: plugins.current(),
            item: CatalogItem {
                kind: "tool".to_owned(),
                name: "echo".to_owned(),
                server: "mock".to_owned(),
                description: Some("Returns its arguments, as they came, as text".to_owned()),
                annotations: None,
            },
            candidates: vec![
                candidate("mock", 9, "stable"),
                candidate("mock-next", 1, "canary"),
            ],
        })
    }

    /// Times them; the messages have been walked.
    pub(crate) async fn calls(&self, body: &Body, calls: usize) -> Result<Times, String> {
        let answer = body.answer();
        // The clients of the example have no token.
        let ctx = CallContext {
            principal: None,
            ..body.ctx()
        };
        let answer_ctx = CallContext {
            kind: MessageKind::Response,
            direction: Direction::ServerToClient,
            body_size: answer.len() as u32,
            ..ctx.clone()
        };
        let opening_ctx = CallContext {
            method: "initialize".to_owned(),
            session: None,
            server: None,
            target: None,
            protocol_version: None,
            attributes: Vec::new(),
            ..ctx.clone()
        };
        let (call, answer, opening) = (body.walked(), matter(answer), matter(body::INITIALIZE.into()));
        let mut times = Times::default();
        for _ in 0..calls {
            let (mut ctx, mut answer_ctx) = (ctx.clone(), answer_ctx.clone());
            let start = Instant::now();
            self.judge(&mut ctx, &call).await.map_err(refused)?;
            times.call.push(start.elapsed());
            self.validate(&mut answer_ctx, &answer).await.map_err(refused)?;
            times.call_and_answer.push(start.elapsed());
            let start = Instant::now();
            self.set
                .choose(&opening_ctx, &opening, &self.candidates)
                .await
                .map_err(refused)?;
            times.routing.push(start.elapsed());
        }
        Ok(times)
    }

    async fn judge(&self, ctx: &mut CallContext, matter: &Matter) -> Result<(), Refusal> {
        self.set.authorize(ctx, matter, Some(&self.item)).await?;
        self.validate(ctx, matter).await
    }

    async fn validate(&self, ctx: &mut CallContext, matter: &Matter) -> Result<(), Refusal> {
        let aim_of = |_: &Document| Aim::default();
        self.set.on_message(ctx, matter, SCAN, aim_of).await?;
        Ok(())
    }
}

fn matter(text: Bytes) -> Matter {
    Matter {
        message: Arc::new(Document::new(text)),
        input_schema: None,
    }
}

fn refused(refusal: Refusal) -> String {
    format!("{} did not let a call pass: {:?}", refusal.plugin, refusal.why)
}

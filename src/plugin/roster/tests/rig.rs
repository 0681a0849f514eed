//! A roster for tests, with an operator and a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::config::{Activate, PluginHostConfig, PluginSpec};
use crate::plugin::cache::CompileCache;
use crate::plugin::call::{CallContext, Direction, MessageKind};
use crate::plugin::{Matter, PluginOrders, Plugins, Roster, RosterError, RosterOptions};
use crate::protocol::document::Document;
use crate::protocol::scan::{ScanOptions, UniqueKeys};

/// A roster, what its operator wants, and the folder.
pub(super) struct Rig {
    pub(super) dir: PathBuf,
    pub(super) orders: Arc<Mutex<Result<PluginOrders, String>>>,
    pub(super) plugins: Arc<Plugins>,
}

impl Rig {
    pub(super) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("portcullis-roster-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&dir).expect("a new folder");
        let host = PluginHostConfig {
            dir: dir.clone(),
            activate: Activate::Named,
            require_signature: false,
            trusted_keys: Vec::new(),
            watch: true,
        };
        let orders = PluginOrders {
            host,
            plugins: Vec::new(),
            parts: Map::new(),
        };
        Self {
            dir,
            orders: Arc::new(Mutex::new(Ok(orders))),
            plugins: Arc::default(),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut PluginOrders)) {
        change(
            self.orders
                .lock()
                .expect("no holder panics")
                .as_mut()
                .expect("orders"),
        );
    }

    /// Has the configuration name a plugin.
    pub(super) fn name(&self, name: &str, change: impl FnOnce(&mut PluginSpec)) {
        let mut spec = PluginSpec::unnamed(name);
        change(&mut spec);
        self.change(|orders| {
            orders.plugins.retain(|other| other.name != name);
            orders.plugins.push(Arc::new(spec));
        });
    }

    pub(super) fn modes(&self, modes: Value) {
        self.change(|orders| {
            orders.parts.insert("modes".to_owned(), modes);
        });
    }

    pub(super) async fn start(&self) -> Result<Arc<Roster>, RosterError> {
        let orders = self.orders.clone();
        Roster::start(RosterOptions {
            source: Arc::new(move || orders.lock().expect("no holder panics").clone()),
            cache: CompileCache::default(),
            schemas: Arc::default(),
            plugins: self.plugins.clone(),
        })
        .await
    }

    pub(super) async fn started(&self) -> Arc<Roster> {
        self.start().await.expect("it starts")
    }

    pub(super) async fn not_started(&self) -> Vec<String> {
        refused(self.start().await.map(drop))
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(super) fn refused(done: Result<(), RosterError>) -> Vec<String> {
    match done.expect_err("refused") {
        RosterError::Refused(problems) => problems,
        other => panic!("{other}"),
    }
}

/// Returns name, state and version of every record.
pub(super) fn shown(roster: &Roster) -> Vec<String> {
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or("-").to_owned();
    let records = roster.records().into_iter();
    records
        .map(|record| {
            ["name", "state", "version"]
                .map(|key| text(&record, key))
                .join(" ")
        })
        .collect()
}

pub(super) fn generation(roster: &Roster, name: &str) -> u64 {
    let records = roster.records();
    let its = records.iter().filter(|record| record["name"] == name);
    its.filter_map(|record| record["generation"].as_u64())
        .max()
        .expect("it is there")
}

pub(super) fn ctx() -> CallContext {
    CallContext {
        request_id: "1".to_owned(),
        session: None,
        direction: Direction::ClientToServer,
        kind: MessageKind::Request,
        method: "tools/call".to_owned(),
        target: None,
        server: None,
        mode: None,
        principal: None,
        protocol_version: None,
        body_size: 0,
        attributes: Vec::new(),
    }
}

pub(super) fn matter() -> Matter {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#;
    Matter {
        message: Arc::new(Document::new(text.into())),
        input_schema: None,
    }
}

pub(super) const SCAN: ScanOptions = ScanOptions {
    depth_max: 64,
    unique_keys: UniqueKeys::Everywhere,
};

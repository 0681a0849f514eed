//! A host for tests, and the calls that they make.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::config::PluginSpec;
use crate::plugin::call::{CallContext, CatalogItem, Direction, MessageKind};
use crate::plugin::manifest::Manifest;
use crate::plugin::{
    Blueprint, BuildError, ErrorKind, Judged, Matter, Plugin, PluginEngine, PluginError, PluginHost,
};
use crate::protocol::document::Document;

use crate::plugin::trial::{EVIL, Guest};

/// The message that most calls are about.
pub(super) const MESSAGE: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"path":"x"}}}"#;
/// The manifest of most guests.
pub(super) const MANIFEST: &str = r#"
    [plugin]
    name = "hostile"
    version = "1.0.0"
    [hooks]
    on-message = { methods = ["*"] }
"#;

/// Returns the host that all tests share.
pub(super) fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| PluginHost::new(PluginEngine::new().expect("an engine"), Arc::default()))
}

/// Makes a plugin of a guest that has all hooks, with some of what an operator can say.
pub(super) async fn build(guest: &Guest, change: impl FnOnce(&mut PluginSpec)) -> Result<Plugin, BuildError> {
    let all = format!("{MANIFEST}access = {{ methods = [\"*\"] }}\nrouting = {{ methods = [\"*\"] }}");
    build_in(host(), &all, guest, change).await
}

/// Makes a plugin of a guest that has `on-message` at least.
pub(super) async fn build_some(
    guest: &Guest,
    change: impl FnOnce(&mut PluginSpec),
) -> Result<Plugin, BuildError> {
    build_in(host(), MANIFEST, guest, change).await
}

/// Makes a plugin in a host of its own.
pub(super) async fn build_in(
    host: &PluginHost,
    manifest: &str,
    guest: &Guest,
    change: impl FnOnce(&mut PluginSpec),
) -> Result<Plugin, BuildError> {
    let mut spec = PluginSpec::unnamed("hostile");
    change(&mut spec);
    let component = host.engine().component(&guest.component())?;
    host.build(Blueprint {
        manifest: Arc::new(Manifest::parse(Path::new("plugin.toml"), manifest).expect("a manifest")),
        spec: Arc::new(spec),
        config: serde_json::json!({}),
        component,
        sha256: String::new(),
    })
    .await
}

/// Makes a plugin as [`build`], which has to work.
pub(super) async fn built(guest: &Guest, change: impl FnOnce(&mut PluginSpec)) -> Plugin {
    build(guest, change).await.expect("a plugin")
}

/// Returns why there is no plugin.
pub(super) async fn refused(guest: &Guest) -> String {
    let refused = build(guest, |spec| {
        spec.limits.init_timeout = std::time::Duration::from_millis(50)
    })
    .await;
    refused.expect_err("no plugin").to_string()
}

/// Returns the context of a call.
pub(super) fn ctx(method: &str) -> CallContext {
    CallContext {
        request_id: "1".to_owned(),
        session: None,
        direction: Direction::ClientToServer,
        kind: MessageKind::Request,
        method: method.to_owned(),
        target: None,
        server: None,
        mode: None,
        principal: None,
        protocol_version: None,
        body_size: MESSAGE.len() as u32,
        attributes: Vec::new(),
    }
}

/// Returns a message to judge.
pub(super) fn matter(text: &str) -> Matter {
    Matter {
        message: Arc::new(Document::new(text.to_owned().into())),
        input_schema: None,
    }
}

/// Returns so many items.
pub(super) fn items(count: usize) -> Vec<CatalogItem> {
    let item = |place: usize| CatalogItem {
        kind: "tool".to_owned(),
        name: format!("tool-{place}"),
        server: "files".to_owned(),
        description: None,
        annotations: None,
    };
    (0..count).map(item).collect()
}

/// Has a plugin judge a message at which it misbehaves.
pub(super) async fn evil(plugin: &Plugin) -> Result<Judged, PluginError> {
    plugin.on_message(&ctx(EVIL), &matter(MESSAGE)).await
}

/// Has a plugin judge a message at which it does not: it still can.
pub(super) async fn fine(plugin: &Plugin) {
    let judged = plugin.on_message(&ctx("tools/call"), &matter(MESSAGE)).await;
    assert_eq!(judged.expect("a verdict").outcome, Ok(None));
}

/// Returns how a plugin failed, and checks that the next call is served.
pub(super) async fn failure(plugin: &Plugin) -> (ErrorKind, String) {
    let error = evil(plugin).await.expect_err("it cannot judge");
    fine(plugin).await;
    (error.kind, error.detail)
}

/// Waits until something is so, by giving others their turn.
pub(super) async fn eventually(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

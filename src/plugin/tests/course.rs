//! A message on its way along several plugins: what one makes of it, the next one sees, and what it is about is changed
//! once at most.

use std::sync::Arc;

use super::rig::{MESSAGE, built, ctx, matter};
use crate::plugin::set::shown_to;
use crate::plugin::trial::{EVIL, Guest};
use crate::plugin::{Aim, ErrorKind, Passed, Plugin, PluginSet, Refusal, Why};
use crate::protocol::document::Document;
use crate::protocol::scan::{ScanOptions, UniqueKeys};

const SCAN: ScanOptions = ScanOptions {
    depth_max: 16,
    unique_keys: UniqueKeys::Everywhere,
};

fn aim_of(document: &Document) -> Aim {
    let name = document.at("/params/name").expect("unique keys");
    let target = name.map(|span| document.text(span).trim_matches('"').to_owned());
    Aim {
        target,
        input_schema: None,
    }
}

async fn renaming(name: &str) -> Arc<Plugin> {
    let mut guest = Guest::new();
    let value = format!("{name:?}");
    let at = guest.image.edits(&[("/params/name", Some(value.as_str()))]);
    Arc::new(built(&guest.returning("on-message", at), |_| {}).await)
}

/// Returns what became of the message, and what the context says it is about then.
async fn passed_along(plugins: Vec<Arc<Plugin>>) -> (Result<Passed, Refusal>, Option<String>) {
    let mut ctx = ctx(EVIL);
    ctx.target = Some("read".to_owned());
    let set = PluginSet::new(plugins);
    let passed = set.on_message(&mut ctx, &matter(MESSAGE), SCAN, aim_of).await;
    (passed, ctx.target)
}

#[tokio::test]
async fn later_plugins_are_told_of_the_new_target() {
    let (passed, target) = passed_along(vec![renaming("write").await, renaming("write").await]).await;
    let passed = passed.expect("it goes on");
    assert!(passed.is_retargeted);
    assert_eq!(target.as_deref(), Some("write"));
    let expect = MESSAGE.replace("\"read\"", "\"write\"");
    assert_eq!(
        passed.changed.map(|changed| changed.message.bytes().clone()),
        Some(expect.into())
    );
}

#[tokio::test]
async fn a_second_change_of_the_target_is_an_error() {
    let (passed, _) = passed_along(vec![renaming("write").await, renaming("delete").await]).await;
    let Why::Failed(error) = passed.expect_err("it does not go on").why else {
        panic!("nobody has said no");
    };
    assert_eq!(error.kind, ErrorKind::BadDecision);
    assert!(error.detail.contains("as another plugin had already"), "{error}");
}

#[tokio::test]
async fn a_plugin_sees_the_headers_that_it_was_granted() {
    let mut ctx = ctx(EVIL);
    ctx.attributes = ["header.x-one", "header.x-two", "client.name"]
        .map(|key| (key.to_owned(), "v".to_owned()))
        .to_vec();
    for (granted, seen) in [
        (&["x-one"][..], &["header.x-one", "client.name"][..]),
        (
            &["x-one", "x-two"],
            &["header.x-one", "header.x-two", "client.name"],
        ),
        (&[], &["client.name"]),
    ] {
        let guest = Guest::new();
        let plugin = built(&guest, |spec| {
            spec.grant.headers = granted.iter().map(|name| (*name).to_owned()).collect();
        });
        let plugin = plugin.await;
        let shown = shown_to(&plugin, &ctx);
        let keys: Vec<_> = shown.attributes.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, seen);
    }
}

//! Components that are not what is said of them: refused before they judge anything, with the remedy named.

use super::rig::{build, build_some, refused};
use crate::plugin::trial::Guest;

#[track_caller]
fn check(refusal: &str, texts: &[&str]) {
    for text in texts {
        assert!(refusal.contains(text), "{refusal}");
    }
}

#[tokio::test]
async fn a_hook_that_the_manifest_names_and_the_component_lacks() {
    let guest = Guest::new().in_world("include validator;");
    let refusal = refused(&guest).await;
    check(
        &refusal,
        &[
            "hooks.access: the component does not export it; it exports on-message",
            "hooks.routing",
        ],
    );
    build_some(&guest, |_| {})
        .await
        .expect("the manifest names on-message alone");
}

#[tokio::test]
async fn a_component_without_any_hook() {
    let guest = Guest::new().in_world("export lifecycle;");
    check(
        &refused(&guest).await,
        &["exports none of on-message, access and routing"],
    );
}

#[tokio::test]
async fn a_component_without_lifecycle() {
    let guest = Guest::new().in_world("export on-message;");
    check(&refused(&guest).await, &["portcullis:plugin/lifecycle@0.1.0"]);
}

#[tokio::test]
async fn a_hook_with_other_types() {
    let guest = Guest::new().believing(
        "authorize: func(ctx: call-context, item: option<catalog-item>) -> result<_, denial>",
        "authorize: func(ctx: u32) -> u32",
    );
    check(
        &refused(&guest).await,
        &["its access is not that of portcullis:plugin@0.1"],
    );
    // Also where nobody wants to call it: what else would be wrong?
    let refusal = build_some(&guest, |_| {}).await.expect_err("refused").to_string();
    check(&refusal, &["its access is not that of"]);
}

#[tokio::test]
async fn a_record_with_one_field_more() {
    let guest = Guest::new().believing("reason: string,", "reason: string, severity: u8,");
    check(&refused(&guest).await, &["is not that of portcullis:plugin@0.1"]);
}

#[tokio::test]
async fn a_hook_without_one_of_its_functions() {
    let guest = Guest::new().believing(
        "filter: func(ctx: call-context, items: list<catalog-item>) -> list<u32>;",
        "filters: func() -> u32;",
    );
    let guest = guest
        .without("filter")
        .with(r#"(func (export "portcullis:plugin/access@0.1.0#filters") (result i32) (i32.const 0))"#);
    check(&refused(&guest).await, &["does not have export `filter`"]);
}

#[tokio::test]
async fn a_component_that_calls_itself_something_else() {
    let refusal = refused(&Guest::new().named("friendly")).await;
    check(
        &refusal,
        &[
            "says that it is friendly 1.0.0 (`describe`), and plugin.toml hostile 1.0.0",
            "let them agree",
        ],
    );
}

#[tokio::test]
async fn another_folder_than_its_name() {
    let refusal = build(&Guest::new(), |spec| spec.name = "other".to_owned()).await;
    check(
        &refusal.expect_err("refused").to_string(),
        &["its folder \"other\""],
    );
}

#[tokio::test]
async fn a_line_of_the_future() {
    let guest = Guest::new().believing(
        "package portcullis:plugin@0.1.0",
        "package portcullis:plugin@0.2.0",
    );
    check(
        &refused(&guest).await,
        &[
            "it speaks portcullis:plugin/",
            "@0.2.0, and this gateway speaks 0.1",
        ],
    );
}

#[tokio::test]
async fn a_patch_of_the_line_is_the_line() {
    let guest = Guest::new().believing(
        "package portcullis:plugin@0.1.0",
        "package portcullis:plugin@0.1.7",
    );
    build(&guest, |_| {}).await.expect("0.1.7 is 0.1");
}

#[tokio::test]
async fn imports_of_wasi_and_of_things_unheard_of() {
    let guest = Guest::new()
        .knowing("package wasi:random@0.2.0; interface random { get-random-u64: func() -> u64; }")
        .wanting("import wasi:random/random@0.2.0;")
        .importing_foreign("wasi:random/random@0.2.0", "get-random-u64", "(result i64)");
    check(
        &refused(&guest).await,
        &[
            "it imports wasi:random/random@0.2.0, and no plugin gets WASI",
            "--stub-wasi",
        ],
    );
    let guest = Guest::new()
        .knowing("package acme:secrets; interface all { read: func() -> u64; }")
        .wanting("import acme:secrets/all;")
        .importing_foreign("acme:secrets/all", "read", "(result i64)");
    check(
        &refused(&guest).await,
        &["it imports acme:secrets/all, which this gateway does not have"],
    );
}

#[tokio::test]
async fn imports_that_were_not_granted_are_named_all_at_once() {
    let guest = Guest::new()
        .wanting("import random; import kv;")
        .importing("random", "get-u64", "(result i64)")
        .importing("kv", "delete", "(param i32 i32)");
    let refusal = refused(&guest).await;
    check(
        &refusal,
        &[
            "imports portcullis:plugin/random, which is not granted",
            "portcullis:plugin/kv",
            "`grant`",
        ],
    );
    let granted = build(&guest, |spec| {
        spec.grant.random = true;
        spec.grant.kv = Some(1024);
    });
    let plugin = granted.await.expect("granted");
    assert!(
        plugin.imports().iter().any(|name| name == "kv"),
        "{:?}",
        plugin.imports()
    );
}

#[tokio::test]
async fn a_function_that_the_interface_does_not_have() {
    let guest = Guest::new()
        .believing(
            "now-ms: func() -> u64;",
            "now-ms: func() -> u64; now-in-paris: func() -> u64;",
        )
        .importing("clock", "now-in-paris", "(result i64)");
    check(&refused(&guest).await, &["now-in-paris"]);
}

#[tokio::test]
async fn bytes_that_are_no_component() {
    let engine = super::rig::host().engine();
    for bytes in [
        &b""[..],
        b"\0asm",
        b"MZ",
        &wat::parse_str("(module)").expect("a module"),
    ] {
        assert!(engine.component(bytes).is_err());
        assert!(engine.compile(bytes).is_err());
    }
}

#[tokio::test]
async fn failing_open_on_access_has_to_be_said_twice() {
    let skip = |spec: &mut crate::config::PluginSpec| spec.on_error = crate::config::OnError::Skip;
    let refusal = build(&Guest::new(), skip).await.expect_err("refused").to_string();
    check(&refusal, &["allow-fail-open = true"]);
    let guest = Guest::new();
    let both = build(&guest, |spec| {
        skip(spec);
        spec.allow_fail_open = true;
    });
    both.await.expect("said twice");
    build_some(&Guest::new(), skip)
        .await
        .expect("it does not decide on access");
}

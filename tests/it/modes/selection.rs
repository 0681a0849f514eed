//! The mode of a request: endpoint over header over the principal's own over the default.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::{ALICE, BOB, CAROL, Caller, gateway};
use crate::support::Gateway;

/// Opens a session and returns the mode that the admin API shows for it, or how it was refused.
async fn mode_of(gateway: &Gateway, caller: Caller<'_>) -> Result<Value, (StatusCode, String)> {
    let session = caller.open(gateway).await?;
    let mode = gateway.admin("sessions").await["sessions"][0]["mode"].clone();
    let [post, get, delete] = caller.use_session(gateway, &session).await;
    assert_eq!(
        (post, get, delete),
        (StatusCode::OK, StatusCode::OK, StatusCode::NO_CONTENT),
        "{caller:?}"
    );
    Ok(mode)
}

const PLAIN: &str = "/mcp/mock";
const CODE: &str = "/modes/code/mcp/mock";

#[tokio::test]
async fn endpoint_over_header_over_the_principals_own_over_the_default() {
    let guarded = gateway("default-mode = \"admin\"", "mode-header = true");
    let gateway = &guarded.gateway;
    for (token, path, header, expect) in [
        (Some(ALICE), PLAIN, None, "chat"),
        (Some(ALICE), PLAIN, Some("code"), "code"),
        (Some(ALICE), CODE, None, "code"),
        (Some(ALICE), CODE, Some("chat"), "code"),
        (Some(ALICE), CODE, Some("nonsense"), "code"),
        (Some(BOB), PLAIN, Some("chat"), "chat"),
        (Some(BOB), CODE, None, "code"),
        (Some(CAROL), PLAIN, None, "admin"),
        (Some(CAROL), "/modes/admin/mcp/mock", None, "admin"),
        (None, PLAIN, None, "admin"),
        (None, PLAIN, Some("admin"), "admin"),
    ] {
        let caller = Caller { token, path, header };
        assert_eq!(mode_of(gateway, caller).await, Ok(json!(expect)), "{caller:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_mode_is_refused_and_told_why() {
    let guarded = gateway("", "mode-header = true");
    let gateway = &guarded.gateway;
    let unknown = "there is no mode \"chatt\"";
    let foreign = "the mode \"admin\" is not for this client";
    let undecided = "this client has no mode of its own and chose none";
    for (token, path, header, status, message) in [
        (Some(ALICE), "/modes/chatt/mcp/mock", Some("chat"), 404, unknown),
        (Some(ALICE), PLAIN, Some("chatt"), 400, unknown),
        (Some(ALICE), "/modes/admin/mcp/mock", None, 403, foreign),
        (Some(ALICE), PLAIN, Some("admin"), 403, foreign),
        (Some(BOB), PLAIN, None, 403, undecided),
        (Some(CAROL), PLAIN, None, 403, undecided),
        (
            Some(CAROL),
            CODE,
            None,
            403,
            "the mode \"code\" is not for this client",
        ),
        (None, PLAIN, None, 403, undecided),
        (
            Some("no-token-of-anybody"),
            CODE,
            None,
            401,
            "the bearer token is not valid",
        ),
        (
            Some(ALICE),
            "/modes/code/mcp/none",
            None,
            404,
            "there is no server at /mcp/none",
        ),
    ] {
        let caller = Caller { token, path, header };
        let (found, text) = mode_of(gateway, caller).await.expect_err("refused");
        assert_eq!(found.as_u16(), status, "{caller:?}: {text}");
        assert!(text.starts_with(message), "{caller:?}: {text}");
        let (answer, _connection) = caller
            .send(gateway, Method::POST, &[("accept", "application/json")], &ping())
            .await;
        assert_eq!(answer.status().as_u16(), status, "without a session, too");
    }
}

#[tokio::test]
async fn a_header_that_may_not_choose_is_refused() {
    let guarded = gateway("default-mode = \"chat\"", "");
    let gateway = &guarded.gateway;
    let caller = Caller {
        header: Some("chat"),
        ..Caller::new(ALICE, PLAIN)
    };
    let (status, text) = mode_of(gateway, caller).await.expect_err("refused");
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("/modes/{mode}/mcp/{server}"), "{text}");
    assert_eq!(
        mode_of(gateway, Caller { path: CODE, ..caller }).await,
        Ok(json!("code"))
    );
}

#[tokio::test]
async fn without_modes_there_is_none_to_be_had() {
    let gateway = Gateway::with_mock(&[], "");
    let caller = Caller {
        token: None,
        path: PLAIN,
        header: None,
    };
    assert_eq!(mode_of(&gateway, caller).await, Ok(Value::Null));
    let (status, _) = mode_of(&gateway, Caller { path: CODE, ..caller })
        .await
        .expect_err("refused");
    assert_eq!(status, StatusCode::NOT_FOUND);
}

fn ping() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })
}

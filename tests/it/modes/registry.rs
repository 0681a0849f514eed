//! A mode at the admin API: a principal with its own token does what its configuration and its mode allow, and no more.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::{ALICE, BOB, CAROL, Caller};
use crate::support::Guarded;

/// `alice` operates, in a mode that allows `mock` alone, or in one without the registry; `bob` reads in a mode that
/// allows everything; `carol` has the mode and no leave.
fn gateway() -> Guarded {
    let server = |name: &str| {
        format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nautostart = true\n")
    };
    let mode = |name: &str, servers: &str, capabilities: &str| {
        format!("[modes.{name}]\nallowed-servers = [{servers}]\nallowed-capabilities = [{capabilities}]\n")
    };
    let principal =
        |name: &str, token: &str, rest: &str| format!("[principals.{name}]\ntoken = \"{token}\"\n{rest}\n");
    let parts = [
        "[[plugins]]\nname = \"mode-access\"\n".to_owned(),
        mode("some", "\"mock\"", "\"registry\""),
        mode("all", "\"*\"", "\"*\""),
        mode("tools", "\"*\"", "\"tools\""),
        principal(
            "alice",
            ALICE,
            "mode = \"some\"\nmodes = [\"some\", \"tools\"]\nregistry = \"operate\"",
        ),
        principal("bob", BOB, "mode = \"all\"\nregistry = \"read\""),
        principal("carol", CAROL, "mode = \"all\""),
        server("mock"),
        server("other"),
    ];
    let http = "[http]\nmode-header = true\n";
    Guarded::start(&["mode-access"], "", &format!("{http}{}", parts.concat()))
}

async fn ask(guarded: &Guarded, method: Method, caller: Caller<'_>) -> (u16, Value) {
    let (answer, _connection) = caller.send_nothing(&guarded.gateway, method).await;
    (answer.status().as_u16(), answer.json().await)
}

#[tokio::test]
async fn a_principal_operates_what_its_mode_allows() {
    let guarded = gateway();
    let of = |token, path| Caller::new(token, path);
    let names = |answer: &Value| -> Vec<String> {
        let servers = answer["servers"].as_object().expect("a table");
        servers.keys().cloned().collect()
    };
    let list = "/admin/v1/servers";
    let (status, answer) = ask(&guarded, Method::GET, of(ALICE, list)).await;
    assert_eq!((status, names(&answer)), (200, vec!["mock".to_owned()]));
    let (status, answer) = ask(&guarded, Method::GET, of(BOB, list)).await;
    assert_eq!((status, names(&answer).len()), (200, 2));
    let (status, record) = ask(
        &guarded,
        Method::POST,
        of(ALICE, "/admin/v1/servers/mock/disable"),
    )
    .await;
    assert_eq!((status, &record["status"]), (200, &json!("disabled")));
    for (method, token, path, expect) in [
        (Method::GET, ALICE, "/admin/v1/servers/mock", 200),
        (Method::POST, ALICE, "/admin/v1/servers/mock/enable", 200),
        (Method::GET, ALICE, "/admin/v1/servers/other", 403),
        (Method::POST, ALICE, "/admin/v1/servers/other/stop", 403),
        (Method::GET, BOB, "/admin/v1/servers/other", 200),
        (Method::POST, BOB, "/admin/v1/servers/other/stop", 403),
        // What is never a principal's.
        (Method::DELETE, ALICE, "/admin/v1/servers/mock", 403),
        (Method::POST, ALICE, "/admin/v1/servers", 403),
        (Method::PATCH, ALICE, "/admin/v1/servers/mock", 403),
        (Method::GET, ALICE, "/admin/v1/sessions", 403),
        (Method::GET, ALICE, "/admin/v1/events", 403),
        (Method::GET, ALICE, "/admin/v1/servers/mock/stderr", 403),
        (Method::GET, CAROL, list, 401),
        (Method::GET, "nobody-s-token-012345", list, 401),
    ] {
        let (status, answer) = ask(&guarded, method.clone(), of(token, path)).await;
        assert_eq!(status, expect, "{method} {path}: {answer}");
    }
    let in_mode = |mode| Caller {
        header: Some(mode),
        ..of(ALICE, list)
    };
    for (mode, expect) in [("some", 200), ("tools", 403), ("all", 403), ("none", 403)] {
        let (status, answer) = ask(&guarded, Method::GET, in_mode(mode)).await;
        assert_eq!(status, expect, "{mode}: {answer}");
    }
    assert_eq!(
        guarded.gateway.order(Method::GET, "sessions").await,
        StatusCode::OK,
        "the admin token"
    );
}

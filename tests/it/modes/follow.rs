//! A configuration that changes while the gateway runs: modes, principals and routes follow it together with the plugins.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::{ALICE, BOB, BOTH, Caller, gateway, initialize};
use crate::support::{Guarded, eventually, within};

const NEW: &str = "/modes/new/mcp/mock";
const MODE: &str = "[modes.new]\nallowed-servers = [\"mock\"]\nallowed-capabilities = [\"tools\"]\ntools = { allow = [\"count\"] }\n";

/// Gives alice one mode more.
fn with_new(text: &str) -> String {
    let text = text.replacen(
        "modes = [\"chat\", \"code\"]",
        "modes = [\"chat\", \"code\", \"new\"]",
        1,
    );
    format!("{text}{MODE}")
}

/// Looks at the status of the gateway until it is as wanted.
async fn status(guarded: &Guarded, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let status = guarded.gateway.admin("status").await["configuration"].clone();
            if is_wanted(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    within("the status", look).await
}

/// Opens sessions until that has the wanted end; returns the last one.
async fn opens(guarded: &Guarded, caller: Caller<'_>, wanted: u16) -> String {
    let look = async {
        loop {
            let (found, session) = match caller.open(&guarded.gateway).await {
                Ok(session) => (200, session),
                Err((status, _)) => (status.as_u16(), String::new()),
            };
            if found == wanted {
                return session;
            }
        }
    };
    within("a session", look).await
}

/// Returns the names of the tools that a request without a session sees, or the status of its refusal.
async fn tools(guarded: &Guarded, caller: Caller<'_>) -> Result<Vec<String>, (StatusCode, Value)> {
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let accept = [("accept", "application/json")];
    let (answer, _connection) = caller.send(&guarded.gateway, Method::POST, &accept, &list).await;
    let status = answer.status();
    let answer = answer.json().await;
    match answer["result"]["tools"].as_array() {
        Some(tools) => Ok(tools.iter().map(|tool| tool["name"].to_string()).collect()),
        None => Err((status, answer)),
    }
}

#[tokio::test]
async fn a_mode_that_is_added_can_be_chosen_and_one_that_is_removed_cannot() {
    let guarded = gateway("default-mode = \"chat\"", "");
    let alice = Caller::new(ALICE, NEW);
    opens(&guarded, alice, 404).await;
    guarded.rewrite(with_new);
    let session = opens(&guarded, alice, 200).await;
    assert_eq!(tools(&guarded, alice).await, Ok(vec!["\"count\"".to_owned()]));
    assert_eq!(
        tools(
            &guarded,
            Caller {
                token: Some(BOB),
                ..alice
            }
        )
        .await
        .map_err(|(status, _)| status),
        Err(StatusCode::FORBIDDEN)
    );
    let headers = [
        ("accept", "text/event-stream"),
        ("mcp-session-id", session.as_str()),
    ];
    let (stream, _connection) = alice
        .send(&guarded.gateway, Method::GET, &headers, &json!({}))
        .await;
    assert_eq!(stream.status(), StatusCode::OK);
    guarded.rewrite(|text| {
        text.replace(MODE, "").replacen(
            "modes = [\"chat\", \"code\", \"new\"]",
            "modes = [\"chat\", \"code\"]",
            1,
        )
    });
    opens(&guarded, alice, 404).await;
    // Whoever was in it is put out, its open stream too.
    let mut events = stream.events();
    within("the end of the stream", async {
        while events.next().await.is_some() {}
    })
    .await;
}

#[tokio::test]
async fn principals_and_what_they_may_choose_follow_at_once() {
    let guarded = gateway("", "");
    let plain = |token| Caller::new(token, "/mcp/mock");
    opens(&guarded, plain(BOB), 403).await;
    let code = Caller::new(ALICE, "/modes/code/mcp/mock");
    let session = opens(&guarded, code, 200).await;
    let token = "another-token-01234567";
    guarded.rewrite(|text| {
        let text = text.replace(ALICE, token);
        let bob = format!("token = \"{BOB}\"\nmodes = [\"chat\", \"code\"]\n");
        assert!(text.contains(&bob));
        let text = text.replace(&bob, &format!("{bob}mode = \"code\"\n"));
        format!("default-mode = \"chat\"\n{text}[anonymous]\nmodes = [\"chat\"]\n")
            .replace("[http]\n", "[http]\nmode-header = true\n")
    });
    opens(&guarded, plain(BOB), 200).await;
    opens(&guarded, plain(ALICE), 401).await;
    opens(&guarded, plain(token), 200).await;
    let nobody = Caller {
        token: None,
        path: "/mcp/mock",
        header: None,
    };
    opens(&guarded, nobody, 200).await;
    opens(
        &guarded,
        Caller {
            header: Some("code"),
            ..plain(token)
        },
        200,
    )
    .await;
    // The session is the same principal's, by whatever token.
    let statuses = Caller {
        token: Some(token),
        ..code
    }
    .use_session(&guarded.gateway, &session)
    .await;
    assert_eq!(statuses, [StatusCode::OK, StatusCode::OK, StatusCode::NO_CONTENT]);
}

#[tokio::test]
async fn routes_follow() {
    let guarded = gateway("default-mode = \"chat\"", "");
    let both = Caller {
        token: None,
        path: "/mcp/both",
        header: None,
    };
    opens(&guarded, both, 404).await;
    guarded.rewrite(|text| format!("{text}[routes.both]\nservers = [\"mock\"]\n"));
    let session = opens(&guarded, both, 200).await;
    guarded.rewrite(|text| text.replace("[routes.both]\nservers = [\"mock\"]\n", ""));
    opens(&guarded, both, 404).await;
    let headers = [("accept", BOTH), ("mcp-session-id", session.as_str())];
    let (answer, _connection) = both
        .send(&guarded.gateway, Method::POST, &headers, &initialize())
        .await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_wrong_changes_nothing_and_is_said() {
    let guarded = gateway("default-mode = \"chat\"", "");
    let is_wrong = |status: &Value| status["problems"] != json!([]);
    let alice = Caller::new(ALICE, NEW);
    for (wrong, problem) in [
        // No configuration at all.
        (
            "[modes.new]\nallowed-servers = [\n",
            "the configuration is not valid",
        ),
        // One that the plugin refuses that has to judge by it.
        (
            "[modes.new]\nallowed-serverz = []\nallowed-capabilities = []\n",
            "modes.new",
        ),
        // One that names a plugin that there is not.
        (
            "[modes.new]\nallowed-servers = []\nallowed-capabilities = []\n[[plugins]]\nname = \"absent\"\n",
            "plugins.absent",
        ),
    ] {
        guarded.rewrite(|text| {
            let text = text.replacen(
                "modes = [\"chat\", \"code\"]",
                "modes = [\"chat\", \"code\", \"new\"]",
                1,
            );
            format!("{text}{wrong}")
        });
        let found = status(&guarded, is_wrong).await;
        assert!(found["problems"].to_string().contains(problem), "{found}");
        opens(&guarded, alice, 404).await;
        opens(&guarded, Caller::new(ALICE, "/mcp/mock"), 200).await;
        guarded.rewrite(|text| {
            text.replace(wrong, "").replacen(
                "modes = [\"chat\", \"code\", \"new\"]",
                "modes = [\"chat\", \"code\"]",
                1,
            )
        });
        status(&guarded, |status| !is_wrong(status)).await;
    }
    let output = guarded.gateway.output();
    assert!(output.contains("everything stays as it was"), "{output}");
}

#[tokio::test]
async fn what_needs_a_restart_is_named() {
    let guarded = gateway("default-mode = \"chat\"", "");
    assert_eq!(
        guarded.gateway.admin("status").await["configuration"],
        json!({ "problems": [], "needsRestart": [] })
    );
    guarded.rewrite(|text| {
        let text = text.replace("[http]\n", "[http]\nbody-max = \"1MiB\"\nmode-header = true\n");
        let text = text.replace("sharing = \"shared\"", "sharing = \"session\"");
        format!("{text}[servers.other]\ncommand = \"x\"\n")
    });
    let needs = json!(["http.body-max", "servers.mock", "servers.other"]);
    status(&guarded, |status| status["needsRestart"] == needs).await;
    // The line comes after what the status says.
    let is_named = |line: &str| {
        line.contains("after a restart only") && line.contains("http.body-max, servers.mock, servers.other")
    };
    let named = |output: &String| output.lines().any(is_named);
    eventually("the line that names them", || guarded.gateway.output(), named).await;
    guarded.rewrite(|text| {
        let text = text
            .replace("body-max = \"1MiB\"\n", "")
            .replace("sharing = \"session\"", "sharing = \"shared\"");
        text.replace("[servers.other]\ncommand = \"x\"\n", "")
    });
    status(&guarded, |status| status["needsRestart"] == json!([])).await;
}

/// Whoever asks while the mode comes and goes is told that there is none, or sees exactly what it allows.
#[tokio::test]
async fn no_mode_is_chosen_that_those_who_judge_do_not_know() {
    let guarded = gateway("default-mode = \"chat\"", "");
    let alice = Caller::new(ALICE, NEW);
    for _ in 0..10 {
        guarded.rewrite(with_new);
        let seen = within("the mode", async {
            loop {
                match tools(&guarded, alice).await {
                    Ok(seen) => return seen,
                    Err((status, answer)) => assert_eq!(status, StatusCode::NOT_FOUND, "{answer}"),
                }
            }
        });
        assert_eq!(seen.await, ["\"count\""]);
        guarded.rewrite(|text| {
            text.replace(MODE, "").replacen(
                "modes = [\"chat\", \"code\", \"new\"]",
                "modes = [\"chat\", \"code\"]",
                1,
            )
        });
        within("its end", async {
            loop {
                match tools(&guarded, alice).await {
                    Ok(seen) => assert_eq!(seen, ["\"count\""]),
                    Err((StatusCode::NOT_FOUND, _)) => return,
                    // The plugins have heard of it first.
                    Err((status, answer)) => {
                        assert_eq!(
                            (status, &answer["error"]["code"]),
                            (StatusCode::OK, &json!(-32000)),
                            "{answer}"
                        );
                    }
                }
            }
        })
        .await;
    }
}

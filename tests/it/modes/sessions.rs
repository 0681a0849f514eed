//! A session keeps its mode: in another one it is unknown.

use http::{Method, StatusCode};
use serde_json::json;

use super::caller::{ALICE, BOB, Caller, gateway, initialize};
use crate::support::within;

const UNKNOWN: [StatusCode; 3] = [StatusCode::NOT_FOUND; 3];
const KNOWN: [StatusCode; 3] = [StatusCode::OK, StatusCode::OK, StatusCode::NO_CONTENT];

#[tokio::test]
async fn a_session_is_unknown_in_another_mode() {
    let guarded = gateway("", "mode-header = true");
    let gateway = &guarded.gateway;
    let [plain, chat, code] =
        ["/mcp/mock", "/modes/chat/mcp/mock", "/modes/code/mcp/mock"].map(|path| Caller::new(ALICE, path));
    let code_by_header = Caller {
        header: Some("code"),
        ..plain
    };
    for (opens, others, same) in [
        (code, [plain, chat], code_by_header),
        (code_by_header, [plain, chat], code),
        (plain, [code, code_by_header], chat),
        (chat, [code, code_by_header], plain),
    ] {
        let session = opens.open(gateway).await.expect("it opens");
        for other in others {
            let statuses = other.use_session(gateway, &session).await;
            assert_eq!(statuses, UNKNOWN, "{opens:?} {other:?}");
        }
        let bob = Caller {
            token: Some(BOB),
            ..opens
        };
        let refused = bob.use_session(gateway, &session).await;
        assert!(!refused.contains(&StatusCode::OK), "{refused:?}");
        let statuses = same.use_session(gateway, &session).await;
        assert_eq!(
            statuses, KNOWN,
            "{opens:?} {same:?}: the mode counts, not the way to it"
        );
    }
}

#[tokio::test]
async fn the_endpoint_event_leads_back_into_the_mode_that_was_chosen() {
    let guarded = gateway("", "mode-header = true");
    let gateway = &guarded.gateway;
    for (path, header, prefix) in [
        ("/mcp/mock", None, "/mcp/mock?sessionId="),
        ("/mcp/mock", Some("code"), "/modes/code/mcp/mock?sessionId="),
        ("/modes/code/mcp/mock", None, "/modes/code/mcp/mock?sessionId="),
        ("/modes/chat/mcp/mock", None, "/modes/chat/mcp/mock?sessionId="),
    ] {
        let caller = Caller {
            header,
            ..Caller::new(ALICE, path)
        };
        let (endpoint, mut events, _connection) = caller.listen(gateway).await;
        assert!(endpoint.starts_with(prefix), "{endpoint}");
        let poster = Caller::new(ALICE, &endpoint);
        let (answer, _posting) = poster.send(gateway, Method::POST, &[], &initialize()).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{endpoint}");
        let event = within("the answer", events.next()).await.expect("an event");
        assert_eq!(event.json()["id"], json!(0));
        let other = endpoint
            .replace("/modes/code/", "/modes/chat/")
            .replace("/modes/chat/mcp", "/mcp");
        let moved = Caller::new(ALICE, &other);
        let (answer, _posting) = moved.send(gateway, Method::POST, &[], &initialize()).await;
        let is_same = !prefix.contains("code");
        let expect = if is_same {
            StatusCode::ACCEPTED
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(answer.status(), expect, "{other}");
    }
}

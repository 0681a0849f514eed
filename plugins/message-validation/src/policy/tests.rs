//! Whole messages.

use serde_json::Value as Json;

use super::*;

/// A message, and what the gateway's validator says of it.
struct Text<'a>(&'a str, Result<(), Vec<String>>);

impl Text<'_> {
    fn at(&self, pointer: &str) -> Option<Json> {
        let whole: Json = serde_json::from_str(self.0).expect("JSON");
        whole.pointer(pointer).cloned()
    }
}

impl Message for Text<'_> {
    fn get_many(&self, pointers: &[&str]) -> Vec<Option<Value>> {
        let get = |pointer: &&str| config::read(&self.at(pointer)?.to_string()).ok();
        pointers.iter().map(get).collect()
    }

    fn json(&self, pointer: &str) -> Option<String> {
        let value = self.at(pointer)?;
        (value.is_object() || value.is_array()).then(|| value.to_string())
    }

    fn text(&self) -> Result<String, String> {
        Ok(self.0.to_owned())
    }

    fn validate_arguments(&self) -> Result<(), Vec<String>> {
        self.1.clone()
    }
}

fn call(kind: Kind, method: &str) -> Circumstances<'_> {
    Circumstances {
        kind,
        method,
        target: Some("read"),
        server: Some("files"),
        mode: Some("chat"),
        size: 100,
    }
}

fn judge(config: &str, call: &Circumstances, text: &str) -> Result<Decision, Refusal> {
    let policy = Policy::new(config).unwrap_or_else(|error| panic!("{config}: {error}"));
    policy.judge(call, &Text(text, Ok(())))
}

fn judge_call(config: &str, arguments: &str) -> Result<Decision, Refusal> {
    let text = format!(r#"{{"params":{{"name":"read","arguments":{arguments}}}}}"#);
    judge(config, &call(Kind::FromClient, "tools/call"), &text)
}

#[test]
fn without_rules_everything_passes() {
    for kind in [
        Kind::FromClient,
        Kind::FromServer,
        Kind::Result,
        Kind::Error,
        Kind::ClientAnswer,
    ] {
        assert_eq!(judge("{}", &call(kind, "any/thing"), "{}"), Ok(Decision::Pass));
    }
}

#[test]
fn sizes_are_limited_each_way() {
    let config = r#"{"max-size": 99, "max-result-size": 100}"#;
    let refused = judge(config, &call(Kind::FromClient, "x"), "{}").expect_err("too long");
    assert_eq!(refused.code, INVALID_REQUEST);
    assert_eq!(refused.message, "the message has more than 99 bytes");
    assert!(judge(config, &call(Kind::ClientAnswer, "x"), "{}").is_err());
    assert!(judge(config, &call(Kind::Result, "x"), "{}").is_ok());
    assert!(judge(r#"{"max-result-size": 99}"#, &call(Kind::Error, "x"), "{}").is_err());
}

#[test]
fn depth_is_limited() {
    let deep = r#"{"params":{"a":[[1]]}}"#;
    let call = call(Kind::FromClient, "x");
    assert!(judge(r#"{"max-depth": 4}"#, &call, deep).is_ok());
    assert_eq!(
        judge(r#"{"max-depth": 3}"#, &call, deep)
            .expect_err("too deep")
            .code,
        INVALID_REQUEST
    );
}

#[test]
fn methods_are_allowed_by_name_both_ways() {
    let config = r#"{"allowed-methods": ["ping", "tools/*"], "denied-methods": ["*/list"]}"#;
    for (method, is_allowed) in [
        ("ping", true),
        ("tools/call", true),
        ("tools/list", false),
        ("roots/x", false),
    ] {
        for kind in [Kind::FromClient, Kind::FromServer] {
            assert_eq!(
                judge(config, &call(kind, method), "{}").is_ok(),
                is_allowed,
                "{method}"
            );
        }
        // An answer was allowed with its request.
        assert!(
            judge(config, &call(Kind::Result, method), "{}").is_ok(),
            "{method}"
        );
    }
}

#[test]
fn required_params_and_rules_are_read_together_and_not_mixed_up() {
    let config = r#"{"require-params": true, "arguments": [
        {"pointer": "/a", "pattern": "^a$", "required": true}, {"pointer": "/b", "max": 2}]}"#;
    assert!(judge_call(config, r#"{"a":"a","b":2}"#).is_ok());
    assert!(judge_call(config, r#"{"a":"a"}"#).is_ok());
    for (arguments, pointer) in [
        (r#"{"b":1}"#, "/params/arguments/a"),
        (r#"{"a":"b"}"#, "/params/arguments/a"),
        (r#"{"a":"a","b":3}"#, "/params/arguments/b"),
    ] {
        let refused = judge_call(config, arguments).expect_err(arguments);
        assert_eq!(refused.code, INVALID_PARAMS);
        assert_eq!(refused.pointer.as_deref(), Some(pointer));
    }
    let nameless = judge(
        config,
        &call(Kind::FromClient, "tools/call"),
        r#"{"params":{"arguments":{"a":"a"}}}"#,
    );
    assert_eq!(
        nameless.expect_err("no name").pointer.as_deref(),
        Some("/params/name")
    );
}

#[test]
fn a_refusal_says_what_is_wrong_in_the_operators_words_if_there_are_any() {
    let own = judge_call(r#"{"arguments":[{"pointer":"/a","max":2}]}"#, r#"{"a":3}"#).expect_err("too much");
    assert_eq!(own.message, "the argument /a is more than 2");
    let theirs = r#"{"arguments":[{"pointer":"/a","max":2,"message":"two at most"}]}"#;
    let theirs = judge_call(theirs, r#"{"a":3}"#).expect_err("too much");
    assert_eq!(
        (theirs.message.as_str(), theirs.reason.as_str()),
        ("two at most", "/params/arguments/a is more than 2")
    );
}

#[test]
fn a_wide_pointer_judges_everything_that_it_stands_for() {
    let paths = r#"{"arguments":[{"pointer":"/paths/*","deny":["*../*"],"required":true}]}"#;
    assert!(judge_call(paths, r#"{"paths":["a","b"]}"#).is_ok());
    let refused = judge_call(paths, r#"{"paths":["a","../b"]}"#).expect_err("a way up");
    assert_eq!(refused.pointer.as_deref(), Some("/params/arguments/paths/1"));
    for arguments in [
        r#"{"paths":[["../b"]]}"#,
        r#"{"paths":[]}"#,
        "{}",
        r#"{"paths":"../b"}"#,
    ] {
        assert!(judge_call(paths, arguments).is_err(), "{arguments}");
    }
    let anywhere = r#"{"arguments":[{"pointer":"/**","deny-pattern":"\\.\\./"}]}"#;
    assert!(judge_call(anywhere, r#"{"a":[1,{"b":"x"}]}"#).is_ok());
    assert!(judge_call(anywhere, r#"{"a":[1,{"b":"x/../y"}]}"#).is_err());
}

#[test]
fn arguments_are_validated_where_this_is_wanted() {
    let wrong = Text(
        "{}",
        Err(vec!["/a is no number".to_owned(), "/b is missing".to_owned()]),
    );
    let judge = |config, method| {
        let policy = Policy::new(config).expect("a configuration");
        policy.judge(&call(Kind::FromClient, method), &wrong)
    };
    let refused = judge(r#"{"validate-arguments": true}"#, "tools/call").expect_err("wrong arguments");
    assert_eq!(refused.message, "/a is no number; /b is missing");
    assert!(judge(r#"{"validate-arguments": true}"#, "prompts/get").is_ok());
    assert!(judge("{}", "tools/call").is_ok());
}

#[test]
fn what_servers_say_is_redacted_wherever_it_is() {
    let config = r#"{"redact": [{"pattern": "secret", "with": "***", "server": "files"}]}"#;
    for (kind, text, pointer) in [
        (Kind::Result, r#"{"result":{"a":["a secret"]}}"#, "/result/a/0"),
        (
            Kind::Error,
            r#"{"error":{"message":"a secret"}}"#,
            "/error/message",
        ),
        (
            Kind::FromServer,
            r#"{"params":{"data":"a secret"}}"#,
            "/params/data",
        ),
    ] {
        let expected = Change {
            pointer: pointer.to_owned(),
            json: r#""a ***""#.to_owned(),
        };
        assert_eq!(
            judge(config, &call(kind, "tools/call"), text),
            Ok(Decision::Edit(vec![expected]))
        );
        let elsewhere = Circumstances {
            server: Some("other"),
            ..call(kind, "tools/call")
        };
        assert_eq!(judge(config, &elsewhere, text), Ok(Decision::Pass));
    }
    let from_client = judge(
        config,
        &call(Kind::FromClient, "x"),
        r#"{"params":{"data":"a secret"}}"#,
    );
    assert_eq!(from_client, Ok(Decision::Pass));
}

#[test]
fn a_wrong_configuration_is_named() {
    for (config, named) in [
        (r#"{"max-sise": 1}"#, "max-sise"),
        (r#"{"redact": [{"pattern": "["}]}"#, "regular expression"),
        ("1", "must be an object"),
    ] {
        assert!(Policy::new(config).expect_err(config).contains(named), "{config}");
    }
}

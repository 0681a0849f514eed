//! One rule and one value at a time.

use super::*;
use crate::message::Kind;

fn rule(json: &str) -> ArgumentRule {
    config::read(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn value(json: &str) -> Value {
    config::read(json).expect("JSON")
}

fn call<'a>(method: &'a str, target: &'a str) -> Circumstances<'a> {
    Circumstances {
        kind: Kind::FromClient,
        method,
        target: Some(target),
        server: Some("files"),
        mode: Some("chat"),
        size: 100,
    }
}

#[test]
fn values_keep_to_their_rules() {
    for (rules, fits, fits_not) in [
        (r#""pattern":"^[a-z]+$""#, r#""abc""#, r#""abC""#),
        (r#""pattern":"^[a-z]+$""#, r#""abc""#, r#"["abc"]"#),
        (r#""pattern":"b""#, r#""abc""#, "null"),
        (
            r#""deny-pattern":"(?i)drop\\s+table""#,
            r#""select""#,
            r#""DROP  TABLE x""#,
        ),
        (r#""max-length":3"#, r#""äöü""#, r#""abcd""#),
        (r#""max-length":0"#, r#""""#, r#""a""#),
        (r#""min":1,"max":10"#, "10", "10.5"),
        (r#""min":1,"max":10"#, "1.0", "0"),
        (r#""max":10"#, "-5", r#""5""#),
        (r#""max":10"#, "1e1", "1e999"),
        (r#""one-of":["a",1,false]"#, "false", r#""false""#),
        (r#""one-of":["a",1,false]"#, "1.0", "true"),
        (r#""deny":["*../*",true]"#, r#""a/b""#, r#""a/../b""#),
        (r#""deny":["*../*",true]"#, "false", "true"),
        (r#""deny":["x"]"#, r#""y""#, r#"{"x":"x"}"#),
    ] {
        let rule = rule(&format!(r#"{{"pointer":"/x",{rules}}}"#));
        assert_eq!(rule.problem(&value(fits)), None, "{rules} {fits}");
        assert!(rule.problem(&value(fits_not)).is_some(), "{rules} {fits_not}");
    }
    assert_eq!(
        rule(r#"{"pointer":"/x","required":true}"#).problem(&value("[1]")),
        None
    );
}

#[test]
fn a_rule_is_for_whom_it_says() {
    for (whom, fits, fits_not) in [
        (
            r#""tool":"read_*""#,
            call("tools/call", "read_a"),
            call("tools/call", "write_a"),
        ),
        (r#""tool":"*""#, call("tools/call", "x"), call("prompts/get", "x")),
        (
            r#""prompt":"x""#,
            call("prompts/get", "x"),
            call("tools/call", "x"),
        ),
        (
            r#""server":"files""#,
            call("tools/call", "x"),
            call("resources/read", "x"),
        ),
        (
            r#""mode":"chat""#,
            call("tools/call", "x"),
            Circumstances {
                mode: None,
                ..call("tools/call", "x")
            },
        ),
    ] {
        let rule = rule(&format!(r#"{{"pointer":"/x",{whom}}}"#));
        assert!(rule.applies(&fits), "{whom}");
        assert!(!rule.applies(&fits_not), "{whom}");
    }
    let undecided = Circumstances {
        server: None,
        ..call("tools/call", "x")
    };
    let rule = rule(r#"{"pointer":"/x","server":"files"}"#);
    assert!(rule.applies(&undecided), "a route could lead there");
}

#[test]
fn a_wrong_rule_is_named() {
    for (json, named) in [
        (r#"{"tool":"x"}"#, "pointer"),
        (r#"{"pointer":"x"}"#, "pointer"),
        (r#"{"pointer":"/x","pattern":"("}"#, "regular expression"),
        (r#"{"pointer":"/x","maximum":1}"#, "maximum"),
    ] {
        let error = config::read::<ArgumentRule>(json).expect_err(json);
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn limits_are_told_as_they_were_written() {
    for (limit, text) in [
        ("0", "0"),
        ("-7", "-7"),
        ("100.0", "100"),
        ("0.5", "0.5"),
        ("-2.05", "-2.05"),
        ("1e3", "1000"),
        ("0.000001", "0.000001"),
        ("1.9999999", "2"),
    ] {
        let limit: Limit = config::read(limit).expect("a number");
        assert_eq!(limit.to_string(), text);
    }
}

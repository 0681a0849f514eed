//! What is JSON and what is not, against what the RFC says.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::config::Value;

fn read(text: &str) -> Result<Value, String> {
    Value::parse(text)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_string())
}

#[test]
fn tokens_come_one_after_the_other() {
    let mut reader = Reader::new(r#" {"a": [1, {}], "b": null} "#);
    let mut tokens = Vec::new();
    tokens.push(reader.token());
    assert_eq!(reader.next_key(), Ok(Some("a".to_string())));
    tokens.push(reader.token());
    assert_eq!(reader.next_element(), Ok(true));
    tokens.push(reader.token());
    assert_eq!(reader.next_element(), Ok(true));
    tokens.push(reader.token());
    assert_eq!(reader.next_key(), Ok(None));
    assert_eq!(reader.next_element(), Ok(false));
    assert_eq!(reader.next_key(), Ok(Some("b".to_string())));
    tokens.push(reader.token());
    assert_eq!(reader.next_key(), Ok(None));
    assert_eq!(reader.end(), Ok(()));
    let expected = [
        Token::Object,
        Token::List,
        Token::Number(1.0),
        Token::Object,
        Token::Null,
    ];
    assert_eq!(tokens, expected.map(Ok));
}

#[test]
fn strings_are_read_as_they_are_meant() {
    for (json, meant) in [
        (r#""""#, ""),
        (r#""é漢😀""#, "é漢😀"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u6F22""#, "Aé漢"),
        (r#""\ud83d\ude00x""#, "😀x"),
        (r#""a\u0000b""#, "a\0b"),
    ] {
        assert_eq!(read(json), Ok(text(meant)), "{json}");
    }
}

#[test]
fn values_may_stand_anywhere() {
    for json in [
        "null",
        " true ",
        "false",
        "-1.5e3",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[[],[[]]]",
        r#"{"a":{},"a":[1 , 2]}"#,
        "\t[\r\n1]\n",
    ] {
        assert!(read(json).is_ok(), "{json}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_the_place() {
    for json in [
        "",
        " ",
        "nul",
        "nullx",
        "True",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "{",
        "{]",
        "[}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "{1:1}",
        r#"{"a":1 "b":2}"#,
        "01",
        "1.",
        "-",
        "+1",
        "'a'",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u\u{e9}\u{e9}\"",
        "\"\n\"",
        "\u{feff}1",
        "\u{a0}1",
        "1 x",
    ] {
        let error = read(json).expect_err(json);
        assert!(error.starts_with("no JSON at byte "), "{error}");
    }
    assert_eq!(
        read(r#"{"a": [1, 2 3]}"#),
        Err("no JSON at byte 12: expected a comma or ]".to_string())
    );
}

#[test]
fn depth_has_a_limit() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(read(&nested(128)).is_ok());
    assert!(read(&nested(129)).is_err());
    assert!(
        read(&alloc::format!("[{}]", "[],".repeat(200) + "1")).is_ok(),
        "wide is not deep"
    );
}

/// No cut through a text, and no byte less, makes it panic.
#[test]
fn pieces_are_no_danger() {
    let json = r#"{"é\u00e9":[1.5e3,true,null,"\ud83d\ude00"],"x":{"":-0}}"#;
    assert!(read(json).is_ok());
    for from in 0..json.len() {
        for to in from..json.len() {
            if let Some(piece) = json.get(from..to) {
                let _ = read(piece);
            }
        }
    }
}

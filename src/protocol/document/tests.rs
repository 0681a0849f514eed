//! Held against a tree.

use serde_json::Value;

use super::*;

fn check_against_a_tree(text: &str, pointers: &[&str]) {
    let tree: Value = serde_json::from_str(text).expect("JSON");
    let document = Document::new(Bytes::copy_from_slice(text.as_bytes()));
    for pointer in pointers {
        let span = document.at(pointer).expect("unique keys");
        let found = span.map(|span| serde_json::from_str::<Value>(document.text(span)).expect("a value"));
        assert_eq!(found.as_ref(), tree.pointer(pointer), "{pointer} in {text}");
    }
}

#[test]
fn finds_what_a_tree_finds() {
    let text = r#" { "a" : [ 1 , "x,]}\"\\" , { "b" : null , "~/" : [ ] } , -0.5e3 ] , "é\u0041" : {"":true} , "n":12} "#;
    let pointers = [
        "",
        "/a",
        "/a/0",
        "/a/1",
        "/a/2",
        "/a/2/b",
        "/a/2/~0~1",
        "/a/3",
        "/a/4",
        "/a/00",
        "/a/-",
        "/éA",
        "/éA/",
        "/n",
        "/n/x",
        "/missing",
        "a",
        "/~2",
        "/a/2/b/c",
        "/a/+1",
    ];
    check_against_a_tree(text, &pointers);
    check_against_a_tree("[]", &["", "/0", "/"]);
    check_against_a_tree("7", &["", "/0"]);
}

#[test]
fn finds_members_of_long_objects_and_arrays() {
    let members: Vec<_> = (0..200)
        .map(|n| format!(r#""k{n}":{{"v":[{n},"{n}"]}}"#))
        .collect();
    let text = format!("{{{}}}", members.join(","));
    check_against_a_tree(&text, &["/k0/v/0", "/k199/v/1", "/k200", "/k17/v"]);
}

#[test]
fn finds_members_of_an_object_and_of_nothing_else() {
    let document = Document::new(r#"{"a":{"b":1},"c":["d"]}"#.into());
    let member = |pointer, key| {
        let place = document.at(pointer).expect("unique keys").expect("a value");
        let value = document.member(&place, key).expect("unique keys");
        value.map(|span| document.text(span).to_owned())
    };
    assert_eq!(member("/a", "b").as_deref(), Some("1"));
    assert_eq!(member("/a", "c"), None);
    assert_eq!(member("/c", "0"), None);
    assert_eq!(member("/a/b", "b"), None);
}

#[test]
fn finds_what_stands_behind_strings_of_any_length() {
    for length in 0..40 {
        let text = "x".repeat(length);
        let text = format!(r#"{{"a":"{text}\"{text}\\","b":[{{"{text}\\":"{text}"}},[],1],"c":"{text}"}}"#);
        check_against_a_tree(&text, &["/a", "/b/0", "/b/1", "/b/2", "/c"]);
    }
}

#[test]
fn finds_what_was_noted_on_the_way_and_what_was_too_large_for_it() {
    let members = |count: usize| {
        let members: Vec<_> = (0..count)
            .map(|n| format!(r#""k{n}":{{"v":[{{"w":{n}}}]}}"#))
            .collect();
        format!("{{{}}}", members.join(","))
    };
    for count in [0, 1, KEYS_COMPARED - 1, KEYS_COMPARED, 40] {
        let text = format!(
            r#"{{"a":{0},"b":{{"a":{0},"c":1}},"d":[{0}],"e":2}}"#,
            members(count)
        );
        let last = format!("/b/a/k{}/v/0/w", count.saturating_sub(1));
        check_against_a_tree(&text, &["/e", "/a/k0/v/0/w", &last, "/b/c", "/d/0/k0/v", "/b/a"]);
    }
}

#[test]
fn a_key_that_stands_twice_is_no_guess() {
    let many: Vec<_> = (0..20).map(|n| format!(r#""k{n}":1"#)).collect();
    for text in [
        r#"{"a":1,"a":2}"#.to_owned(),
        r#"{"x":1,"\u0061":1,"a":2}"#.to_owned(),
        format!(r#"{{{},"k7":2}}"#, many.join(",")),
    ] {
        let document = Document::new(text.into());
        assert_eq!(document.at("/a"), Err(Ambiguous { at: 0 }));
    }
    let document = Document::new(r#"{"a":{"b":1,"b":2},"c":3}"#.into());
    assert_eq!(
        document.at("/c").map(|span| span.is_some()),
        Ok(true),
        "read past, not through"
    );
    assert_eq!(document.at("/a/b"), Err(Ambiguous { at: 5 }));
}

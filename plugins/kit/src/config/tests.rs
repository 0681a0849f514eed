//! Types like those of the policies, and what is said of those that are wrong.

use alloc::vec;

use super::*;
use crate::Globs;

#[derive(Debug, Default, PartialEq)]
struct Fence {
    names: Globs,
    height: Option<u32>,
    is_open: bool,
    gates: Named<Gate>,
    posts: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Gate {
    Wide,
    Narrow,
}

impl Configured for Fence {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                names: members.required("names")?,
                height: members.optional("height"),
                is_open: members.or_default("open"),
                gates: members.or_default("gates"),
                posts: members.or_default("posts"),
            })
        })
    }
}

impl Configured for Gate {
    fn read(value: Value) -> Result<Self, Fault> {
        value.choice(&[("wide", Self::Wide), ("narrow", Self::Narrow)])
    }
}

#[test]
fn a_configuration_is_read_whatever_its_order() {
    let json = r#"{"posts":[1,2.5],"gates":{"n":"narrow","w":"wide"},"open":true,"names":["a*"],"height":7}"#;
    let fence: Fence = read(json).expect("a configuration");
    assert!(fence.names.matches("ab") && fence.is_open);
    assert_eq!((fence.height, fence.posts), (Some(7), vec![1.0, 2.5]));
    assert_eq!(fence.gates.get("n"), Some(&Gate::Narrow));
    assert_eq!(fence.gates.get("x"), None);
    assert_eq!(fence.gates.iter().count(), 2);
}

#[test]
fn what_is_optional_may_be_absent_or_null() {
    for json in [
        r#"{"names":[]}"#,
        r#"{"names":[],"height":null,"open":null,"gates":null,"posts":null}"#,
    ] {
        assert_eq!(read::<Fence>(json), Ok(Fence::default()), "{json}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (json, said) in [
        ("", "no JSON at byte 0: expected a value"),
        ("1", "the configuration must be an object, and is a number"),
        ("{}", "names: missing"),
        (r#"{"names":null}"#, "names: missing"),
        (r#"{"names":"a"}"#, "names: must be a list, and is a string"),
        (
            r#"{"names":["a",1]}"#,
            "names[1]: must be a string, and is a number",
        ),
        (
            r#"{"names":[],"heigth":1}"#,
            "heigth: unknown; there are names, height, open, gates, posts",
        ),
        (r#"{"names":[],"names":[]}"#, "names: stands here twice"),
        (
            r#"{"names":[],"open":"yes"}"#,
            "open: must be true or false, and is a string",
        ),
        (
            r#"{"names":[],"gates":{"the \"big\" one":"huge"}}"#,
            r#"gates."the \"big\" one": "huge" is none of wide, narrow"#,
        ),
        (
            r#"{"names":[],"posts":[1,[]]}"#,
            "posts[1]: must be a number, and is a list",
        ),
    ] {
        assert_eq!(read::<Fence>(json), Err(said.into()), "{json}");
    }
}

#[test]
fn whole_numbers_are_whole_and_fit() {
    for (json, expected) in [
        ("0", Some(0)),
        ("4294967295", Some(u32::MAX)),
        ("5.0", Some(5)),
        ("5.5", None),
        ("-1", None),
        ("4294967296", None),
        ("1e999", None),
    ] {
        assert_eq!(read::<u32>(json).ok(), expected, "{json}");
    }
    assert!(read::<f64>("1e999").is_err());
    let uneven = read::<Fence>(r#"{"names":[],"height":1.5}"#);
    assert_eq!(
        uneven,
        Err("height: must be whole, and from 0 to 4294967295".into())
    );
}

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use std::borrow::Cow;

use super::*;

/// Numbers by chance, the same in each run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("below an usize")
    }

    fn one_of(&mut self, choices: &[&str]) -> String {
        choices[self.below(choices.len())].to_string()
    }

    fn expression(&mut self, depth: usize) -> String {
        let count = 1 + self.below(3);
        let parts: Vec<String> = (0..count).map(|_| self.repeated(depth)).collect();
        parts.join(["", "", "", "|", " "][self.below(5)])
    }

    fn repeated(&mut self, depth: usize) -> String {
        let part = self.part(depth);
        match self.below(3) {
            0 => {
                let times = [
                    "*",
                    "+",
                    "?",
                    "*?",
                    "+?",
                    "??",
                    "{2}",
                    "{1,}",
                    "{,2}",
                    "{0,2}",
                    "{1,3}?",
                    "{0}",
                    "{ 2 , 3 }",
                    "{3,2}",
                    "**",
                    "{2,}+",
                ];
                part + &self.one_of(&times)
            }
            _ => part,
        }
    }

    fn part(&mut self, depth: usize) -> String {
        const GROUPS: &[(&str, &str)] = &[
            ("(", ")"),
            ("(", ")"),
            ("(?:", ")"),
            ("(?i:", ")"),
            ("(?<n>", ")"),
            ("(?P<m_1>", ")"),
            ("(?x: ", " # y\n)"),
            ("(?s-i:", ")"),
            ("(?mU:", ")"),
            ("(?mR:", ")"),
            ("(?i)", ""),
            ("(?m-x)", ""),
            ("(", ""),
        ];
        match self.below(10) {
            0..=3 if depth > 0 => {
                let (open, close) = GROUPS[self.below(GROUPS.len())];
                format!("{open}{}{close}", self.expression(depth - 1))
            }
            0..=4 => self.class(),
            5 => self.one_of(&[
                "^",
                "$",
                r"\A",
                r"\z",
                r"\b",
                r"\B",
                r"\<",
                r"\>",
                r"\b{start}",
                r"\b{end}",
                r"\b{start-half}",
                r"\b{ end-half }",
                r"\b{2}",
                r"\b{no}",
            ]),
            6 => self.one_of(&[
                ".",
                r"\d",
                r"\S",
                r"\w",
                r"\W",
                r"\s",
                r"\D",
                r"\n",
                r"\x41",
                r"\x{e9}",
                r"\u00e9",
                r"\U0001F600",
                r"\-",
                r"\.",
                r"\ ",
                r"\#",
                r"\q",
                r"\1",
                r"\pL",
                r"\x{110000}",
                r"\xg",
                r"\t",
                r"\é",
            ]),
            _ => self.one_of(&[
                "a", "a", "b", "B", "é", "1", "_", "-", "\r", "\n", "]", "😀", "", "z", "#", "}",
            ]),
        }
    }

    fn class(&mut self) -> String {
        let items = [
            "a",
            "b-d",
            "A",
            "A-C",
            "0-9",
            "é",
            "à-ü",
            r"\d",
            r"\W",
            r"\s",
            r"\]",
            "[:alpha:]",
            "[:^digit:]",
            "[:no:]",
            "0-9-",
            " ",
            r"\x61",
            r"\n",
            "^",
            "&",
            "&&",
            "~",
            "z-a",
            r"\b",
            r"a-\d",
            "😀-😂",
            ".",
            "#",
        ];
        let count = 1 + self.below(3);
        let body: String = (0..count).map(|_| self.one_of(&items)).collect();
        let open = self.one_of(&["[", "[", "[", "[^", "[]", "[-", "[^-"]);
        format!("{open}{body}{}", self.one_of(&["]", "]", "]", "]", "-]", ""]))
    }

    fn text(&mut self) -> String {
        let count = self.below(9);
        let letters = [
            "a", "b", "B", "A", "é", "1", "_", "-", "\r", "\n", "]", "😀", " ", "z", ".", "#", "c",
        ];
        (0..count).map(|_| self.one_of(&letters)).collect()
    }
}

/// In classes with a range over both cases, `regex-lite` forgets one of them.
#[test]
fn answers_as_regex_lite_does() {
    const TEMPLATES: &[&str] = &[
        "",
        "x",
        "[$0]",
        "<$1>",
        "${1}a$2",
        "$1a",
        "$n-${m_1}",
        "$$1",
        "$",
        "${",
        "$é",
        "${+1}",
        "a$",
    ];
    let mut chance = Chance(1);
    let (mut read, mut refused) = (0_u32, 0_u32);
    for _ in 0..8_000 {
        let expression = chance.expression(3);
        let expected = regex_lite::Regex::new(&expression);
        let regex = Regex::new(&expression);
        let (Ok(expected), Ok(regex)) = (&expected, &regex) else {
            // An escaped letter at the end of a range, where case does not matter.
            let is_stricter = expected.is_err() && expression.contains(r"\x61") && expression.contains("(?i");
            assert!(
                expected.is_err() == regex.is_err() || is_stricter,
                "{expression:?}: {expected:?}, {regex:?}"
            );
            refused += 1;
            continue;
        };
        read += 1;
        for _ in 0..6 {
            let text = chance.text();
            assert_eq!(
                regex.is_match(&text),
                expected.is_match(&text),
                "{expression:?} in {text:?}"
            );
            let with = TEMPLATES[chance.below(TEMPLATES.len())];
            let wanted = match expected.replace_all(&text, with) {
                Cow::Borrowed(_) => None,
                Cow::Owned(text) => Some(text),
            };
            let replaced = regex.replace_all(&text, &regex.template(with));
            assert_eq!(replaced, wanted, "{expression:?} in {text:?} by {with:?}");
        }
    }
    assert!(read > 3_000 && refused > 1_000, "{read} read, {refused} refused");
}

/// What operators write, on what they write it for.
#[test]
fn finds_what_is_meant() {
    for (expression, fits, fits_not) in [
        (r"^/workspace/", "/workspace/x", "/x/workspace/"),
        (r"sk-[A-Za-z0-9]{20,}", "key sk-abcdefghij0123456789!", "sk-short"),
        (r"(?i)\bselect\b.*\bfrom\b", "SELECT a FROM b", "selection from"),
        (r"\b\d{3}-\d{2}-\d{4}\b", "is 123-45-6789.", "0123-45-6789"),
        (r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", "a.b+c@d-e.example.org", "a@b"),
        (
            r"^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$",
            "10.0.255.1",
            "10.0.256.1",
        ),
        ("(?i)[Y-b]", "B", "c"),
        (r"[\]-é]", "😀é", "😀"),
        ("(?m)^b$", "a\nb\nc", "ab"),
    ] {
        let regex = Regex::new(expression).expect("an expression");
        assert!(regex.is_match(fits), "{expression} {fits}");
        assert!(!regex.is_match(fits_not), "{expression} {fits_not}");
    }
}

#[test]
fn a_hostile_expression_takes_time_in_proportion() {
    let regex = Regex::new("(a|a?)*(a*)*(a+)+(a|b|ab)*c").expect("an expression");
    assert!(!regex.is_match(&"a".repeat(50_000)));
}

#[test]
fn what_would_take_too_much_is_refused() {
    for expression in [
        "(a{1000}){1000}",
        "a{4294967295}",
        "(?:){4294967295}",
        "a{1000}{0,999}",
        "a{4294967296}",
    ] {
        assert!(Regex::new(expression).is_err(), "{expression}");
    }
    assert!(Regex::new("a{100000}").is_ok());
    assert!(Regex::new("a{2000}").is_ok_and(|regex| regex.is_match(&"a".repeat(2000))));
    let nested = |depth| "(".repeat(depth) + &")".repeat(depth);
    assert!(Regex::new(&nested(50)).is_ok());
    assert!(Regex::new(&nested(51)).is_err());
    let long: Vec<&str> = ["a{100000}"; 3].into();
    assert!(Regex::new(&long.join("")).is_err());
}

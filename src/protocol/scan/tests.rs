//! The scanner against tables and against serde_json.

use super::*;

const STRICT: ScanOptions = ScanOptions {
    depth_max: 16,
    unique_keys: UniqueKeys::Everywhere,
};

fn at<'a>(text: &'a str, span: Option<&Span>) -> Option<&'a str> {
    span.map(|span| &text[span.clone()])
}

#[test]
fn finds_the_parts_of_a_request() {
    let text = r#" {"jsonrpc" : "2.0", "id":7,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":"p"},
        "arguments":{"name":"inner","progressToken":1}}, "x":[1,{"id":2}]} "#;
    let spans = scan(text.as_bytes(), STRICT).expect("valid");
    assert_eq!(at(text, spans.jsonrpc.as_ref()), Some("\"2.0\""));
    assert_eq!(at(text, spans.id.as_ref()), Some("7"));
    assert_eq!(at(text, spans.name.as_ref()), Some("\"echo\""));
    assert_eq!(at(text, spans.meta_progress_token.as_ref()), Some("\"p\""));
    assert_eq!(spans.progress_token, None);
    assert!(spans.has_line_breaks);
}

#[test]
fn reads_escaped_keys_as_every_reader_does() {
    let text = r#"{"\u0069d":1,"param\u0073":{"n\u0061me":"x"}}"#;
    let spans = scan(text.as_bytes(), STRICT).expect("valid");
    assert_eq!(at(text, spans.id.as_ref()), Some("1"));
    assert_eq!(at(text, spans.name.as_ref()), Some("\"x\""));
}

#[test]
fn refuses_repeated_keys() {
    for text in [
        r#"{"id":1,"id":2}"#,
        r#"{"id":1,"\u0069d":2}"#,
        r#"{"params":{"arguments":{"a":[{"b":1,"b":1}]}}}"#,
        r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"r":1,"s":1,"q":1}"#,
        r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"a":1}"#,
    ] {
        let error = scan(text.as_bytes(), STRICT).expect_err(text);
        assert!(matches!(error, ScanError::DuplicateKey { .. }), "{text}: {error}");
    }
    let many: Vec<String> = (0..500).map(|n| format!("\"k{n}\":{{\"k{n}\":1}}")).collect();
    scan(format!("{{{}}}", many.join(",")).as_bytes(), STRICT)
        .expect("equal keys of different objects are fine");
}

#[test]
fn a_lenient_scan_looks_at_the_envelope_only() {
    let lenient = ScanOptions {
        unique_keys: UniqueKeys::Envelope,
        ..STRICT
    };
    scan(br#"{"result":{"a":1,"a":2}}"#, lenient).expect("inside a result");
    for text in [r#"{"id":1,"id":2}"#, r#"{"params":{"uri":1,"uri":2}}"#] {
        scan(text.as_bytes(), lenient).expect_err(text);
    }
}

#[test]
fn bounds_the_depth() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    scan(nested(15).as_bytes(), STRICT).expect("sixteen levels");
    let error = scan(nested(16).as_bytes(), STRICT).expect_err("seventeen levels");
    assert_eq!(
        error,
        ScanError::Depth {
            at: 20,
            depth_max: 16
        }
    );
}

#[test]
fn splits_arrays() {
    let text = br#" [ {"id":1} , 2, "x" ] "#;
    let spans = scan_array(text, STRICT, 9).expect("valid").expect("an array");
    let parts: Vec<&[u8]> = spans.into_iter().map(|span| &text[span]).collect();
    assert_eq!(parts, [&b"{\"id\":1}"[..], b"2", b"\"x\""]);
    assert_eq!(scan_array(b"{}", STRICT, 9), Ok(None));
    assert_eq!(scan_array(b"[]", STRICT, 9), Ok(Some(vec![])));
    assert_eq!(scan_array(b"[1,2,3]", STRICT, 2), Ok(Some(vec![1..2, 3..4])));
    scan_array(b"[1,]", STRICT, 9).expect_err("trailing comma");
}

#[test]
fn only_objects_are_messages() {
    for text in ["1", "\"x\"", "[]", "null"] {
        assert_eq!(
            scan(text.as_bytes(), STRICT),
            Err(ScanError::NotAnObject),
            "{text}"
        );
    }
}

/// Every text that serde_json accepts as an object is accepted, and no other: over the mutations of a set of seeds.
#[test]
fn agrees_with_serde_json() {
    let seeds = [
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[1,-0.5e+3,"x\n\u00e9",true,null,{}]}}"#,
        r#"{"a":"\ud83d\ude00 é 😀","b":[[],[[]]],"c":0,"d":1E5,"e":-0}"#,
        r#"{"n":01,"t":tru,"s":"a	b"}"#,
    ];
    let alphabet = b"{}[]\",:\\/0123456789-+.eEtrufalsn x\n\t\x01\xc3\xa9";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).expect("below the bound")
    };
    let options = ScanOptions {
        depth_max: 64,
        unique_keys: UniqueKeys::Envelope,
    };
    for round in 0..60_000 {
        let mut text = seeds[round % seeds.len()].as_bytes().to_vec();
        for _ in 0..=next(3) {
            let position = next(text.len());
            match next(3) {
                0 => text[position] = alphabet[next(alphabet.len())],
                1 => text.insert(position, alphabet[next(alphabet.len())]),
                _ => drop(text.remove(position)),
            }
        }
        let ours = scan(&text, options);
        if matches!(ours, Err(ScanError::DuplicateKey { .. })) {
            continue;
        }
        let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(&text);
        let is_object = theirs.is_ok_and(|raw| raw.get().starts_with('{'));
        assert_eq!(
            ours.is_ok(),
            is_object,
            "{:?}: {ours:?}",
            String::from_utf8_lossy(&text)
        );
    }
}

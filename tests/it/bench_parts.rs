//! The parts of the benchmark that can be wrong without showing it: what they compute is checked here, because
//! a benchmark has no tests of its own.

#[path = "../bench/histogram.rs"]
mod histogram;
#[path = "../bench/message.rs"]
mod message;

use std::time::Duration;

use histogram::Histogram;

#[test]
fn quantiles_are_within_a_bucket_of_the_truth() {
    let mut histogram = Histogram::default();
    for microseconds in 1..=10_000 {
        histogram.record(Duration::from_micros(microseconds));
    }
    for (share, truth) in [(0.0, 1.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
        let found = histogram.quantile(share).as_secs_f64() * 1e6;
        assert!(
            (truth..truth * 1.02).contains(&found),
            "{share}: {found} for {truth}"
        );
    }
}

#[test]
fn a_histogram_takes_any_latency_and_merges() {
    let mut sum = Histogram::default();
    assert_eq!(sum.quantile(0.5), Duration::ZERO);
    for latency in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let mut one = Histogram::default();
        one.record(latency);
        sum.merge(&one);
    }
    assert_eq!(sum.count(), 3);
    assert_eq!(sum.quantile(0.5), Duration::from_nanos(1));
    assert_eq!(sum.quantile(1.0), Duration::from_nanos(u64::MAX));
}

#[test]
fn a_member_is_found_at_the_top_level_alone() {
    let check = |object: &str, expect: Option<&str>| {
        assert_eq!(
            message::value(object.as_bytes(), b"id"),
            expect.map(str::as_bytes),
            "{object}"
        );
    };
    check(r#"{"jsonrpc":"2.0","id":17,"result":{}}"#, Some("17"));
    check(
        r#" { "result" : {"id":[1,{"id":2}],"s":"\"}{\\"} , "id" : "a\"b" } "#,
        Some(r#""a\"b""#),
    );
    check(
        r#"{"params":[["]"],{"id":1}],"text":"\"id\":5","id":null}"#,
        Some("null"),
    );
    check(r#"{"id":{"a":[]}}"#, Some(r#"{"a":[]}"#));
    check(r#"{"params":{"id":1},"x":true,"y":-1.5e3}"#, None);
    check(r#"{"text":"never closed"#, None);
    check(r#"{"params":{"id":1}"#, None);
    check("[]", None);
    check("", None);
}

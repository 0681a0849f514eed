//! One rule at a time.

use super::*;

fn rule(json: &str) -> Rule {
    kit::config::read(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn request(session: &str) -> Request<'_> {
    Request {
        id: "1",
        session: Some(session),
        principal: Some("alice"),
        mode: Some("chat"),
        method: "tools/call",
        target: Some("search"),
    }
}

fn candidate(server: &str, weight: u32) -> Candidate<'_> {
    Candidate {
        server,
        instance: None,
        healthy: true,
        in_flight: 0,
        weight,
        labels: &[],
    }
}

fn sessions() -> Vec<String> {
    (0..1000).map(|number| number.to_string()).collect()
}

/// Returns how many of 1,000 sessions go to a candidate.
fn share(rule: &Rule, candidates: &[Candidate], index: u32) -> usize {
    let first = |session: &String| rule.order(&request(session), candidates)[0];
    sessions()
        .iter()
        .filter(|session| first(session) == index)
        .count()
}

#[test]
fn a_rule_applies_where_everything_fits() {
    let candidates = [candidate("search-a", 1), candidate("search-b", 1)];
    for (json, applies) in [
        ("{}", true),
        (
            r#"{"method":"tools/*","tool":"se*","mode":"chat","principal":"alice","server":"*-b"}"#,
            true,
        ),
        (r#"{"method":"resources/*"}"#, false),
        (r#"{"tool":"x"}"#, false),
        (r#"{"mode":"code"}"#, false),
        (r#"{"principal":"bob"}"#, false),
        (r#"{"server":"files"}"#, false),
    ] {
        assert_eq!(rule(json).applies(&request("s"), &candidates), applies, "{json}");
    }
    let anonymous = Request {
        principal: None,
        ..request("s")
    };
    assert!(!rule(r#"{"principal":"*"}"#).applies(&anonymous, &candidates));
    let prompt = Request {
        method: "prompts/get",
        ..request("s")
    };
    assert!(!rule(r#"{"tool":"search"}"#).applies(&prompt, &candidates));
}

#[test]
fn weights_are_shares_and_sessions_stay() {
    let rule = rule("{}");
    let candidates = [candidate("a", 9), candidate("b", 1), candidate("c", 0)];
    assert!((860..940).contains(&share(&rule, &candidates, 0)));
    assert_eq!(share(&rule, &candidates, 2), 0);
    for session in sessions() {
        let order = rule.order(&request(&session), &candidates);
        assert_eq!(order, rule.order(&request(&session), &candidates));
        assert_eq!(order.len(), 3);
    }
}

#[test]
fn whoever_was_elsewhere_does_not_move_when_one_fails() {
    let rule = rule("{}");
    let candidates = [candidate("a", 1), candidate("b", 1), candidate("c", 1)];
    let mut without_b = candidates.clone();
    without_b[1].healthy = false;
    for session in sessions() {
        let before = rule.order(&request(&session), &candidates);
        let after = rule.order(&request(&session), &without_b);
        let expected = if before[0] == 1 { before[1] } else { before[0] };
        assert_eq!((after[0], after[2]), (expected, 1));
    }
}

#[test]
fn instances_of_one_server_share_its_sessions() {
    let instance = |name| Candidate {
        instance: Some(name),
        ..candidate("a", 1)
    };
    assert!((440..560).contains(&share(&rule("{}"), &[instance("0"), instance("1")], 0)));
}

#[test]
fn one_sticks_by_session_principal_or_not_at_all() {
    let candidates = [candidate("a", 1), candidate("b", 1)];
    let firsts = |json: &str| {
        let rule = rule(json);
        let choose = |session: &String| {
            let request = Request {
                id: session,
                ..request("same")
            };
            rule.order(&request, &candidates)[0]
        };
        let chosen: std::collections::BTreeSet<u32> = sessions().iter().map(choose).collect();
        chosen.len()
    };
    assert_eq!(firsts(r#"{"sticky-by":"session"}"#), 1);
    assert_eq!(firsts(r#"{"sticky-by":"request"}"#), 2);
    assert!([0, 1000].contains(&share(&rule(r#"{"sticky-by":"principal"}"#), &candidates, 0)));
}

#[test]
fn a_canary_takes_its_part_and_only_that() {
    let tier = |tier: &str| vec![("tier".to_owned(), tier.to_owned())];
    let (stable, canary) = (tier("stable"), tier("canary"));
    let mut candidates = [candidate("a", 1), candidate("b", 100)];
    candidates[0].labels = &stable;
    candidates[1].labels = &canary;
    let rule = |percent: &str| {
        rule(&format!(
            r#"{{"canary":{{"percent":{percent},"to-labels":{{"tier":"canary"}}}}}}"#
        ))
    };
    assert!((70..130).contains(&share(&rule("10"), &candidates, 1)));
    assert_eq!(share(&rule("0"), &candidates, 1), 0);
    assert_eq!(share(&rule("100"), &candidates, 1), 1000);
    candidates[0].healthy = false;
    assert_eq!(
        share(&rule("0"), &candidates, 1),
        1000,
        "better there than nowhere"
    );
}

#[test]
fn more_percent_keep_the_sessions_that_are_there() {
    let labels = vec![("tier".to_owned(), "canary".to_owned())];
    let mut candidates = [candidate("a", 1), candidate("b", 1)];
    candidates[1].labels = &labels;
    let rule = |percent: u32| {
        rule(&format!(
            r#"{{"canary":{{"percent":{percent},"to-labels":{{"tier":"*"}}}}}}"#
        ))
    };
    for session in sessions() {
        let goes = |percent| rule(percent).order(&request(&session), &candidates)[0];
        assert!(goes(10) <= goes(20), "{session}");
    }
}

#[test]
fn labels_are_required() {
    let labels = vec![("region".to_owned(), "eu-1".to_owned())];
    let mut candidates = [candidate("a", 1), candidate("b", 1)];
    candidates[1].labels = &labels;
    assert_eq!(
        rule(r#"{"labels":{"region":"eu-*"}}"#).order(&request("s"), &candidates),
        [1]
    );
    assert!(
        rule(r#"{"labels":{"region":"us-*"}}"#)
            .order(&request("s"), &candidates)
            .is_empty()
    );
}

#[test]
fn fallback_keeps_the_order_of_the_rule() {
    let rule = rule(r#"{"strategy":"fallback","order":["c","b*"]}"#);
    let mut candidates = [
        candidate("a", 1),
        candidate("b1", 1),
        candidate("b2", 1),
        candidate("c", 1),
    ];
    assert_eq!(rule.order(&request("s"), &candidates), [3, 1, 2, 0]);
    candidates[3].healthy = false;
    assert_eq!(rule.order(&request("s"), &candidates), [1, 2, 0, 3]);
}

#[test]
fn the_least_busy_by_weight_goes_first() {
    let rule = rule(r#"{"strategy":"least-in-flight"}"#);
    let busy = |in_flight, weight| Candidate {
        in_flight,
        ..candidate("a", weight)
    };
    assert_eq!(
        rule.order(&request("s"), &[busy(3, 1), busy(1, 1), busy(2, 1)]),
        [1, 2, 0]
    );
    assert_eq!(
        rule.order(&request("s"), &[busy(1, 1), busy(2, 2), busy(0, 0)]),
        [1, 0, 2]
    );
}

#[test]
fn unhealthy_ones_are_left_out_where_this_is_wanted() {
    let rule = rule(r#"{"strategy":"given","unhealthy":"left-out"}"#);
    let mut candidates = [candidate("a", 1), candidate("b", 1)];
    candidates[0].healthy = false;
    assert_eq!(rule.order(&request("s"), &candidates), [1]);
    candidates[1].healthy = false;
    assert_eq!(rule.order(&request("s"), &candidates), [0, 1]);
}

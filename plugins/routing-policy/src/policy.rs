//! All rules, and the decision about one request.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kit::config::{self, Configured, Fault, Value};

use crate::rule::{Candidate, Request, Rule};

/// JSON-RPC code of the gateway for a server that is not there.
const SERVER_UNAVAILABLE: i32 = -32003;

/// The rules, in their order.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// As the gateway chooses: no rule is for this request.
    Default,
    /// To one of these, best first.
    To(Vec<u32>),
    /// Nowhere: no candidate has the labels that the rule wants.
    Nowhere(Refusal),
}

/// Why not.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// JSON-RPC error code.
    pub code: i32,
    /// For the client.
    pub message: String,
    /// For the log.
    pub reason: String,
}

impl Policy {
    /// Reads the configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(config: &str) -> Result<Self, String> {
        config::read(config)
    }

    /// Decides by the first rule that is for a request.
    pub fn choose(&self, request: &Request, candidates: &[Candidate]) -> Route {
        let mut numbered = self.rules.iter().enumerate();
        let Some((number, rule)) = numbered.find(|(_, rule)| rule.applies(request, candidates)) else {
            return Route::Default;
        };
        let order = rule.order(request, candidates);
        if order.is_empty() {
            return Route::Nowhere(Refusal {
                code: SERVER_UNAVAILABLE,
                message: "no server is there for this".to_owned(),
                reason: format!("no candidate has the labels of rules[{number}]"),
            });
        }
        Route::To(order)
    }
}

impl Configured for Policy {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                rules: members.or_default("rules"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_applies_decides() {
        let policy = r#"{"rules": [{"tool": "slow_*", "labels": {"size": "big"}}, {"mode": "chat", "strategy": "given"}]}"#;
        let policy = Policy::new(policy).expect("a configuration");
        let candidate = Candidate {
            server: "a",
            instance: None,
            healthy: true,
            in_flight: 0,
            weight: 1,
            labels: &[],
        };
        let candidates = [candidate.clone(), candidate];
        let request = |target, mode| Request {
            id: "1",
            session: None,
            principal: None,
            mode,
            method: "tools/call",
            target: Some(target),
        };
        let nowhere = policy.choose(&request("slow_x", Some("chat")), &candidates);
        assert!(matches!(nowhere, Route::Nowhere(refusal) if refusal.reason.contains("rules[0]")));
        assert_eq!(
            policy.choose(&request("x", Some("chat")), &candidates),
            Route::To(vec![0, 1])
        );
        assert_eq!(policy.choose(&request("x", None), &candidates), Route::Default);
        assert!(
            Policy::new(r#"{"rule": []}"#)
                .expect_err("no such key")
                .contains("rule")
        );
    }
}

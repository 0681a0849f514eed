//! One rule: which requests it is for, and how it puts candidates in order.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use kit::Glob;
use kit::config::{Configured, Fault, Named, Value};

use crate::chance::{draw, want};

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Which requests; absent: any.
    method: Option<Glob>,
    tool: Option<Glob>,
    mode: Option<Glob>,
    principal: Option<Glob>,
    server: Option<Glob>,
    /// What candidates must have.
    labels: Labels,
    canary: Option<Canary>,
    strategy: Strategy,
    /// Servers, best first, for [`Strategy::Fallback`].
    order: Vec<Glob>,
    sticky_by: StickyBy,
    unhealthy: Unhealthy,
}

/// Labels that a candidate must have; the values are patterns.
type Labels = Named<Glob>;

/// A part of the callers that goes elsewhere.
#[derive(Debug)]
struct Canary {
    /// How many of a hundred.
    percent: f64,
    /// To candidates with these labels, and nobody else goes there.
    to_labels: Labels,
}

/// The order of equally good candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Strategy {
    /// By chance, in proportion to their weights, and always the same for the same caller.
    #[default]
    Weighted,
    /// The least busy first, by weight.
    LeastInFlight,
    /// In the order of the rule.
    Fallback,
    /// As the gateway has them.
    Given,
}

/// Who always gets the same choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum StickyBy {
    /// A session; where there is none, its principal.
    #[default]
    Session,
    /// A principal; where there is none, its session.
    Principal,
    /// Nobody: each request is drawn for itself.
    Request,
}

/// What becomes of candidates that do not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Unhealthy {
    /// They come last.
    #[default]
    Last,
    /// They are left out, unless there are no others.
    LeftOut,
}

/// A request, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The gateway's id of it.
    pub id: &'a str,
    /// A digest of its session.
    pub session: Option<&'a str>,
    /// The name of who makes it.
    pub principal: Option<&'a str>,
    /// The mode of the session.
    pub mode: Option<&'a str>,
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The tool, prompt or resource that it names.
    pub target: Option<&'a str>,
}

/// Somewhere that a request could go.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// The registered server.
    pub server: &'a str,
    /// One of several processes of it.
    pub instance: Option<&'a str>,
    /// Whether it answers.
    pub healthy: bool,
    /// Requests that wait for it.
    pub in_flight: u32,
    /// The operator's.
    pub weight: u32,
    /// The operator's.
    pub labels: &'a [(String, String)],
}

/// How good a candidate is; the smallest goes first.
struct Rank {
    index: u32,
    is_unhealthy: bool,
    is_other_side: bool,
    cost: f64,
}

impl Configured for Rule {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                method: members.optional("method"),
                tool: members.optional("tool"),
                mode: members.optional("mode"),
                principal: members.optional("principal"),
                server: members.optional("server"),
                labels: members.or_default("labels"),
                canary: members.optional("canary"),
                strategy: members.or_default("strategy"),
                order: members.or_default("order"),
                sticky_by: members.or_default("sticky-by"),
                unhealthy: members.or_default("unhealthy"),
            })
        })
    }
}

impl Configured for Canary {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                percent: members.required("percent")?,
                to_labels: members.required("to-labels")?,
            })
        })
    }
}

impl Configured for Strategy {
    fn read(value: Value) -> Result<Self, Fault> {
        value.choice(&[
            ("weighted", Self::Weighted),
            ("least-in-flight", Self::LeastInFlight),
            ("fallback", Self::Fallback),
            ("given", Self::Given),
        ])
    }
}

impl Configured for StickyBy {
    fn read(value: Value) -> Result<Self, Fault> {
        value.choice(&[
            ("session", Self::Session),
            ("principal", Self::Principal),
            ("request", Self::Request),
        ])
    }
}

impl Configured for Unhealthy {
    fn read(value: Value) -> Result<Self, Fault> {
        value.choice(&[("last", Self::Last), ("left-out", Self::LeftOut)])
    }
}

impl Rule {
    /// Tells whether a request is one of those that the rule is for. What is not known fits no pattern.
    pub fn applies(&self, request: &Request, candidates: &[Candidate]) -> bool {
        let fits = |glob: &Option<Glob>, text: Option<&str>| {
            glob.as_ref()
                .is_none_or(|glob| text.is_some_and(|text| glob.matches(text)))
        };
        let is_for_tool = self.tool.is_none() || request.method == "tools/call";
        let leads_to = |glob: &Glob| candidates.iter().any(|candidate| glob.matches(candidate.server));
        is_for_tool
            && fits(&self.method, Some(request.method))
            && fits(&self.tool, request.target)
            && fits(&self.mode, request.mode)
            && fits(&self.principal, request.principal)
            && self.server.as_ref().is_none_or(leads_to)
    }

    /// Returns the indexes of the candidates that remain, best first: those that answer, on the right side of the canary,
    /// by the strategy.
    pub fn order(&self, request: &Request, candidates: &[Candidate]) -> Vec<u32> {
        let key = self.key(request);
        let is_canary = self
            .canary
            .as_ref()
            .map(|canary| (canary, draw(key, ["canary"]) * 100.0 < canary.percent));
        let rank = |(index, candidate): (u32, &Candidate)| Rank {
            index,
            is_unhealthy: !candidate.healthy,
            is_other_side: is_canary
                .is_some_and(|(canary, is_canary)| has_labels(candidate, &canary.to_labels) != is_canary),
            cost: self.cost(key, candidate),
        };
        let fitting = (0..)
            .zip(candidates)
            .filter(|(_, candidate)| has_labels(candidate, &self.labels));
        let mut ranks: Vec<Rank> = fitting.map(rank).collect();
        if self.unhealthy == Unhealthy::LeftOut && ranks.iter().any(|rank| !rank.is_unhealthy) {
            ranks.retain(|rank| !rank.is_unhealthy);
        }
        ranks.sort_by(Rank::compare);
        ranks.into_iter().map(|rank| rank.index).collect()
    }

    /// Returns by what the caller draws.
    fn key<'a>(&self, request: &Request<'a>) -> &'a str {
        let sticky = match self.sticky_by {
            StickyBy::Session => request.session.or(request.principal),
            StickyBy::Principal => request.principal.or(request.session),
            StickyBy::Request => None,
        };
        sticky.unwrap_or(request.id)
    }

    #[expect(clippy::cast_precision_loss, reason = "no list has so many patterns")]
    fn cost(&self, key: &str, candidate: &Candidate) -> f64 {
        let weighted = || {
            -want(
                draw(key, [candidate.server, candidate.instance.unwrap_or_default()]),
                candidate.weight,
            )
        };
        match self.strategy {
            Strategy::Weighted => weighted(),
            // One more request, divided by the weight: twice the weight gets twice the requests. Among equally busy ones
            // there is no order, and the gateway's own is as good as any.
            Strategy::LeastInFlight => (f64::from(candidate.in_flight) + 1.0) / f64::from(candidate.weight),
            Strategy::Fallback => {
                let place = self.order.iter().position(|glob| glob.matches(candidate.server));
                place.unwrap_or(self.order.len()) as f64
            }
            Strategy::Given => 0.0,
        }
    }
}

impl Rank {
    fn compare(&self, other: &Self) -> Ordering {
        let place = |rank: &Self| (rank.is_unhealthy, rank.is_other_side);
        let by_cost = || self.cost.total_cmp(&other.cost);
        place(self)
            .cmp(&place(other))
            .then_with(by_cost)
            .then(self.index.cmp(&other.index))
    }
}

fn has_labels(candidate: &Candidate, labels: &Labels) -> bool {
    let has = |(name, wanted): &(String, Glob)| {
        candidate
            .labels
            .iter()
            .any(|(label, value)| label == name && wanted.matches(value))
    };
    labels.iter().all(has)
}

#[cfg(test)]
mod tests;

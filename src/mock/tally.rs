//! How often each method was asked whose answers a client or a gateway may keep.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Map, Value};

use crate::protocol::names::method;

const COUNTED: [&str; 10] = [
    method::DISCOVER,
    method::TOOLS_LIST,
    method::RESOURCES_LIST,
    method::TEMPLATES_LIST,
    method::READ,
    method::PROMPTS_LIST,
    method::PROMPTS_GET,
    method::COMPLETE,
    method::SKILLS_LIST,
    method::LISTEN,
];

#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; COUNTED.len()]);

impl Tally {
    /// Counts a request, if it is one of those.
    pub(crate) fn count(&self, method: &str) {
        if let Some(place) = COUNTED.iter().position(|counted| *counted == method) {
            self.0[place].fetch_add(1, Relaxed);
        }
    }

    /// Returns how often each method was asked, without those that never were.
    pub(crate) fn to_json(&self) -> Value {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        let asked = COUNTED.iter().zip(counts).filter(|(_, count)| *count > 0);
        asked
            .map(|(method, count)| ((*method).to_owned(), count.into()))
            .collect::<Map<_, _>>()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_may_be_kept_is_counted() {
        let tally = Tally::default();
        for method in [
            method::TOOLS_LIST,
            method::TOOLS_CALL,
            method::TOOLS_LIST,
            method::READ,
        ] {
            tally.count(method);
        }
        assert_eq!(tally.to_json(), json!({ "tools/list": 2, "resources/read": 1 }));
    }
}

//! What `subscriptions/listen` asks for, and what of it is honoured (2026-07-28, "Subscriptions").

use std::collections::BTreeSet;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::meta::SUBSCRIPTION_ID;
use crate::protocol::member::{member, members};
use crate::protocol::names::method;
use crate::protocol::{Message, RequestId};

/// A kind of list whose changes can be asked for.
struct List {
    /// What the server announces if it has such a list.
    capability: &'static str,
    /// The member of the request that asks for it.
    key: &'static str,
    /// The notification that says it changed.
    changed: &'static str,
}

const LISTS: [List; 3] = [
    List {
        capability: "tools",
        key: "toolsListChanged",
        changed: method::TOOLS_CHANGED,
    },
    List {
        capability: "prompts",
        key: "promptsListChanged",
        changed: method::PROMPTS_CHANGED,
    },
    List {
        capability: "resources",
        key: "resourcesListChanged",
        changed: method::RESOURCES_CHANGED,
    },
];

const RESOURCES: &str = "resourceSubscriptions";

/// Which notifications are asked for, or honoured. What the gateway does not know is in neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The capabilities whose lists' changes are told: `tools`, `prompts`, `resources`.
    pub lists: BTreeSet<&'static str>,
    /// The resources whose updates are told, by URI.
    pub uris: BTreeSet<String>,
}

/// What is wrong with `params`; the sentence is fit for their sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// They do not say what is wanted.
    #[error("params.notifications is missing, or is no object")]
    Missing,
    /// A wish is of another type.
    #[error("{0:?} in params.notifications must be {1}")]
    Type(&'static str, &'static str),
}

impl Filter {
    /// Reads `params` of the request, or of its acknowledgement.
    ///
    /// # Errors
    /// See [`FilterError`].
    pub fn parse(params: &[u8]) -> Result<Self, FilterError> {
        let notifications = member(params, "notifications");
        let wishes = notifications.and_then(|wishes| members(wishes.get().as_bytes()));
        let wishes = wishes.ok_or(FilterError::Missing)?;
        let mut filter = Self::default();
        for list in LISTS {
            let wish = wishes.get(list.key).map_or("null", |wish| wish.get());
            let wish: Option<bool> =
                serde_json::from_str(wish).map_err(|_| FilterError::Type(list.key, "true or false"))?;
            if wish == Some(true) {
                filter.lists.insert(list.capability);
            }
        }
        let uris = wishes.get(RESOURCES).map_or("null", |wish| wish.get());
        let uris: Option<BTreeSet<String>> =
            serde_json::from_str(uris).map_err(|_| FilterError::Type(RESOURCES, "an array of strings"))?;
        filter.uris = uris.unwrap_or_default();
        Ok(filter)
    }

    /// Returns the wish for the changes of every list.
    pub fn of_lists() -> Self {
        Self {
            lists: LISTS.iter().map(|list| list.capability).collect(),
            uris: BTreeSet::new(),
        }
    }

    /// Returns what of it a server with these capabilities can honour.
    #[must_use]
    pub fn offered_by(mut self, capabilities: &Value) -> Self {
        let has = |capability: &str, feature: &str| capabilities[capability][feature] == Value::Bool(true);
        self.lists.retain(|list| has(list, "listChanged"));
        if !has("resources", "subscribe") {
            self.uris.clear();
        }
        self
    }

    /// Returns whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.uris.is_empty()
    }

    /// Returns whether the other one asks for all of this.
    pub fn is_within(&self, other: &Self) -> bool {
        self.lists.is_subset(&other.lists) && self.uris.is_subset(&other.uris)
    }

    /// Returns what both ask for.
    #[must_use]
    pub fn common_with(&self, other: &Self) -> Self {
        Self {
            lists: &self.lists & &other.lists,
            uris: &self.uris & &other.uris,
        }
    }

    /// Returns whether it asks for this very notification. A resource is asked for with what lies below it.
    pub fn wants(&self, notification: &Message) -> bool {
        let method = notification.method();
        if method == method::RESOURCE_UPDATED {
            return notification.uri().is_some_and(|uri| covers(&self.uris, &uri));
        }
        let list = LISTS.iter().find(|list| list.changed == method);
        list.is_some_and(|list| self.lists.contains(list.capability))
    }

    /// Returns `params` of a request, or, with the id of the request, of its acknowledgement.
    pub fn params(&self, subscription: Option<&RequestId>) -> Box<RawValue> {
        let wished = LISTS.iter().filter(|list| self.lists.contains(list.capability));
        let mut wishes: Map<String, Value> = wished.map(|list| (list.key.to_owned(), json!(true))).collect();
        if !self.uris.is_empty() {
            wishes.insert(RESOURCES.to_owned(), json!(self.uris));
        }
        let mut params = json!({ "notifications": wishes });
        if let Some(id) = subscription {
            params["_meta"] = json!({ SUBSCRIPTION_ID: id });
        }
        to_raw_value(&params).expect("plain data becomes JSON")
    }
}

/// Returns whether a URI is among those subscribed to, or lies below one of them.
pub fn covers(subscriptions: &BTreeSet<String>, uri: &str) -> bool {
    subscriptions.contains(uri) || subscriptions.iter().any(|parent| is_within(uri, parent))
}

/// Returns whether a URI is this one, or lies below it.
pub fn is_within(uri: &str, parent: &str) -> bool {
    uri.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || parent.ends_with('/') || rest.starts_with('/'))
}

/// Returns the request that a notification belongs to, if it says so.
pub fn subscription_of(notification: &Message) -> Option<RequestId> {
    let params = notification.params()?;
    let meta = member(&params, "_meta")?;
    let id = member(meta.get().as_bytes(), SUBSCRIPTION_ID)?;
    RequestId::from_json(id.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::scan::{ScanOptions, UniqueKeys};

    fn filter(notifications: Value) -> Result<Filter, FilterError> {
        Filter::parse(json!({ "notifications": notifications }).to_string().as_bytes())
    }

    fn notification(method: &str, params: Value) -> Message {
        let text = json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string();
        let scan = ScanOptions {
            depth_max: 64,
            unique_keys: UniqueKeys::Everywhere,
        };
        Message::parse(text.into(), scan).expect("valid")
    }

    #[test]
    fn reads_and_writes_what_is_wanted() {
        let wanted = json!({
            "toolsListChanged": true, "promptsListChanged": false, "resourcesListChanged": null,
            "resourceSubscriptions": ["b", "a", "b"], "unknown": 1,
        });
        let read = filter(wanted).expect("valid");
        let id = RequestId::String("x".into());
        assert_eq!(
            read.params(Some(&id)).get(),
            r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a","b"]},"_meta":{"io.modelcontextprotocol/subscriptionId":"x"}}"#
        );
        assert_eq!(Filter::default().params(None).get(), r#"{"notifications":{}}"#);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(Filter::parse(b"{}"), Err(FilterError::Missing));
        assert_eq!(filter(json!([])), Err(FilterError::Missing));
        let check = |wishes, key, expect| assert_eq!(filter(wishes), Err(FilterError::Type(key, expect)));
        check(
            json!({ "toolsListChanged": 1 }),
            "toolsListChanged",
            "true or false",
        );
        check(
            json!({ "resourceSubscriptions": "a" }),
            RESOURCES,
            "an array of strings",
        );
        check(
            json!({ "resourceSubscriptions": [1] }),
            RESOURCES,
            "an array of strings",
        );
    }

    #[test]
    fn a_server_honours_what_it_announces() {
        let all = Filter {
            uris: BTreeSet::from(["a".to_owned()]),
            ..Filter::of_lists()
        };
        let some = all.clone().offered_by(&json!({
            "tools": { "listChanged": true }, "prompts": {}, "resources": { "listChanged": false, "subscribe": true },
        }));
        assert_eq!(
            (some.lists.iter().collect::<Vec<_>>(), some.uris.len()),
            (vec![&"tools"], 1)
        );
        assert!(some.is_within(&all) && !all.is_within(&some));
        assert_eq!(all.common_with(&some), some);
        assert!(all.offered_by(&json!({})).is_empty());
    }

    #[test]
    fn only_what_is_asked_for_is_wanted() {
        let asked =
            filter(json!({ "promptsListChanged": true, "resourceSubscriptions": ["a:b"] })).expect("valid");
        let check = |method: &str, params: Value, expect: bool| {
            assert_eq!(asked.wants(&notification(method, params)), expect, "{method}");
        };
        check(method::PROMPTS_CHANGED, json!({}), true);
        check(method::TOOLS_CHANGED, json!({}), false);
        check(method::RESOURCES_CHANGED, json!({}), false);
        check(method::RESOURCE_UPDATED, json!({ "uri": "a:b" }), true);
        check(method::RESOURCE_UPDATED, json!({ "uri": "a:c" }), false);
        check(method::LOG_MESSAGE, json!({}), false);
    }

    #[test]
    fn updates_below_a_subscription_count() {
        let subscriptions = BTreeSet::from(["file:///a".to_owned(), "mem://all/".to_owned()]);
        let check = |uri, expect| assert_eq!(covers(&subscriptions, uri), expect, "{uri}");
        check("file:///a", true);
        check("file:///a/b", true);
        check("file:///ab", false);
        check("mem://all/x", true);
        check("mem://al", false);
    }

    #[test]
    fn a_notification_says_whose_it_is() {
        let of = |params| subscription_of(&notification(method::TOOLS_CHANGED, params));
        assert_eq!(of(json!({ "_meta": { SUBSCRIPTION_ID: 7 } })), Some(7.into()));
        assert_eq!(
            of(json!({ "_meta": { SUBSCRIPTION_ID: "7" } })),
            Some(RequestId::String("7".into()))
        );
        assert_eq!(of(json!({ "_meta": {} })), None);
        assert_eq!(of(json!({})), None);
    }
}

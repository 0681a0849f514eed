//! What a server offers: the tools, resources, templates and prompts that it listed itself.
//!
//! The lists are read when an instance becomes ready and again when the server says that they changed. Items stay the
//! bytes that the server sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::protocol::mcp::{LISTINGS, Listing};
use crate::protocol::member::{member, members, string_member};
use crate::upstream::{CallError, Connection, UpstreamError};

/// Pages of one list, at most; a server that hands out cursors for ever is cut off here.
const PAGES_MAX: usize = 100;
/// Items of one list, at most.
const ITEMS_MAX: usize = 10_000;
/// How long a server may take for one page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// One list, as the server gave it.
#[derive(Debug, Clone, Default)]
struct List {
    items: Vec<Arc<RawValue>>,
    facts: HashMap<String, ItemFacts>,
    digest: [u8; 32],
}

/// What a list says of one item, as the server wrote it.
#[derive(Debug, Clone, Default)]
pub struct ItemFacts {
    /// For people and models.
    pub description: Option<Arc<str>>,
    /// Hints, as JSON.
    pub annotations: Option<Arc<str>>,
    /// JSON Schema of the arguments of a tool.
    pub input_schema: Option<Arc<str>>,
}

/// The lists of one server. A std mutex: held to swap or to read an `Arc`.
#[derive(Debug, Default)]
pub struct Catalog {
    lists: Mutex<Lists>,
    /// Whether the server has ever been asked for them.
    is_read: watch::Sender<bool>,
}

#[derive(Debug, Clone, Default)]
struct Lists {
    lists: [Arc<List>; LISTINGS.len()],
    server_version: Option<String>,
    announced: Option<serde_json::Value>,
}

/// The lists in the shape of the API.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogView {
    /// From `tools/list`.
    pub tools: Vec<Arc<RawValue>>,
    /// From `resources/list`.
    pub resources: Vec<Arc<RawValue>>,
    /// From `resources/templates/list`.
    pub resource_templates: Vec<Arc<RawValue>>,
    /// From `prompts/list`.
    pub prompts: Vec<Arc<RawValue>>,
    /// What the server announced in the handshake.
    pub announced: Option<serde_json::Value>,
}

impl Catalog {
    /// Returns the lists.
    pub fn view(&self) -> CatalogView {
        let lists = self.lists.lock().expect("no holder panics").clone();
        let [tools, resources, resource_templates, prompts] = lists.lists.map(|list| list.items.clone());
        CatalogView {
            tools,
            resources,
            resource_templates,
            prompts,
            announced: lists.announced,
        }
    }

    /// Returns whether the server has ever been asked for its lists.
    pub fn is_read(&self) -> bool {
        *self.is_read.borrow()
    }

    /// Waits until a server that is running has been asked for its lists.
    pub async fn read(&self) {
        let read = self
            .is_read
            .subscribe()
            .wait_for(|is_read| *is_read)
            .await
            .map(drop);
        read.expect("the sender lives as long as the catalog");
    }

    /// Returns the version that the server says it has.
    pub fn server_version(&self) -> Option<String> {
        self.lists
            .lock()
            .expect("no holder panics")
            .server_version
            .clone()
    }

    /// Returns what the server has listed of an item: `kind` and `name` as in [`Listing`].
    pub fn facts(&self, kind: &str, name: &str) -> Option<ItemFacts> {
        let index = LISTINGS.iter().position(|listing| listing.kind == kind)?;
        let list = self.lists.lock().expect("no holder panics").lists[index].clone();
        list.facts.get(name).cloned()
    }

    /// Reads the lists that `wanted` names from a server that is ready; returns the names of those that are different
    /// from before.
    pub async fn refresh(
        &self,
        connection: &Connection,
        wanted: impl Fn(&Listing) -> bool,
    ) -> Vec<&'static str> {
        let Some(handshake) = connection.facts() else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        for (index, listing) in LISTINGS.iter().enumerate().filter(|(_, listing)| wanted(listing)) {
            let list = match handshake.capability(listing.capability) {
                Some(_) => read_list(connection, listing).await,
                None => Some(List::default()),
            };
            // A list that could not be read stays what it was.
            let Some(list) = list else { continue };
            let mut lists = self.lists.lock().expect("no holder panics");
            if lists.lists[index].digest != list.digest {
                lists.lists[index] = Arc::new(list);
                changed.push(listing.member);
            }
        }
        let mut lists = self.lists.lock().expect("no holder panics");
        lists.announced = Some(handshake.capabilities().clone());
        let version = handshake.server_info().and_then(|info| info.get("version"));
        lists.server_version = version.and_then(|version| version.as_str()).map(str::to_owned);
        drop(lists);
        self.is_read.send_replace(true);
        changed
    }
}

async fn read_list(connection: &Connection, listing: &Listing) -> Option<List> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let params = cursor.as_ref().map(|cursor| {
            to_raw_value(&serde_json::json!({ "cursor": cursor })).expect("plain data becomes JSON")
        });
        let page = match connection
            .call(listing.method, params.as_deref(), PAGE_TIMEOUT)
            .await
        {
            Ok(page) => page,
            // Servers that announce resources and know no templates are common.
            Err(CallError::Refused(error)) => {
                debug!(
                    method = listing.method,
                    code = error.code,
                    message = error.message,
                    "not listed"
                );
                break;
            }
            // Whoever comes for one call is often gone before the lists are read.
            Err(CallError::Upstream(error @ UpstreamError::Stopped(_))) => {
                debug!(method = listing.method, %error, "not listed");
                return None;
            }
            Err(error) => {
                warn!(method = listing.method, %error, "not listed");
                return None;
            }
        };
        let page_items = member(&page, listing.member).map(|items| serde_json::from_str(items.get()));
        let Some(Ok(page_items)) = page_items else {
            warn!(method = listing.method, "the result has no list");
            return None;
        };
        let mut page_items: Vec<Arc<RawValue>> = page_items;
        items.append(&mut page_items);
        cursor = string_member(&page, "nextCursor");
        if cursor.is_none() || items.len() > ITEMS_MAX {
            break;
        }
    }
    items.truncate(ITEMS_MAX);
    Some(List::new(items, listing.key))
}

impl List {
    /// Of two items with one name the first counts.
    fn new(items: Vec<Arc<RawValue>>, key: &str) -> Self {
        let mut hash = Sha256::new();
        let mut facts = HashMap::new();
        for item in &items {
            hash.update(item.get());
            hash.update([0]);
            if let Some((name, its)) = facts_of(item, key) {
                facts.entry(name).or_insert(its);
            }
        }
        let digest = if items.is_empty() {
            [0; 32]
        } else {
            hash.finalize().into()
        };
        Self { items, facts, digest }
    }
}

fn facts_of(item: &RawValue, key: &str) -> Option<(String, ItemFacts)> {
    let members = members(item.get().as_bytes())?;
    let string = |key| serde_json::from_str::<String>(members.get(key)?.get()).ok();
    let json = |key| members.get(key).map(|value| Arc::from(value.get()));
    let facts = ItemFacts {
        description: string("description").map(Arc::from),
        annotations: json("annotations"),
        input_schema: json("inputSchema"),
    };
    Some((string(key)?, facts))
}

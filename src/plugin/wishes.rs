//! What a plugin asks for and what it gets: for the operator to compare, and for warnings.

use std::collections::BTreeSet;

use super::exports::Hook;
use super::manifest::{Manifest, Requests};
use super::plugin::Plugin;
use crate::config::Grants;
use crate::protocol::names::method;

/// Returns what a manifest asks for, in words.
pub fn requested(requests: &Requests) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    words.extend(requests.kv.as_ref().map(|kv| format!("kv {} KiB", kv.max_kib)));
    let hosts = requests.http.iter().flat_map(|http| &http.hosts);
    words.extend(hosts.map(|host| format!("http {host}")));
    words.extend(requests.random.then(|| "random".to_owned()));
    words.extend(requests.schema.then(|| "schema".to_owned()));
    words.extend(requests.headers.iter().map(|header| format!("header {header}")));
    words
}

/// Returns what an operator grants, in the same words.
pub fn granted(grants: &Grants) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    words.extend(grants.kv.map(|bytes| format!("kv {} KiB", bytes / 1024)));
    let http = grants.http.as_ref();
    words.extend(
        http.iter()
            .flat_map(|http| &http.hosts)
            .map(|host| format!("http {host}")),
    );
    let is_private = http.is_some_and(|http| http.private_addresses);
    words.extend(is_private.then(|| "http to private addresses".to_owned()));
    words.extend(grants.random.then(|| "random".to_owned()));
    words.extend(grants.schema.then(|| "schema".to_owned()));
    words.extend(grants.headers.iter().map(|header| format!("header {header}")));
    words
}

/// Returns what a manifest asks for and does not get. More of the store than was asked for is enough.
pub fn refused(requests: &Requests, grants: &Grants) -> BTreeSet<String> {
    let granted = granted(grants);
    let mut refused = requested(requests);
    refused.retain(|wish| !granted.contains(wish));
    if let (Some(kv), Some(bytes)) = (&requests.kv, grants.kv)
        && bytes / 1024 >= kv.max_kib as usize
    {
        refused.remove(&format!("kv {} KiB", kv.max_kib));
    }
    refused
}

/// Returns what an operator should look at, though nothing is wrong with it.
pub(super) fn warnings(plugin: &Plugin) -> Vec<String> {
    let (manifest, grants) = (plugin.manifest(), &plugin.spec().grant);
    let mut warnings = Vec::new();
    for (hook, subscription) in manifest.hooks.entries() {
        for pattern in &subscription.methods {
            if !method::KNOWN.iter().any(|method| pattern.matches(method)) {
                warnings.push(format!(
                    "hooks.{hook}: no method of MCP fits \"{pattern}\": it is never asked because of it"
                ));
            }
        }
    }
    for hook in plugin.exports() {
        if plugin.subscription(hook).is_none() {
            let hook = hook.as_str();
            warnings.push(format!(
                "it exports {hook}, and its manifest has no hooks.{hook}: it is never asked"
            ));
        }
    }
    warnings.extend(unused(manifest, grants, plugin.imports()));
    warnings
}

/// The interfaces that are granted.
const INTERFACES: [&str; 4] = ["kv", "http", "random", "schema"];

fn unused(manifest: &Manifest, grants: &Grants, imports: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    let granted = [
        grants.kv.is_some(),
        grants.http.is_some(),
        grants.random,
        grants.schema,
    ];
    for (interface, is_granted) in INTERFACES.into_iter().zip(granted) {
        if imports.iter().any(|import| import == interface) {
            continue;
        }
        if is_granted {
            warnings.push(format!(
                "grant.{interface}: it does not import {interface}: the grant is of no use"
            ));
        }
        if manifest.requests.asks_for(interface) {
            warnings.push(format!(
                "requests.{interface}: it asks for {interface} and does not import it"
            ));
        }
    }
    warnings
}

/// Returns the access decisions that nobody makes: the modes whose messages no plugin with access is asked about.
pub(super) fn unguarded<'m>(
    modes: impl Iterator<Item = &'m str>,
    plugins: &[std::sync::Arc<Plugin>],
) -> Vec<&'m str> {
    let guards = |mode: &str| {
        plugins.iter().any(|plugin| {
            let judged = plugin.spec().modes.as_ref();
            plugin.subscription(Hook::Access).is_some()
                && judged.is_none_or(|judged| judged.iter().any(|judged| judged == mode))
        })
    };
    modes.filter(|mode| !guards(mode)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpGrant;
    use crate::plugin::manifest::{HttpRequest, KvRequest};

    fn words(words: &BTreeSet<String>) -> Vec<&str> {
        words.iter().map(String::as_str).collect()
    }

    #[test]
    fn wishes_and_grants_are_compared() {
        let requests = Requests {
            kv: Some(KvRequest { max_kib: 64 }),
            http: Some(HttpRequest {
                hosts: vec!["a:443".to_owned(), "b:443".to_owned()],
            }),
            random: true,
            schema: false,
            headers: vec!["x-tenant".to_owned()],
        };
        let mut grants = Grants {
            kv: Some(128 << 10),
            http: Some(HttpGrant {
                hosts: vec!["a:443".to_owned()],
                private_addresses: true,
            }),
            schema: true,
            ..Grants::default()
        };
        assert_eq!(
            words(&refused(&requests, &grants)),
            ["header x-tenant", "http b:443", "random"]
        );
        let given = ["http a:443", "http to private addresses", "kv 128 KiB", "schema"];
        assert_eq!(words(&granted(&grants)), given);
        grants.kv = Some(63 << 10);
        assert!(refused(&requests, &grants).contains("kv 64 KiB"));
    }
}

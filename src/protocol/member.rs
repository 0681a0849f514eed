//! Members of a raw JSON object, read without decoding their neighbours.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The members of an object with their values as they stand. Of repeated keys the last one counts.
pub type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Returns the members of an object, or `None` if `json` is none.
pub fn members(json: &[u8]) -> Option<Members<'_>> {
    serde_json::from_slice(json).ok()
}

/// Returns one member of an object.
pub fn member<'a>(json: &'a [u8], key: &str) -> Option<&'a RawValue> {
    members(json)?.remove(key)
}

/// Returns one member of an object if it is a string.
pub fn string_member(json: &[u8], key: &str) -> Option<String> {
    serde_json::from_str(member(json, key)?.get()).ok()
}

//! What the mock offers: the lists, from the data in `catalogue.json`.

use serde_json::Value;

use super::additions::Additions;
use super::message::{invalid_params, parse, quoted};
use super::options::MockOptions;
use super::{modern, probe_tools, prompts, tools};
use crate::protocol::ProtocolVersion;
use crate::protocol::reply::ErrorObject;

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tools,
    Resources,
    ResourceTemplates,
    Prompts,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Tools,
        Self::Resources,
        Self::ResourceTemplates,
        Self::Prompts,
    ];

    /// Returns the name of the list in its result.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }
}

/// The lists, each item as one line of JSON.
#[derive(Debug)]
pub(crate) struct Catalogue {
    lists: [Vec<Item>; 4],
    /// 0 for everything in one page.
    page_size: usize,
}

#[derive(Debug)]
struct Item {
    since: ProtocolVersion,
    json: String,
}

impl Catalogue {
    pub(crate) fn new(options: &MockOptions) -> Self {
        let mut data: Value =
            serde_json::from_str(include_str!("catalogue.json")).expect("the data is part of the program");
        if !options.invalid_header_tool
            && let Some(tools) = data["tools"].as_array_mut()
        {
            tools.retain(|tool| tool["name"] != probe_tools::MISANNOTATED);
        }
        Self {
            lists: Kind::ALL.map(|kind| items(&data, kind)),
            page_size: options.page_size,
        }
    }

    /// Returns the result of a list method: the page behind `cursor`, as far as `version` knows the items.
    ///
    /// # Errors
    /// If the cursor is not one of ours.
    pub(crate) fn page(
        &self,
        kind: Kind,
        version: ProtocolVersion,
        additions: &Additions,
        cursor: Option<&str>,
    ) -> Result<String, ErrorObject> {
        let known = self.lists[kind as usize]
            .iter()
            .filter(|item| item.since <= version);
        let added = additions.entries(kind);
        let items: Vec<&str> = known
            .map(|item| item.json.as_str())
            .chain(added.iter().map(String::as_str))
            .collect();
        let begin = self.begin(cursor, items.len())?;
        let end = if self.page_size == 0 {
            items.len()
        } else {
            items.len().min(begin + self.page_size)
        };
        let next = if end < items.len() {
            format!(",\"nextCursor\":\"at-{end}\"")
        } else {
            String::new()
        };
        Ok(format!(
            "{{\"{}\":[{}]{next}}}",
            kind.as_str(),
            items[begin..end].join(",")
        ))
    }

    fn begin(&self, cursor: Option<&str>, count: usize) -> Result<usize, ErrorObject> {
        let Some(cursor) = cursor else { return Ok(0) };
        cursor
            .strip_prefix("at-")
            .and_then(|at| at.parse().ok())
            .filter(|at| self.page_size > 0 && at % self.page_size == 0 && (1..count).contains(at))
            .ok_or_else(|| invalid_params(format!("unknown cursor {}", quoted(cursor))))
    }
}

fn items(data: &Value, kind: Kind) -> Vec<Item> {
    let list = data[kind.as_str()].as_array().expect("the data has every list");
    let since = |item: &Value| {
        let name = item["name"].as_str().expect("every item has a name");
        match kind {
            Kind::Tools => tools::find(name).map_or(ProtocolVersion::V2024_11_05, |tool| tool.since),
            Kind::Prompts => prompts::since(name),
            Kind::Resources if modern::is_skill(&item["uri"]) => ProtocolVersion::V2026_07_28,
            Kind::Resources | Kind::ResourceTemplates => ProtocolVersion::V2024_11_05,
        }
    };
    list.iter()
        .map(|item| Item {
            since: since(item),
            json: item.to_string(),
        })
        .collect()
}

/// Returns `params.cursor` of a list request.
///
/// # Errors
/// If it is not a string.
pub(crate) fn cursor(params: Option<&[u8]>) -> Result<Option<String>, ErrorObject> {
    #[derive(serde::Deserialize)]
    struct Params {
        cursor: Option<String>,
    }
    parse(params).map(|params: Params| params.cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::names::code;

    fn paged(page_size: usize) -> Catalogue {
        Catalogue::new(&MockOptions {
            page_size,
            invalid_header_tool: true,
            ..MockOptions::default()
        })
    }

    fn page(catalogue: &Catalogue, kind: Kind, version: ProtocolVersion, cursor: Option<&str>) -> Value {
        let text = catalogue
            .page(kind, version, &Additions::default(), cursor)
            .unwrap();
        assert!(!text.contains('\n'));
        serde_json::from_str(&text).unwrap()
    }

    fn names(list: &Value) -> Vec<&str> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item["name"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn every_listed_tool_exists_and_every_tool_is_listed_in_order() {
        let result = page(&paged(0), Kind::Tools, ProtocolVersion::V2026_07_28, None);
        let existing: Vec<&str> = tools::all().map(|tool| tool.name).collect();
        assert_eq!(names(&result["tools"]), existing);
        for tool in result["tools"].as_array().unwrap() {
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert!(tool["description"].is_string(), "{tool}");
        }
    }

    #[test]
    fn an_older_client_is_not_told_of_what_its_version_lacks() {
        let catalogue = paged(0);
        let oldest = page(&catalogue, Kind::Tools, ProtocolVersion::V2024_11_05, None);
        assert!(!names(&oldest["tools"]).contains(&"test_audio_content"));
        assert!(!names(&oldest["tools"]).contains(&"test_elicitation"));
        let middle = page(&catalogue, Kind::Tools, ProtocolVersion::V2025_06_18, None);
        assert!(names(&middle["tools"]).contains(&"test_elicitation"));
        assert!(!names(&middle["tools"]).contains(&"test_elicitation_sep1330_enums"));
    }

    #[test]
    fn the_2020_12_schema_is_listed_key_for_key() {
        let text = paged(0)
            .page(Kind::Tools, ProtocolVersion::LATEST, &Additions::default(), None)
            .unwrap();
        let expected = concat!(
            r#""inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","#,
            r#""$defs":{"address":{"$anchor":"addressDef","type":"object","#,
            r#""properties":{"street":{"type":"string"},"city":{"type":"string"}}}},"#,
            r##""properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"##,
            r#""contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"#,
            r#""email":{"type":"string"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],"#,
            r#""if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"#,
            r#""then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false}"#,
        );
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn pages_follow_each_other_to_the_end_and_foreign_cursors_are_refused() {
        let catalogue = paged(7);
        let whole = page(&paged(0), Kind::Tools, ProtocolVersion::LATEST, None);
        let mut collected = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let result = page(
                &catalogue,
                Kind::Tools,
                ProtocolVersion::LATEST,
                cursor.as_deref(),
            );
            let items = result["tools"].as_array().unwrap();
            assert!(items.len() <= 7);
            collected.extend(items.iter().cloned());
            let Some(next) = result["nextCursor"].as_str() else {
                break;
            };
            cursor = Some(next.to_owned());
        }
        assert_eq!(Value::Array(collected), whole["tools"]);
        for foreign in ["", "at-0", "at-3", "at-700", "7"] {
            let refused = catalogue.page(
                Kind::Tools,
                ProtocolVersion::LATEST,
                &Additions::default(),
                Some(foreign),
            );
            assert_eq!(refused.unwrap_err().code, code::INVALID_PARAMS, "{foreign}");
        }
    }
}

//! What a client with a handshake reads of a server that speaks a later version. Fields that its version does not have
//! do no harm and stay; values that its version has no room for are said in other words, or refused.

use memchr::memmem;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Draft, SCAN, Untranslatable};
use crate::protocol::document::Document;
use crate::protocol::edit::without_members;
use crate::protocol::names::method;
use crate::protocol::scan::Span;
use crate::protocol::{Message, ProtocolVersion};

/// Returns the answer to a request with `method` as a client of an older version can read it.
///
/// # Errors
/// See [`Untranslatable`].
pub fn answer_for_older(
    answer: &Message,
    method: &str,
    version: ProtocolVersion,
) -> Result<Message, Untranslatable> {
    let may_hold = |text: &str| memmem::find(answer.bytes(), text.as_bytes()).is_some();
    let has_new_blocks = || {
        NEW_BLOCKS
            .iter()
            .any(|(kind, since)| version < *since && may_hold(kind))
    };
    match method {
        method::TOOLS_LIST if may_hold(OUTPUT_SCHEMA) => with_objects_as_output(answer),
        method::TOOLS_CALL if may_hold(STRUCTURED) || has_new_blocks() => {
            let mut draft = Draft::of(answer);
            draft.unstructure()?;
            if let Some(blocks) = draft.elements("/result/content")? {
                for (place, block) in blocks.into_iter().enumerate() {
                    draft.reword_block(&format!("/result/content/{place}"), &block, version)?;
                }
            }
            draft.finish()
        }
        method::PROMPTS_GET if has_new_blocks() => {
            let mut draft = Draft::of(answer);
            for place in 0..draft.elements("/result/messages")?.map_or(0, |all| all.len()) {
                let pointer = format!("/result/messages/{place}/content");
                if let Some(block) = draft.document.at(&pointer)? {
                    draft.reword_block(&pointer, &block, version)?;
                }
            }
            draft.finish()
        }
        _ => Ok(answer.clone()),
    }
}

/// Returns what a server asks a client as one of an older version can read it.
///
/// # Errors
/// See [`Untranslatable`]: there is more that the older version cannot ask than in answers.
pub fn question_for_older(question: &Message, version: ProtocolVersion) -> Result<Message, Untranslatable> {
    let mut draft = Draft::of(question);
    match &*question.method() {
        method::SAMPLING => draft.reword_conversation(version)?,
        method::ELICIT if draft.text_at("/params/mode")? == Some("\"url\"") => {
            if version < ProtocolVersion::V2025_11_25 {
                return Err(older("to visit a page", version));
            }
            // Later versions have no such id, this one needs it.
            let id = Value::from(Uuid::new_v4().to_string()).to_string();
            draft.add_missing_to("/params", &[("elicitationId", id)])?;
        }
        method::ELICIT if version < ProtocolVersion::V2025_11_25 => draft.reword_form(version)?,
        _ => {}
    }
    draft.finish()
}

const OUTPUT_SCHEMA: &str = "outputSchema";
const STRUCTURED: &str = "structuredContent";

/// Kinds of content, and the versions that brought them.
const NEW_BLOCKS: [(&str, ProtocolVersion); 2] = [
    ("audio", ProtocolVersion::V2025_03_26),
    ("resource_link", ProtocolVersion::V2025_06_18),
];

fn older(what: &'static str, version: ProtocolVersion) -> Untranslatable {
    Untranslatable::Older { what, version }
}

/// Up to 2025-11-25 what a tool returns besides its content is an object, or nothing is known of it.
fn with_objects_as_output(answer: &Message) -> Result<Message, Untranslatable> {
    const LIST: &str = "/result/tools";
    let document = Document::new(answer.bytes().clone());
    let Some(list) = document.at(LIST)? else {
        return Ok(answer.clone());
    };
    let mut others = Vec::new();
    for (place, tool) in document
        .level(&list)?
        .iter()
        .flat_map(|level| level.entries())
        .enumerate()
    {
        let Some(schema) = document.member(&tool.value, OUTPUT_SCHEMA)? else {
            continue;
        };
        let kind = document.member(&schema, "type")?;
        if kind.is_none_or(|kind| document.text(kind) != "\"object\"") {
            others.push(format!("{LIST}/{place}"));
        }
    }
    if others.is_empty() {
        return Ok(answer.clone());
    }
    let others: Vec<_> = others.iter().map(|tool| (tool.as_str(), OUTPUT_SCHEMA)).collect();
    Ok(Message::parse(without_members(&document, &others)?, SCAN)?)
}

impl Draft<'_> {
    /// Returns where the elements of an array stand.
    fn elements(&self, pointer: &str) -> Result<Option<Vec<Span>>, Untranslatable> {
        let Some(array) = self.document.at(pointer)? else {
            return Ok(None);
        };
        let level = self.document.level(&array)?.filter(|level| !level.is_object());
        Ok(level.map(|level| level.entries().iter().map(|entry| entry.value.clone()).collect()))
    }

    /// Takes out a structured result that is no object; where there is no other, it becomes one.
    fn unstructure(&mut self) -> Result<(), Untranslatable> {
        let text = self.text_at("/result/structuredContent")?;
        let Some(text) = text.filter(|text| !text.starts_with('{')).map(str::to_owned) else {
            return Ok(());
        };
        self.remove("/result/structuredContent".to_owned());
        if self
            .elements("/result/content")?
            .is_none_or(|blocks| blocks.is_empty())
        {
            let block = json!([{ "type": "text", "text": text }]);
            self.set("/result/content", block.to_string());
        }
        Ok(())
    }

    fn member_text(&self, object: &Span, key: &str) -> Result<Option<&str>, Untranslatable> {
        let member = self.document.member(object, key)?;
        Ok(member.map(|span| self.document.text(span)))
    }

    /// Puts a block of content into other words if its kind is newer than a version.
    fn reword_block(
        &mut self,
        pointer: &str,
        block: &Span,
        version: ProtocolVersion,
    ) -> Result<(), Untranslatable> {
        let kind = self.member_text(block, "type")?;
        let is_new = |name: &str, since| kind == Some(name) && version < since;
        let reworded = if is_new("\"audio\"", ProtocolVersion::V2025_03_26) {
            self.embedded(block)?
        } else if is_new("\"resource_link\"", ProtocolVersion::V2025_06_18) {
            Some(self.spelt_out(block)?)
        } else {
            None
        };
        if let Some(reworded) = reworded {
            self.set(pointer, reworded);
        }
        Ok(())
    }

    /// Returns audio as a resource that comes along; `None` if there is none in it.
    fn embedded(&self, audio: &Span) -> Result<Option<String>, Untranslatable> {
        let Some(data) = self.member_text(audio, "data")? else {
            return Ok(None);
        };
        let mime = self.member_text(audio, "mimeType")?.unwrap_or("\"audio\"");
        let annotations = self.annotations(audio)?;
        Ok(Some(format!(
            r#"{{"type":"resource","resource":{{"uri":"audio:{}","mimeType":{mime},"blob":{data}}}{annotations}}}"#,
            audio.start
        )))
    }

    /// Returns a link as a text.
    fn spelt_out(&self, link: &Span) -> Result<String, Untranslatable> {
        let string = |key| -> Result<Option<String>, Untranslatable> {
            let text = self.member_text(link, key)?;
            Ok(text.and_then(|text| serde_json::from_str(text).ok()))
        };
        let uri = string("uri")?.unwrap_or_default();
        let name = string("title")?.or(string("name")?);
        let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
        let about = string("description")?
            .map(|about| format!("\n{about}"))
            .unwrap_or_default();
        let text = Value::from(format!("{name}{uri}{about}"));
        let annotations = self.annotations(link)?;
        Ok(format!(r#"{{"type":"text","text":{text}{annotations}}}"#))
    }

    /// Returns the annotations of a block as the member of another one.
    fn annotations(&self, block: &Span) -> Result<String, Untranslatable> {
        let annotations = self.member_text(block, "annotations")?;
        Ok(annotations
            .map(|its| format!(r#","annotations":{its}"#))
            .unwrap_or_default())
    }

    /// Gives each message of a conversation one block of content, and refuses what no block of a version can hold.
    fn reword_conversation(&mut self, version: ProtocolVersion) -> Result<(), Untranslatable> {
        const MESSAGES: &str = "/params/messages";
        if version >= ProtocolVersion::V2025_11_25 {
            return Ok(());
        }
        if self.has("/params/tools")? {
            return Err(older("sampling with tools", version));
        }
        let mut said = Vec::new();
        let mut is_changed = false;
        for message in self.elements(MESSAGES)?.unwrap_or_default() {
            let role = self.member_text(&message, "role")?.unwrap_or("\"user\"");
            let Some(content) = self.document.member(&message, "content")? else {
                return Ok(());
            };
            let level = self.document.level(&content)?.filter(|level| !level.is_object());
            let several =
                level.map(|level| level.entries().iter().map(|entry| entry.value.clone()).collect());
            is_changed |= several.is_some();
            for block in several.unwrap_or_else(|| vec![content]) {
                match self.member_text(&block, "type")? {
                    Some("\"tool_use\"" | "\"tool_result\"") => {
                        return Err(older("sampling with tools", version));
                    }
                    Some("\"audio\"") if version < ProtocolVersion::V2025_03_26 => {
                        return Err(older("sampling with audio", version));
                    }
                    _ => {}
                }
                let block = self.document.text(block);
                said.push(format!(r#"{{"role":{role},"content":{block}}}"#));
            }
        }
        if is_changed {
            self.set(MESSAGES, format!("[{}]", said.join(",")));
        }
        Ok(())
    }

    /// Puts the choices of a form into the words of 2025-06-18, which knows a choice of one by its values.
    fn reword_form(&mut self, version: ProtocolVersion) -> Result<(), Untranslatable> {
        const FIELDS: &str = "/params/requestedSchema/properties";
        let Some(fields) = self.text_at(FIELDS)? else {
            return Ok(());
        };
        let Ok(Value::Object(mut fields)) = serde_json::from_str(fields) else {
            return Ok(());
        };
        let before = fields.clone();
        for field in fields.values_mut().filter_map(Value::as_object_mut) {
            if field.get("type") == Some(&json!("array")) {
                return Err(older("a choice of several in a form", version));
            }
            reword_choice(field);
        }
        if fields != before {
            self.set(FIELDS, Value::Object(fields).to_string());
        }
        Ok(())
    }
}

/// Turns titled choices (2025-11-25, "oneOf") into values and their names.
fn reword_choice(field: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = field.get("oneOf") else {
        return;
    };
    let each = |key: &str| {
        choices
            .iter()
            .map(|choice| choice[key].clone())
            .collect::<Vec<_>>()
    };
    let (values, titles) = (each("const"), each("title"));
    if values.iter().all(Value::is_string) {
        field.shift_remove("oneOf");
        field.insert("enum".to_owned(), values.into());
        if titles.iter().all(Value::is_string) {
            field.insert("enumNames".to_owned(), titles.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ProtocolVersion as Version;

    fn message(text: &str) -> Message {
        Message::parse(text.to_owned().into(), SCAN).expect("valid")
    }

    #[track_caller]
    fn check_answer(method: &str, version: Version, result: &str, expect: &str) {
        let wrap = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let seen = answer_for_older(&message(&wrap(result)), method, version).expect("translatable");
        assert_eq!(String::from_utf8_lossy(seen.bytes()), wrap(expect), "{version}");
    }

    fn asked(method: &str, params: Value, version: Version) -> Result<Value, Untranslatable> {
        let text = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let seen = question_for_older(&message(&text), version)?;
        let params = seen.params().expect("they were there");
        Ok(serde_json::from_slice(&params).expect("JSON"))
    }

    const AUDIO: &str =
        r#"{"type":"audio","data":"QUJD","mimeType":"audio/wav","annotations":{"priority":1}}"#;
    const LINK: &str =
        r#"{"type":"resource_link","uri":"a:b","name":"n","title":"A \"b\"","description":"d"}"#;
    const TEXT: &str = r#"{"type":"text","text":"audio resource_link","x":[1]}"#;

    #[test]
    fn content_that_a_version_does_not_know_is_said_in_others() {
        let content = format!(r#"{{"content":[{AUDIO}, {LINK}, {TEXT}]}}"#);
        let as_text = r#"{"type":"text","text":"A \"b\": a:b\nd"}"#;
        for version in [Version::V2025_06_18, Version::V2025_11_25] {
            check_answer(method::TOOLS_CALL, version, &content, &content);
        }
        let expect = format!(r#"{{"content":[{AUDIO}, {as_text}, {TEXT}]}}"#);
        check_answer(method::TOOLS_CALL, Version::V2025_03_26, &content, &expect);
        let at = r#"{"jsonrpc":"2.0","id":1,"result":{"content":["#.len();
        let as_resource = format!(
            r#"{{"type":"resource","resource":{{"uri":"audio:{at}","mimeType":"audio/wav","blob":"QUJD"}},"annotations":{{"priority":1}}}}"#
        );
        let expect = format!(r#"{{"content":[{as_resource}, {as_text}, {TEXT}]}}"#);
        check_answer(method::TOOLS_CALL, Version::V2024_11_05, &content, &expect);
        let prompt = |block: &str| format!(r#"{{"messages":[{{"role":"user","content":{block}}}]}}"#);
        check_answer(
            method::PROMPTS_GET,
            Version::V2025_03_26,
            &prompt(LINK),
            &prompt(as_text),
        );
        check_answer("vendor/method", Version::V2024_11_05, &content, &content);
    }

    #[test]
    fn what_tools_return_is_an_object_in_older_versions() {
        let version = Version::V2025_11_25;
        let object = r#"{"content":[],"structuredContent":{"a":1}}"#;
        check_answer(method::TOOLS_CALL, version, object, object);
        let list = r#"{"structuredContent":[1, 2],"content":[]}"#;
        check_answer(
            method::TOOLS_CALL,
            version,
            list,
            r#"{"content":[{"type":"text","text":"[1, 2]"}]}"#,
        );
        check_answer(
            method::TOOLS_CALL,
            version,
            r#"{"structuredContent":"a","x":1}"#,
            r#"{"x":1,"content":[{"type":"text","text":"\"a\""}]}"#,
        );
        check_answer(
            method::TOOLS_CALL,
            version,
            r#"{"content":[{"type":"text","text":"7"}],"structuredContent":7}"#,
            r#"{"content":[{"type":"text","text":"7"}]}"#,
        );
        let tools = r#"{"tools":[{"name":"a","outputSchema":{"type":"object","x":1}},{"name":"b","outputSchema":{"type":"array"}},{"outputSchema":{},"name":"c"}]}"#;
        let expect =
            r#"{"tools":[{"name":"a","outputSchema":{"type":"object","x":1}},{"name":"b"},{"name":"c"}]}"#;
        check_answer(method::TOOLS_LIST, version, tools, expect);
    }

    #[test]
    fn a_page_to_visit_has_an_id_where_that_is_needed() {
        let page = json!({ "mode": "url", "message": "m", "url": "https://a" });
        let told = asked(method::ELICIT, page.clone(), Version::V2025_11_25).expect("there are words");
        assert!(
            told["elicitationId"].as_str().is_some_and(|id| !id.is_empty()),
            "{told}"
        );
        let error = asked(method::ELICIT, page, Version::V2025_06_18).expect_err("there are none");
        assert_eq!(
            error.to_string(),
            "protocol version 2025-06-18 has no words for this: to visit a page"
        );
    }

    #[test]
    fn forms_ask_for_choices_as_their_version_does() {
        let form = |field: Value| json!({ "message": "m", "requestedSchema": { "type": "object", "properties": { "f": field } } });
        let titled = form(json!({
            "type": "string", "title": "t", "default": "a",
            "oneOf": [{ "const": "a", "title": "A" }, { "const": "b", "title": "B" }],
        }));
        assert_eq!(
            asked(method::ELICIT, titled.clone(), Version::V2025_11_25),
            Ok(titled.clone())
        );
        let named = form(json!({
            "type": "string", "title": "t", "default": "a", "enum": ["a", "b"], "enumNames": ["A", "B"],
        }));
        assert_eq!(asked(method::ELICIT, titled, Version::V2025_06_18), Ok(named));
        let several = form(json!({ "type": "array", "items": { "type": "string", "enum": ["a"] } }));
        assert!(asked(method::ELICIT, several.clone(), Version::V2025_06_18).is_err());
        assert!(asked(method::ELICIT, several, Version::V2025_11_25).is_ok());
    }

    #[test]
    fn conversations_have_one_block_in_each_message() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let with =
            |content: Value| json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": 1 });
        let several = with(json!([text("a"), text("b")]));
        let apart = json!({
            "messages": [{ "role": "user", "content": text("a") }, { "role": "user", "content": text("b") }],
            "maxTokens": 1,
        });
        assert_eq!(
            asked(method::SAMPLING, several.clone(), Version::V2025_06_18),
            Ok(apart)
        );
        assert_eq!(
            asked(method::SAMPLING, several.clone(), Version::V2025_11_25),
            Ok(several)
        );
        let plain = with(text("a"));
        assert_eq!(
            asked(method::SAMPLING, plain.clone(), Version::V2024_11_05),
            Ok(plain)
        );
        let audio = with(json!({ "type": "audio", "data": "", "mimeType": "audio/wav" }));
        assert!(asked(method::SAMPLING, audio.clone(), Version::V2025_03_26).is_ok());
        assert!(asked(method::SAMPLING, audio, Version::V2024_11_05).is_err());
        let tool = with(json!([{ "type": "tool_use", "id": "1", "name": "n", "input": {} }]));
        assert!(asked(method::SAMPLING, tool, Version::V2025_06_18).is_err());
        let mut tools = with(text("a"));
        tools["tools"] = json!([]);
        assert!(asked(method::SAMPLING, tools, Version::V2025_06_18).is_err());
    }
}

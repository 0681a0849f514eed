//! The tools that the conformance suite calls, with the results it expects.

use serde_json::{Value, json};

use super::content::{self, AUDIO_WAV, IMAGE_PNG};
use super::message::raw;
use super::peer::Level;
use super::question::{ALONE, Answers, Ask, Question, elicited, sampled, told};
use super::script::{Action, Outcome, Step};
use super::tools::{Call, Tool, ToolResult};
use crate::protocol::ProtocolVersion;
use crate::protocol::names::method;

pub(crate) const TOOLS: &[Tool] = &[
    Tool::new("test_simple_text", simple_text),
    Tool::new("test_image_content", image_content),
    Tool::new("test_audio_content", audio_content).since(ProtocolVersion::V2025_03_26),
    Tool::new("test_embedded_resource", embedded_resource),
    Tool::new("test_multiple_content_types", multiple_content_types),
    Tool::new("test_tool_with_logging", with_logging),
    Tool::new("test_tool_with_progress", with_progress),
    Tool::new("test_error_handling", error_handling),
    Tool::new("test_sampling", test_sampling),
    Tool::new("test_elicitation", test_elicitation).since(ProtocolVersion::V2025_06_18),
    Tool::new("test_elicitation_sep1034_defaults", elicitation_defaults).since(ProtocolVersion::V2025_11_25),
    Tool::new("test_elicitation_sep1330_enums", elicitation_enums).since(ProtocolVersion::V2025_11_25),
    Tool::new("json_schema_2020_12_tool", json_schema),
    Tool::new("test_reconnection", reconnection),
];

fn simple_text(_call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(
        r#"{"content":[{"type":"text","text":"This is a simple text response for testing."}]}"#,
    ))
}

fn image_content(_call: &Call<'_>) -> ToolResult {
    Ok(content_of(
        json!([{ "type": "image", "data": IMAGE_PNG, "mimeType": "image/png" }]),
    ))
}

fn audio_content(_call: &Call<'_>) -> ToolResult {
    Ok(content_of(
        json!([{ "type": "audio", "data": AUDIO_WAV, "mimeType": "audio/wav" }]),
    ))
}

fn embedded_resource(_call: &Call<'_>) -> ToolResult {
    Ok(content_of(json!([{ "type": "resource", "resource": {
        "uri": "test://embedded-resource",
        "mimeType": "text/plain",
        "text": "This is an embedded resource content.",
    } }])))
}

fn multiple_content_types(_call: &Call<'_>) -> ToolResult {
    Ok(content_of(json!([
        { "type": "text", "text": "Multiple content types test:" },
        { "type": "image", "data": IMAGE_PNG, "mimeType": "image/png" },
        { "type": "resource", "resource": {
            "uri": "test://mixed-content-resource",
            "mimeType": "application/json",
            "text": json!({ "test": "data", "value": 123 }).to_string(),
        } },
    ])))
}

fn with_logging(_call: &Call<'_>) -> ToolResult {
    let log = |after_ms, text: &str| Step::after_ms(after_ms, Action::Log(Level::INFO, text.into()));
    Ok(Outcome::Script(vec![
        log(0, "Tool execution started"),
        log(50, "Tool processing data"),
        log(50, "Tool execution completed"),
        answer(0, "Tool with logging executed successfully"),
    ]))
}

fn with_progress(call: &Call<'_>) -> ToolResult {
    let mut steps = Vec::new();
    for (after_ms, progress) in [(0, 0), (50, 50), (50, 100)] {
        steps.push(Step::after_ms(after_ms, progress_action(call, progress, 100)));
    }
    steps.push(answer(0, "Tool with progress executed successfully"));
    Ok(Outcome::Script(steps))
}

fn error_handling(_call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(content::failure(
        "This tool intentionally returns an error for testing",
    )))
}

fn test_sampling(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let question = Question::sampling(ALONE, arguments.text("prompt")?);
    call.ask(Ask::one(question, |answers| {
        told(&format!("LLM response: {}", sampled(&answers[ALONE])))
    }))
}

fn test_elicitation(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let schema = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    let question = Question::elicitation(ALONE, arguments.text("message")?, &schema);
    call.ask(Ask::one(question, |answers| {
        told(&format!("User response: {}", elicited(&answers[ALONE])))
    }))
}

fn elicitation_defaults(call: &Call<'_>) -> ToolResult {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "User name", "default": "John Doe" },
            "age": { "type": "integer", "description": "User age", "default": 30 },
            "score": { "type": "number", "description": "User score", "default": 95.5 },
            "status": {
                "type": "string",
                "description": "User status",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": { "type": "boolean", "description": "Verification status", "default": true },
        },
        "required": [],
    });
    let question = Question::elicitation(ALONE, "Please review the form with default values", &schema);
    call.ask(Ask::one(question, completed))
}

fn elicitation_enums(call: &Call<'_>) -> ToolResult {
    let titled = |one: &str, two: &str, three: &str| {
        json!([
            { "const": "value1", "title": one },
            { "const": "value2", "title": two },
            { "const": "value3", "title": three },
        ])
    };
    let options = json!(["option1", "option2", "option3"]);
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled("First Option", "Second Option", "Third Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
            "titledMulti": {
                "type": "array",
                "items": { "anyOf": titled("First Choice", "Second Choice", "Third Choice") },
            },
        },
        "required": [],
    });
    let question = Question::elicitation(ALONE, "Please select options from the enum fields", &schema);
    call.ask(Ask::one(question, completed))
}

fn json_schema(call: &Call<'_>) -> ToolResult {
    let given = call.raw.map_or("{}", |raw| raw.get());
    Ok(Outcome::result(content::text(&format!(
        "JSON Schema 2020-12 tool called with: {given}"
    ))))
}

/// A stdio server cannot close the stream of one call. It sends a message first, so that there is a stream, and
/// then takes its time, so that whoever stands between may close it and the client may come back.
fn reconnection(_call: &Call<'_>) -> ToolResult {
    let text =
        "Reconnection test completed. If the stream was closed meanwhile, the client came back for this.";
    Ok(Outcome::Script(vec![
        Step::now(Action::Log(Level::INFO, "Reconnection test started".into())),
        answer(100, text),
    ]))
}

/// Returns the notification of progress, or nothing to do if the caller does not want to hear of it.
pub(crate) fn progress_action(call: &Call<'_>, progress: u64, total: u64) -> Action {
    let Some(token) = &call.progress_token else {
        return Action::Nothing;
    };
    let params = json!({ "progressToken": token, "progress": progress, "total": total });
    Action::Notify(method::PROGRESS.into(), Some(raw(&params)))
}

/// Returns the step that answers with a text.
pub(crate) fn answer(after_ms: u64, text: &str) -> Step {
    Step::after_ms(after_ms, Action::Answer(content::text(text).into()))
}

fn completed(answers: &Answers) -> Outcome {
    told(&format!("Elicitation completed: {}", elicited(&answers[ALONE])))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "json! makes the value for this one use"
)]
fn content_of(content: Value) -> Outcome {
    Outcome::result(json!({ "content": content }).to_string())
}

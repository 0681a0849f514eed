//! Tools of the conformance suite for the extension `tasks` (2026-07-28).

use std::time::Duration;

use serde_json::Value;

use super::content;
use super::message::invalid_params;
use super::modern::Plan;
use super::question::{Ask, Question, told};
use super::script::Outcome;
use super::tools::{Call, Tool, ToolResult};
use crate::protocol::ProtocolVersion;
use crate::protocol::names::code;
use crate::protocol::reply::ErrorObject;

pub(crate) const TOOLS: &[Tool] = &[
    Tool::new("greet", greet).since(VERSION),
    Tool::new("slow_compute", slow_compute).since(VERSION),
    Tool::new("failing_job", failing_job).since(VERSION),
    Tool::new("protocol_error_job", protocol_error_job).since(VERSION),
    Tool::new("confirm_delete", confirm_delete).since(VERSION),
    Tool::new("multi_input", multi_input).since(VERSION),
    Tool::new("test_tool_with_task", with_task).since(VERSION),
];

const VERSION: ProtocolVersion = ProtocolVersion::V2026_07_28;
const SECONDS_MAX: u64 = 24 * 3600;
/// How long a job works that ends by itself.
const JOB: Duration = Duration::from_millis(500);

fn greet(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    Ok(told(&format!("Hello, {}!", arguments.text("name")?)))
}

fn slow_compute(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let seconds = arguments.number("seconds", 0, SECONDS_MAX)?;
    let label = arguments.optional_text("label")?.unwrap_or("nothing");
    let text = format!("computed {label} for {seconds} s");
    Ok(Plan::of(Duration::from_secs(seconds), told(&text)))
}

fn failing_job(_call: &Call<'_>) -> ToolResult {
    Ok(Outcome::Task(Plan {
        after: JOB,
        outcome: Box::new(Outcome::result(content::failure("the job failed"))),
        is_required: true,
    }))
}

fn protocol_error_job(_call: &Call<'_>) -> ToolResult {
    let error = ErrorObject::new(code::INTERNAL_ERROR, "the job broke");
    Ok(Plan::of(JOB, error.into()))
}

fn confirm_delete(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let file = arguments.optional_text("filename")?.unwrap_or("it");
    let question = Question::field("confirm_delete", &format!("Delete {file}?"), "confirm", "boolean");
    let ask = Ask::one(question, |answers| {
        let is_confirmed = answers["confirm_delete"]["content"]["confirm"] == Value::Bool(true);
        told(if is_confirmed { "deleted" } else { "kept" })
    });
    Ok(Plan::of(Duration::ZERO, Outcome::Ask(ask)))
}

fn multi_input(_call: &Call<'_>) -> ToolResult {
    let questions = vec![
        Question::field("first", "First name?", "name", "string"),
        Question::field("second", "Second name?", "name", "string"),
    ];
    let ask = Ask::sealed(questions, |answers| {
        let name = |key: &str| {
            answers[key]["content"]["name"]
                .as_str()
                .unwrap_or("nobody")
                .to_owned()
        };
        told(&format!("{} and {}", name("first"), name("second")))
    });
    Ok(Plan::of(Duration::ZERO, Outcome::Ask(ask)))
}

/// Asks before it becomes a task.
fn with_task(_call: &Call<'_>) -> ToolResult {
    let question = Question::field("user_name", "What is your name?", "name", "string");
    Ok(Outcome::Ask(Ask::one(
        question,
        |answers| match answers["user_name"]["content"]["name"].as_str() {
            Some(name) => Outcome::Task(Plan {
                after: JOB,
                outcome: Box::new(told(&format!("Hello, {name}!"))),
                is_required: true,
            }),
            None => invalid_params("a name is needed").into(),
        },
    )))
}

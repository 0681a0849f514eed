//! Tools of the conformance suite that need something of the client, and those that make its lists change.
//!
//! They exist in both eras: a server of the handshake era sends the same questions as requests of its own.

use serde_json::Value;

use super::catalogue::Kind;
use super::peer::Level;
use super::probe_tools::changed;
use super::question::{Answers, Ask, Question, elicited, sampled, told};
use super::script::{Action, Outcome, Step};
use super::tools::{Call, Tool, ToolResult};
use crate::protocol::ProtocolVersion;

pub(crate) const TOOLS: &[Tool] = &[
    Tool::new("test_input_required_result_elicitation", elicitation).since(ELICITATION),
    Tool::new("test_input_required_result_sampling", sampling),
    Tool::new("test_input_required_result_list_roots", list_roots),
    Tool::new("test_input_required_result_request_state", request_state).since(ELICITATION),
    Tool::new("test_input_required_result_multiple_inputs", multiple_inputs).since(ELICITATION),
    Tool::new("test_input_required_result_multi_round", multi_round).since(ELICITATION),
    Tool::new("test_input_required_result_tampered_state", request_state).since(ELICITATION),
    Tool::new("test_input_required_result_capabilities", capabilities),
    Tool::new("test_missing_capability", missing_capability),
    Tool::new("test_streaming_elicitation", elicitation).since(ELICITATION),
    Tool::new("test_logging_tool", logging),
    Tool::new("test_trigger_tool_change", trigger_tool_change),
    Tool::new("test_trigger_prompt_change", trigger_prompt_change),
];

const ELICITATION: ProtocolVersion = ProtocolVersion::V2025_06_18;

fn elicitation(call: &Call<'_>) -> ToolResult {
    call.ask(Ask::one(name_of("user_name", "What is your name?"), |answers| {
        told(&hello(&answers["user_name"]))
    }))
}

fn sampling(call: &Call<'_>) -> ToolResult {
    let question = Question::sampling("capital_question", "What is the capital of France?");
    call.ask(Ask::one(question, |answers| {
        told(&sampled(&answers["capital_question"]))
    }))
}

fn list_roots(call: &Call<'_>) -> ToolResult {
    call.ask(Ask::one(Question::roots("client_roots"), |answers| {
        told(&format!("Roots: {}", roots(&answers["client_roots"])))
    }))
}

fn request_state(call: &Call<'_>) -> ToolResult {
    let question = Question::field("confirm", "Please confirm", "ok", "boolean");
    call.ask(Ask::sealed(vec![question], |answers| {
        told(&format!("state-ok: {}", elicited(&answers["confirm"])))
    }))
}

fn multiple_inputs(call: &Call<'_>) -> ToolResult {
    let questions = vec![
        name_of("user_name", "What is your name?"),
        Question::sampling_up_to("greeting", "Generate a greeting", 50),
        Question::roots("client_roots"),
    ];
    call.ask(Ask::sealed(questions, |answers| {
        told(&format!(
            "{} {} Roots: {}",
            hello(&answers["user_name"]),
            sampled(&answers["greeting"]),
            roots(&answers["client_roots"])
        ))
    }))
}

fn multi_round(call: &Call<'_>) -> ToolResult {
    let first = name_of("step1", "Step 1: What is your name?");
    call.ask(Ask::sealed(vec![first], |_| {
        let second = Question::field("step2", "Step 2: What is your favorite color?", "color", "string");
        Outcome::Ask(Ask::sealed(vec![second], two_rounds))
    }))
}

fn two_rounds(answers: &Answers) -> Outcome {
    let color = answers["step2"]["content"]["color"].as_str().unwrap_or("none");
    told(&format!(
        "{} Your favorite color is {color}.",
        hello(&answers["step1"])
    ))
}

/// Asks for as much as the client declares.
fn capabilities(call: &Call<'_>) -> ToolResult {
    let mut questions = Vec::new();
    if call.declares("elicitation") {
        questions.push(name_of("user_name", "What is your name?"));
    }
    if call.declares("sampling") {
        questions.push(Question::sampling("greeting", "Generate a greeting"));
    }
    if questions.is_empty() {
        return Ok(told("The client can be asked nothing."));
    }
    call.ask(Ask {
        questions,
        is_sealed: false,
        then: |answers| told(&Value::Object(answers.clone()).to_string()),
    })
}

/// Asks the client's model, whatever the client declares: what happens then is for the era, or for who stands between.
fn missing_capability(_call: &Call<'_>) -> ToolResult {
    let question = Question::sampling("greeting", "Generate a greeting");
    Ok(Outcome::Ask(Ask::one(question, |answers| {
        told(&sampled(&answers["greeting"]))
    })))
}

fn logging(_call: &Call<'_>) -> ToolResult {
    let log = |text: &str| Step::now(Action::Log(Level::INFO, text.into()));
    Ok(Outcome::Script(vec![
        log("Tool execution started"),
        log("Tool execution completed"),
        super::fixture_tools::answer(0, "Logged"),
    ]))
}

fn trigger_tool_change(call: &Call<'_>) -> ToolResult {
    let mut additions = call.server.additions.lock();
    additions.toggle(Kind::Tools, "test_triggered_tool");
    Ok(changed(Kind::Tools))
}

fn trigger_prompt_change(call: &Call<'_>) -> ToolResult {
    let mut additions = call.server.additions.lock();
    additions.toggle(Kind::Prompts, "test_triggered_prompt");
    Ok(changed(Kind::Prompts))
}

fn name_of(key: &'static str, message: &str) -> Question {
    Question::field(key, message, "name", "string")
}

fn hello(answer: &Value) -> String {
    match answer["content"]["name"].as_str() {
        Some(name) => format!("Hello, {name}!"),
        None => format!("No name: {}", elicited(answer)),
    }
}

fn roots(answer: &Value) -> String {
    let roots = answer["roots"].as_array().into_iter().flatten();
    let uris: Vec<&str> = roots.filter_map(|root| root["uri"].as_str()).collect();
    uris.join(", ")
}

//! The tools that tests of a client or a gateway call: echo, delays, crashes, floods, questions, and a look inside.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::arguments::{Arguments, BadArgument};
use super::catalogue::Kind;
use super::content;
use super::event::{Event, Reach};
use super::fixture_tools::{answer, progress_action};
use super::message::raw;
use super::modern::Plan;
use super::noise;
use super::peer::Level;
use super::question::{ALONE, Ask, Question, elicited, sampled, told};
use super::script::{Action, Farewell, Outcome, Step};
use super::tools::{Call, Tool, ToolResult};
use crate::protocol::ProtocolVersion;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;

pub(crate) const TOOLS: &[Tool] = &[
    Tool::new("echo", echo),
    Tool::new("sleep", sleep),
    Tool::new("crash", crash),
    Tool::new("crash_after", crash_after),
    Tool::new("hang", hang),
    Tool::new("big", big),
    Tool::new("notify", notify),
    Tool::new("progress", progress),
    Tool::new("log", log),
    Tool::new("regional", echo),
    Tool::new("ask", ask_client),
    Tool::new("pid", pid),
    Tool::new("env", env),
    Tool::new("touch", touch),
    Tool::new("change", change),
    Tool::new("count", count),
    Tool::new("state", state),
    Tool::new(MISANNOTATED, echo),
    Tool::new("end_listens", end_listens).since(ProtocolVersion::V2026_07_28),
    Tool::new("answer", answer_with),
    Tool::new("visit", visit).since(ProtocolVersion::V2025_11_25),
];

/// Listed on demand only: what is wrong with it is its schema.
pub(crate) const MISANNOTATED: &str = "misannotated";

const MS_MAX: u64 = 24 * 3600 * 1000;
const BYTES_MAX: u64 = 1 << 30;
const COUNT_MAX: u64 = 1_000_000;

fn echo(call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(content::text(
        call.raw.map_or("{}", |raw| raw.get()),
    )))
}

fn answer_with(call: &Call<'_>) -> ToolResult {
    let is_task = call.modern.is_some() && call.arguments()?.is_on("task")?;
    let answer = Outcome::result(call.raw.map_or("{}", |raw| raw.get()).to_owned());
    Ok(if is_task {
        Plan::of(Duration::ZERO, answer)
    } else {
        answer
    })
}

/// Does nothing before the user has visited pages. With a handshake it says so once, and believes that it has been done
/// when it is called again.
fn visit(call: &Call<'_>) -> ToolResult {
    let pages = call.arguments()?.number("pages", 1, 10)?;
    let page = |number: u64| json!({ "mode": "url", "message": format!("page {number}"), "url": format!("https://example.com/{number}") });
    if call.modern.is_some() {
        let question = Question {
            key: ALONE,
            method: method::ELICIT.into(),
            params: Some(raw(&page(1))),
        };
        return call.ask(Ask::one(question, |answers| told(&elicited(&answers[ALONE]))));
    }
    if call.server.visited.swap(true, Ordering::Relaxed) {
        return Ok(told("visited"));
    }
    let elicitations = (1..=pages).map(|number| {
        let mut page = page(number);
        page["elicitationId"] = json!(number.to_string());
        page
    });
    let elicitations: Vec<_> = elicitations.collect();
    let error = ErrorObject::new(code::URL_ELICITATION_REQUIRED, "a page has to be visited first");
    Ok(error.with_data(json!({ "elicitations": elicitations })).into())
}

fn sleep(call: &Call<'_>) -> ToolResult {
    let ms = call.arguments()?.number("ms", 0, MS_MAX)?;
    Ok(Outcome::Script(vec![answer(ms, &format!("slept {ms} ms"))]))
}

fn crash(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let end = if arguments.is_on("abort")? {
        Action::Abort
    } else {
        exit_action(call, &arguments)?
    };
    Ok(Outcome::Script(vec![Step::now(end)]))
}

fn crash_after(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let ms = arguments.number("ms", 0, MS_MAX)?;
    let end = exit_action(call, &arguments)?;
    Ok(Outcome::Script(vec![
        answer(0, &format!("crashes in {ms} ms")),
        Step::after_ms(ms, end),
    ]))
}

fn hang(_call: &Call<'_>) -> ToolResult {
    Ok(Outcome::Script(vec![Step::after_ms(MS_MAX, Action::Nothing)]))
}

fn big(call: &Call<'_>) -> ToolResult {
    let bytes = call.arguments()?.number("bytes", 0, BYTES_MAX)?;
    let length = usize::try_from(bytes).expect("the limit fits into memory's address range");
    Ok(Outcome::result(format!(
        "{{\"content\":[{{\"type\":\"text\",\"text\":\"{}\"}}]}}",
        "x".repeat(length)
    )))
}

fn notify(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let count = arguments.number("count", 1, COUNT_MAX)?;
    let method = arguments.optional_text("method")?.unwrap_or(method::LOG_MESSAGE);
    let reach = match call.modern {
        Some(_) => Reach::Subscribers,
        None => Reach::Everyone,
    };
    let burst = (1..=count).map(|number| Step::now(noise::notification(method, number, reach)));
    Ok(Outcome::Script(
        burst
            .chain([answer(0, &format!("sent {count} of {method}"))])
            .collect(),
    ))
}

fn progress(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let steps = arguments.number("steps", 1, COUNT_MAX)?;
    let ms = arguments.number("ms", 0, MS_MAX)?;
    let total = arguments.number("total", steps, u64::MAX)?;
    let reports = (1..=steps).map(|step| Step::after_ms(ms, progress_action(call, step, total)));
    Ok(Outcome::Script(
        reports
            .chain([answer(0, &format!("made {steps} steps"))])
            .collect(),
    ))
}

fn log(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let name = arguments.optional_text("level")?.unwrap_or("info");
    let level = Level::named(name).ok_or_else(|| BadArgument(format!("there is no level {name}")))?;
    let message = Action::Log(level, arguments.text("text")?.into());
    Ok(Outcome::Script(vec![Step::now(message), answer(0, "logged")]))
}

fn ask_client(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let method = arguments.text("method")?;
    let ask = match (method, arguments.value("params")) {
        (method::SAMPLING, None) => Ask::one(Question::sampling(ALONE, "Say hello."), |answers| {
            told(&format!("LLM response: {}", sampled(&answers[ALONE])))
        }),
        (method::ELICIT, None) => {
            let schema = json!({ "type": "object", "properties": { "answer": { "type": "string" } } });
            let question = Question::elicitation(ALONE, "What do you say?", &schema);
            Ask::one(question, |answers| told(&elicited(&answers[ALONE])))
        }
        (_, params) => {
            let question = Question {
                key: ALONE,
                method: method.to_owned().into(),
                params: params.map(raw),
            };
            Ask::one(question, |answers| told(&answers[ALONE].to_string()))
        }
    };
    call.ask(ask)
}

fn pid(_call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(content::text(&std::process::id().to_string())))
}

fn env(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let Some(name) = arguments.optional_text("name")? else {
        let names: Vec<String> = std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        return Ok(Outcome::result(content::text(&json!(names).to_string())));
    };
    let value = std::env::var_os(name).ok_or_else(|| BadArgument(format!("{name} is not set")))?;
    Ok(Outcome::result(content::text(&value.to_string_lossy())))
}

fn touch(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let uri = arguments.text("uri")?;
    let event = Event::Updated(uri.to_owned());
    let reach = if arguments.is_on("force")? {
        Reach::Everyone
    } else if call.server.is_awaited(&event) {
        Reach::Subscribers
    } else {
        return Ok(told("nobody subscribed"));
    };
    let update = Action::Tell(event, reach);
    Ok(Outcome::Script(vec![Step::now(update), answer(0, "updated")]))
}

fn change(call: &Call<'_>) -> ToolResult {
    let arguments = call.arguments()?;
    let kind = match arguments.text("kind")? {
        "tools" => Kind::Tools,
        "resources" => Kind::Resources,
        "prompts" => Kind::Prompts,
        other => {
            return Err(BadArgument(format!(
                "{other} is none of tools, resources, prompts"
            )));
        }
    };
    if let Some(name) = arguments.optional_text("name")? {
        call.server.additions.lock().toggle(kind, name);
    }
    Ok(changed(kind))
}

/// Says that a list changed, and then that it said so.
pub(crate) fn changed(kind: Kind) -> Outcome {
    let tell = Action::Tell(Event::ListChanged(kind), Reach::Subscribers);
    Outcome::Script(vec![Step::now(tell), answer(0, "changed")])
}

fn end_listens(call: &Call<'_>) -> ToolResult {
    let farewell = match call.arguments()?.optional_text("with")? {
        None | Some("result") => Farewell::Result,
        Some("cancelled") => Farewell::Cancelled,
        Some("error") => Farewell::Error,
        Some(other) => {
            return Err(BadArgument(format!(
                "{other} is none of result, cancelled, error"
            )));
        }
    };
    let end = Step::now(Action::EndListens(farewell));
    Ok(Outcome::Script(vec![end, answer(0, "ended")]))
}

fn count(call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(content::text(
        &call.server.counts.requests().to_string(),
    )))
}

fn state(call: &Call<'_>) -> ToolResult {
    Ok(Outcome::result(content::text(&call.server.state().to_string())))
}

fn exit_action(call: &Call<'_>, arguments: &Arguments) -> Result<Action, BadArgument> {
    let Some(code) = arguments.value("code") else {
        return Ok(Action::Exit(call.server.options.exit_code));
    };
    let code = code.as_i64().and_then(|code| i32::try_from(code).ok());
    code.map(Action::Exit)
        .ok_or_else(|| BadArgument("code must be a whole number".to_owned()))
}

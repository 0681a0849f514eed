//! `portcullis plugin list` and `portcullis plugin reload`.

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::super::ConfigArgs;
use super::failure::Failure;
use super::output::{cell, print, print_json, visible};
use super::table::table;
use super::verbs::{Form, FormArgs, connected};
use crate::plugin::manifest::is_name;

/// Lists the plugins of the running gateway.
///
/// # Errors
/// The runtime cannot be started.
pub(in crate::cli) fn list(args: &ConfigArgs, form: &FormArgs) -> anyhow::Result<ExitCode> {
    let form = form.form();
    connected(args, async |client| {
        show(&client.request(Method::GET, "plugins", None).await?, form)
    })
}

/// Makes the running gateway look for changes, or make another generation of one plugin.
///
/// # Errors
/// The runtime cannot be started.
pub(in crate::cli) fn reload(args: &ConfigArgs, name: Option<&str>) -> anyhow::Result<ExitCode> {
    connected(args, async |client| {
        let path = match name {
            Some(name) if !is_name(name) => {
                let message =
                    anyhow::anyhow!("{name:?} is no name of a plugin; `portcullis plugin list` lists them");
                return Err(Failure::Input(message));
            }
            Some(name) => format!("plugins/{name}/reload"),
            None => "plugins/reload".to_owned(),
        };
        show(&client.request(Method::POST, &path, None).await?, Form::Table)
    })
}

fn show(answer: &Value, form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return Ok(print_json(answer)?);
    }
    let plugins = answer["plugins"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = plugins.clone().map(row).collect();
    let head = [
        "NAME",
        "VERSION",
        "GENERATION",
        "STATE",
        "HOOKS",
        "CALLS",
        "DENIALS",
        "ERRORS",
        "P50",
        "P99",
        "GRANTS",
        "SHA256",
    ];
    let mut text = table(&head, &rows);
    for plugin in plugins {
        if let Some(error) = plugin["error"].as_str() {
            text += &format!("\n{} was not let in: {}\n", cell(&plugin["name"]), lines(error));
        }
    }
    for problem in answer["problems"].as_array().into_iter().flatten() {
        let problem = problem.as_str().unwrap_or_default();
        text += &format!("\nnothing was put in place: {}\n", lines(problem));
    }
    Ok(print(&text)?)
}

/// Returns a text whose further lines are indented: none can pass for a line of ours.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().split('\n').map(visible).collect();
    lines.join("\n    ")
}

fn row(plugin: &Value) -> Vec<String> {
    let hooks: Vec<(&String, &Value)> = plugin["hooks"].as_object().into_iter().flatten().collect();
    let sum = |figure: &str| -> String {
        let figures = hooks.iter().filter_map(|(_, hook)| hook[figure].as_u64());
        figures.sum::<u64>().to_string()
    };
    let slowest = |figure: &str| {
        let times = hooks.iter().filter_map(|(_, hook)| hook[figure].as_f64());
        times
            .reduce(f64::max)
            .map_or("-".to_owned(), |time| format!("{time}µs"))
    };
    let texts = |key: &str| {
        let texts = plugin[key].as_array().into_iter().flatten();
        let texts: Vec<String> = texts.map(cell).collect();
        if texts.is_empty() {
            "-".to_owned()
        } else {
            texts.join(", ")
        }
    };
    let digest: String = cell(&plugin["sha256"]).chars().take(12).collect();
    let counted = |figure: &str| {
        if hooks.is_empty() {
            "-".to_owned()
        } else {
            sum(figure)
        }
    };
    vec![
        cell(&plugin["name"]),
        cell(&plugin["version"]),
        cell(&plugin["generation"]),
        cell(&plugin["state"]),
        texts("exports"),
        counted("calls"),
        counted("denials"),
        counted("errors"),
        slowest("p50Micros"),
        slowest("p99Micros"),
        texts("grants"),
        digest,
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_keeps_its_lines_and_steers_nothing() {
        assert_eq!(lines("line 7\n ^\u{1b}[2J\n"), "line 7\n     ^\\u{1b}[2J");
    }

    #[test]
    fn a_row_sums_up_the_hooks_and_one_that_failed_has_none() {
        let hook = |calls: u64, p50: f64| json!({ "calls": calls, "denials": 1, "errors": 0, "p50Micros": p50, "p99Micros": 9.5 });
        let plugin = json!({
            "name": "guard", "version": "1.0.0", "generation": 3, "state": "active",
            "exports": ["access", "on-message"], "grants": [], "sha256": "0123456789abcdef",
            "hooks": { "access": hook(2, 1.5), "on-message": hook(3, 2.5) },
        });
        let expect = [
            "guard",
            "1.0.0",
            "3",
            "active",
            "access, on-message",
            "5",
            "2",
            "0",
            "2.5µs",
            "9.5µs",
            "-",
            "0123456789ab",
        ];
        assert_eq!(row(&plugin), expect);
        let failed = json!({ "name": "guard", "state": "failed", "sha256": null, "error": "x" });
        let expect = [
            "guard", "-", "-", "failed", "-", "-", "-", "-", "-", "-", "-", "-",
        ];
        assert_eq!(row(&failed), expect);
    }
}

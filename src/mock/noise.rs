//! What the mock says unasked: notifications at an interval, standard error.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::catalogue::Kind;
use super::event::{Event, Reach};
use super::message::raw;
use super::peer::Level;
use super::script::Action;
use super::server::Server;
use crate::protocol::names::method;

/// Returns notification `number` of a series.
pub(crate) fn notification(method: &str, number: u64, reach: Reach) -> Action {
    match method {
        method::LOG_MESSAGE => Action::Log(Level::INFO, json!({ "number": number })),
        method::RESOURCE_UPDATED => Action::Tell(Event::Updated("test://watched-resource".to_owned()), reach),
        method::TOOLS_CHANGED => Action::Tell(Event::ListChanged(Kind::Tools), reach),
        method::RESOURCES_CHANGED => Action::Tell(Event::ListChanged(Kind::Resources), reach),
        method::PROMPTS_CHANGED => Action::Tell(Event::ListChanged(Kind::Prompts), reach),
        _ if method.ends_with("/list_changed") => Action::Notify(method.to_owned().into(), None),
        _ => Action::Notify(method.to_owned().into(), Some(raw(&json!({ "number": number })))),
    }
}

/// Begins to send notifications at an interval, if that was asked for; at the first call only.
pub(crate) fn start_once(server: &Arc<Server>) {
    server.started_once.call_once(|| start_notifications(server));
}

fn start_notifications(server: &Arc<Server>) {
    if let Some(every) = server.options.notify_every {
        schedule_notification(server, Duration::from_millis(every.max(1)), 1);
    }
}

fn schedule_notification(server: &Arc<Server>, every: Duration, number: u64) {
    let server = Arc::clone(server);
    let schedule = Arc::clone(&server.schedule);
    schedule.after(every, move || {
        let action = notification(&server.options.notify_method, number, Reach::Everyone);
        // Without a handshake nobody has said that log messages are wanted.
        if server.peer.lock().has_shaken_hands || !matches!(action, Action::Log(..)) {
            server.perform_now(&action);
        }
        schedule_notification(&server, every, number + 1);
    });
}

/// Writes one line to standard error. Nobody may be there to read it.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes `rate` lines a second to standard error, for as long as somebody reads them.
pub(crate) fn flood_standard_error(rate: u64) {
    let begun = Instant::now();
    let mut written = 0;
    loop {
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as u64;
        let lines: String = (written..due)
            .map(|number| format!("mock-server: flood line {number}\n"))
            .collect();
        if io::stderr().write_all(lines.as_bytes()).is_err() {
            return;
        }
        written = due.max(written);
        std::thread::sleep(Duration::from_millis(10));
    }
}

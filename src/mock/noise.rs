//! What the mock says unasked: notifications at an interval, standard error.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::message::raw;
use super::peer::Level;
use super::script::Action;
use super::server::Server;

/// Returns notification `number` of a series.
pub(crate) fn notification(method: &str, number: u64) -> Action {
    match method {
        "notifications/message" => Action::Log(Level::INFO, json!({ "number": number })),
        "notifications/resources/updated" => {
            let params = json!({ "uri": "test://watched-resource" });
            Action::Notify(method.to_owned().into(), Some(raw(&params)))
        }
        _ if method.ends_with("/list_changed") => Action::Notify(method.to_owned().into(), None),
        _ => Action::Notify(method.to_owned().into(), Some(raw(&json!({ "number": number })))),
    }
}

/// Begins to send notifications at an interval, if that was asked for.
pub(crate) fn start_notifications(server: &Arc<Server>) {
    if let Some(every) = server.options.notify_every {
        schedule_notification(server, Duration::from_millis(every.max(1)), 1);
    }
}

fn schedule_notification(server: &Arc<Server>, every: Duration, number: u64) {
    let server = Arc::clone(server);
    let schedule = Arc::clone(&server.schedule);
    schedule.after(every, move || {
        server.perform_now(&notification(&server.options.notify_method, number));
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

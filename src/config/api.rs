//! Servers that come and go through the running API: the same checks as for a file, but every text is
//! literal, for whoever may register a command must not read the gateway's environment with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::choice::name_of;
use super::name::ServerName;
use super::normalise::{Null, normalise_server};
use super::remote::{RemoteTransport, same_origin};
use super::secret::{Expanded, HIDDEN, shown_secret};
use super::server::{INVOCATION, ServerDefaults, ServerSpec};
use super::texts::Texts;
use super::tree::Table;
use super::units::{format_duration, format_size};
use super::violation::{Findings, Place, Violation};

/// Shorter values stand in any text by chance; to replace them would only hide which they are.
const REDACTED_BYTES_MIN: usize = 4;

impl ServerSpec {
    /// Reads a registration.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn from_api(json: &Value, defaults: &ServerDefaults) -> Result<Self, Vec<Violation>> {
        let findings = Findings::default();
        let body = body(json, Null::Absent, &findings);
        let name = registered_name(body.get("name"), &findings);
        finish(name, body, defaults, findings)?.without_hidden()
    }

    /// Returns the server with a JSON merge patch (RFC 7396) applied: `null` restores a default. The name
    /// stays. A text that a patch repeats as it was shown keeps the value it had, variables included.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn patched(&self, patch: &Value, defaults: &ServerDefaults) -> Result<Self, Vec<Violation>> {
        let findings = Findings::default();
        let patch = body(patch, Null::Kept, &findings);
        if patch
            .get("name")
            .is_some_and(|name| name.as_str() != Some(self.name.as_str()))
        {
            findings.refuse(
                &Place::Request,
                "name",
                "cannot change: register a new server, then remove this one",
            );
        }
        let mut document = self.document();
        let moves = self.is_moved_by(&patch);
        if moves {
            document.shift_remove("headers");
        }
        merge_patch(&mut document, patch);
        let mut patched = finish(Some(self.name.clone()), document, defaults, findings)?;
        self.restore(&mut patched, moves);
        patched.without_hidden()
    }

    /// Returns the server as the API shows it: camelCase, variables by name, and no other value of the environment or
    /// of a header.
    pub fn shown(&self) -> Value {
        let mut shown = self.shown_settings();
        let fields = shown.as_object_mut().expect("it is an object");
        if let Some(remote) = &self.remote {
            for key in ["command", "args", "env", "cwd", "inheritEnv"] {
                fields.shift_remove(key);
            }
            let transport = match remote.transport {
                RemoteTransport::Auto => None,
                pinned => Some(name_of(Some(pinned))),
            };
            fields.extend([
                ("url".to_owned(), remote.shown_url().into()),
                ("headers".to_owned(), json!(remote.shown_headers())),
                ("type".to_owned(), transport.into()),
            ]);
        }
        shown
    }

    fn shown_settings(&self) -> Value {
        let never =
            |duration: Option<std::time::Duration>| duration.map_or("never".to_owned(), format_duration);
        let size = |bytes: usize| format_size(bytes as u64);
        json!({
            "name": self.name,
            "path": self.path,
            "displayName": self.display_name,
            "version": self.version,
            "command": self.command,
            "args": self.args,
            "env": self.shown_env(),
            "cwd": self.cwd,
            "inheritEnv": self.inherit_env,
            "enabled": self.enabled,
            "autostart": self.autostart,
            "sharing": name_of(self.sharing),
            "clientFeatures": self.client_features.iter().copied().map(name_of).collect::<Vec<_>>(),
            "instances": self.instances,
            "instancesMax": self.instances_max,
            "handshakeTimeout": format_duration(self.handshake_timeout),
            "requestTimeout": self.request_timeout.map(format_duration),
            "idleTimeout": never(self.idle_timeout),
            "linger": format_duration(self.linger),
            "stopGrace": format_duration(self.stop_grace),
            "pingInterval": never(self.ping_interval),
            "pingTimeout": format_duration(self.ping_timeout),
            "restartAttemptsMax": self.restart.attempts_max,
            "restartWindow": format_duration(self.restart.window),
            "backoffInitial": format_duration(self.restart.backoff_initial),
            "backoffMax": format_duration(self.restart.backoff_max),
            "stableAfter": format_duration(self.restart.stable_after),
            "coolDown": format_duration(self.restart.cool_down),
            "lineMax": size(self.line_max),
            "queueMax": self.queue_max,
            "queueBytesMax": size(self.queue_bytes_max),
            "inFlightMax": self.in_flight_max,
            "validateArguments": name_of(self.validate_arguments),
            "stderrRate": self.stderr_rate,
            "stderrTail": self.stderr_tail,
        })
    }

    fn shown_env(&self) -> BTreeMap<&str, &str> {
        self.env
            .iter()
            .map(|(name, text)| (name.as_str(), shown_secret(text.template())))
            .collect()
    }

    /// Returns the server enabled or disabled, as if it had been registered so.
    #[must_use]
    pub fn with_enabled(&self, enabled: bool) -> Self {
        let mut changed = self.clone();
        if self.enabled != enabled {
            changed.enabled = enabled;
            changed.own.insert("enabled".to_owned(), enabled.into());
        }
        changed
    }

    /// Returns whether both start the same program in the same surroundings, or are at the same place.
    pub fn invokes_the_same(&self, other: &Self) -> bool {
        self.remote == other.remote
            && self.command == other.command
            && self.args == other.args
            && self.env == other.env
            && self.cwd == other.cwd
            && self.inherit_env == other.inherit_env
    }

    /// Returns whether a process that was started for one serves for the other: they differ at most in what
    /// people read, in where clients reach the server, in whether they may, in how arguments are checked and in
    /// how long a request may take.
    pub fn runs_the_same(&self, other: &Self) -> bool {
        let described = Self {
            path: other.path.clone(),
            display_name: other.display_name.clone(),
            version: other.version.clone(),
            enabled: other.enabled,
            validate_arguments: other.validate_arguments,
            request_timeout: other.request_timeout,
            own: other.own.clone(),
            ..self.clone()
        };
        described == *other
    }

    /// Returns a text in which what variables became is replaced by the variables.
    pub fn redacted(&self, text: &str) -> String {
        let texts = [&self.command].into_iter().chain(&self.args);
        let texts = texts.chain(self.env.values()).chain(&self.cwd);
        let remote = self.remote.iter();
        let texts = texts.chain(remote.flat_map(|remote| remote.headers.values().chain([&remote.url])));
        let mut expanded: Vec<&Expanded> = texts
            .filter(|text| text.value() != text.template() && text.value().len() >= REDACTED_BYTES_MIN)
            .collect();
        expanded.sort_by_key(|text| std::cmp::Reverse(text.value().len()));
        let replace = |text: String, expanded: &Expanded| {
            let quoted = format!("{:?}", expanded.value());
            text.replace(expanded.value(), expanded.template())
                .replace(quoted.trim_matches('"'), expanded.template())
        };
        expanded.into_iter().fold(text.to_owned(), replace)
    }

    /// Returns what was set for this server, as a registration with variables by name.
    fn document(&self) -> Map<String, Value> {
        let mut document = self.own.clone();
        let texts = [
            json!(self.command),
            json!(self.args),
            json!(self.env),
            json!(self.cwd),
            json!(self.remote.as_ref().map(|remote| &remote.url)),
            json!(self.remote.as_ref().map(|remote| &remote.headers)),
        ];
        document.extend(INVOCATION.map(str::to_owned).into_iter().zip(texts));
        if self.remote.is_some() {
            document.shift_remove("command");
        }
        document
    }

    /// Returns whether a patch brings a remote server to another origin. Its headers, which the sender of the patch may
    /// not know, do not go there: they are to be given anew.
    fn is_moved_by(&self, patch: &Map<String, Value>) -> bool {
        match (&self.remote, patch.get("url").and_then(Value::as_str)) {
            (Some(remote), Some(url)) => {
                url != remote.url.template()
                    && url != remote.shown_url()
                    && !same_origin(url, remote.url.value())
            }
            _ => false,
        }
    }

    /// Refuses what the API shows in the place of a value: whoever copied it does not mean it.
    fn without_hidden(self) -> Result<Self, Vec<Violation>> {
        let findings = Findings::default();
        let hidden = self.env.iter().filter(|(_, text)| text.template() == HIDDEN);
        for (name, _) in hidden {
            let message = "is hidden here: send the value itself";
            findings.refuse(&Place::Request, format!("env.{name}"), message);
        }
        if let Some(remote) = &self.remote {
            for (name, _) in remote
                .headers
                .iter()
                .filter(|(_, text)| text.template() == HIDDEN)
            {
                let message = "is hidden here: send the value itself";
                findings.refuse(&Place::Request, format!("headers.{name}"), message);
            }
            if remote.url.template().contains(HIDDEN) {
                let message = "is hidden here in part: send the whole of it";
                findings.refuse(&Place::Request, "url", message);
            }
        }
        findings.conclude(self).map(|(server, _)| server)
    }

    /// Gives the texts of a patched server that are this server's the values they have here.
    fn restore(&self, patched: &mut Self, moves: bool) {
        let same = |texts: &[Expanded], text: &Expanded| {
            texts
                .iter()
                .find(|known| known.template() == text.template())
                .cloned()
        };
        if patched.command.template() == self.command.template() {
            patched.command = self.command.clone();
        }
        for arg in &mut patched.args {
            *arg = same(&self.args, arg).unwrap_or_else(|| arg.clone());
        }
        restore_secrets(&self.env, &mut patched.env);
        if let (Some(remote), Some(known)) = (&mut patched.remote, &self.remote) {
            if !moves {
                restore_secrets(&known.headers, &mut remote.headers);
            }
            if [known.url.template(), &known.shown_url()].contains(&remote.url.template()) {
                remote.url = known.url.clone();
            }
        }
        if let (Some(cwd), Some(known)) = (&mut patched.cwd, &self.cwd)
            && cwd.template() == known.template()
        {
            *cwd = known.clone();
        }
    }
}

/// Gives the texts that repeat what is known, or how it is shown, the values they had.
fn restore_secrets(known: &BTreeMap<String, Expanded>, texts: &mut BTreeMap<String, Expanded>) {
    for (name, text) in texts {
        let is_repeated =
            |known: &&Expanded| [known.template(), shown_secret(known.template())].contains(&text.template());
        if let Some(known) = known.get(name).filter(is_repeated) {
            *text = known.clone();
        }
    }
}

fn body(json: &Value, null: Null, findings: &Findings) -> Map<String, Value> {
    let Value::Object(map) = json else {
        findings.refuse(
            &Place::Request,
            "",
            "expected a JSON object that describes a server",
        );
        return Map::new();
    };
    normalise_server(map.clone(), null, &Place::Request, findings)
}

fn registered_name(name: Option<&Value>, findings: &Findings) -> Option<ServerName> {
    let read = match name {
        None => Err("is missing: a server needs a name".to_owned()),
        Some(Value::String(text)) => text.parse().map_err(|error: super::NameError| error.to_string()),
        Some(_) => Err("expected text".to_owned()),
    };
    read.map_err(|message| findings.refuse(&Place::Request, "name", message))
        .ok()
}

fn finish(
    name: Option<ServerName>,
    mut body: Map<String, Value>,
    defaults: &ServerDefaults,
    findings: Findings,
) -> Result<ServerSpec, Vec<Violation>> {
    body.retain(|key, value| key != "name" && !value.is_null());
    let table = Table::new(body, &Place::Request);
    // A stand-in lets the other keys be checked too; the missing name is a violation already.
    let stand_in = || "unnamed".parse().expect("letters are a name");
    let texts = Texts {
        variables: None,
        findings: &findings,
    };
    let spec = ServerSpec::read(name.unwrap_or_else(stand_in), &table, defaults, "", &texts);
    findings.conclude(spec).map(|(spec, _)| spec)
}

/// Applies a merge patch. Tables are merged, and they are one level deep in a server.
fn merge_patch(document: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match (document.get_mut(&key), value) {
            (_, Value::Null) => {
                document.shift_remove(&key);
            }
            (Some(Value::Object(target)), Value::Object(inner)) => merge_patch(target, inner),
            (_, Value::Object(inner)) => {
                let mut fresh = Map::new();
                merge_patch(&mut fresh, inner);
                document.insert(key, Value::Object(fresh));
            }
            (_, value) => {
                document.insert(key, value);
            }
        }
    }
}

//! What a child is started with: an environment of the allow-list and the configured variables, and nothing else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::launch::{self, LaunchSpec};
use crate::config::{PidNamespace, SELF_COMMAND, ServerSpec};

/// Returns what to start for a server, given the gateway's own environment.
pub(super) fn launch_spec(
    spec: &ServerSpec,
    environment: &BTreeMap<String, String>,
    pid_namespace: PidNamespace,
) -> LaunchSpec {
    let program = match spec.command.value() {
        SELF_COMMAND => std::env::current_exe().map_or_else(|_| SELF_COMMAND.into(), PathBuf::into_os_string),
        command => command.into(),
    };
    LaunchSpec {
        program,
        args: spec.args.iter().map(|arg| arg.value().into()).collect(),
        env: child_environment(spec, environment),
        cwd: spec.cwd.as_ref().map(|cwd| PathBuf::from(cwd.value())),
        pid_namespace: match pid_namespace {
            PidNamespace::Off => launch::PidNamespace::Off,
            PidNamespace::Auto => launch::PidNamespace::Auto,
        },
    }
}

fn child_environment(spec: &ServerSpec, environment: &BTreeMap<String, String>) -> Vec<(OsString, OsString)> {
    let inherited = environment
        .iter()
        .filter(|(name, _)| is_inherited(name, &spec.inherit_env));
    let mut variables: BTreeMap<&str, &str> = inherited
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    variables.extend(
        spec.env
            .iter()
            .map(|(name, value)| (name.as_str(), value.value())),
    );
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn is_inherited(name: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_a_prefix() {
        let allowed = ["PATH".to_owned(), "LC_*".to_owned()];
        let check = |name, expect| assert_eq!(is_inherited(name, &allowed), expect, "{name}");
        check("PATH", true);
        check("PATHS", false);
        check("LC_ALL", true);
        check("AWS_SECRET_ACCESS_KEY", false);
    }
}

//! The values that are one word of a few.

/// A value that is one word of a fixed list.
pub trait Choice: Copy + 'static {
    /// The words, in the order of [`Choice::VALUES`].
    const NAMES: &'static [&'static str];
    /// What the words mean.
    const VALUES: &'static [Self];
}

/// Who shares a process of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Shared, except for sessions whose client the server may ask back.
    Auto,
    /// All sessions share.
    Shared,
    /// The sessions of one principal share.
    Principal,
    /// Each session has its own.
    Session,
}

impl Choice for Sharing {
    const NAMES: &'static [&'static str] = &["auto", "shared", "principal", "session"];
    const VALUES: &'static [Self] = &[Self::Auto, Self::Shared, Self::Principal, Self::Session];
}

/// A feature of clients that servers may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFeature {
    /// `sampling/createMessage`.
    Sampling,
    /// `elicitation/create`.
    Elicitation,
    /// `roots/list`.
    Roots,
}

impl Choice for ClientFeature {
    const NAMES: &'static [&'static str] = &["sampling", "elicitation", "roots"];
    const VALUES: &'static [Self] = &[Self::Sampling, Self::Elicitation, Self::Roots];
}

/// In which era a server is spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolEra {
    /// In that of its client, if the server speaks it; otherwise in the other one.
    Auto,
    /// With `initialize`.
    Legacy,
    /// Without.
    Modern,
}

impl Choice for ProtocolEra {
    const NAMES: &'static [&'static str] = &["auto", "legacy", "modern"];
    const VALUES: &'static [Self] = &[Self::Auto, Self::Legacy, Self::Modern];
}

/// What happens to the arguments of a tool call that do not fit the tool's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidateArguments {
    /// They are not looked at.
    Off,
    /// A line in the log.
    Warn,
    /// The call is refused.
    Enforce,
}

impl Choice for ValidateArguments {
    const NAMES: &'static [&'static str] = &["off", "warn", "enforce"];
    const VALUES: &'static [Self] = &[Self::Off, Self::Warn, Self::Enforce];
}

/// What a principal may do to servers through the admin API, as far as its mode allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegistryAccess {
    /// Nothing.
    None,
    /// See them.
    Read,
    /// Also start, stop, restart, enable and disable them.
    Operate,
}

impl Choice for RegistryAccess {
    const NAMES: &'static [&'static str] = &["none", "read", "operate"];
    const VALUES: &'static [Self] = &[Self::None, Self::Read, Self::Operate];
}

/// Whether children run in a PID namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidNamespace {
    /// Never.
    Off,
    /// Where the system allows it.
    Auto,
}

impl Choice for PidNamespace {
    const NAMES: &'static [&'static str] = &["off", "auto"];
    const VALUES: &'static [Self] = &[Self::Off, Self::Auto];
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl Choice for LogFormat {
    const NAMES: &'static [&'static str] = &["pretty", "json"];
    const VALUES: &'static [Self] = &[Self::Pretty, Self::Json];
}

/// Returns the word for a value.
pub fn name_of<T: Choice + PartialEq>(value: T) -> &'static str {
    let position = T::VALUES.iter().position(|candidate| *candidate == value);
    T::NAMES[position.expect("every value is listed")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_word() {
        assert_eq!(
            [
                Sharing::Auto,
                Sharing::Shared,
                Sharing::Principal,
                Sharing::Session
            ]
            .map(name_of),
            ["auto", "shared", "principal", "session"]
        );
        assert_eq!(
            [
                ClientFeature::Sampling,
                ClientFeature::Elicitation,
                ClientFeature::Roots
            ]
            .map(name_of),
            ["sampling", "elicitation", "roots"]
        );
        assert_eq!(
            [
                ValidateArguments::Off,
                ValidateArguments::Warn,
                ValidateArguments::Enforce
            ]
            .map(name_of),
            ["off", "warn", "enforce"]
        );
        assert_eq!(
            [PidNamespace::Off, PidNamespace::Auto].map(name_of),
            ["off", "auto"]
        );
        assert_eq!(
            [LogFormat::Pretty, LogFormat::Json].map(name_of),
            ["pretty", "json"]
        );
    }
}

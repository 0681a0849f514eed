//! How much a test does, for those who want more of it.

/// Returns the number in an environment variable.
///
/// # Panics
/// If it is something else: a test that silently does the usual would not be what was asked for.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("the variable is a number"))
}

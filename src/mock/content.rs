//! Results of `tools/call`, as raw JSON.

use super::message::quoted;

/// A red 1x1 PNG.
pub(crate) const IMAGE_PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";
/// A WAV header with two samples of silence.
pub(crate) const AUDIO_WAV: &str = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQQAAAAAAAAA";

/// Returns a result with one text.
pub(crate) fn text(text: &str) -> String {
    format!(
        "{{\"content\":[{{\"type\":\"text\",\"text\":{}}}]}}",
        quoted(text)
    )
}

/// Returns a result that says why the tool failed.
pub(crate) fn failure(text: &str) -> String {
    format!(
        "{{\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"isError\":true}}",
        quoted(text)
    )
}

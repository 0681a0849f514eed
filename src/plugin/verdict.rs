//! What a hook decided, held against what can be done.

use bytes::Bytes;

use super::call::{CallContext, Decision, Denial, Verdict, body_of};
use super::error::{ErrorKind, Stopped};
use super::plugin::{Judged, Matter, Plugin};
use crate::protocol::edit;

/// Most bytes of the notes of one verdict. Every later plugin of the chain is given them.
const NOTES_BYTES_MAX: usize = 8 << 10;

impl Plugin {
    /// Says what a verdict comes to, or what is wrong with it.
    pub(super) fn judged(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        verdict: Verdict,
    ) -> Result<Judged, Stopped> {
        let notes_max = self.spec.limits.notes_max;
        if verdict.notes.len() > notes_max {
            let text = format!(
                "{} notes, and the most is {notes_max} (notes-max)",
                verdict.notes.len()
            );
            return Err(Stopped::new(ErrorKind::BadDecision, text));
        }
        let notes_bytes: usize = verdict
            .notes
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if notes_bytes > NOTES_BYTES_MAX {
            let text = format!("notes of {notes_bytes} bytes, and the most is {NOTES_BYTES_MAX}");
            return Err(Stopped::new(ErrorKind::BadDecision, text));
        }
        let outcome = match verdict.decision {
            Decision::Pass => Ok(None),
            Decision::Deny(denial) => {
                check_denial(&denial)?;
                Err(denial)
            }
            Decision::Edit(edits) => {
                let edits: Vec<_> = edits.into_iter().map(edit::Edit::from).collect();
                Ok(Some(edited(ctx, matter, &edits)?))
            }
            Decision::Replace(value) => {
                let whole = edit::Edit {
                    pointer: body_of(ctx.kind).to_owned(),
                    value: Some(value),
                };
                Ok(Some(edited(ctx, matter, &[whole])?))
            }
        };
        Ok(Judged {
            outcome,
            notes: verdict.notes,
        })
    }
}

fn edited(ctx: &CallContext, matter: &Matter, edits: &[edit::Edit]) -> Result<Bytes, Stopped> {
    let body = body_of(ctx.kind);
    let bad = |text: String| Stopped::new(ErrorKind::BadDecision, text);
    let is_inside = |edit: &&edit::Edit| {
        let rest = edit.pointer.strip_prefix(body);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if let Some(outside) = edits.iter().find(|edit| !is_inside(edit)) {
        let pointer = &outside.pointer;
        return Err(bad(format!(
            "an edit of {pointer:?}: only what is inside {body} can be changed"
        )));
    }
    edit::apply(matter.message.bytes(), edits).map_err(|error| bad(error.to_string()))
}

/// A denial has to be one that can be sent.
pub(super) fn check_denial(denial: &Denial) -> Result<(), Stopped> {
    let Some(data) = &denial.data else { return Ok(()) };
    match serde_json::from_str::<serde::de::IgnoredAny>(data) {
        Ok(_) => Ok(()),
        Err(error) => Err(Stopped::new(
            ErrorKind::BadDecision,
            format!("the data of a denial is not JSON: {error}"),
        )),
    }
}

/// Returns the places that a route names, each once.
pub(super) fn check_route(indexes: &[u32], candidates: usize) -> Result<Vec<usize>, Stopped> {
    let bad = |text: String| Stopped::new(ErrorKind::BadDecision, text);
    if indexes.is_empty() {
        return Err(bad("it routed nowhere: to refuse, it has to deny".to_owned()));
    }
    let mut places = Vec::with_capacity(indexes.len());
    for index in indexes {
        let place = *index as usize;
        if place >= candidates || places.contains(&place) {
            return Err(bad(format!(
                "it routed to candidate {index} of {candidates}, or twice to one"
            )));
        }
        places.push(place);
    }
    Ok(places)
}

//! What becomes of what the server says to a request: it is put into the client's words, judged, and passed on.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tracing::debug;

use super::{Exchange, Owed};
use crate::gateway::bridge::failure;
use crate::gateway::conversation::Session;
use crate::gateway::error::GatewayError;
use crate::gateway::exchange::End;
use crate::gateway::policy::{Asked, Judge, in_turn};
use crate::gateway::questions::{holds_questions, judge_questions};
use crate::gateway::rounds::{Repeatable, Round, go_on};
use crate::plugin::call::Direction;
use crate::protocol::Message;
use crate::session::Priority;
use crate::upstream::{Outcome, UpstreamError, Waiter};

impl Exchange {
    /// Passes on how it ended, as the policies left it.
    fn end_with(&self, outcome: Outcome) {
        match outcome {
            Outcome::Response(message) => {
                match (message.error(), self.after.get()) {
                    (None, Some(after)) => after.succeeded(&self.session),
                    _ => self.failed(),
                }
                let mut out = Vec::with_capacity(message.bytes().len() + 32);
                message.write_with_id(&self.client_id, &mut out);
                if !self.finish(End::Answer(out.into(), message.error_code())) {
                    self.bequeath_late(Outcome::Response(message));
                }
            }
            Outcome::Failed(UpstreamError::Cancelled) => self.withdraw(),
            Outcome::Failed(error) => {
                let server = self.session.attachment().server().name().clone();
                let why = GatewayError::Upstream {
                    server,
                    error: error.clone(),
                };
                if !self.end_with_error(&why) {
                    self.bequeath_late(Outcome::Failed(error));
                }
            }
        }
    }

    /// Passes on that the policies refuse how it ended.
    fn end_refused(&self, error: &GatewayError) {
        if !self.end_with_error(error) {
            self.bequeath_late(Outcome::Response(failure(error)));
        } else if let Some(bridge) = self.bridge.get() {
            bridge.call_off(self);
        }
    }

    /// Asks the client what an answer asks, and makes the request again with what it says.
    fn ask_client(&self, answer: Message, repeatable: Repeatable) {
        let rounds = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
        let me = self.me.upgrade().expect("whoever completes it holds it");
        let tasks = self.session.attachment().lane().tasks().clone();
        tasks.spawn(go_on(me, answer, repeatable, rounds));
    }

    /// Notes what its client is being asked before it goes on; that is nowhere meanwhile. Returns whether anybody still
    /// wants to know.
    pub(in super::super) fn begin_round(&self, round: &Arc<Round>) -> bool {
        *self.upstream.lock().expect("no holder panics") = None;
        *self.round() = Some(round.clone());
        !self.is_over()
    }

    /// Returns who has judged it, and will judge the answer.
    pub(in super::super) fn judge(&self) -> Option<&Judge> {
        self.judged.get().map(|(judge, _)| judge)
    }

    pub(super) fn round(&self) -> MutexGuard<'_, Option<Arc<Round>>> {
        self.round.lock().expect("no holder panics")
    }

    /// Returns who judges an outcome, if anybody is to be asked about it.
    fn judge_of(&self, outcome: &Outcome) -> Option<(Judge, Asked)> {
        let (judge, asked) = self.judged.get()?;
        let Outcome::Response(answer) = outcome else {
            return None;
        };
        let is_judged = judge.asks_of_answer(&self.session, Direction::ServerToClient, &asked.method, answer);
        let is_asked = is_judged || asked.is_of_one(&self.session) || holds_questions(answer);
        is_asked.then(|| (judge.clone(), asked.clone()))
    }

    fn pass_on_progress(&self, message: &Message) {
        // A client that asked for no progress gets none, though the server could not know the token.
        let Some(token) = &self.client_token else { return };
        let mut out = Vec::new();
        message.write_with_progress_token(token, &mut out);
        if !self.event(out.into()) {
            debug!("progress dropped: nobody takes it, or the stream is full");
        }
    }
}

impl Waiter for Exchange {
    fn waits(&self, since: Duration) {
        if self.stream_after.is_some_and(|after| since >= after) {
            self.become_stream();
        }
    }

    fn complete(&self, outcome: Outcome) {
        let Some(outcome) = self.inherit(outcome) else {
            return;
        };
        let outcome = match (outcome, self.bridge.get()) {
            (Outcome::Response(answer), Some(bridge)) => match bridge.repeated(&answer) {
                Some(repeatable) => return self.ask_client(answer, repeatable.clone()),
                None => Outcome::Response(bridge.answer(self, &answer)),
            },
            (outcome, _) => outcome,
        };
        let outcome = match (outcome, self.tasks.get()) {
            (Outcome::Response(answer), Some(tasks)) => match tasks.arrive(&self.session, answer) {
                Ok(answer) => Outcome::Response(answer),
                Err(error) => return self.fail(&error),
            },
            (outcome, _) => outcome,
        };
        let lane = self.session.attachment().lane();
        let judge = self.judge_of(&outcome);
        if judge.is_none() && lane.is_idle() {
            return self.end_with(outcome);
        }
        let me = self.me.upgrade().expect("whoever completes it holds it");
        let size = match &outcome {
            Outcome::Response(answer) => answer.bytes().len(),
            Outcome::Failed(_) => 0,
        };
        let turn = async move {
            let _owed = Owed(me.clone());
            match (outcome, judge) {
                (Outcome::Response(answer), Some((judge, asked))) => {
                    match judged(&judge, &me.session, asked, answer).await {
                        Ok(answer) => me.end_with(Outcome::Response(answer)),
                        Err(error) => me.end_refused(&error),
                    }
                }
                (outcome, _) => me.end_with(outcome),
            }
        };
        let taken = lane.push(Box::pin(turn), size, Priority::Required);
        debug_assert!(taken.is_ok(), "an answer is always taken");
    }

    fn progress(&self, message: Message) {
        let Some((me, message)) = self.hearer(message) else {
            return;
        };
        let judge = me.judge().cloned();
        let taken = in_turn(&self.session, judge, message, move |_, judged| match judged {
            // It may have been suspended in the meantime.
            Ok(message) => {
                if let Some((hearer, message)) = me.hearer(message) {
                    hearer.pass_on_progress(&message);
                }
            }
            Err(error) => debug!(%error, "progress dropped"),
        });
        if taken.is_err() {
            debug!("progress dropped: too many messages wait to be judged");
        }
    }
}

/// Returns an answer as the policies leave it, and what it asks its client for.
async fn judged(
    judge: &Judge,
    session: &Session,
    asked: Asked,
    answer: Message,
) -> Result<Message, GatewayError> {
    let answer = judge
        .answer(session, Direction::ServerToClient, asked, answer)
        .await?;
    judge_questions(judge, session, answer).await
}

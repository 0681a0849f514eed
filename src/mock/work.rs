//! Work on a request: from what a method decided to the answer, over time, until it is done or cancelled.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::json;

use super::client_requests::{Answered, Reply, Taken};
use super::message::{self, raw};
use super::question::{Answers, Ask};
use super::script::{Action, Outcome, OwnedRequest, Run, Step};
use super::server::{Answer, LAST_WORDS, Server};
use crate::protocol::RequestId;
use crate::protocol::names::method;

impl Server {
    /// Does what a method decided, as far as it can be done at once.
    pub(crate) fn follow(
        self: &Arc<Self>,
        id: &RequestId,
        method: &str,
        outcome: Outcome,
        answers: &mut Vec<u8>,
    ) {
        match outcome {
            Outcome::Result(result) => self.answer(id, method, &Answer::Result(&result), answers),
            Outcome::Error(error) => self.answer(id, method, &Answer::Error(&error), answers),
            Outcome::Script(steps) => {
                let (number, request) = self.begin(id, method);
                let run = Run {
                    number,
                    request,
                    answered: false,
                    steps: steps.into_iter(),
                };
                self.advance(run, answers);
            }
            Outcome::Ask(ask) => self.ask(id, method, ask, Answers::new(), answers),
            Outcome::Listen(filter) => self.listen(id, filter, answers),
            Outcome::Task(plan) => self.follow(id, method, plan.awaited(), answers),
        }
    }

    /// Registers a request as being worked on, so that it can be cancelled.
    fn begin(&self, id: &RequestId, method: &str) -> (u64, OwnedRequest) {
        let number = self.counts.runs.fetch_add(1, Relaxed);
        self.running.lock().insert(number, id.clone());
        (
            number,
            OwnedRequest {
                id: id.clone(),
                method: method.into(),
            },
        )
    }

    fn ask(&self, id: &RequestId, method: &str, ask: Ask, known: Answers, lines: &mut Vec<u8>) {
        let (number, request) = self.begin(id, method);
        self.questions
            .remember(number, request, ask, known, |id, question| {
                message::write_request(lines, id, &question.method, question.params.as_deref());
            });
    }

    /// Takes what the client answered; a run that has all its answers goes on, unless it was cancelled meanwhile.
    pub(crate) fn take_reply(self: &Arc<Self>, id: Option<&RequestId>, reply: &Reply, lines: &mut Vec<u8>) {
        let taken = id.map_or(Taken::Unmatched, |id| self.questions.take(id, reply));
        let counter = match taken {
            Taken::Unmatched => &self.counts.responses_unmatched,
            Taken::Waiting | Taken::Complete(_) => &self.counts.responses,
        };
        counter.fetch_add(1, Relaxed);
        let Taken::Complete(answered) = taken else {
            return;
        };
        if self.running.lock().remove(&answered.run).is_none() {
            return;
        }
        let Answered {
            request,
            answers,
            outcome,
            ..
        } = *answered;
        match outcome {
            Outcome::Ask(ask) => self.ask(&request.id, &request.method, ask, answers, lines),
            outcome => self.follow(&request.id, &request.method, outcome, lines),
        }
    }

    /// Does the steps that are due and schedules the rest. A cancelled run ends.
    fn advance(self: &Arc<Self>, mut run: Run, lines: &mut Vec<u8>) {
        loop {
            if !run.answered && !self.running.lock().contains_key(&run.number) {
                return;
            }
            let Some(next) = run.steps.as_mut_slice().first_mut() else {
                break;
            };
            let wait = std::mem::take(&mut next.after);
            if !wait.is_zero() {
                self.send(lines); // what comes later is not to overtake it
                let server = Arc::clone(self);
                return self.schedule.after(wait, move || {
                    let mut lines = Vec::new();
                    server.advance(run, &mut lines);
                    server.send(&mut lines);
                });
            }
            let Some(Step { action, .. }) = run.steps.next() else {
                break;
            };
            if let Action::Answer(result) = &action {
                run.answered = true;
                self.running.lock().remove(&run.number);
                self.answer(
                    &run.request.id,
                    &run.request.method,
                    &Answer::Result(result),
                    lines,
                );
            } else {
                self.perform(&action, lines);
            }
        }
        self.running.lock().remove(&run.number);
    }

    /// Does what belongs to no request.
    pub(crate) fn perform_now(&self, action: &Action) {
        let mut lines = Vec::new();
        self.perform(action, &mut lines);
        self.send(&mut lines);
    }

    fn perform(&self, action: &Action, lines: &mut Vec<u8>) {
        match action {
            Action::Nothing => {}
            Action::Notify(method, params) => message::write_notification(lines, method, params.as_deref()),
            Action::Log(level, data) => {
                if *level >= self.peer.lock().level {
                    let params = json!({ "level": level.as_str(), "logger": "mock", "data": data });
                    message::write_notification(lines, method::LOG_MESSAGE, Some(&raw(&params)));
                }
            }
            Action::Tell(event, reach) => self.tell(event, *reach, lines),
            Action::EndListens(farewell) => self.end_listens(*farewell, lines),
            Action::Answer(_) => debug_assert!(false, "answers belong to a run"),
            Action::Exit(code) => self.end(*code, lines),
            Action::Abort => std::process::abort(),
        }
    }

    /// Answers a request, with everything that is to go wrong, now or after the delay of the options.
    fn answer(self: &Arc<Self>, id: &RequestId, method: &str, answer: &Answer<'_>, lines: &mut Vec<u8>) {
        let Some(faults) = &self.faults else {
            return answer.write(lines, id);
        };
        let mut line = Vec::new();
        let closes = faults.write(&mut line, id, method, answer);
        let delay = faults.delay();
        if delay.is_zero() {
            lines.append(&mut line);
            return self.close_if(closes, lines);
        }
        self.send(lines); // the answer is not to overtake it
        let server = Arc::clone(self);
        self.schedule.after(delay, move || {
            server.send(&mut line);
            server.close_if(closes, &mut line);
        });
    }

    fn close_if(&self, closes: bool, lines: &mut Vec<u8>) {
        if closes {
            self.send(lines);
            self.output.drain(LAST_WORDS);
            self.output.close();
        }
    }

    /// Drops the work on a request, and the question that it waits for.
    pub(crate) fn cancel(&self, id: &RequestId) {
        let mut numbers = Vec::new();
        self.running.lock().retain(|number, of| {
            let matches = of == id;
            numbers.extend(matches.then_some(*number));
            !matches
        });
        let listens = usize::from(self.modern.listens.close(id));
        self.counts
            .cancelled
            .fetch_add((numbers.len() + listens) as u64, Relaxed);
        for question in numbers
            .into_iter()
            .flat_map(|number| self.questions.withdraw(number))
        {
            let params = json!({ "requestId": question, "reason": "the call was cancelled" });
            self.perform_now(&Action::Notify(method::CANCELLED.into(), Some(raw(&params))));
        }
    }
}

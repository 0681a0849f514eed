//! Messages of a server, judged for one session and passed on in their turn.

use std::sync::Arc;

use super::judge::Judge;
use crate::gateway::questions::{holds_questions, judge_questions};
use crate::gateway::{GatewayError, Session};
use crate::plugin::call::Direction;
use crate::protocol::Message;
use crate::protocol::names::method;
use crate::session::Priority;
use crate::session::outbox::Full;

/// Judges a request or notification of a server and has it passed on when those before it were: at once where nobody
/// is to be asked and none waits.
///
/// # Errors
/// [`Full`]: too many wait; `pass_on` is not called.
pub(in super::super) fn in_turn(
    session: &Arc<Session>,
    judge: Option<Judge>,
    message: Message,
    pass_on: impl FnOnce(&Arc<Session>, Result<Message, GatewayError>) + Send + 'static,
) -> Result<(), Full> {
    let lane = session.attachment().lane();
    // How a task is doing may hold what it asks the client for.
    let asks_for_task = message.method() == method::TASKS_STATUS && holds_questions(&message);
    let judge =
        judge.filter(|judge| asks_for_task || judge.asks(session, Direction::ServerToClient, &message));
    if judge.is_none() && lane.is_idle() {
        pass_on(session, Ok(message));
        return Ok(());
    }
    let (size, session) = (message.bytes().len(), session.clone());
    let turn = async move {
        let judged = match judge {
            None => Ok(message),
            Some(judge) => {
                let question = judge.question(&session, Direction::ServerToClient, message);
                match question.await {
                    Ok((message, _)) if asks_for_task => judge_questions(&judge, &session, message).await,
                    Ok((message, _)) => Ok(message),
                    Err(error) => Err(error),
                }
            }
        };
        pass_on(&session, judged);
    };
    lane.push(Box::pin(turn), size, Priority::Droppable)
}

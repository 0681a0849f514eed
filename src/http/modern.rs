//! A POST of the era without sessions (2026-07-28, "Streamable HTTP"): one request, which says itself what it speaks and
//! who its client is, and whose headers mirror its body.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::mcp::McpRequest;
use super::post::{not_acceptable, not_served, takes_both};
use super::reply::{self, Response};
use super::sse::visiting_stream;
use crate::gateway::{Answer, Delivery, RequestContext, Visit};
use crate::protocol::member::member;
use crate::protocol::modern::mirror::{self, Mirrored};
use crate::protocol::modern::{RequestMeta, decode, ladder};
use crate::protocol::names::{code, header};
use crate::protocol::reply::{ErrorObject, write_error};
use crate::protocol::{Kind, Message, ProtocolVersion, RequestId};

/// Handles a message that claims to be of this era.
pub(super) async fn handle(request: &McpRequest<'_>, message: Message) -> Response {
    match message.kind() {
        Kind::Request => {}
        // None is defined; to be accepted is all that one can expect.
        Kind::Notification => return reply::empty(StatusCode::ACCEPTED),
        Kind::Response => {
            let problem = "answers go into the request that is sent again, as inputResponses";
            return refused(&message, &ErrorObject::new(code::INVALID_REQUEST, problem));
        }
    }
    if !takes_both(request) {
        return not_acceptable();
    }
    match check(request.headers, &message) {
        Ok((meta, version)) => serve(request, message, meta, version).await,
        Err(problem) => refused(&message, &problem),
    }
}

async fn serve(
    request: &McpRequest<'_>,
    message: Message,
    meta: RequestMeta,
    version: ProtocolVersion,
) -> Response {
    if let Err(problem) = ladder::check_method(&message, version) {
        return error(StatusCode::NOT_FOUND, message.id(), &problem);
    }
    let (gateway, pinned) = (&request.context.gateway, request.pin());
    let (place, id) = ((&request.target, &request.caller), message.id().cloned());
    let visit = gateway.receive(place, pinned.as_ref(), (meta, version), message);
    let (visit, message) = match visit.await {
        Ok(visit) => visit,
        Err(error) => return not_served(id.as_ref(), &error),
    };
    let mirrored = visit.mirrored_arguments(pinned.as_ref(), &message).await;
    if let Err(problem) = check_arguments(request.headers, &message, &mirrored) {
        return refused(&message, &problem);
    }
    let ctx = RequestContext {
        session: visit.session().clone(),
        delivery: Delivery::JsonOrStream,
        pinned,
    };
    let answer = gateway.handle(&ctx, message).await;
    respond(request, visit, answer)
}

fn respond(request: &McpRequest<'_>, visit: Visit, answer: Answer) -> Response {
    match answer {
        Answer::Json(body, code) => reply::json(status_of(code), body),
        Answer::Stream(reader) => visiting_stream(visit, reader, request.context.config.http.keep_alive),
        Answer::Refused(body) => reply::json(StatusCode::SERVICE_UNAVAILABLE, body),
        // Nobody but its client, who has gone, could take it back.
        Answer::Accepted | Answer::Withdrawn => reply::empty(StatusCode::ACCEPTED),
    }
}

/// Returns the status that goes with an answer, by the code of one that is an error (2026-07-28, "Error Responses").
fn status_of(code: Option<i32>) -> StatusCode {
    match code {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_VERSION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    }
}

/// Goes through what every request must say, in the order of the specification.
fn check(headers: &HeaderMap, message: &Message) -> Result<(RequestMeta, ProtocolVersion), ErrorObject> {
    let meta = ladder::stated(message)?;
    let stated = mirror_of(headers, header::PROTOCOL_VERSION)?;
    if stated != meta.version {
        return Err(differs(header::PROTOCOL_VERSION, &meta.version));
    }
    let version = ladder::supported(&meta)?;
    let method = message.method();
    if mirror_of(headers, header::METHOD)? != method {
        return Err(differs(header::METHOD, &method));
    }
    if let Some(key) = mirror::named_by(&method) {
        let name = mirror::name_of(message, key);
        let stated = decoded(header::NAME, mirror_of(headers, header::NAME)?)?;
        if name.as_ref() != Some(&stated) {
            return Err(differs(header::NAME, &name.unwrap_or_default()));
        }
    }
    Ok((meta, version))
}

/// Checks the headers that mirror the arguments of a tool call.
fn check_arguments(headers: &HeaderMap, call: &Message, mirrored: &[Mirrored]) -> Result<(), ErrorObject> {
    if mirrored.is_empty() {
        return Ok(());
    }
    let params = call.params().unwrap_or_default();
    let arguments =
        member(&params, "arguments").and_then(|arguments| serde_json::from_str(arguments.get()).ok());
    let arguments: Value = arguments.unwrap_or(Value::Null);
    for Mirrored { header, path } in mirrored {
        let Some(body) = mirror::argument(&arguments, path) else {
            if headers.contains_key(header.as_str()) {
                return Err(mismatch(format!(
                    "the header {header} mirrors an argument that is not there"
                )));
            }
            continue;
        };
        let stated = mirror_of(headers, header)?;
        let stated = decoded(header, stated)?;
        if !mirror::agrees(&stated, body) {
            return Err(differs(header, &mirror::header_text(body)));
        }
    }
    Ok(())
}

/// Returns the one value of a header that every such request has.
fn mirror_of<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ErrorObject> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(text.trim_matches([' ', '\t'])),
            Err(_) => Err(mismatch(format!(
                "the header {name} holds what no header may hold"
            ))),
        },
        (None, _) => Err(mismatch(format!("the header {name} is missing"))),
        (Some(_), Some(_)) => Err(mismatch(format!("the header {name} is there twice"))),
    }
}

fn decoded<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, ErrorObject> {
    decode(value).map_err(|error| mismatch(format!("the header {name}: {error}")))
}

fn differs(name: &str, body: &str) -> ErrorObject {
    mismatch(format!(
        "the header {name} is not what the body says, which is {body:?}"
    ))
}

fn mismatch(text: String) -> ErrorObject {
    ErrorObject::new(code::HEADER_MISMATCH, text)
}

fn refused(message: &Message, problem: &ErrorObject) -> Response {
    error(StatusCode::BAD_REQUEST, message.id(), problem)
}

fn error(status: StatusCode, id: Option<&RequestId>, problem: &ErrorObject) -> Response {
    let mut out = Vec::new();
    write_error(id, problem, &mut out);
    reply::json(status, out.into())
}

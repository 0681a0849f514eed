//! The body of a request to the admin API: JSON by its type and by its text, or none.

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::super::accept::is_json;
use super::super::body::{BodyLimits, read_body};
use super::error::AdminError;
use crate::protocol::scan::{ScanOptions, UniqueKeys, scan};

/// A registration is flat; more than this is no registration.
const DEPTH_MAX: usize = 16;

/// A body that was read and has the right type.
#[derive(Debug)]
pub(super) struct Body(Bytes);

impl Body {
    /// Reads the body. One that says it is something else than JSON, or that is there and says nothing, is refused:
    /// those are the bodies that a page can send without asking first.
    pub(super) async fn read<B: Buf, E>(
        headers: &HeaderMap,
        stream: impl Stream<Item = Result<B, E>>,
        limits: BodyLimits,
    ) -> Result<Self, AdminError> {
        if headers.contains_key(CONTENT_TYPE) && !is_json(headers) {
            return Err(AdminError::NotJson);
        }
        let bytes = read_body(stream, limits).await.map_err(AdminError::Body)?;
        if !bytes.is_empty() && !is_json(headers) {
            return Err(AdminError::NotJson);
        }
        Ok(Self(bytes))
    }

    /// Returns the object in it. A key that stands twice is an error: which of the two was meant?
    pub(super) fn object(&self) -> Result<Value, AdminError> {
        let options = ScanOptions {
            depth_max: DEPTH_MAX,
            unique_keys: UniqueKeys::Everywhere,
        };
        if self.0.is_empty() {
            return Err(AdminError::BadRequest(
                "a body is missing: send a JSON object".to_owned(),
            ));
        }
        scan(&self.0, options).map_err(|error| AdminError::BadRequest(format!("the body: {error}")))?;
        serde_json::from_slice(&self.0)
            .map_err(|error| AdminError::BadRequest(format!("the body is not valid JSON: {error}")))
    }

    /// Checks that nothing is said where nothing can be said.
    pub(super) fn is_nothing(&self) -> Result<(), AdminError> {
        if self.0.is_empty() || self.object()?.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(());
        }
        Err(AdminError::BadRequest("this operation takes no body".to_owned()))
    }
}

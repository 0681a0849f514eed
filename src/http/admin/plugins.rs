//! Plugins: every generation as it is, and the order to look for new ones.

use http::StatusCode;
use serde_json::json;

use super::super::reply::Response;
use super::error::AdminError;
use super::routes::AdminContext;
use super::servers::answer;
use crate::plugin::RosterError;

/// Every generation that is in use, or was not let in.
pub(super) fn list(context: &AdminContext) -> Response {
    let roster = context.roster.as_ref();
    let body = json!({
        "plugins": roster.map(|roster| roster.records()).unwrap_or_default(),
        "problems": roster.map(|roster| roster.problems()).unwrap_or_default(),
    });
    answer(StatusCode::OK, &body)
}

/// Looks for changes of the configuration and in the folder.
pub(super) async fn reload(context: &AdminContext) -> Result<Response, AdminError> {
    if let Some(roster) = &context.roster {
        roster.reload().await?;
    }
    Ok(list(context))
}

/// Makes another generation of one plugin.
pub(super) async fn reload_one(context: &AdminContext, name: &str) -> Result<Response, AdminError> {
    let unknown = || RosterError::Unknown(name.to_owned());
    let roster = context.roster.as_ref().ok_or_else(unknown)?;
    roster.reload_one(name).await?;
    Ok(list(context))
}

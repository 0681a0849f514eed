//! Who makes the requests of tests that speak to the gateway without HTTP.

use portcullis::session::Caller;

/// Returns a client without a token, where there are no modes.
pub(crate) fn anonymous() -> Caller {
    Caller {
        principal: "anonymous".into(),
        mode: None,
    }
}

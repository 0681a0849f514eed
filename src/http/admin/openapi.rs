//! The OpenAPI document of the admin API. It is written by hand; tests hold it to the routes and to real answers.

use bytes::Bytes;
use http::StatusCode;

use super::super::reply::{self, Response};

const DOCUMENT: &str = include_str!("openapi.json");

/// The document.
pub(super) fn document() -> Response {
    reply::json(StatusCode::OK, Bytes::from_static(DOCUMENT.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::operation::ROUTES;
    use super::*;

    #[test]
    fn it_describes_the_routes_and_no_others() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("an object");
        let described: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("an object").keys();
                methods
                    .filter(|method| *method != "parameters")
                    .map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<(String, String)> = ROUTES
            .iter()
            .map(|route| (route.path.to_owned(), route.method.to_string()))
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn its_references_lead_somewhere() {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let mut open = vec![&document];
        let mut references = 0;
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(target)) = members.get("$ref") {
                        let pointer = target.strip_prefix('#').expect("it stays in the document");
                        assert!(document.pointer(pointer).is_some(), "{target}");
                        references += 1;
                    }
                    open.extend(members.values());
                }
                Value::Array(elements) => open.extend(elements),
                _ => {}
            }
        }
        assert!(references > 20, "{references}");
    }
}

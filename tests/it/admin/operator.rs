//! Somebody with the token; every answer is held to the OpenAPI document.

use std::fs;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Connection, EventStream, Gateway};

/// An operator of one gateway.
#[derive(Debug)]
pub(super) struct Operator {
    address: SocketAddr,
    token: String,
    document: Value,
}

impl Operator {
    pub(super) async fn of(gateway: &Gateway) -> Self {
        Self::at(gateway, gateway.address()).await
    }

    /// Speaks to a listener of its own.
    pub(super) async fn at(gateway: &Gateway, address: SocketAddr) -> Self {
        let token = fs::read_to_string(gateway.directory().join("state/admin-token"));
        let mut operator = Self {
            address,
            token: token.expect("it is made at first start").trim().to_owned(),
            document: Value::Null,
        };
        let (answer, _connection) = operator.send(Method::GET, "/openapi.json", None).await;
        operator.document = answer.json().await;
        operator
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Makes a request and returns the status and the JSON of its answer, which the document must describe.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let (answer, _connection) = self.send(method.clone(), path, body).await;
        let status = answer.status();
        let bytes = answer.bytes().await;
        let value = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).expect("JSON"),
        };
        self.check(&method, path, status, &value);
        (status, value)
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.request(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {value}");
        value
    }

    /// Makes a request that is refused, and returns the status and the public code.
    pub(super) async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let (status, value) = self.request(method, path, body).await;
        let code = value["error"]["code"].as_str();
        let message = value["error"]["message"].as_str();
        assert!(
            message.is_some_and(|message| !message.is_empty()),
            "{status}: {value}"
        );
        (status.as_u16(), code.expect("an error has a code").to_owned())
    }

    /// Gives an order to a server, which must be carried out, and returns its record.
    pub(super) async fn order(&self, server: &str, verb: &str) -> Value {
        let path = format!("/servers/{server}/{verb}");
        let (status, value) = self.request(Method::POST, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    /// Opens the stream of events.
    pub(super) async fn events(&self, path: &str, after: Option<u64>) -> (EventStream, Connection) {
        let mut connection = Connection::open(self.address).await;
        let bearer = format!("Bearer {}", self.token);
        let after = after.map(|after| after.to_string());
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(after.as_deref().map(|after| ("last-event-id", after)));
        let path = format!("/admin/v1{path}");
        let answer = connection.send(Method::GET, &path, &headers, Bytes::new()).await;
        (answer.events(), connection)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> (Answer, Connection) {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let path = format!("/admin/v1{path}");
        let mut connection = Connection::open(self.address).await;
        (connection.send(method, &path, &headers, body).await, connection)
    }

    /// Panics unless the document says that this is an answer of the operation.
    pub(super) fn check(&self, method: &Method, path: &str, status: StatusCode, value: &Value) {
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let described = self.described(method, path);
        let response = &described["responses"][status.as_str()];
        let response = match response["$ref"].as_str() {
            Some(reference) => self
                .document
                .pointer(&reference[1..])
                .expect("a test follows references"),
            None => response,
        };
        assert!(
            response.is_object(),
            "{method} {path} answers {status}, of which the document says nothing"
        );
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert_eq!(*value, Value::Null, "{method} {path} {status} has no body");
            return;
        }
        self.validate(schema, value);
    }

    /// Panics unless a value is what a schema of the document says.
    pub(super) fn validate(&self, schema: &Value, value: &Value) {
        let whole = json!({ "allOf": [schema], "components": self.document["components"] });
        let validator = jsonschema::validator_for(&whole).expect("the document holds JSON schemas");
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\nin {value:#}");
    }

    fn described(&self, method: &Method, path: &str) -> &Value {
        let paths = self.document["paths"].as_object().expect("an object");
        let fits = |pattern: &str| {
            let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
            let mut pairs = pattern.iter().zip(&path);
            pattern.len() == path.len() && pairs.all(|(slot, part)| slot.starts_with('{') || slot == part)
        };
        let found = paths.iter().find(|(pattern, _)| fits(pattern));
        let (_, methods) = found.unwrap_or_else(|| panic!("{path} is not described"));
        &methods[method.as_str().to_lowercase()]
    }
}

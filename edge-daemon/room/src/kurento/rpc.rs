//! JSON-RPC 2.0 envelopes.

use crate::error::RoomError;
use crate::ids::SessionId;
use serde::Serialize;
use serde_json::{Map, Value};

/// JSON-RPC 2.0 §5.1.
pub(crate) const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// The first of the codes that §5.1 leaves to servers: too many requests.
pub(crate) const SERVER_ERROR: i32 = -32000;
/// What the original server sends for an exception that nobody caught.
pub(crate) const UNCAUGHT: i32 = -1;
/// What the original server sends for a `connect` with an unknown session id.
pub(crate) const RECONNECTION_ERROR: i32 = 40007;

/// Longest id that is a text.
const MAX_ID_BYTES: usize = 128;

/// The members of a result.
pub(crate) type Members = Map<String, Value>;

/// What a text frame holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// A request, or a notification if it has no id.
    Call(Call),
    /// A response. We ask clients nothing, but the Java client answers notifications it does not know.
    Response,
}

/// A request of a client.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// As it came, to be echoed: a number or a text.
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    /// `null` when absent.
    pub(crate) params: Value,
}

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<RoomError> for Failure {
    fn from(error: RoomError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Reads a text frame; a text that is no JSON-RPC is refused with the id, if it has one.
pub(crate) fn parse(text: &str) -> Result<Incoming, (Option<Value>, Failure)> {
    let invalid = |id, why: &str| Err((id, Failure::new(INVALID_REQUEST, why)));
    let value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return Err((None, Failure::new(PARSE_ERROR, format!("Not JSON: {error}")))),
    };
    let Value::Object(mut members) = value else {
        return invalid(None, "A message is one JSON object; batches are not supported");
    };
    let id = match members.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) if id.len() <= MAX_ID_BYTES => Some(Value::String(id)),
        Some(Value::Number(id)) => Some(Value::Number(id)),
        Some(_) => return invalid(None, "An id is a number or a short text"),
    };
    if members.get("jsonrpc").is_some_and(|version| version != "2.0") {
        return invalid(id, "The only jsonrpc version is \"2.0\"");
    }
    match members.remove("method") {
        Some(Value::String(method)) => {
            let params = members.remove("params").unwrap_or_default();
            Ok(Incoming::Call(Call { id, method, params }))
        }
        Some(_) => invalid(id, "A method is a text"),
        None if members.contains_key("result") || members.contains_key("error") => Ok(Incoming::Response),
        None => invalid(id, "Neither a method nor a result"),
    }
}

#[derive(Serialize)]
struct ResultMessage<'a> {
    id: &'a Value,
    result: &'a Members,
    jsonrpc: &'static str,
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    id: Option<&'a Value>,
    error: ErrorBody<'a>,
    jsonrpc: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: i32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

#[derive(Serialize)]
struct NotificationMessage<'a, P> {
    method: &'a str,
    params: P,
    jsonrpc: &'static str,
}

const VERSION: &str = "2.0";

/// A result is always an object; `session` is put into it.
pub(crate) fn result(id: &Value, mut members: Members, session: Option<SessionId>) -> String {
    if let Some(session) = session {
        members.insert("sessionId".to_owned(), Value::String(session.to_string()));
    }
    encode(&ResultMessage {
        id,
        result: &members,
        jsonrpc: VERSION,
    })
}

/// An error response.
pub(crate) fn error(id: Option<&Value>, failure: &Failure, session: SessionId) -> String {
    let error = ErrorBody {
        code: failure.code,
        message: &failure.message,
        session_id: Some(session.to_string()),
    };
    encode(&ErrorMessage {
        id,
        error,
        jsonrpc: VERSION,
    })
}

/// A message without an id.
pub(crate) fn notification(method: &str, params: impl Serialize) -> String {
    encode(&NotificationMessage {
        method,
        params,
        jsonrpc: VERSION,
    })
}

fn encode(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("plain structs with text keys become JSON")
}

#[cfg(test)]
mod tests {
    use super::{Failure, INVALID_REQUEST, Incoming, PARSE_ERROR, parse};
    use serde_json::{Value, json};

    fn call(text: &str) -> (Option<Value>, String, Value) {
        match parse(text) {
            Ok(Incoming::Call(call)) => (call.id, call.method, call.params),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn code(text: &str) -> (Option<Value>, i32) {
        match parse(text) {
            Err((id, Failure { code, .. })) => (id, code),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn ids_are_numbers_or_texts_and_kept_as_they_came() {
        assert_eq!(
            call(r#"{"jsonrpc":"2.0","method":"m","id":0}"#),
            (Some(json!(0)), "m".into(), Value::Null)
        );
        assert_eq!(
            call(r#"{"jsonrpc":"2.0","method":"m","id":"7","params":{}}"#).0,
            Some(json!("7"))
        );
        assert_eq!(call(r#"{"method":"m"}"#).0, None);
        assert_eq!(call(r#"{"method":"m","id":null}"#).0, None);
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        for text in ["", "{", "joinRoom", "{\"method\":\"m\",}", "\u{0}"] {
            assert_eq!(code(text), (None, PARSE_ERROR), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep), (None, PARSE_ERROR));
    }

    #[test]
    fn what_is_no_request_is_an_invalid_request_with_its_id_if_it_has_one() {
        for text in ["[]", "1", "null", "\"x\"", "{}", r#"{"method":"m","id":[1]}"#] {
            assert_eq!(code(text), (None, INVALID_REQUEST), "{text}");
        }
        for text in [
            r#"{"id":3}"#,
            r#"{"id":3,"method":7}"#,
            r#"{"id":3,"method":"m","jsonrpc":"1.0"}"#,
        ] {
            assert_eq!(code(text), (Some(json!(3)), INVALID_REQUEST), "{text}");
        }
        let long = format!(r#"{{"method":"m","id":"{}"}}"#, "9".repeat(129));
        assert_eq!(code(&long), (None, INVALID_REQUEST));
    }

    #[test]
    fn responses_are_told_from_requests() {
        for text in [
            r#"{"id":1,"result":"push","jsonrpc":"2.0"}"#,
            r#"{"id":null,"error":{"code":1}}"#,
        ] {
            assert_eq!(parse(text), Ok(Incoming::Response), "{text}");
        }
    }
}

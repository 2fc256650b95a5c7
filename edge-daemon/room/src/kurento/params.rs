//! Parameters as lenient as the original's parser: numbers in quotes, texts without.

use super::rpc::{Failure, INVALID_PARAMS, UNCAUGHT};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The parameters of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a>(Option<&'a Map<String, Value>>);

impl<'a> Params<'a> {
    /// Absent, `null` and `[]` are all no parameters.
    pub(crate) fn new(value: &'a Value) -> Result<Self, Failure> {
        match value {
            Value::Object(members) => Ok(Self(Some(members))),
            Value::Null => Ok(Self(None)),
            Value::Array(items) if items.is_empty() => Ok(Self(None)),
            _ => Err(Failure::new(INVALID_PARAMS, "Parameters are an object")),
        }
    }

    /// A text; a number or a truth value is taken as its text.
    pub(crate) fn text(&self, name: &str) -> Result<String, Failure> {
        match self.required(name)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => Err(wrong(name, "a text")),
        }
    }

    /// A truth value, also in quotes.
    pub(crate) fn truth(&self, name: &str) -> Result<bool, Failure> {
        match self.required(name)? {
            Value::Bool(truth) => Ok(*truth),
            Value::String(text) => text.parse().map_err(|_| wrong(name, "true or false")),
            _ => Err(wrong(name, "true or false")),
        }
    }

    /// A whole number from 0, also in quotes.
    pub(crate) fn index(&self, name: &str) -> Result<u16, Failure> {
        let value = self.required(name)?;
        whole(value)
            .and_then(|n| u16::try_from(n).ok())
            .ok_or_else(|| wrong(name, "a whole number from 0 to 65535"))
    }

    /// An object of a form that is known.
    pub(crate) fn object<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        T::deserialize(self.required(name)?)
            .map_err(|error| Failure::new(INVALID_PARAMS, format!("Request element '{name}': {error}")))
    }

    /// A duration in milliseconds, if it is one.
    pub(crate) fn milliseconds(&self, name: &str) -> Option<u64> {
        self.optional(name).and_then(whole)
    }

    /// A text, if it is there and one.
    pub(crate) fn optional_text(&self, name: &str) -> Option<&'a str> {
        self.optional(name)?.as_str()
    }

    /// The texts of a list; empty if there is none.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.optional(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    fn required(&self, name: &str) -> Result<&'a Value, Failure> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    fn optional(&self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }
}

/// What clients of the original look for in the message.
fn missing(name: &str) -> Failure {
    Failure::new(UNCAUGHT, format!("Request element '{name}' is missing"))
}

fn wrong(name: &str, expected: &str) -> Failure {
    Failure::new(
        INVALID_PARAMS,
        format!("Request element '{name}' must be {expected}"),
    )
}

/// `7`, `7.0` and `"7"`.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.to_string().strip_suffix(".0")?.parse().ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Params;
    use serde_json::{Value, json};

    fn index(value: &Value) -> Result<u16, i32> {
        let value = json!({ "n": value });
        Params::new(&value)
            .unwrap()
            .index("n")
            .map_err(|failure| failure.code)
    }

    #[test]
    fn an_index_may_stand_in_quotes_as_android_sends_it() {
        for value in [json!(1), json!("1"), json!(1.0), json!(" 1 ")] {
            assert_eq!(index(&value), Ok(1), "{value}");
        }
        for value in [
            json!(-1),
            json!(1.5),
            json!(65_536),
            json!("one"),
            json!(true),
            json!([0]),
            json!(1e300),
        ] {
            assert_eq!(index(&value), Err(-32602), "{value}");
        }
    }

    #[test]
    fn null_and_absent_are_both_missing_and_the_message_names_the_element() {
        for value in [json!({}), json!({ "room": null }), Value::Null, json!([])] {
            let failure = Params::new(&value).unwrap().text("room").unwrap_err();
            assert_eq!(
                (failure.code, failure.message.as_str()),
                (-1, "Request element 'room' is missing")
            );
        }
    }

    #[test]
    fn truth_may_stand_in_quotes() {
        for (value, truth) in [(json!(true), true), (json!("false"), false)] {
            assert_eq!(
                Params::new(&json!({ "b": value })).unwrap().truth("b").ok(),
                Some(truth)
            );
        }
        assert!(Params::new(&json!({ "b": 1 })).unwrap().truth("b").is_err());
    }

    #[test]
    fn parameters_by_position_are_refused() {
        assert_eq!(Params::new(&json!(["alice"])).unwrap_err().code, -32602);
    }
}

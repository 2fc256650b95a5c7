//! AMF0 (Action Message Format, Adobe 2007), with bounds.

use bytes::{BufMut, BytesMut};

/// How deep objects and arrays may nest; commands need two levels, `onMetaData` with a seek table three.
pub const MAX_DEPTH: usize = 16;

/// One value. Properties keep their order, because some servers read `connect` by position.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// §2.2
    Number(f64),
    /// §2.3
    Boolean(bool),
    /// §2.4, and §2.14 where it is longer than 65,535 bytes.
    String(String),
    /// §2.5
    Object(Vec<(String, Value)>),
    /// §2.7
    Null,
    /// §2.8, also read from "unsupported" (§2.15).
    Undefined,
    /// §2.10: an object that says how many properties it has.
    EcmaArray(Vec<(String, Value)>),
    /// §2.12
    StrictArray(Vec<Value>),
    /// §2.13: milliseconds since 1970.
    Date(f64),
}

/// Why bytes are not AMF0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// A value goes on beyond its message.
    #[error("an AMF0 value ends {0} bytes short")]
    Truncated(usize),
    /// Not a marker of AMF0, or one that RTMP has no use for.
    #[error("AMF0 marker {0:#04x} is unknown or unused in RTMP")]
    Marker(u8),
    /// Nested beyond [`MAX_DEPTH`].
    #[error("AMF0 values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Strings are UTF-8 (§1.3.1).
    #[error("an AMF0 string is not UTF-8")]
    NotUtf8,
}

impl Value {
    /// A string value.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object of these properties.
    #[must_use]
    pub fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        Self::Object(
            properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Number(_)
            | Self::Boolean(_)
            | Self::Object(_)
            | Self::Null
            | Self::Undefined
            | Self::EcmaArray(_)
            | Self::StrictArray(_)
            | Self::Date(_) => None,
        }
    }

    /// The number of a number.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// A property of an object or ECMA array.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (Self::Object(properties) | Self::EcmaArray(properties)) = self else {
            return None;
        };
        properties
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Number(number) => {
                out.put_u8(0x00);
                out.put_f64(*number);
            }
            Self::Boolean(value) => out.put_slice(&[0x01, u8::from(*value)]),
            Self::String(text) => encode_string(text, out),
            Self::Object(properties) => {
                out.put_u8(0x03);
                encode_properties(properties, out);
            }
            Self::Null => out.put_u8(0x05),
            Self::Undefined => out.put_u8(0x06),
            Self::EcmaArray(properties) => {
                out.put_u8(0x08);
                out.put_u32(u32::try_from(properties.len()).unwrap_or(u32::MAX));
                encode_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.put_u8(0x0a);
                out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Date(milliseconds) => {
                out.put_u8(0x0b);
                out.put_f64(*milliseconds);
                // §2.13: the time zone is reserved and zero.
                out.put_i16(0);
            }
        }
    }
}

/// The encoding of these values, one after the other.
#[must_use]
pub fn encode(values: &[Value]) -> BytesMut {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| value.encode(&mut out));
    out
}

/// All the values in `bytes`.
///
/// # Errors
/// When `bytes` are not a whole number of values within the bounds.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let mut reader = Reader { rest: bytes };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

/// The first value in `bytes` and how long it is.
///
/// # Errors
/// When `bytes` do not begin with a value within the bounds.
pub fn decode_first(bytes: &[u8]) -> Result<(Value, usize), Amf0Error> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    Ok((value, bytes.len() - reader.rest.len()))
}

fn encode_string(text: &str, out: &mut BytesMut) {
    if let Ok(length) = u16::try_from(text.len()) {
        out.put_u8(0x02);
        out.put_u16(length);
    } else {
        out.put_u8(0x0c);
        out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    out.put_slice(text.as_bytes());
}

fn encode_properties(properties: &[(String, Value)], out: &mut BytesMut) {
    for (name, value) in properties {
        // A name has 16 bits of length. Ours are constants or came from the wire, so none is longer.
        let Ok(length) = u16::try_from(name.len()) else {
            continue;
        };
        out.put_u16(length);
        out.put_slice(name.as_bytes());
        value.encode(out);
    }
    out.put_slice(&[0, 0, 0x09]);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        if depth > MAX_DEPTH {
            return Err(Amf0Error::TooDeep);
        }
        Ok(match self.byte()? {
            0x00 => Value::Number(self.number()?),
            0x01 => Value::Boolean(self.byte()? != 0),
            0x02 => Value::String(self.short_string()?),
            0x03 => Value::Object(self.properties(depth)?),
            0x05 => Value::Null,
            0x06 | 0x0d => Value::Undefined,
            0x08 => {
                // §2.10: the count is a hint; the end marker decides.
                self.take(4)?;
                Value::EcmaArray(self.properties(depth)?)
            }
            0x0a => self.strict_array(depth)?,
            0x0b => {
                let milliseconds = self.number()?;
                self.take(2)?;
                Value::Date(milliseconds)
            }
            0x0c | 0x0f => Value::String(self.long_string()?),
            0x10 => {
                self.short_string()?;
                Value::Object(self.properties(depth)?)
            }
            marker => return Err(Amf0Error::Marker(marker)),
        })
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let count = self.length32()?;
        // Nothing is allocated by the declared count: each value takes at least a byte of the message.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }

    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            let name = self.short_string()?;
            if name.is_empty() && self.rest.first() == Some(&0x09) {
                self.take(1)?;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Amf0Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(Amf0Error::Truncated(count.saturating_sub(self.rest.len())));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Amf0Error::Truncated(N.saturating_sub(self.rest.len())));
        };
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Amf0Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<f64, Amf0Error> {
        self.array().map(f64::from_be_bytes)
    }

    fn length32(&mut self) -> Result<usize, Amf0Error> {
        let length = u32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| Amf0Error::Truncated(usize::MAX))
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        self.text(length)
    }

    fn long_string(&mut self) -> Result<String, Amf0Error> {
        let length = self.length32()?;
        self.text(length)
    }

    fn text(&mut self, length: usize) -> Result<String, Amf0Error> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Amf0Error::NotUtf8)
    }
}

#[cfg(test)]
mod tests {
    use super::{Amf0Error, MAX_DEPTH, Value, decode, decode_first, encode};

    fn every_kind() -> Vec<Value> {
        vec![
            Value::string("connect"),
            Value::Number(1.5),
            Value::Boolean(true),
            Value::Null,
            Value::Undefined,
            Value::Date(1e12),
            Value::StrictArray(vec![Value::Number(1.0), Value::string("b")]),
            Value::EcmaArray(vec![("width".to_owned(), Value::Number(640.0))]),
            Value::object([
                ("app", Value::string("live")),
                ("inner", Value::object([("x", Value::Null)])),
            ]),
            Value::String("x".repeat(70_000)),
        ]
    }

    #[test]
    fn every_kind_of_value_survives_the_wire_in_order() {
        assert_eq!(decode(&encode(&every_kind())).expect("ours"), every_kind());
    }

    #[test]
    fn an_independent_decoder_reads_what_we_write() {
        let ours = encode(&[
            Value::string("onMetaData"),
            Value::Number(3.0),
            Value::object([("a", Value::Null)]),
        ]);
        let theirs = rml_amf0::deserialize(&mut std::io::Cursor::new(ours)).expect("AMF0");
        assert_eq!(theirs.len(), 3);
        assert_eq!(
            theirs[0],
            rml_amf0::Amf0Value::Utf8String("onMetaData".to_owned())
        );
    }

    #[test]
    fn every_truncation_is_an_error_or_fewer_values_never_a_panic() {
        let bytes = encode(&every_kind()[..9]);
        for length in 0..bytes.len() {
            if let Ok(values) = decode(&bytes[..length]) {
                assert!(
                    values.len() < 9,
                    "{length} of {} bytes gave everything",
                    bytes.len()
                );
            }
        }
    }

    #[test]
    fn a_bomb_of_nested_arrays_is_refused_without_recursing_into_it() {
        let bomb = [0x0a, 0, 0, 0, 1].repeat(1_000_000);
        assert_eq!(decode(&bomb), Err(Amf0Error::TooDeep));
        let bomb = [0x03, 0, 1, b'a'].repeat(1_000_000);
        assert_eq!(decode(&bomb), Err(Amf0Error::TooDeep));
        const { assert!(MAX_DEPTH < 64, "the recursion must fit any stack") };
    }

    #[test]
    fn a_declared_count_allocates_nothing() {
        assert_eq!(
            decode(&[0x0a, 0xff, 0xff, 0xff, 0xff]),
            Err(Amf0Error::Truncated(1))
        );
        assert!(matches!(
            decode(&[0x0c, 0xff, 0xff, 0xff, 0xff, b'x']),
            Err(Amf0Error::Truncated(_))
        ));
    }

    #[test]
    fn the_first_value_says_where_the_next_begins() {
        let bytes = encode(&[Value::string("@setDataFrame"), Value::Null]);
        assert_eq!(decode_first(&bytes), Ok((Value::string("@setDataFrame"), 16)));
    }
}

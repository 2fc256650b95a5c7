//! RTMP messages (RTMP 1.0 §5.4, §7.1) and the commands in them (§7.2).

use crate::amf0::{self, Amf0Error, Value};
use crate::flv::TagKind;
use bytes::{BufMut, Bytes, BytesMut};

/// What a message is. §5.4 and §7.1 give the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// 1
    SetChunkSize,
    /// 2
    Abort,
    /// 3
    Acknowledgement,
    /// 4
    UserControl,
    /// 5
    WindowAcknowledgementSize,
    /// 6
    SetPeerBandwidth,
    /// 8, 9 and 18
    Media(TagKind),
    /// 17: a command in AMF0 behind a zero byte.
    CommandAmf3,
    /// 20
    Command,
    /// 22: FLV tags in one message.
    Aggregate,
    /// Shared objects and whatever else: ignored.
    Other(u8),
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageKind,
    /// The message stream: zero is the connection itself.
    pub stream: u32,
    /// Milliseconds, wrapping at 32 bits.
    pub timestamp: u32,
    /// The payload.
    pub body: Bytes,
}

/// User control events (§7.1.7).
pub(crate) mod event {
    pub(crate) const STREAM_BEGIN: u16 = 0;
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const SET_BUFFER_LENGTH: u16 = 3;
    pub(crate) const PING_REQUEST: u16 = 6;
    pub(crate) const PING_RESPONSE: u16 = 7;
}

/// A remote call: `name`, transaction, command object or null, arguments (§7.2.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) transaction: f64,
    pub(crate) object: Value,
    pub(crate) arguments: Vec<Value>,
}

impl MessageKind {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::SetChunkSize => 1,
            Self::Abort => 2,
            Self::Acknowledgement => 3,
            Self::UserControl => 4,
            Self::WindowAcknowledgementSize => 5,
            Self::SetPeerBandwidth => 6,
            Self::Media(kind) => kind.number(),
            Self::CommandAmf3 => 17,
            Self::Command => 20,
            Self::Aggregate => 22,
            Self::Other(number) => number,
        }
    }

    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Acknowledgement,
            4 => Self::UserControl,
            5 => Self::WindowAcknowledgementSize,
            6 => Self::SetPeerBandwidth,
            17 => Self::CommandAmf3,
            20 => Self::Command,
            22 => Self::Aggregate,
            other => TagKind::from_number(other).map_or(Self::Other(other), Self::Media),
        }
    }
}

impl Message {
    /// A protocol control message of one 32-bit number: types 1, 2, 3 and 5 (§5.4).
    pub(crate) fn control(kind: MessageKind, number: u32) -> Self {
        Self {
            kind,
            stream: 0,
            timestamp: 0,
            body: Bytes::copy_from_slice(&number.to_be_bytes()),
        }
    }

    /// §5.4.5, with the limit type "dynamic".
    pub(crate) fn peer_bandwidth(window: u32) -> Self {
        let mut body = BytesMut::with_capacity(5);
        body.put_u32(window);
        body.put_u8(2);
        Self {
            kind: MessageKind::SetPeerBandwidth,
            stream: 0,
            timestamp: 0,
            body: body.freeze(),
        }
    }

    /// §7.1.7
    pub(crate) fn user_control(event: u16, words: &[u32]) -> Self {
        let mut body = BytesMut::with_capacity(2 + 4 * words.len());
        body.put_u16(event);
        words.iter().for_each(|word| body.put_u32(*word));
        Self {
            kind: MessageKind::UserControl,
            stream: 0,
            timestamp: 0,
            body: body.freeze(),
        }
    }

    /// The number of a control message, if it has one.
    pub(crate) fn number(&self) -> Option<u32> {
        self.body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

impl Command {
    pub(crate) fn new(name: &str, transaction: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            transaction,
            object,
            arguments,
        }
    }

    /// An `onStatus` (§7.2.2) with its information object.
    pub(crate) fn status(level: &str, code: &str, description: &str) -> Self {
        let information = Value::object([
            ("level", Value::string(level)),
            ("code", Value::string(code)),
            ("description", Value::string(description)),
        ]);
        Self::new("onStatus", 0.0, Value::Null, vec![information])
    }

    pub(crate) fn into_message(self, stream: u32) -> Message {
        let mut values = vec![
            Value::String(self.name),
            Value::Number(self.transaction),
            self.object,
        ];
        values.extend(self.arguments);
        Message {
            kind: MessageKind::Command,
            stream,
            timestamp: 0,
            body: amf0::encode(&values).freeze(),
        }
    }

    /// Reads a message of type 17 or 20; `None` when it lacks a name.
    pub(crate) fn parse(message: &Message) -> Result<Option<Self>, Amf0Error> {
        let body = match (message.kind, message.body.split_first()) {
            (MessageKind::CommandAmf3, Some((0, rest))) => rest,
            _ => &message.body[..],
        };
        let mut values = amf0::decode(body)?.into_iter();
        let Some(Value::String(name)) = values.next() else {
            return Ok(None);
        };
        let transaction = values.next().as_ref().and_then(Value::as_number).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Some(Self {
            name,
            transaction,
            object,
            arguments: values.collect(),
        }))
    }

    /// `code` and `description` of the information object, wherever a server put it.
    pub(crate) fn information(&self) -> (String, String) {
        let property = |name| {
            self.arguments
                .iter()
                .chain([&self.object])
                .find_map(|value| value.get(name)?.as_str())
                .unwrap_or_default()
        };
        (property("code").to_owned(), property("description").to_owned())
    }

    /// Whether the information object says `level: "error"`.
    pub(crate) fn is_error(&self) -> bool {
        self.name == "_error"
            || self
                .arguments
                .iter()
                .any(|value| value.get("level").and_then(Value::as_str) == Some("error"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Message, MessageKind};
    use crate::amf0::Value;
    use bytes::Bytes;

    #[test]
    fn kinds_and_numbers_are_each_others_inverse() {
        for number in 0..=255 {
            assert_eq!(MessageKind::from_number(number).number(), number);
        }
    }

    #[test]
    fn a_command_survives_the_wire() {
        let command = Command::new(
            "publish",
            5.0,
            Value::Null,
            vec![Value::string("a?token=b"), Value::string("live")],
        );
        assert_eq!(
            Command::parse(&command.clone().into_message(1)),
            Ok(Some(command))
        );
    }

    #[test]
    fn a_command_marked_amf3_is_amf0_behind_a_zero() {
        let command = Command::status("error", "NetStream.Publish.BadName", "taken");
        let mut message = command.clone().into_message(1);
        message.kind = MessageKind::CommandAmf3;
        message.body = Bytes::from([&[0], &message.body[..]].concat());
        let parsed = Command::parse(&message).expect("AMF0").expect("a name");
        assert_eq!(parsed, command);
        assert!(parsed.is_error());
        assert_eq!(
            parsed.information(),
            ("NetStream.Publish.BadName".to_owned(), "taken".to_owned())
        );
    }

    #[test]
    fn a_command_without_a_name_is_none() {
        let message = Message {
            kind: MessageKind::Command,
            stream: 0,
            timestamp: 0,
            body: Bytes::from_static(&[5]),
        };
        assert_eq!(Command::parse(&message), Ok(None));
    }
}

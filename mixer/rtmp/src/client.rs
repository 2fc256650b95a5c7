//! The client's side of a session: publish one stream, or play one.

use crate::amf0::{self, Value};
use crate::chunk::Limits;
use crate::flv::{self, Tag, TagFormat, TagKind};
use crate::link::{Incoming, Link, LinkError};
use crate::message::{Command, Message, MessageKind, event};
use crate::url::RtmpUrl;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Transaction numbers: one session makes each call once.
const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const START: f64 = 5.0;

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The peer does not speak RTMP, or not within our limits.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The peer said no.
    #[error("the peer refused {step}: {code} {description}")]
    Refused {
        /// What we had asked for.
        step: &'static str,
        /// For example `NetStream.Publish.BadName`.
        code: String,
        /// In the peer's words.
        description: String,
    },
    /// Frames before the peer accepted.
    #[error("the peer has not accepted the stream yet")]
    NotAccepted,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The peer takes our frames, or is about to send its own.
    Accepted,
    /// A frame or header from the stream we play.
    Tag(Tag),
    /// The stream we play has ended, or the peer unpublished ours.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Publish,
    Play,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Connecting,
    Creating,
    Starting { stream: u32 },
    Running { stream: u32 },
    Closed,
}

/// One session. Bytes in, bytes and events out.
#[derive(Debug)]
pub struct Client {
    link: Link,
    target: RtmpUrl,
    purpose: Purpose,
    format: TagFormat,
    state: State,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// Publishes to `target` (live).
    #[must_use]
    pub fn publish(target: &RtmpUrl) -> Self {
        Self::new(target, Purpose::Publish, Limits::default())
    }

    /// Plays `target` (live).
    #[must_use]
    pub fn play(target: &RtmpUrl) -> Self {
        Self::new(target, Purpose::Play, Limits::default())
    }

    /// With `format` [`TagFormat::Enhanced`], `connect` names the FourCCs that may come (E-RTMP v2, "Enhancing NetConnection
    /// connect Command"). Servers of old may stumble over the array, so otherwise it is left out.
    #[must_use]
    pub fn offering(self, format: TagFormat) -> Self {
        Self { format, ..self }
    }

    fn new(target: &RtmpUrl, purpose: Purpose, limits: Limits) -> Self {
        let (link, state) = (Link::client(limits), State::Handshake);
        Self {
            link,
            target: target.clone(),
            purpose,
            format: TagFormat::default(),
            state,
            events: VecDeque::new(),
        }
    }

    /// Takes what was read from the peer.
    ///
    /// # Errors
    /// When the session cannot go on; close the connection.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.link.push(bytes)?;
        if self.state == State::Handshake && self.link.is_open() {
            self.connect()?;
        }
        while let Some(incoming) = self.link.next_incoming()? {
            match incoming {
                Incoming::Command { command, .. } => self.handle_command(&command)?,
                Incoming::Tags { tags, .. } if self.purpose == Purpose::Play => {
                    self.events.extend(tags.into_iter().map(ClientEvent::Tag));
                }
                Incoming::Tags { .. } => {}
                Incoming::StreamEnded => self.events.push_back(ClientEvent::Ended),
            }
        }
        Ok(())
    }

    /// What has to be written to the peer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Publishes a tag. `onMetaData` goes out as `@setDataFrame`.
    ///
    /// # Errors
    /// Before [`ClientEvent::Accepted`] and after [`Self::close`], and for bodies of 16 MiB.
    pub fn send(&mut self, tag: &Tag) -> Result<(), ClientError> {
        let State::Running { stream } = self.state else {
            return Err(ClientError::NotAccepted);
        };
        let body = if tag.kind == TagKind::Script {
            set_data_frame(&tag.body)
        } else {
            tag.body.clone()
        };
        let kind = MessageKind::Media(tag.kind);
        Ok(self.link.send(&Message {
            kind,
            stream,
            timestamp: tag.timestamp_ms,
            body,
        })?)
    }

    /// Ends the stream politely; what is left is to write the output and to close.
    pub fn close(&mut self) {
        let (State::Running { stream } | State::Starting { stream }) = self.state else {
            return;
        };
        self.state = State::Closed;
        let name = Value::string(&self.target.stream);
        let unpublish = Command::new("FCUnpublish", 6.0, Value::Null, vec![name]);
        let delete = Command::new(
            "deleteStream",
            7.0,
            Value::Null,
            vec![Value::Number(f64::from(stream))],
        );
        let farewell = if self.purpose == Purpose::Publish {
            vec![unpublish, delete]
        } else {
            vec![delete]
        };
        for command in farewell {
            // Commands of a few bytes fit; there is nothing to do about one that does not while closing.
            let _ = self.link.send_command(0, command);
        }
    }

    /// §7.2.1.1
    fn connect(&mut self) -> Result<(), ClientError> {
        self.state = State::Connecting;
        let mut properties = vec![
            ("app", Value::string(&self.target.app)),
            ("type", Value::string("nonprivate")),
            ("flashVer", Value::string("FMLE/3.0 (compatible; lianmai)")),
            ("tcUrl", Value::string(self.target.tc_url())),
        ];
        if self.format == TagFormat::Enhanced {
            let names = flv::OFFERED.map(Value::string).to_vec();
            properties.push(("fourCcList", Value::StrictArray(names)));
        }
        let object = Value::object(properties);
        Ok(self
            .link
            .send_command(0, Command::new("connect", CONNECT, object, Vec::new()))?)
    }

    fn handle_command(&mut self, command: &Command) -> Result<(), ClientError> {
        match (command.name.as_str(), self.state) {
            ("_result", State::Connecting) if command.transaction == CONNECT => self.create_stream(),
            ("_error", State::Connecting) => Err(self.refused("the connection", command)),
            ("_result", State::Creating) if command.transaction == CREATE_STREAM => self.start(command),
            // releaseStream and FCPublish are courtesies that many servers do not know.
            ("_error", State::Creating) if command.transaction == CREATE_STREAM => {
                Err(self.refused("a message stream", command))
            }
            ("_error", State::Starting { .. }) if command.transaction == START => {
                Err(self.refused("the stream", command))
            }
            ("onStatus", _) => self.handle_status(command),
            ("close", _) => {
                self.events.push_back(ClientEvent::Ended);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn create_stream(&mut self) -> Result<(), ClientError> {
        self.state = State::Creating;
        self.link.announce()?;
        let name = || vec![Value::string(&self.target.stream)];
        if self.purpose == Purpose::Publish {
            self.link.send_command(
                0,
                Command::new("releaseStream", RELEASE_STREAM, Value::Null, name()),
            )?;
            self.link
                .send_command(0, Command::new("FCPublish", FC_PUBLISH, Value::Null, name()))?;
        }
        Ok(self.link.send_command(
            0,
            Command::new("createStream", CREATE_STREAM, Value::Null, Vec::new()),
        )?)
    }

    fn start(&mut self, result: &Command) -> Result<(), ClientError> {
        let number = result.arguments.first().and_then(Value::as_number);
        let Some(stream) = number.and_then(stream_id) else {
            return Err(self.refused("a message stream", result));
        };
        self.state = State::Starting { stream };
        let name = Value::string(&self.target.stream);
        let command = match self.purpose {
            Purpose::Publish => {
                Command::new("publish", START, Value::Null, vec![name, Value::string("live")])
            }
            // §7.2.2.1: -1000 plays live streams only.
            Purpose::Play => Command::new("play", START, Value::Null, vec![name, Value::Number(-1000.0)]),
        };
        self.link.send_command(stream, command)?;
        if self.purpose == Purpose::Play {
            self.link
                .send(&Message::user_control(event::SET_BUFFER_LENGTH, &[stream, 1000]))?;
        }
        Ok(())
    }

    fn handle_status(&mut self, command: &Command) -> Result<(), ClientError> {
        let (code, _) = command.information();
        match (code.as_str(), self.state) {
            _ if command.is_error() => Err(self.refused("the stream", command)),
            ("NetStream.Publish.Start" | "NetStream.Play.Start", State::Starting { stream }) => {
                self.state = State::Running { stream };
                self.events.push_back(ClientEvent::Accepted);
                Ok(())
            }
            (
                "NetStream.Unpublish.Success" | "NetStream.Play.Stop" | "NetStream.Play.UnpublishNotify",
                State::Running { .. },
            ) => {
                self.events.push_back(ClientEvent::Ended);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn refused(&self, step: &'static str, command: &Command) -> ClientError {
        let (code, description) = command.information();
        ClientError::Refused {
            step,
            code: without_secret(&code, &self.target.stream),
            description: without_secret(&description, &self.target.stream),
        }
    }
}

/// A text of the peer without the stream's name, which is a secret with most CDNs, and which some repeat.
fn without_secret(text: &str, stream: &str) -> String {
    let name = stream.split('?').next().unwrap_or_default();
    [stream, name]
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

/// Message stream ids are numbers of AMF0, which are floating.
fn stream_id(number: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    let id = number as u32;
    (f64::from(id) == number).then_some(id)
}

fn set_data_frame(body: &[u8]) -> Bytes {
    let mut out: BytesMut = amf0::encode(&[Value::string("@setDataFrame")]);
    out.extend_from_slice(body);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::without_secret;

    #[test]
    fn what_a_peer_says_of_a_stream_is_shown_without_its_name() {
        for said in [
            "stream key-1?token=x is live",
            "key-1 is not allowed",
            "bad token in key-1?token=x",
        ] {
            let shown = without_secret(said, "key-1?token=x");
            assert!(!shown.contains("key-1") && shown.contains("***"), "{shown}");
        }
        assert_eq!(without_secret("busy", "key-1"), "busy");
    }
}

//! The server's side of a session: one publisher, or one player.

use crate::amf0::Value;
use crate::chunk::Limits;
use crate::flv::Tag;
use crate::link::{Incoming, Link, LinkError};
use crate::message::{Command, Message, MessageKind, event};
use bytes::Bytes;
use std::collections::VecDeque;

/// `createStream` calls that one connection may make.
const MAX_STREAMS: u32 = 16;

/// Codecs that a peer may name.
const MAX_FOUR_CCS: usize = 16;

/// What a peer may make us hold before it is an accepted publisher: commands are short.
const MAX_COMMAND: usize = 64 * 1024;

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The peer does not speak RTMP, or not within our limits.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// §7.2.1: `connect` is the first command.
    #[error("command {0:?} before connect")]
    BeforeConnect(String),
    /// `connect` without the name of an application, `publish` or `play` without the name of a stream.
    #[error("{0} without a name")]
    NoName(&'static str),
    /// More than this server gives out.
    #[error("more than {MAX_STREAMS} message streams on one connection")]
    TooManyStreams,
    /// A second `publish` or `play` on the same connection.
    #[error("{0} while the connection already carries a stream")]
    Busy(String),
}

/// What a peer wants to publish or play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPath {
    /// The application, without query.
    pub app: String,
    /// The stream, without query, as sent.
    pub stream: String,
    /// What stood behind `?`, tokens for example.
    pub query: Option<String>,
}

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Wants to publish: answer with [`Server::accept`] or [`Server::refuse`].
    Publish(StreamPath),
    /// Wants to play: answer likewise.
    Play(StreamPath),
    /// A frame or header of its stream.
    Tag(Tag),
    /// It is done with its stream.
    Finished,
}

/// A "no" to `publish` or `play`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For example `NetStream.Publish.BadName` (§7.2.2.6).
    pub code: &'static str,
    /// For people.
    pub description: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Publisher,
    Player,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    Asked { stream: u32, role: Role },
    Running { stream: u32, role: Role },
}

/// One session. Bytes in, bytes and events out.
#[derive(Debug)]
pub struct Server {
    link: Link,
    max_message: usize,
    app: String,
    four_ccs: Vec<String>,
    state: State,
    streams: u32,
    events: VecDeque<ServerEvent>,
}

impl Server {
    /// A session at its first byte. Messages up to `limits` are for publishers that were accepted; nobody else may send
    /// more than 64 KiB in one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let max_message = limits.max_message;
        Self {
            link: Link::server(Limits {
                max_message: max_message.min(MAX_COMMAND),
                ..limits
            }),
            max_message,
            app: String::new(),
            four_ccs: Vec::new(),
            state: State::Connecting,
            streams: 0,
            events: VecDeque::new(),
        }
    }

    /// Takes what was read from the peer.
    ///
    /// # Errors
    /// When the session cannot go on; write the output that is left, then close.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.link.push(bytes)?;
        while let Some(incoming) = self.link.next_incoming()? {
            match incoming {
                Incoming::Command { stream, command } => self.handle_command(stream, &command)?,
                Incoming::Tags { stream, tags } => {
                    if self.state
                        == (State::Running {
                            stream,
                            role: Role::Publisher,
                        })
                    {
                        self.events.extend(tags.into_iter().map(ServerEvent::Tag));
                    }
                }
                Incoming::StreamEnded => {}
            }
        }
        Ok(())
    }

    /// What has to be written to the peer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// What the peer did since the last call.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// The codecs that the peer named in `connect`, by their FourCCs (E-RTMP v2, "Enhancing NetConnection connect Command"); none
    /// from one of old.
    #[must_use]
    pub fn peer_four_ccs(&self) -> &[String] {
        &self.four_ccs
    }

    /// Says yes to the peer's last [`ServerEvent::Publish`] or [`ServerEvent::Play`].
    ///
    /// # Errors
    /// None that a peer could cause.
    pub fn accept(&mut self) -> Result<(), ServerError> {
        let State::Asked { stream, role } = self.state else {
            return Ok(());
        };
        self.state = State::Running { stream, role };
        self.link
            .send(&Message::user_control(event::STREAM_BEGIN, &[stream]))?;
        match role {
            Role::Publisher => {
                self.link.set_max_message(self.max_message);
                self.status(stream, "status", "NetStream.Publish.Start", "publishing")
            }
            Role::Player => {
                self.status(stream, "status", "NetStream.Play.Reset", "playing")?;
                self.status(stream, "status", "NetStream.Play.Start", "playing")
            }
        }
    }

    /// Says no to it, also to a publisher that was accepted before. The connection may ask for something else.
    ///
    /// # Errors
    /// None that a peer could cause.
    pub fn refuse(&mut self, refusal: &Refusal) -> Result<(), ServerError> {
        let (State::Asked { stream, .. }
        | State::Running {
            stream,
            role: Role::Publisher,
        }) = self.state
        else {
            return Ok(());
        };
        self.state = State::Connected;
        self.status(stream, "error", refusal.code, &refusal.description)
    }

    /// Sends a tag to a player.
    ///
    /// # Errors
    /// For bodies of 16 MiB and more.
    pub fn send(&mut self, tag: &Tag) -> Result<(), ServerError> {
        let State::Running {
            stream,
            role: Role::Player,
        } = self.state
        else {
            return Ok(());
        };
        let message = Message {
            kind: MessageKind::Media(tag.kind),
            stream,
            timestamp: tag.timestamp_ms,
            body: tag.body.clone(),
        };
        Ok(self.link.send(&message)?)
    }

    /// Tells a player that the stream is over.
    ///
    /// # Errors
    /// None that a peer could cause.
    pub fn end(&mut self) -> Result<(), ServerError> {
        let State::Running {
            stream,
            role: Role::Player,
        } = self.state
        else {
            return Ok(());
        };
        self.state = State::Connected;
        self.link
            .send(&Message::user_control(event::STREAM_EOF, &[stream]))?;
        self.status(
            stream,
            "status",
            "NetStream.Play.UnpublishNotify",
            "the publisher is gone",
        )?;
        self.status(stream, "status", "NetStream.Play.Stop", "the stream is over")
    }

    fn handle_command(&mut self, stream: u32, command: &Command) -> Result<(), ServerError> {
        if self.state == State::Connecting && command.name != "connect" {
            return Err(ServerError::BeforeConnect(
                command.name.chars().take(32).collect(),
            ));
        }
        match command.name.as_str() {
            "connect" => self.connect(command),
            "createStream" => self.create_stream(command),
            "publish" => self.ask(stream, Role::Publisher, command),
            "play" => self.ask(stream, Role::Player, command),
            "deleteStream" | "closeStream" | "FCUnpublish" => {
                self.finish();
                Ok(())
            }
            // Calls whose answer some encoders wait for.
            "releaseStream" | "FCPublish" | "FCSubscribe" | "getStreamLength" => {
                self.answer(command, Value::Null, Value::Undefined)
            }
            _ => Ok(()),
        }
    }

    /// §7.2.1.1
    fn connect(&mut self, command: &Command) -> Result<(), ServerError> {
        let app = command
            .object
            .get("app")
            .and_then(Value::as_str)
            .ok_or(ServerError::NoName("connect"))?;
        app.split('?')
            .next()
            .unwrap_or_default()
            .trim_matches('/')
            .clone_into(&mut self.app);
        self.four_ccs = four_ccs(&command.object);
        if self.state == State::Connecting {
            self.state = State::Connected;
            self.link.announce()?;
            self.link.send_bandwidth()?;
        }
        let mut server = vec![
            ("fmsVer", Value::string("FMS/3,0,1,123")),
            ("capabilities", Value::Number(31.0)),
        ];
        if !self.four_ccs.is_empty() {
            // Nothing is decoded here: every codec is passed on.
            server.push(("fourCcList", Value::StrictArray(vec![Value::string("*")])));
        }
        let server = Value::object(server);
        let information = Value::object([
            ("level", Value::string("status")),
            ("code", Value::string("NetConnection.Connect.Success")),
            ("description", Value::string("connected")),
            ("objectEncoding", Value::Number(0.0)),
        ]);
        self.answer(command, server, information)
    }

    fn create_stream(&mut self, command: &Command) -> Result<(), ServerError> {
        if self.streams >= MAX_STREAMS {
            return Err(ServerError::TooManyStreams);
        }
        self.streams += 1;
        self.answer(command, Value::Null, Value::Number(f64::from(self.streams)))
    }

    fn ask(&mut self, stream: u32, role: Role, command: &Command) -> Result<(), ServerError> {
        if self.state != State::Connected {
            return Err(ServerError::Busy(command.name.clone()));
        }
        let what = if role == Role::Publisher {
            "publish"
        } else {
            "play"
        };
        let name = command
            .arguments
            .first()
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty());
        let name = name.ok_or(ServerError::NoName(what))?;
        let (name, query) = name
            .split_once('?')
            .map_or((name, None), |(name, query)| (name, Some(query.to_owned())));
        self.state = State::Asked { stream, role };
        let path = StreamPath {
            app: self.app.clone(),
            stream: name.to_owned(),
            query,
        };
        self.events.push_back(match role {
            Role::Publisher => ServerEvent::Publish(path),
            Role::Player => ServerEvent::Play(path),
        });
        Ok(())
    }

    fn finish(&mut self) {
        if matches!(self.state, State::Running { .. } | State::Asked { .. }) {
            self.state = State::Connected;
            self.link.set_max_message(self.max_message.min(MAX_COMMAND));
            self.events.push_back(ServerEvent::Finished);
        }
    }

    fn answer(&mut self, command: &Command, object: Value, argument: Value) -> Result<(), ServerError> {
        Ok(self.link.send_command(
            0,
            Command::new("_result", command.transaction, object, vec![argument]),
        )?)
    }

    fn status(&mut self, stream: u32, level: &str, code: &str, description: &str) -> Result<(), ServerError> {
        Ok(self
            .link
            .send_command(stream, Command::status(level, code, description))?)
    }
}

/// At most as many as there are codecs in the specification; whatever is no FourCC is left out.
fn four_ccs(object: &Value) -> Vec<String> {
    let Some(Value::StrictArray(names)) = object.get("fourCcList") else {
        return Vec::new();
    };
    let names = names.iter().filter_map(Value::as_str);
    let valid = |name: &&str| name.len() == 4 || *name == "*";
    names
        .filter(valid)
        .take(MAX_FOUR_CCS)
        .map(str::to_owned)
        .collect()
}

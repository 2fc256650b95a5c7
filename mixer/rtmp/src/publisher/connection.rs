//! One TCP connection to the peer.

use super::shared::{Session, Shared, Work};
use super::{PublishError, PublisherConfig, PublisherEvent, PublisherState};
use crate::client::{Client, ClientEvent};
use crate::flv::TagFormat;
use crate::timestamps::Rebase;
use crate::tls::TlsStream;
use socket2::{SockRef, TcpKeepalive};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a connection ended.
pub(super) enum Ending {
    /// The owner wanted it.
    Stopped {
        /// Whether everything queued went out before the deadline.
        flushed: bool,
    },
    /// Something else did.
    Failed {
        /// Why.
        reason: PublishError,
        /// How long the peer had accepted the stream.
        published: Option<Duration>,
    },
}

/// What lies between RTMP and the socket.
enum Wire {
    Plain,
    Tls(Box<TlsStream>),
}

pub(super) struct Connection<'a> {
    config: &'a PublisherConfig,
    shared: &'a Arc<Shared>,
    stream: TcpStream,
    wire: Wire,
    client: Client,
    rebase: Rebase,
    opened: Instant,
    accepted: Option<Instant>,
}

impl<'a> Connection<'a> {
    /// Connects and starts the reader. It ends when the socket is shut down, which [`Shared::detach`] does.
    pub(super) fn open(config: &'a PublisherConfig, shared: &'a Arc<Shared>) -> Result<Self, PublishError> {
        let wire = Wire::to(config)?;
        let stream = connect(config)?;
        let handles = (stream.try_clone(), stream.try_clone());
        let (Ok(mut reading), Ok(closing)) = handles else {
            return Err(PublishError::Read("no descriptor for the reader".to_owned()));
        };
        let session = shared.attach(closing);
        let inbox = Arc::clone(shared);
        let reader = std::thread::Builder::new().name("rtmp-reader".to_owned());
        reader
            .spawn(move || read_all(&mut reading, &inbox, session))
            .map_err(|error| PublishError::Read(error.to_string()))?;
        let client = Client::publish(&config.target).offering(config.tags);
        let rebase = Rebase::starting_at(0);
        Ok(Self {
            config,
            shared,
            stream,
            wire,
            client,
            rebase,
            opened: Instant::now(),
            accepted: None,
        })
    }

    /// Until it fails or the owner stops it.
    pub(super) fn run(mut self, on_event: &mut dyn FnMut(PublisherEvent)) -> Ending {
        match self.drive(on_event) {
            Ok(flushed) => Ending::Stopped { flushed },
            Err(reason) => Ending::Failed {
                // The socket of one that is given up is shut under whatever the worker is doing with it.
                reason: if self.shared.is_given_up() {
                    PublishError::Behind
                } else {
                    reason
                },
                published: self.accepted.map(|since| since.elapsed()),
            },
        }
    }

    fn drive(&mut self, on_event: &mut dyn FnMut(PublisherEvent)) -> Result<bool, PublishError> {
        self.flush()?;
        loop {
            let until = self
                .accepted
                .is_none()
                .then_some(self.opened + self.config.connect_timeout);
            let work = self.shared.work(until);
            if self.accepted.is_none() && self.opened.elapsed() >= self.config.connect_timeout {
                return Err(PublishError::Slow(self.config.connect_timeout));
            }
            if let Some(deadline) = work.stop {
                return Ok(self.say_goodbye(work, deadline));
            }
            self.step(work, on_event)?;
        }
    }

    fn step(&mut self, work: Work, on_event: &mut dyn FnMut(PublisherEvent)) -> Result<(), PublishError> {
        self.take_input(&work.input)?;
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Accepted => self.accepted(on_event),
                // A server has no tags for a publisher.
                ClientEvent::Tag(_) => {}
                ClientEvent::Ended => return Err(PublishError::Closed),
            }
        }
        if work.key_frame_wanted {
            on_event(PublisherEvent::KeyFrameWanted);
        }
        self.send(&work)?;
        // Only now: what came before the end of the connection may say why it ended.
        work.ended.map_or(Ok(()), Err)
    }

    fn take_input(&mut self, input: &[u8]) -> Result<(), PublishError> {
        let mut plain = Vec::new();
        let opened = self.wire.open(input, &mut plain);
        if opened.is_err() {
            // The peer is told why, if it still listens.
            let _ = self.flush();
        }
        // What came before the mistake may say why it was made.
        self.client.handle_input(&plain)?;
        opened
    }

    fn accepted(&mut self, on_event: &mut dyn FnMut(PublisherEvent)) {
        self.accepted = Some(Instant::now());
        self.shared.go_live();
        tracing::info!(target = %self.config.target, "publishing");
        on_event(PublisherEvent::State(PublisherState::Publishing));
    }

    fn send(&mut self, work: &Work) -> Result<(), PublishError> {
        for tag in &work.tags {
            let tag = self.rebase.apply(tag);
            match self.config.tags {
                TagFormat::Legacy => self.client.send(&tag)?,
                TagFormat::Enhanced => self.client.send(&tag.enhanced())?,
            }
        }
        self.flush()?;
        let sent = u64::try_from(work.tags.len()).unwrap_or_default();
        self.shared.count(|stats| stats.sent_tags += sent);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PublishError> {
        while let Some(bytes) = self.client.poll_output() {
            match &mut self.wire {
                Wire::Plain => self.write(&bytes)?,
                Wire::Tls(tls) => tls.seal(&bytes)?,
            }
        }
        let Wire::Tls(tls) = &mut self.wire else {
            return Ok(());
        };
        let sealed = tls.poll_output()?;
        self.write(&sealed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PublishError> {
        self.stream
            .write_all(bytes)
            .map_err(|error| write_error(&error, self.config.write_timeout))?;
        let sent = u64::try_from(bytes.len()).unwrap_or_default();
        self.shared.count(|stats| stats.sent_bytes += sent);
        Ok(())
    }

    /// Sends the rest of the queue, `FCUnpublish` and `deleteStream`. `true` when all of it went out.
    fn say_goodbye(&mut self, mut work: Work, deadline: Instant) -> bool {
        if self.accepted.is_none() || work.ended.is_some() {
            return false;
        }
        while !work.tags.is_empty() {
            if Instant::now() >= deadline || self.send(&work).is_err() {
                return false;
            }
            work = self.shared.work(Some(Instant::now()));
        }
        self.client.close();
        let said = self.flush().is_ok();
        if let Wire::Tls(tls) = &mut self.wire {
            tls.close();
        }
        let flushed = said && self.flush().is_ok() && self.stream.shutdown(Shutdown::Write).is_ok();
        // Closing with unread input makes the kernel reset the connection and throw away what the peer has not read
        // yet: read until the peer closes too.
        self.shared
            .await_end(deadline.min(Instant::now() + Duration::from_secs(1)));
        flushed
    }
}

impl Wire {
    fn to(config: &PublisherConfig) -> Result<Self, PublishError> {
        if config.target.tls {
            let tls = config.trust.connect(&config.target)?;
            return Ok(Self::Tls(Box::new(tls)));
        }
        Ok(Self::Plain)
    }

    fn open(&mut self, input: &[u8], plain: &mut Vec<u8>) -> Result<(), PublishError> {
        match self {
            Self::Plain => plain.extend_from_slice(input),
            Self::Tls(tls) => tls.open(input, plain)?,
        }
        Ok(())
    }
}

fn connect(config: &PublisherConfig) -> Result<TcpStream, PublishError> {
    let host = &config.target.host;
    let unresolved = |reason: String| PublishError::Resolve {
        host: host.clone(),
        reason,
    };
    let addresses = (host.as_str(), config.target.port)
        .to_socket_addrs()
        .map_err(|error| unresolved(error.to_string()))?;
    let mut failure = unresolved("no address".to_owned());
    for address in addresses {
        match TcpStream::connect_timeout(&address, config.connect_timeout) {
            Ok(stream) => {
                tune(&stream, config.write_timeout);
                return Ok(stream);
            }
            Err(error) => {
                failure = PublishError::Connect {
                    address: address.to_string(),
                    reason: error.to_string(),
                };
            }
        }
    }
    Err(failure)
}

/// A socket that refuses an option still publishes; it only notices a vanished peer later.
fn tune(stream: &TcpStream, write_timeout: Duration) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(write_timeout)
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    let results = [
        stream.set_nodelay(true),
        stream.set_write_timeout(Some(write_timeout)),
        socket.set_tcp_keepalive(&keepalive),
        // RFC 5482: unacknowledged data for this long ends the connection, not after a quarter of an hour.
        socket.set_tcp_user_timeout(Some(write_timeout.saturating_mul(2))),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "a socket option of the RTMP publisher was refused");
    }
}

fn read_all(stream: &mut TcpStream, shared: &Shared, session: Session) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return shared.read_ended(session, PublishError::Closed),
            Ok(length) => shared.received(session, &buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return shared.read_ended(session, PublishError::Read(error.to_string())),
        }
    }
}

fn write_error(error: &std::io::Error, timeout: Duration) -> PublishError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            PublishError::Write(format!("no progress in {timeout:?}"))
        }
        _ => PublishError::Write(error.to_string()),
    }
}

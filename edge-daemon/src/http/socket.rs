//! The kurento-room WebSocket at `/room`: text frames between a client and the edge, one of them at a time.

use super::error::ApiError;
use super::metrics::Rejected;
use super::pace::Pace;
use super::routes::Shared;
use crate::handle::SocketOutput;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::http::header::UPGRADE;
use axum::response::{IntoResponse, Response};
use lianmai_room::ConnectionId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until, timeout};

/// Longest text message, in UTF-16 units as the original server counts.
const MAX_CHARS: usize = 1_000_000;
/// The same as UTF-8: one unit is at most three bytes.
const MAX_BYTES: usize = 3 * MAX_CHARS;
/// Keeps the path open through NATs and proxies for clients that never ping.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Every client answers pings (RFC 6455 §5.5.2): one that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(65);
/// A client that does not read for so long is cut off.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long the client's close frame is awaited.
const GOODBYE: Duration = Duration::from_secs(2);

/// Any origin may connect: native clients and pages of other sites are what this protocol is for.
pub(super) async fn upgrade(
    State(shared): State<Shared>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.max_message_size(MAX_BYTES).max_frame_size(MAX_BYTES),
        Err(rejection) => return not_a_websocket(&rejection),
    };
    let Ok(place) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        shared.metrics.reject(Rejected::SocketLimit);
        let full = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "limit_reached",
            "too many WebSockets are open",
        );
        return full.retry_after(5).into_response();
    };
    upgrade.on_upgrade(|socket| serve(socket, shared, place))
}

fn not_a_websocket(rejection: &WebSocketUpgradeRejection) -> Response {
    // RFC 9110 §15.5.22: the answer names the protocol to upgrade to.
    let refusal = ApiError::new(
        StatusCode::UPGRADE_REQUIRED,
        "websocket_only",
        rejection.body_text(),
    );
    ([(UPGRADE, "websocket")], refusal).into_response()
}

async fn serve(mut socket: WebSocket, shared: Shared, place: OwnedSemaphorePermit) {
    let _open = shared.metrics.socket_opened();
    let ending = match shared.edge.socket_opened().await {
        Err(_) => Ending::GoingAway,
        Ok((connection, outputs)) => {
            let mut talk = Talk::new(&mut socket, &shared, connection, outputs);
            let ending = talk.run().await;
            // The only error is an edge that ended: it has forgotten the connection.
            let _ = shared.edge.socket_closed(connection).await;
            ending
        }
    };
    ending.count(&shared);
    if let Some(frame) = ending.close_frame() {
        // The peer may be gone already, and then nobody misses the frame.
        let _ = timeout(GOODBYE, goodbye(&mut socket, frame)).await;
    }
    drop(place);
}

/// RFC 6455 §7.1.1: the close frame is sent, and the peer's awaited, before the connection is dropped; otherwise what
/// is still in flight could reset it before the peer has read our last words.
async fn goodbye(socket: &mut WebSocket, frame: CloseFrame) -> Result<(), axum::Error> {
    socket.send(Message::Close(Some(frame))).await?;
    while let Some(Ok(_)) = socket.recv().await {}
    Ok(())
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The client closed, or its connection broke.
    Peer,
    /// The rooms said so, after `leaveRoom` or an eviction.
    Edge,
    /// The edge dropped the queue: it was full.
    Overrun,
    /// No frame, not even a pong.
    Silent,
    /// A frame could not be sent in time.
    NotReading,
    /// A binary frame.
    Binary,
    /// More than [`MAX_CHARS`].
    TooLong,
    /// The edge shuts down.
    GoingAway,
}

impl Ending {
    fn count(self, shared: &Shared) {
        let reason = match self {
            Self::Peer | Self::Edge | Self::GoingAway => return,
            Self::Overrun | Self::Silent | Self::NotReading => Rejected::SocketStalled,
            Self::Binary => Rejected::BinaryFrame,
            Self::TooLong => Rejected::MessageTooLong,
        };
        shared.metrics.reject(reason);
    }

    /// RFC 6455 §7.4.1.
    fn close_frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Peer | Self::NotReading => return None,
            Self::Edge => (close_code::NORMAL, "bye"),
            Self::Overrun => (close_code::POLICY, "you did not read what you were sent"),
            Self::Silent => (close_code::POLICY, "no answer to pings"),
            Self::Binary => (close_code::UNSUPPORTED, "send JSON-RPC in text frames"),
            Self::TooLong => (close_code::SIZE, "a message may have 1000000 characters"),
            Self::GoingAway => (close_code::AWAY, "the edge shuts down"),
        };
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    }
}

/// What happens next to a WebSocket.
enum Event {
    Closing,
    Output(Option<SocketOutput>),
    Ping,
    Unpaused,
    Frame(Option<Result<Message, axum::Error>>),
}

/// One WebSocket while it is open.
struct Talk<'a> {
    socket: &'a mut WebSocket,
    shared: &'a Shared,
    connection: ConnectionId,
    outputs: mpsc::Receiver<SocketOutput>,
    closing: watch::Receiver<bool>,
    pings: Interval,
    heard: Instant,
    pace: Pace,
    /// Nothing is read before this time.
    paused: Option<Instant>,
}

impl<'a> Talk<'a> {
    fn new(
        socket: &'a mut WebSocket,
        shared: &'a Shared,
        connection: ConnectionId,
        outputs: mpsc::Receiver<SocketOutput>,
    ) -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (closing, pace) = (shared.closing.clone(), Pace::new(now.into()));
        Self {
            socket,
            shared,
            connection,
            outputs,
            closing,
            pings,
            heard: now,
            pace,
            paused: None,
        }
    }

    async fn run(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.step().await {
                return ending;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Ending> {
        match self.next().await {
            Event::Closing => Err(Ending::GoingAway),
            Event::Output(Some(SocketOutput::Text(text))) => self.send(Message::Text(text.into())).await,
            Event::Output(Some(SocketOutput::Close)) => Err(Ending::Edge),
            Event::Output(None) => Err(Ending::Overrun),
            Event::Ping => self.ping().await,
            Event::Unpaused => {
                self.paused = None;
                Ok(())
            }
            Event::Frame(frame) => self.heard(frame).await,
        }
    }

    async fn next(&mut self) -> Event {
        let paused = self.paused;
        tokio::select! {
            _ = self.closing.wait_for(|closing| *closing) => Event::Closing,
            output = self.outputs.recv() => Event::Output(output),
            _ = self.pings.tick() => Event::Ping,
            () = sleep_until(paused.unwrap_or(self.heard)), if paused.is_some() => Event::Unpaused,
            frame = self.socket.recv(), if paused.is_none() => Event::Frame(frame),
        }
    }

    async fn heard(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), Ending> {
        self.heard = Instant::now();
        match frame {
            Some(Ok(Message::Text(text))) if too_long(text.as_str()) => Err(Ending::TooLong),
            Some(Ok(Message::Text(text))) => self.text(text.as_str().to_owned()).await,
            Some(Ok(Message::Binary(_))) => Err(Ending::Binary),
            // The library answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(Ending::Peer),
            Some(Err(error)) => Err(broken(&error)),
        }
    }

    async fn text(&mut self, text: String) -> Result<(), Ending> {
        let open = self.pace.message(self.heard.into());
        if open.is_some() {
            self.shared.metrics.reject(Rejected::Paced);
        }
        self.paused = open.map(Instant::from);
        self.shared
            .edge
            .socket_text(self.connection, text)
            .await
            .map_err(|_| Ending::GoingAway)
    }

    async fn ping(&mut self) -> Result<(), Ending> {
        if self.paused.is_none() && self.heard.elapsed() > SILENCE {
            return Err(Ending::Silent);
        }
        self.send(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        match timeout(SEND_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending::Peer),
            Err(_) => Err(Ending::NotReading),
        }
    }
}

/// UTF-16 has at most as many units as UTF-8 has bytes, so most messages need no counting.
fn too_long(text: &str) -> bool {
    text.len() > MAX_CHARS && text.encode_utf16().count() > MAX_CHARS
}

/// The library tells a message over the limit from a broken connection only by its error's text and type.
fn broken(error: &axum::Error) -> Ending {
    let text = error.to_string();
    if text.contains("too long") {
        Ending::TooLong
    } else {
        Ending::Peer
    }
}

#[cfg(test)]
mod tests;

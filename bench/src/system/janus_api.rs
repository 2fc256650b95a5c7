//! The JSON API of Janus over a WebSocket, one request at a time.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// How long an answer may take: with hundreds of PeerConnections Janus is slow to make one more.
const PATIENCE: Duration = Duration::from_secs(10);
/// What Janus calls its protocol.
const SUBPROTOCOL: HeaderValue = HeaderValue::from_static("janus-protocol");

/// One session.
#[derive(Debug)]
pub(super) struct Api {
    socket: WebSocket<TcpStream>,
    session: u64,
    transaction: u64,
}

impl Api {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}/").into_client_request()?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", SUBPROTOCOL);
        let (socket, _) = client(request, stream).context("the WebSocket of Janus")?;
        let mut api = Self {
            socket,
            session: 0,
            transaction: 0,
        };
        api.session = id(&api.request(json!({"janus": "create"}))?)?;
        Ok(api)
    }

    /// A new handle of the videoroom plugin.
    pub(super) fn attach(&mut self) -> Result<u64> {
        let attached = self.request(json!({
            "janus": "attach",
            "session_id": self.session,
            "plugin": "janus.plugin.videoroom",
        }))?;
        id(&attached)
    }

    /// A message to the plugin; returns its answer, or its event if it answers later.
    pub(super) fn message(&mut self, handle: u64, body: &Value, jsep: Option<&Value>) -> Result<Value> {
        let mut request = json!({
            "janus": "message",
            "session_id": self.session,
            "handle_id": handle,
            "body": body,
        });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep.clone();
        }
        let answer = self.request(request)?;
        match answer["plugindata"]["data"]["error"].as_str() {
            Some(error) => bail!("Janus refused {body}: {error}"),
            None => Ok(answer),
        }
    }

    fn request(&mut self, mut request: Value) -> Result<Value> {
        self.transaction += 1;
        let transaction = self.transaction.to_string();
        request["transaction"] = json!(transaction);
        self.socket.send(Message::text(request.to_string()))?;
        loop {
            let message = self
                .receive()
                .with_context(|| format!("Janus does not answer {request}"))?;
            if message["transaction"] != transaction.as_str() {
                continue;
            }
            match message["janus"].as_str() {
                // What follows is the answer.
                Some("ack") => {}
                Some("success" | "event") => return Ok(message),
                _ => bail!("Janus refused {request}: {message}"),
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        loop {
            match self.socket.read()? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(_) => bail!("it closed the connection"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn id(answer: &Value) -> Result<u64> {
    answer["data"]["id"]
        .as_u64()
        .with_context(|| format!("no id in {answer}"))
}

//! WebDriver BiDi (<https://w3c.github.io/webdriver-bidi/>): commands and their answers as JSON over a WebSocket.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// No command of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session with a browser: one command at a time.
#[derive(Debug)]
pub(crate) struct Session(Mutex<Connection>);

#[derive(Debug)]
struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    commands: u64,
}

impl Session {
    /// Begins a session with the browser that listens on `url`; it takes any certificate.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let (socket, _) = connect_async(format!("{url}/session"))
            .await
            .with_context(|| format!("connecting to {url}"))?;
        let session = Self(Mutex::new(Connection { socket, commands: 0 }));
        let capabilities = json!({ "alwaysMatch": { "acceptInsecureCerts": true } });
        session
            .command("session.new", json!({ "capabilities": capabilities }))
            .await?;
        Ok(session)
    }

    /// Has a command carried out, and returns its result.
    pub(crate) async fn command(&self, method: &str, params: Value) -> Result<Value> {
        let mut connection = self.0.lock().await;
        timeout(PATIENCE, connection.command(method, params))
            .await
            .with_context(|| format!("{method} got no answer within {PATIENCE:?}"))?
            .with_context(|| method.to_owned())
    }
}

impl Connection {
    async fn command(&mut self, method: &str, params: Value) -> Result<Value> {
        self.commands += 1;
        let id = self.commands;
        let command = json!({ "id": id, "method": method, "params": params });
        self.socket.send(Message::text(command.to_string())).await?;
        loop {
            let message = self.socket.next().await.context("the browser hung up")??;
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text)?;
            // What else comes are events.
            if answer["id"] != id {
                continue;
            }
            if answer["type"] == "success" {
                return Ok(answer["result"].take());
            }
            bail!("{}: {}", answer["error"], answer["message"]);
        }
    }
}

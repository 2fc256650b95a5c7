//! A server that is told by webhooks, and checks who tells it.

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes every event whose signature is right; it ends with the test's process.
#[derive(Debug)]
pub struct Webhook {
    address: SocketAddr,
    events: Arc<Mutex<Vec<Result<Value, String>>>>,
}

impl Webhook {
    /// Listens on loopback for events signed with `secret`.
    pub fn listen(secret: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let events = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&events);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let event = take(&stream, secret).map_err(|error| format!("{error:#}"));
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Ok(Self { address, events })
    }

    /// What goes into `--webhook`.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What was told so far; an error if any of it was not as it should be.
    pub fn events(&self) -> Result<Vec<Value>> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let events = events
            .iter()
            .cloned()
            .map(|event| event.map_err(anyhow::Error::msg));
        events.collect()
    }
}

fn take(mut stream: &TcpStream, secret: &str) -> Result<Value> {
    let mut reader = BufReader::new(stream);
    let (mut timestamp, mut signature, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "lianmai-timestamp" => value.clone_into(&mut timestamp),
            "lianmai-signature" => value.clone_into(&mut signature),
            "content-length" => length = value.parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(&body);
    let digest = mac.finalize().into_bytes();
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        signature == format!("sha256={expected}"),
        "signed {signature}, not {expected}"
    );
    serde_json::from_slice(&body).context("the body is not JSON")
}

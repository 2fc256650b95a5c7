//! ICE as the controlling side, towards one candidate: a check that nominates, repeated until all is up, and answers to
//! the checks of servers that are not content with that (RFC 8445 §7).

use super::sdp::Remote;
use anyhow::{Result, bail};
use std::time::Duration;
use stun::attributes::{ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, is_message};
use stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How often a check is repeated, and how many times without an answer.
const REPEAT: Duration = Duration::from_millis(100);
const TRIES: usize = 50;
/// RFC 8445 §5.1.2.1: a peer-reflexive candidate's type preference above the local preference and the component.
const PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;

/// Both ends' credentials.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) remote: Remote,
}

impl Agent {
    /// A fresh check.
    pub(super) fn check(&self) -> Result<Vec<u8>> {
        let mut message = Message::new();
        message.new_transaction_id()?;
        message.set_type(BINDING_REQUEST);
        message.write_header();
        let user = format!("{}:{}", self.remote.ufrag, self.ufrag);
        message.add(ATTR_USERNAME, user.as_bytes());
        message.add(ATTR_PRIORITY, &PRIORITY.to_be_bytes());
        message.add(ATTR_ICE_CONTROLLING, &rand::random::<[u8; 8]>());
        message.add(ATTR_USE_CANDIDATE, &[]);
        signed(message, &self.remote.pwd)
    }

    /// The answer to a check of the server; `None` if it is none.
    pub(super) fn answer(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let check = authentic(datagram, BINDING_REQUEST, &self.pwd)?;
        let mut message = Message::new();
        message.transaction_id = check.transaction_id;
        message.set_type(BINDING_SUCCESS);
        message.write_header();
        let mapped = XorMappedAddress {
            ip: self.remote.address.ip(),
            port: self.remote.address.port(),
        };
        mapped.add_to(&mut message).ok()?;
        signed(message, &self.pwd).ok()
    }

    /// Checks until there is an authentic answer.
    pub(super) async fn connect(&self, socket: &UdpSocket) -> Result<()> {
        for _ in 0..TRIES {
            socket.send(&self.check()?).await?;
            if timeout(REPEAT, self.success(socket)).await.is_ok() {
                return Ok(());
            }
        }
        bail!(
            "no authentic answer to {TRIES} STUN checks at {}",
            self.remote.address
        )
    }

    /// Checks on and on: a server that answered before it had our SDP makes nothing of that check. Ends only by an
    /// error.
    pub(super) async fn keep_checking(&self, socket: &UdpSocket) -> anyhow::Error {
        loop {
            tokio::time::sleep(REPEAT).await;
            let sent = match self.check() {
                Ok(check) => socket.send(&check).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                return error;
            }
        }
    }

    async fn success(&self, socket: &UdpSocket) {
        let mut buffer = [0; 2048];
        loop {
            let Ok(len) = socket.recv(&mut buffer).await else {
                // A port that was not open yet; the next check shows.
                tokio::time::sleep(REPEAT).await;
                continue;
            };
            let datagram = &buffer[..len];
            if authentic(datagram, BINDING_SUCCESS, &self.remote.pwd).is_some() {
                return;
            }
            if let Some(answer) = self.answer(datagram) {
                // One that is lost is asked for again.
                let _ = socket.send(&answer).await;
            }
        }
    }
}

fn signed(mut message: Message, pwd: &str) -> Result<Vec<u8>> {
    MessageIntegrity::new_short_term_integrity(pwd.to_owned()).add_to(&mut message)?;
    FINGERPRINT.add_to(&mut message)?;
    Ok(message.raw)
}

/// The message, if it is of this kind and under this password.
fn authentic(datagram: &[u8], kind: MessageType, pwd: &str) -> Option<Message> {
    let mut message = Message::new();
    let is_one = is_message(datagram) && message.unmarshal_binary(datagram).is_ok() && message.typ == kind;
    let integrity = MessageIntegrity::new_short_term_integrity(pwd.to_owned());
    (is_one && integrity.check(&mut message).is_ok()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::super::sdp::Remote;
    use super::{Agent, authentic};
    use stun::message::BINDING_SUCCESS;

    fn agent(ours: &str, theirs: &str) -> Agent {
        Agent {
            ufrag: ours.into(),
            pwd: format!("the password of {ours}, long"),
            remote: Remote {
                address: "192.0.2.1:5000".parse().expect("an address"),
                ufrag: theirs.into(),
                pwd: format!("the password of {theirs}, long"),
                fingerprint: String::new(),
            },
        }
    }

    #[test]
    fn two_agents_answer_each_others_checks() {
        let (one, other) = (agent("one", "other"), agent("other", "one"));
        let answer = other.answer(&one.check().expect("a check")).expect("an answer");
        assert!(authentic(&answer, BINDING_SUCCESS, &one.remote.pwd).is_some());
    }

    #[test]
    fn a_check_under_another_password_meets_silence() {
        let (one, stranger) = (agent("one", "other"), agent("stranger", "one"));
        assert!(stranger.answer(&one.check().expect("a check")).is_none());
    }

    #[test]
    fn a_check_is_no_answer() {
        let one = agent("one", "other");
        let check = one.check().expect("a check");
        assert!(authentic(&check, BINDING_SUCCESS, &one.remote.pwd).is_none());
    }
}

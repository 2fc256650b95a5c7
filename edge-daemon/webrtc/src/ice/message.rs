//! STUN messages (RFC 8489) as far as a lite agent reads and writes them.
//!
//! Parsing is done by the `stun` crate; this file adds what it leaves to its user: that nothing follows the message,
//! that FINGERPRINT comes last, and that attributes behind MESSAGE-INTEGRITY, which nobody signed, are not seen.

use std::net::SocketAddr;
use stun::Error as StunError;
use stun::attributes::{
    ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType, RawAttribute,
};
use stun::error_code::{CODE_ROLE_CONFLICT, CODE_UNKNOWN_ATTRIBUTE};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{
    BINDING_ERROR, BINDING_SUCCESS, CLASS_INDICATION, CLASS_REQUEST, MESSAGE_HEADER_SIZE, METHOD_BINDING,
    Message, MessageType, Setter,
};
use stun::xoraddr::XorMappedAddress;

/// A connectivity check fits any path; RFC 8489 §6.1 keeps messages below the path's MTU.
const MAX_LEN: usize = 1500;
/// HMAC-SHA1 (RFC 8489 §14.5).
const INTEGRITY_LEN: usize = 20;

/// A STUN message whose form and FINGERPRINT are right.
#[derive(Debug)]
pub(super) enum Parsed {
    /// A connectivity check, not yet authenticated.
    Request(BindingRequest),
    /// A keep-alive (RFC 8445 §11), which carries no proof.
    Indication,
    /// A response, though a lite agent asks nothing, or another method.
    Unexpected,
}

/// The datagram is no STUN message that ICE could send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A Binding request that claims a user name; [`Self::is_signed_with`] tells whether rightly so.
#[derive(Debug)]
pub(super) struct BindingRequest {
    message: Message,
    /// How many attributes MESSAGE-INTEGRITY covers.
    signed: usize,
    username: String,
}

impl Parsed {
    pub(super) fn read(datagram: &[u8]) -> Result<Self, Malformed> {
        let message = decode(datagram)?;
        if message.typ.method != METHOD_BINDING {
            return Ok(Self::Unexpected);
        }
        match message.typ.class {
            CLASS_REQUEST => BindingRequest::new(message).map(Self::Request),
            CLASS_INDICATION => Ok(Self::Indication),
            _ => Ok(Self::Unexpected),
        }
    }
}

impl BindingRequest {
    fn new(message: Message) -> Result<Self, Malformed> {
        let attributes = &message.attributes.0;
        let signed = attributes
            .iter()
            .position(|attribute| attribute.typ == ATTR_MESSAGE_INTEGRITY)
            .ok_or(Malformed)?;
        let has_room = attributes
            .get(signed)
            .is_some_and(|attribute| attribute.value.len() == INTEGRITY_LEN);
        let username = attributes
            .iter()
            .take(signed)
            .find(|attribute| attribute.typ == ATTR_USERNAME);
        let username = username.and_then(|attribute| String::from_utf8(attribute.value.clone()).ok());
        match username {
            Some(username) if has_room => Ok(Self {
                message,
                signed,
                username,
            }),
            Some(_) | None => Err(Malformed),
        }
    }

    /// `USERNAME` is the receiver's fragment, a colon, and the sender's (RFC 8445 §7.2.2).
    pub(super) fn fragments(&self) -> Option<(&str, &str)> {
        self.username.split_once(':')
    }

    pub(super) fn is_signed_with(&mut self, password: &str) -> bool {
        integrity(password).check(&mut self.message).is_ok()
    }

    /// The priority that the sender's candidate would have; 0 when it did not say.
    pub(super) fn priority(&self) -> u32 {
        let bytes = self
            .attribute(ATTR_PRIORITY)
            .and_then(|value| value.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    }

    pub(super) fn nominates(&self) -> bool {
        self.attribute(ATTR_USE_CANDIDATE).is_some()
    }

    /// The sender believes that we are the controlling agent.
    pub(super) fn claims_controlled_role(&self) -> bool {
        self.attribute(ATTR_ICE_CONTROLLED).is_some()
    }

    /// Attributes that the sender insists on and we do not know (RFC 8489 §6.3.1).
    pub(super) fn unknown_attributes(&self) -> Vec<u16> {
        let known = [ATTR_USERNAME, ATTR_PRIORITY, ATTR_USE_CANDIDATE];
        let signed = self
            .signed_attributes()
            .filter(|attribute| attribute.typ.required() && !known.contains(&attribute.typ));
        signed.map(|attribute| attribute.typ.value()).collect()
    }

    /// The answer to a check (RFC 8445 §7.3.1.4). `None` only if the `stun` crate refuses to write it.
    pub(super) fn success(&self, from: SocketAddr, password: &str) -> Option<Vec<u8>> {
        let mapped = XorMappedAddress {
            ip: from.ip(),
            port: from.port(),
        };
        self.respond(BINDING_SUCCESS, &mapped, password).ok()
    }

    /// 487: we stay controlled, the sender has to control (RFC 8445 §7.3.1.1).
    pub(super) fn role_conflict(&self, password: &str) -> Option<Vec<u8>> {
        self.respond(BINDING_ERROR, &CODE_ROLE_CONFLICT, password).ok()
    }

    /// 420 with the first of the attributes (RFC 8489 §6.3.1).
    pub(super) fn refuse_attribute(&self, unknown: u16, password: &str) -> Option<Vec<u8>> {
        struct Refusal(u16);
        impl Setter for Refusal {
            fn add_to(&self, message: &mut Message) -> Result<(), StunError> {
                CODE_UNKNOWN_ATTRIBUTE.add_to(message)?;
                message.add(ATTR_UNKNOWN_ATTRIBUTES, &self.0.to_be_bytes());
                Ok(())
            }
        }
        self.respond(BINDING_ERROR, &Refusal(unknown), password).ok()
    }

    fn respond(&self, kind: MessageType, body: &dyn Setter, password: &str) -> Result<Vec<u8>, StunError> {
        let mut response = Message::new();
        response.transaction_id = self.message.transaction_id;
        response.set_type(kind);
        response.write_header();
        body.add_to(&mut response)?;
        integrity(password).add_to(&mut response)?;
        FINGERPRINT.add_to(&mut response)?;
        Ok(response.raw)
    }

    fn attribute(&self, wanted: AttrType) -> Option<&[u8]> {
        self.signed_attributes()
            .find(|attribute| attribute.typ == wanted)
            .map(|attribute| attribute.value.as_slice())
    }

    fn signed_attributes(&self) -> impl Iterator<Item = &RawAttribute> {
        self.message.attributes.0.iter().take(self.signed)
    }
}

/// Reads a message that fills the whole datagram and ends with a right FINGERPRINT (RFC 8489 §14.7).
fn decode(datagram: &[u8]) -> Result<Message, Malformed> {
    let [_, _, high, low, ..] = *datagram else {
        return Err(Malformed);
    };
    let announced = usize::from(u16::from_be_bytes([high, low])) + MESSAGE_HEADER_SIZE;
    if announced != datagram.len() || datagram.len() > MAX_LEN {
        return Err(Malformed);
    }
    let mut message = Message::default();
    message.unmarshal_binary(datagram).map_err(|_| Malformed)?;
    let mut fingerprints = message
        .attributes
        .0
        .iter()
        .enumerate()
        .filter(|(_, attribute)| attribute.typ == ATTR_FINGERPRINT);
    let is_last = matches!(fingerprints.next(), Some((index, _)) if index + 1 == message.attributes.0.len());
    let is_right = is_last && FINGERPRINT.check(&message).is_ok();
    is_right.then_some(message).ok_or(Malformed)
}

fn integrity(password: &str) -> MessageIntegrity {
    MessageIntegrity::new_short_term_integrity(password.to_owned())
}

/// Checks as a full agent sends them, for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::{ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, FINGERPRINT, Message, Setter, integrity};
    use stun::attributes::AttrType;
    use stun::message::BINDING_REQUEST;

    /// A check under construction.
    pub(crate) struct Check(Message);

    impl Check {
        pub(crate) fn new(username: &str) -> Self {
            let mut message = Message::new();
            message.transaction_id.0 = *b"transaction!";
            message.set_type(BINDING_REQUEST);
            message.write_header();
            message.add(ATTR_USERNAME, username.as_bytes());
            Self(message)
        }

        pub(crate) fn with(mut self, attribute: AttrType, value: &[u8]) -> Self {
            self.0.add(attribute, value);
            self
        }

        pub(crate) fn priority(self, priority: u32) -> Self {
            self.with(ATTR_PRIORITY, &priority.to_be_bytes())
        }

        pub(crate) fn nominating(self) -> Self {
            self.with(ATTR_USE_CANDIDATE, &[])
        }

        pub(crate) fn signed(mut self, password: &str) -> Self {
            integrity(password)
                .add_to(&mut self.0)
                .expect("room for the integrity");
            self
        }

        pub(crate) fn finish(mut self) -> Vec<u8> {
            FINGERPRINT.add_to(&mut self.0).expect("room for the fingerprint");
            self.0.raw
        }
    }
}

#[cfg(test)]
mod tests;

//! Ids that the machine hands out. Those that grant something are 128 random bits.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One WebSocket connection. Never used again after it closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// One WHIP or WHEP session; whoever knows it may change or end the session, so it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId(u128);

/// The text is no [`ResourceId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id is 32 lower-case hexadecimal digits")]
pub struct NotAResourceId;

/// One kurento-room session: it outlives its WebSocket by the reconnection window, and its id re-attaches it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId(u128);

/// Where all ids come from: the same seed gives the same ids.
#[derive(Debug)]
pub(crate) struct IdSource {
    random: StdRng,
    connections: u64,
    endpoints: u64,
}

impl IdSource {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            random: StdRng::from_seed(seed),
            connections: 0,
            endpoints: 0,
        }
    }

    /// What must be known so that no number is given out twice.
    pub(crate) const fn save(&self) -> SavedIds {
        SavedIds {
            connections: self.connections,
            endpoints: self.endpoints,
        }
    }

    /// Goes on beyond what an earlier source can have given out, with randomness of its own.
    pub(crate) fn restore(saved: SavedIds, seed: [u8; 32]) -> Self {
        Self {
            connections: saved.connections.saturating_add(UNSAVED),
            endpoints: saved.endpoints.saturating_add(UNSAVED),
            ..Self::new(seed)
        }
    }

    pub(crate) fn connection(&mut self) -> ConnectionId {
        self.connections += 1;
        ConnectionId(self.connections)
    }

    pub(crate) fn endpoint(&mut self) -> lianmai_webrtc::EndpointId {
        self.endpoints += 1;
        lianmai_webrtc::EndpointId(self.endpoints)
    }

    pub(crate) fn session(&mut self) -> SessionId {
        SessionId(self.random.random())
    }

    pub(crate) fn resource(&mut self) -> ResourceId {
        ResourceId(self.random.random())
    }

    /// An entity tag: it must differ between the ICE sessions of a resource, nothing more.
    pub(crate) fn etag(&mut self) -> String {
        format!("{:016x}", self.random.random::<u64>())
    }
}

/// How many numbers may have been given out after the last save: far more than requests fit between two.
const UNSAVED: u64 = 1 << 20;

/// See [`IdSource::save`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedIds {
    connections: u64,
    endpoints: u64,
}

/// The digits of a session id: base 32, as the original server prints its random numbers.
const BASE_32: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
/// 26 digits of 5 bits hold 128 bits.
const SESSION_DIGITS: u32 = 26;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..SESSION_DIGITS).rev().try_for_each(|digit| {
            let value = (self.0 >> (5 * digit)) & 31;
            write!(f, "{}", char::from(BASE_32[value as usize]))
        })
    }
}

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != SESSION_DIGITS as usize {
            return Err(NotASessionId);
        }
        text.bytes()
            .try_fold(0_u128, push_digit)
            .map(Self)
            .ok_or(NotASessionId)
    }
}

/// The text is no [`SessionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotASessionId;

fn push_digit(value: u128, digit: u8) -> Option<u128> {
    let digit = BASE_32.iter().position(|&d| d == digit)?;
    value.checked_mul(32)?.checked_add(digit as u128)
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ResourceId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 32 || !digits {
            return Err(NotAResourceId);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| NotAResourceId)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({})", self.0)
    }
}

/// Enough to tell two apart in a log, not enough to use it.
impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceId({:08x}..)", self.0 >> 96)
    }
}

/// Enough to tell two apart in a log, not enough to use it.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:08x}..)", self.0 >> 96)
    }
}

#[cfg(test)]
mod tests {
    use super::{IdSource, NotAResourceId, NotASessionId, ResourceId, SessionId};

    #[test]
    fn ids_survive_their_text() {
        let mut ids = IdSource::new([7; 32]);
        for _ in 0..100 {
            let (resource, session) = (ids.resource(), ids.session());
            assert_eq!(resource.to_string().parse(), Ok(resource));
            assert_eq!(session.to_string().parse(), Ok(session));
            assert_eq!(session.to_string().len(), 26);
        }
        for extreme in [0, 1, u128::MAX] {
            assert_eq!(SessionId(extreme).to_string().parse(), Ok(SessionId(extreme)));
        }
    }

    #[test]
    fn only_the_exact_text_names_a_resource() {
        let good = ResourceId(0xabc).to_string();
        for bad in [
            "",
            "abc",
            "+0000000000000000000000000000abc",
            &good.to_uppercase(),
            &good[1..],
            &format!("0{good}"),
        ] {
            assert_eq!(bad.parse::<ResourceId>(), Err(NotAResourceId), "{bad}");
        }
    }

    #[test]
    fn a_session_id_beyond_128_bits_or_with_foreign_digits_is_none() {
        for bad in [
            "",
            "zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "vvvvvvvvvvvvvvvvvvvvvvvvvv",
            "0000000000000000000000000w",
        ] {
            assert_eq!(bad.parse::<SessionId>(), Err(NotASessionId), "{bad}");
        }
    }

    #[test]
    fn the_seed_alone_decides_the_ids() {
        assert_eq!(
            IdSource::new([1; 32]).resource(),
            IdSource::new([1; 32]).resource()
        );
        assert_ne!(
            IdSource::new([1; 32]).resource(),
            IdSource::new([2; 32]).resource()
        );
    }

    #[test]
    fn debug_does_not_give_the_secret_away() {
        let resource = ResourceId(u128::MAX);
        assert!(!format!("{resource:?}").contains(&resource.to_string()));
    }
}

//! Who sends what to whom.

use crate::host::Media;

/// Payloads up to this many bytes go as sound.
const LONGEST_AUDIO: usize = 400;

/// Rooms that are all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub(crate) struct Scenario {
    pub(crate) rooms: usize,
    /// In each room.
    pub(crate) publishers: usize,
    /// Of each publisher.
    pub(crate) legs: usize,
    /// Bytes of an RTP payload.
    pub(crate) payload: usize,
}

impl Scenario {
    /// One publisher.
    pub(crate) const fn fan(legs: usize, payload: usize) -> Self {
        Self {
            rooms: 1,
            publishers: 1,
            legs,
            payload,
        }
    }

    /// Four who all publish and receive each other.
    pub(crate) const fn rooms_of_four(rooms: usize, payload: usize) -> Self {
        Self {
            rooms,
            publishers: 4,
            legs: 3,
            payload,
        }
    }

    pub(crate) const fn media(self) -> Media {
        if self.payload <= LONGEST_AUDIO {
            Media::Audio
        } else {
            Media::Video
        }
    }

    pub(crate) const fn is_fan(self) -> bool {
        self.rooms == 1 && self.publishers == 1
    }
}

/// For people: `1 to 3, 1150 B`.
impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.is_fan(), self.rooms) {
            (true, _) => write!(f, "1 to {}, {} B", self.legs, self.payload),
            (false, 1) => write!(f, "1 room of {}, {} B", self.publishers, self.payload),
            (false, rooms) => write!(f, "{rooms} rooms of {}, {} B", self.publishers, self.payload),
        }
    }
}

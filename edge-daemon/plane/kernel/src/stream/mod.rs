//! Streams: their records, their keys and their legs.
#![expect(
    unsafe_code,
    reason = "leg records are written whole, before the kernel is pointed at them"
)]

mod adopted;
#[cfg(test)]
mod tests;

use crate::places::{Directory, Outer};
use crate::shared::Shared;
use crate::table::TableSlot;
use crate::tokens::Tokens;
use lianmai_fanout::Ssrc;
use lianmai_fanout::records::{Fan, LEG_BLOCK, Leg, MAX_LEGS, MAX_PEERS, Stream, StreamKey};
use std::io;
use std::mem::offset_of;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// Programs that were under way when something was taken from their sight are through after this long.
pub const GRACE: Duration = Duration::from_millis(20);

/// In [`Leg::pads`]: a ring that no program finds, so that the daemon serves the leg.
const NO_PADS: u32 = u32::MAX;

/// One stream. On drop it is withdrawn, and its number may be another's; drop it only [`GRACE`] after it was withdrawn.
#[derive(Debug)]
pub struct StreamSlot {
    number: u32,
    shared: Arc<Shared>,
    directory: Arc<Directory>,
    described: Option<Described>,
    key: Option<StreamKey>,
    fan: Fan,
    legs_set: Option<Instant>,
}

/// What the record says.
#[derive(Clone, Copy, Debug)]
struct Described {
    tokens: u32,
    table: u32,
}

/// Why a stream is not announced. The daemon forwards it itself.
#[derive(Debug, thiserror::Error)]
pub enum NotAnnounced {
    /// It has no ring and table yet.
    #[error("the stream was not described")]
    Undescribed,
    /// The kernel does not have its ring and table yet: ask again a few milliseconds later.
    #[error("the kernel does not have the stream's tokens and table yet")]
    NotInstalled,
    /// Another stream has this key; it must be withdrawn first.
    #[error("another stream has the key {0:?}")]
    Taken(StreamKey),
    /// The kernel does not take the key.
    #[error("the kernel does not take the stream's key")]
    Refused(#[source] io::Error),
}

/// The key of packets that come from this address with this SSRC.
#[must_use]
pub fn stream_key(from: SocketAddr, ssrc: Ssrc) -> StreamKey {
    let address = match from.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    StreamKey {
        address: address.octets(),
        ssrc: ssrc.0.to_be_bytes(),
        port: from.port().to_be_bytes(),
        reserved: [0; 2],
    }
}

impl StreamSlot {
    pub(crate) fn new(number: u32, shared: Arc<Shared>, directory: Arc<Directory>) -> Self {
        let slot = Self {
            number,
            shared,
            directory,
            described: None,
            key: None,
            fan: fan_of(number, 0, 0),
            legs_set: None,
        };
        let words = [
            offset_of!(Stream, expires),
            offset_of!(Stream, ready_until),
            offset_of!(Stream, packets),
            offset_of!(Stream, bytes),
        ];
        for offset in words {
            slot.word(offset).store(0, Relaxed);
        }
        slot.word(offset_of!(Stream, fan))
            .store(slot.fan.to_word(), Release);
        slot
    }

    /// Its number in the array of streams, which copies carry.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Which tokens and which table verify the stream. An announced stream is withdrawn first.
    pub fn describe(&mut self, tokens: &Tokens, table: &TableSlot) {
        self.withdraw();
        self.half(offset_of!(Stream, tokens)).store(tokens.id(), Relaxed);
        self.half(offset_of!(Stream, token_mask))
            .store(tokens.len() - 1, Relaxed);
        self.half(offset_of!(Stream, table)).store(table.id(), Release);
        self.described = Some(Described {
            tokens: tokens.id(),
            table: table.id(),
        });
    }

    /// Lets the kernel find the stream. It still forwards nothing before [`Self::renew`] and [`Self::set_ready_until`].
    /// A stream has one key: another one takes the place of the first.
    pub fn announce(&mut self, key: StreamKey) -> Result<(), NotAnnounced> {
        let described = self.described.ok_or(NotAnnounced::Undescribed)?;
        let is_installed = self.directory.is_installed(Outer::Tokens, described.tokens)
            && self.directory.is_installed(Outer::Tables, described.table);
        if !is_installed {
            return Err(NotAnnounced::NotInstalled);
        }
        if self.key == Some(key) {
            return Ok(());
        }
        self.shared.announce(&key, self.number)?;
        if let Some(old) = self.key.replace(key) {
            self.shared.withdraw(&old);
        }
        Ok(())
    }

    /// Has the kernel forget the stream. Programs that found it before are through after [`GRACE`].
    pub fn withdraw(&mut self) {
        self.word(offset_of!(Stream, expires)).store(0, Release);
        if let Some(key) = self.key.take() {
            self.shared.withdraw(&key);
        }
    }

    /// Until when the kernel forwards the stream by itself, in nanoseconds of `CLOCK_MONOTONIC`.
    pub fn renew(&self, expires: u64) {
        self.word(offset_of!(Stream, expires)).store(expires, Release);
    }

    /// The first packet index that lacks a token or a pad.
    pub fn set_ready_until(&self, index: u64) {
        self.word(offset_of!(Stream, ready_until)).store(index, Release);
    }

    /// To which legs the kernel sends the stream from now on: the first [`MAX_LEGS`] of these. A leg whose ring or table the
    /// kernel does not have yet, or whose peer is a local one, keeps its place, but is left to the daemon until the legs are set
    /// again.
    ///
    /// Packets under way may still go to the legs before. Their records are written over by the next call, so it waits
    /// for what is left of [`GRACE`]: see [`Self::legs_are_settled`].
    pub fn set_legs(&mut self, legs: &[Leg]) -> Fan {
        if let Some(rest) = self.unsettled() {
            std::thread::sleep(rest);
        }
        let legs = &legs[..legs.len().min(MAX_LEGS as usize)];
        let parity = (self.fan.first / LEG_BLOCK + 1) % 2;
        let fan = fan_of(self.number, parity, legs.len() as u32);
        for (leg, place) in legs.iter().zip(fan.first..) {
            // SAFETY: leg records have no padding. This block is this slot's alone while `self` is borrowed, and no program
            // was pointed at it for a grace.
            unsafe {
                self.shared
                    .legs
                    .write(place as usize * size_of::<Leg>(), self.served(*leg));
            }
        }
        self.word(offset_of!(Stream, fan)).store(fan.to_word(), Release);
        self.fan = fan;
        self.legs_set = Some(Instant::now());
        fan
    }

    /// Whether [`Self::set_legs`] would not have to wait.
    #[must_use]
    pub fn legs_are_settled(&self) -> bool {
        self.unsettled().is_none()
    }

    /// Where the stream goes.
    #[must_use]
    pub fn fan(&self) -> Fan {
        self.fan
    }

    /// Packets that the kernel took since the slot was handed out.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.word(offset_of!(Stream, packets)).load(Relaxed)
    }

    /// Their bytes, from the RTP header to the tag.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.word(offset_of!(Stream, bytes)).load(Relaxed)
    }

    fn unsettled(&self) -> Option<Duration> {
        GRACE
            .checked_sub(self.legs_set?.elapsed())
            .filter(|rest| !rest.is_zero())
    }

    /// A leg with something that the programs would not find is theirs no more once they have claimed its pad, so they must
    /// not find the pad either.
    fn served(&self, leg: Leg) -> Leg {
        let is_there = self.directory.is_installed(Outer::Pads, leg.pads)
            && self.directory.is_installed(Outer::Tables, leg.table)
            && leg.peer < MAX_PEERS;
        Leg {
            pads: if is_there { leg.pads } else { NO_PADS },
            ..leg
        }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        self.shared.streams.word(self.at() + offset)
    }

    fn half(&self, offset: usize) -> &AtomicU32 {
        self.shared.streams.half(self.at() + offset)
    }

    fn at(&self) -> usize {
        self.number as usize * size_of::<Stream>()
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.withdraw();
        self.shared.stream_ids.give_back(self.number);
    }
}

fn fan_of(number: u32, parity: u32, legs: u32) -> Fan {
    Fan {
        first: (number * 2 + parity) * LEG_BLOCK,
        legs,
    }
}

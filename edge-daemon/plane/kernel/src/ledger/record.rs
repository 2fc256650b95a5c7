//! One record: whose it is, which indices were used up, and what the kernel has of it.

use super::{Kind, Ledger, Owner, at};
use crate::mapping::Mapping;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// Words of the RTP window, a bit for each index.
pub const RTP_WORDS: usize = 16;

/// The same of the SRTCP window.
pub const RTCP_WORDS: usize = 2;

/// The words of a record, by number.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Kind = 0,
    Endpoint = 1,
    KeysHigh = 2,
    KeysLow = 3,
    Ssrc = 4,
    RtpHighest = 5,
    Rtp = 6,
    RtcpHighest = 22,
    Rtcp = 23,
    First = 25,
    Second = 26,
    Third = 27,
}

/// Words that are zero in a new record.
const WORDS: usize = 32;

/// Which window of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Packet indices of SRTP.
    Rtp,
    /// Indices of SRTCP; an outbound record has the highest only.
    Rtcp,
}

/// A record, from now on until it is dropped.
#[derive(Debug)]
pub struct Record {
    memory: Arc<Mapping>,
    number: u32,
    ledger: Ledger,
}

/// Whose record lies there; none if it is free, or was not finished.
pub(super) fn owner(memory: &Mapping, at: usize) -> Option<Owner> {
    let word = |field: Field| memory.word(at + field.offset()).load(Relaxed);
    kind(memory.word(at + Field::Kind.offset()).load(Acquire))?;
    Some(Owner {
        endpoint: word(Field::Endpoint),
        keys: [word(Field::KeysHigh), word(Field::KeysLow)],
    })
}

const fn kind(word: u64) -> Option<Kind> {
    match word {
        1 => Some(Kind::Link),
        2 => Some(Kind::Inbound),
        3 => Some(Kind::Outbound),
        _ => None,
    }
}

impl Field {
    pub(super) const fn offset(self) -> usize {
        self as usize * size_of::<u64>()
    }
}

impl Record {
    pub(super) fn new(memory: Arc<Mapping>, number: u32, ledger: Ledger) -> Self {
        Self {
            memory,
            number,
            ledger,
        }
    }

    /// Makes the record valid, as its last step.
    pub(super) fn begin(&self, kind: Kind, owner: Owner, ssrc: u32) {
        for place in 0..WORDS {
            self.place(place).store(0, Relaxed);
        }
        self.word(Field::Endpoint).store(owner.endpoint, Relaxed);
        let [high, low] = owner.keys;
        self.word(Field::KeysHigh).store(high, Relaxed);
        self.word(Field::KeysLow).store(low, Relaxed);
        self.word(Field::Ssrc).store(u64::from(ssrc), Relaxed);
        let kind = match kind {
            Kind::Link => 1,
            Kind::Inbound => 2,
            Kind::Outbound => 3,
        };
        self.word(Field::Kind).store(kind, Release);
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        kind(self.word(Field::Kind).load(Acquire))
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.word(Field::Ssrc).load(Relaxed) as u32
    }

    /// The highest index of a window.
    #[must_use]
    pub fn highest(&self, window: Window) -> Option<u64> {
        self.word(window.highest()).load(Relaxed).checked_sub(1)
    }

    /// Moves a window. To be called before its bits are cleared for the new indices: of a process that dies in between, the next
    /// one takes some of them for used, and none that was used for fresh.
    pub fn set_highest(&self, window: Window, index: u64) {
        self.word(window.highest()).store(index + 1, Relaxed);
        // What the compiler would do later, a killed process would never do.
        fence(Release);
    }

    /// A word of a window's bits.
    #[must_use]
    pub fn bits(&self, window: Window, word: usize) -> u64 {
        self.bit_word(window, word).load(Relaxed)
    }

    /// Sets a word of a window's bits.
    pub fn set_bits(&self, window: Window, word: usize, bits: u64) {
        self.bit_word(window, word).store(bits, Release);
    }

    /// What the kernel has of it: three words whose meaning is the caller's. Zero in a new record.
    #[must_use]
    pub fn notes(&self) -> [u64; 3] {
        [Field::First, Field::Second, Field::Third].map(|field| self.word(field).load(Relaxed))
    }

    /// The first of them is written last, so that it vouches for the others; zero it first to change them.
    pub fn set_notes(&self, [first, second, third]: [u64; 3]) {
        self.word(Field::First).store(0, Release);
        self.word(Field::Second).store(second, Relaxed);
        self.word(Field::Third).store(third, Relaxed);
        self.word(Field::First).store(first, Release);
    }

    /// Changes the first and the third while the second stays. Whoever reads in between finds the first as it is now, and the third
    /// as it was.
    pub fn renote(&self, first: u64, third: u64) {
        self.word(Field::First).store(first, Release);
        self.word(Field::Third).store(third, Release);
    }

    fn bit_word(&self, window: Window, word: usize) -> &AtomicU64 {
        let (first, len) = match window {
            Window::Rtp => (Field::Rtp, RTP_WORDS),
            Window::Rtcp => (Field::Rtcp, RTCP_WORDS),
        };
        assert!(word < len, "word {word} of {len}");
        self.place(first as usize + word)
    }

    fn word(&self, field: Field) -> &AtomicU64 {
        self.place(field as usize)
    }

    fn place(&self, word: usize) -> &AtomicU64 {
        self.memory.word(at(self.number) + word * size_of::<u64>())
    }
}

impl Window {
    const fn highest(self) -> Field {
        match self {
            Self::Rtp => Field::RtpHighest,
            Self::Rtcp => Field::RtcpHighest,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.ledger.give_back(self.number);
    }
}

//! The order of a track's packets.

use super::Packet;
use std::collections::BTreeMap;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its turn.
    Kept,
    /// It was there already.
    Duplicate,
    /// Its turn is over.
    Late,
    /// It is so far off that it is not believed yet.
    Refused,
    /// The sender's numbering restarted with it; everything before it was dropped.
    Restarted,
}

/// What a jitter buffer counts, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after they were given up.
    pub late: u64,
    /// Packets that were given up.
    pub lost: u64,
    /// Packets dropped because the buffer was full or the numbering restarted.
    pub dropped: u64,
    /// How often the numbering restarted.
    pub restarts: u64,
}

/// Packets by their unwrapped sequence number, from the one whose turn is next.
#[derive(Clone, Debug)]
pub(super) struct Reorder<T> {
    packets: BTreeMap<i64, Packet<T>>,
    /// Whose turn is next. Open until the first packet is taken, so that the start may come in any order.
    next: Option<i64>,
    newest: Option<i64>,
    /// The sequence number that would confirm a restart (RFC 3550 appendix A.1: two in a row).
    restart_at: Option<u16>,
    capacity: usize,
    counters: Counters,
}

impl<T> Reorder<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            packets: BTreeMap::new(),
            next: None,
            newest: None,
            restart_at: None,
            // Half the number space at most: more could not be told from a wrap.
            capacity: capacity.clamp(1, 1 << 14),
            counters: Counters::default(),
        }
    }

    pub(super) fn push(&mut self, packet: Packet<T>) -> Pushed {
        let newest = self.newest.unwrap_or(i64::from(packet.sequence));
        let ahead = packet.sequence.wrapping_sub(newest as u16) as i16;
        let number = newest + i64::from(ahead);
        if usize::from(ahead.unsigned_abs()) > self.capacity.max(64) {
            return self.far_off(packet);
        }
        self.restart_at = None;
        if self.next.is_some_and(|next| number < next) {
            self.counters.late += 1;
            return Pushed::Late;
        }
        if self.packets.contains_key(&number) {
            self.counters.duplicates += 1;
            return Pushed::Duplicate;
        }
        self.newest = Some(newest.max(number));
        self.packets.insert(number, packet);
        Pushed::Kept
    }

    /// The packet whose turn it is, if it is there.
    pub(super) fn head(&self) -> Option<&Packet<T>> {
        let (number, packet) = self.packets.first_key_value()?;
        (self.next.is_none_or(|next| next == *number)).then_some(packet)
    }

    /// How many packets are missing before the first that is there, and that one.
    pub(super) fn gap(&self) -> Option<(u64, &Packet<T>)> {
        let (number, packet) = self.packets.first_key_value()?;
        let missing = self.next.map_or(0, |next| number - next);
        Some((u64::try_from(missing).unwrap_or(0), packet))
    }

    /// The packets that are there, each with the number of packets missing just before it.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u64, &Packet<T>)> {
        let mut next = self.next;
        self.packets.iter().map(move |(number, packet)| {
            let missing = next.map_or(0, |next| *number - next);
            next = Some(number + 1);
            (u64::try_from(missing).unwrap_or(0), packet)
        })
    }

    /// Takes the first packet that is there; what is missing before it is given up.
    pub(super) fn take(&mut self) -> Option<Packet<T>> {
        let (number, packet) = self.packets.pop_first()?;
        let missing = self.next.map_or(0, |next| number - next);
        self.counters.lost += u64::try_from(missing).unwrap_or(0);
        self.next = Some(number + 1);
        Some(packet)
    }

    /// Gives up the one packet whose turn it is.
    pub(super) fn skip_one(&mut self) {
        if let Some(next) = &mut self.next {
            *next += 1;
            self.counters.lost += 1;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    pub(super) fn count_dropped(&mut self, packets: u64) {
        self.counters.dropped += packets;
    }

    fn far_off(&mut self, packet: Packet<T>) -> Pushed {
        let confirmed = self.restart_at == Some(packet.sequence);
        self.restart_at = Some(packet.sequence.wrapping_add(1));
        if !confirmed {
            return Pushed::Refused;
        }
        self.count_dropped(self.packets.len() as u64);
        self.counters.restarts += 1;
        self.packets.clear();
        self.next = None;
        self.newest = None;
        self.push(packet);
        Pushed::Restarted
    }
}

//! One delay for the whole room.

use crate::lateness::Lateness;
use crate::repairs::Repairs;
use crate::time::{EdgeTime, Span};
use std::collections::BTreeMap;

/// Never less: a frame of capture and one of output have to fit.
pub const MIN_DELAY: Span = Span::from_millis(40);

/// Never more: a mix that is further behind is no longer live.
pub const MAX_DELAY: Span = Span::from_millis(2000);

/// From the arrival of a frame's packets to its decoded picture.
pub const DECODE_MARGIN: Span = Span::from_millis(25);

/// Slower than sound is slewed, so that sound follows the delay down without being behind.
const SHRINK_PER_SECOND: Span = Span::from_millis(2);

/// A host that is not waited for comes back by a jump: it was out of sync anyway.
const EXCESS_SHRINK_PER_SECOND: Span = Span::from_secs(10);

/// After it grew, the delay stays for so long.
const HOLD: Span = Span::from_secs(10);

/// Of a host's packets, so many percent must be in time.
const PERCENT: u64 = 99;

/// How long after its capture everything in the room is shown: long enough for the host that is worst connected, and for what
/// it has to send once more. It grows at once and shrinks slowly. A host beyond [`MAX_DELAY`] is not waited for; it is shown
/// later than the others by its [`RoomDelay::excess`]. What is lost is waited for up to [`MAX_DELAY`].
#[derive(Clone, Debug)]
pub struct RoomDelay<H> {
    hosts: BTreeMap<H, Wait>,
    room: Follower,
}

#[derive(Clone, Debug)]
struct Wait {
    lateness: Lateness,
    repairs: Repairs,
    excess: Follower,
}

impl Wait {
    fn new() -> Self {
        Self {
            lateness: Lateness::new(),
            repairs: Repairs::new(),
            excess: Follower::new(Span::ZERO, EXCESS_SHRINK_PER_SECOND),
        }
    }

    /// How long the host needs, without and with what was lost.
    fn needed(&mut self, now: EdgeTime) -> (Span, Span) {
        self.lateness.decay(now);
        self.repairs.decay(now);
        let late = self.lateness.percentile(PERCENT).unwrap_or(Span::ZERO);
        let repaired = self.repairs.needed(late).unwrap_or(Span::ZERO);
        (late + DECODE_MARGIN, repaired.max(late) + DECODE_MARGIN)
    }
}

/// Up at once, down slowly.
#[derive(Clone, Copy, Debug)]
struct Follower {
    value: Span,
    shrink_per_second: Span,
    at: Option<EdgeTime>,
    hold_until: EdgeTime,
}

impl<H: Ord + Copy> Default for RoomDelay<H> {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            room: Follower::new(MIN_DELAY, SHRINK_PER_SECOND),
        }
    }
}

impl<H: Ord + Copy> RoomDelay<H> {
    /// A packet of `host` came `lateness` after its capture.
    pub fn observe(&mut self, host: H, lateness: Span, now: EdgeTime) {
        let wait = self.hosts.entry(host).or_insert_with(Wait::new);
        wait.lateness.observe(now, lateness);
    }

    /// A packet came of a track whose lost packets are asked for.
    pub fn observe_mendable(&mut self, host: H, now: EdgeTime) {
        let wait = self.hosts.entry(host).or_insert_with(Wait::new);
        wait.repairs.on_packet(now);
    }

    /// A packet that had been lost came `lateness` after its capture.
    pub fn observe_repair(&mut self, host: H, lateness: Span, now: EdgeTime) {
        let wait = self.hosts.entry(host).or_insert_with(Wait::new);
        wait.repairs.on_repair(now, lateness);
    }

    /// Whether what is lost of `host` comes again.
    #[must_use]
    pub fn is_mended(&self, host: H) -> bool {
        self.hosts
            .get(&host)
            .is_some_and(|wait| wait.repairs.are_coming())
    }

    /// The host left.
    pub fn remove(&mut self, host: H) {
        self.hosts.remove(&host);
    }

    /// How long after its capture everything is shown at `now`.
    pub fn update(&mut self, now: EdgeTime) -> Span {
        let mut target = MIN_DELAY;
        for wait in self.hosts.values_mut() {
            let (needed, with_repairs) = wait.needed(now);
            let excess = needed - MAX_DELAY;
            wait.excess.follow(excess.max(Span::ZERO), now);
            if excess <= Span::ZERO {
                target = target.max(with_repairs.min(MAX_DELAY));
            }
        }
        self.room.follow(target, now);
        self.room.value
    }

    /// The room's delay as of the last [`Self::update`].
    #[must_use]
    pub fn current(&self) -> Span {
        self.room.value
    }

    /// What `host` is shown later than the room, because it is too far away to be waited for.
    #[must_use]
    pub fn excess(&self, host: H) -> Span {
        let Some(wait) = self.hosts.get(&host) else {
            return Span::ZERO;
        };
        match wait.excess.value {
            Span::ZERO => Span::ZERO,
            excess => MAX_DELAY + excess - self.room.value,
        }
    }

    /// The delay that 99 percent of the host's packets stay within.
    #[must_use]
    pub fn lateness(&self, host: H) -> Option<Span> {
        self.hosts.get(&host)?.lateness.percentile(PERCENT)
    }
}

impl Follower {
    fn new(value: Span, shrink_per_second: Span) -> Self {
        Self {
            value,
            shrink_per_second,
            at: None,
            hold_until: EdgeTime(i64::MIN),
        }
    }

    fn follow(&mut self, target: Span, now: EdgeTime) {
        let since = now - *self.at.get_or_insert(now);
        self.at = self.at.max(Some(now));
        if target >= self.value {
            self.hold_until = now + HOLD;
            self.value = target;
            return;
        }
        if now < self.hold_until {
            return;
        }
        let most = i128::from(since.0.max(0)) * i128::from(self.shrink_per_second.0) / 1_000_000_000;
        let most = Span(i64::try_from(most).unwrap_or(i64::MAX));
        self.value = target.max(self.value - most);
    }
}

//! Transport-wide sequence numbers, which kernel and daemon take from one counter.

use crate::shared::Shared;
use lianmai_fanout::records::Peer;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The counter of one subscriber's 5-tuple.
#[derive(Debug)]
pub struct PeerSlot {
    counter: Counter,
}

#[derive(Debug)]
enum Counter {
    Local(AtomicU64),
    Shared { id: u32, shared: Arc<Shared> },
}

impl PeerSlot {
    /// A counter of the daemon's own, of a peer whom the kernel sends nothing.
    #[must_use]
    pub fn local() -> Self {
        Self {
            counter: Counter::Local(AtomicU64::new(0)),
        }
    }

    pub(crate) fn shared(id: u32, shared: Arc<Shared>) -> Self {
        let slot = Self {
            counter: Counter::Shared { id, shared },
        };
        slot.word().store(0, Relaxed);
        slot
    }

    /// The counter of an earlier daemon, which goes on.
    pub(crate) fn adopted(id: u32, shared: Arc<Shared>) -> Self {
        Self {
            counter: Counter::Shared { id, shared },
        }
    }

    /// For [`lianmai_fanout::records::Leg::peer`]. A local one has a number that no program finds.
    #[must_use]
    pub fn id(&self) -> u32 {
        match &self.counter {
            Counter::Local(_) => u32::MAX,
            Counter::Shared { id, .. } => *id,
        }
    }

    /// Takes the next number.
    #[must_use]
    pub fn next_transport_sequence(&self) -> u16 {
        self.word().fetch_add(1, Relaxed) as u16
    }

    fn word(&self) -> &AtomicU64 {
        match &self.counter {
            Counter::Local(word) => word,
            Counter::Shared { id, shared } => shared
                .peers
                .word(*id as usize * size_of::<Peer>() + offset_of!(Peer, transport_sequence)),
        }
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        if let Counter::Shared { id, shared } = &self.counter {
            shared.peer_ids.give_back(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PeerSlot;
    use crate::Maps;
    use std::collections::BTreeSet;
    use std::thread;

    #[test]
    fn numbers_follow_each_other_and_wrap() {
        for peer in [
            PeerSlot::local(),
            Maps::in_memory().expect("memory").peer().expect("room"),
        ] {
            for expected in 0..=u16::MAX {
                assert_eq!(peer.next_transport_sequence(), expected);
            }
            assert_eq!(peer.next_transport_sequence(), 0);
        }
    }

    #[test]
    fn no_number_is_taken_twice() {
        let peer = Maps::in_memory().expect("memory").peer().expect("room");
        let take = || {
            (0..10_000)
                .map(|_| peer.next_transport_sequence())
                .collect::<Vec<_>>()
        };
        let (mine, other) = thread::scope(|scope| {
            let other = scope.spawn(take);
            (take(), other.join().expect("no panic"))
        });
        let all: BTreeSet<u16> = mine.into_iter().chain(other).collect();
        assert_eq!(all, (0..20_000).collect());
    }

    #[test]
    fn peers_do_not_share_and_a_new_one_starts_at_zero() {
        let mut maps = Maps::in_memory().expect("memory");
        let (first, second) = (maps.peer().expect("room"), maps.peer().expect("room"));
        assert_ne!(first.id(), second.id());
        assert_eq!(
            (first.next_transport_sequence(), second.next_transport_sequence()),
            (0, 0)
        );
        let id = first.id();
        drop(first);
        let again = std::iter::from_fn(|| maps.peer().ok())
            .find(|peer| peer.id() == id)
            .expect("it came back");
        assert_eq!(again.next_transport_sequence(), 0);
        assert_eq!(PeerSlot::local().id(), u32::MAX);
    }
}

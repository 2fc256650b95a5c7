//! Transport-wide sequence numbers of one leg, which kernel and daemon may both take.

use lianmai_kernel::{Maps, PeerSlot};
use std::rc::Rc;

/// Where the leg's transport-wide sequence numbers come from.
#[derive(Debug)]
pub(crate) enum Numbers {
    /// From nowhere until the first is needed.
    Unset,
    /// From this daemon.
    Own(PeerSlot),
    /// The kernel takes from them as well.
    Shared(Rc<PeerSlot>),
}

impl Numbers {
    /// Takes the next one.
    pub(crate) fn next(&mut self) -> u16 {
        match self {
            Self::Own(peer) => peer.next_transport_sequence(),
            Self::Shared(peer) => peer.next_transport_sequence(),
            Self::Unset => {
                let peer = PeerSlot::local();
                let first = peer.next_transport_sequence();
                *self = Self::Own(peer);
                first
            }
        }
    }

    /// Lets the kernel take numbers too, if none is taken yet and the kernel has room.
    pub(crate) fn share(&mut self, maps: &mut Maps) {
        if matches!(self, Self::Unset)
            && let Ok(peer) = maps.peer()
        {
            *self = Self::Shared(Rc::new(peer));
        }
    }

    /// Goes on with the kernel's counter of an earlier process.
    pub(crate) fn adopt(&mut self, peer: PeerSlot) {
        *self = Self::Shared(Rc::new(peer));
    }

    /// What the kernel may take from.
    pub(crate) const fn shared(&self) -> Option<&Rc<PeerSlot>> {
        match self {
            Self::Shared(peer) => Some(peer),
            Self::Unset | Self::Own(_) => None,
        }
    }
}

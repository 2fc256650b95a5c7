//! What every track has: a sender that may be replaced, and counters that outlive it.

use lianmai_fanout::Ssrc;

/// Which SSRC a track listens to. A sender that restarts its encoder comes back with another one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sender {
    current: Option<Ssrc>,
    retired: Option<Ssrc>,
}

/// What a packet's SSRC means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The sender as known, or the first one.
    Same,
    /// Another one: everything known of the old one is void.
    Replaced,
    /// The old one, late.
    Retired,
}

impl Sender {
    /// Looks at the SSRC of a packet that belongs to the track.
    pub(super) fn hear(&mut self, ssrc: Ssrc) -> Heard {
        if self.retired == Some(ssrc) {
            return Heard::Retired;
        }
        match self.current.replace(ssrc) {
            Some(old) if old != ssrc => {
                self.retired = Some(old);
                Heard::Replaced
            }
            _ => Heard::Same,
        }
    }

    /// Whether this is the sender listened to.
    #[must_use]
    pub(super) fn is(&self, ssrc: Ssrc) -> bool {
        self.current == Some(ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Sender};
    use lianmai_fanout::Ssrc;

    #[test]
    fn a_new_ssrc_replaces_the_old_one_for_good() {
        let mut sender = Sender::default();
        assert_eq!(sender.hear(Ssrc(1)), Heard::Same);
        assert_eq!(sender.hear(Ssrc(2)), Heard::Replaced);
        assert_eq!(sender.hear(Ssrc(1)), Heard::Retired);
        assert_eq!(sender.hear(Ssrc(2)), Heard::Same);
        assert!(sender.is(Ssrc(2)));
    }
}

//! The descriptors that are kept.

use super::notice::Notice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many there may be.
pub(super) const MOST: usize = 64;

/// Descriptors by name, in the order of their coming. They are only held here: nothing is read from them.
#[derive(Debug, Default)]
pub(super) struct Held {
    all: Vec<(String, OwnedFd)>,
}

impl Held {
    /// Does what a notification asks for; what it does not ask to keep is closed.
    pub(super) fn apply(&mut self, notice: &Notice, came: Vec<OwnedFd>) {
        if notice.removes {
            self.all.retain(|(name, _)| *name != notice.name);
        }
        if !notice.stores {
            return;
        }
        for descriptor in came {
            if self.all.len() == MOST {
                tracing::warn!(
                    name = notice.name,
                    "{MOST} descriptors are kept already: this one is not"
                );
                return;
            }
            tracing::debug!(name = notice.name, "keeping one more descriptor");
            self.all.push((notice.name.clone(), descriptor));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The descriptors, to be passed on.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.all
            .iter()
            .map(|(_, descriptor)| descriptor.as_fd())
            .collect()
    }

    /// Their names in the same order, as `LISTEN_FDNAMES` has them.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|(name, _)| name.as_str()).collect();
        names.join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, MOST};
    use crate::keep::notice::Notice;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A descriptor, and how to see that it was closed.
    fn descriptor() -> (OwnedFd, UnixStream) {
        let (ours, other) = UnixStream::pair().expect("a pair");
        other.set_nonblocking(true).expect("a mode");
        (ours.into(), other)
    }

    fn is_closed(other: &mut UnixStream) -> bool {
        matches!(other.read(&mut [0]), Ok(0))
    }

    fn keep(held: &mut Held, name: &str) -> UnixStream {
        let (descriptor, other) = descriptor();
        held.apply(
            &Notice::read(&format!("FDSTORE=1\nFDNAME={name}")),
            vec![descriptor],
        );
        other
    }

    #[test]
    fn what_is_kept_is_passed_on_under_its_name_in_its_order() {
        let mut held = Held::default();
        let mut others = [keep(&mut held, "media"), keep(&mut held, "state")];
        assert_eq!(
            (held.names().as_str(), held.descriptors().len()),
            ("media:state", 2)
        );
        assert!(others.iter_mut().all(|other| !is_closed(other)));
    }

    #[test]
    fn what_is_removed_is_closed() {
        let mut held = Held::default();
        let mut others = [keep(&mut held, "media"), keep(&mut held, "state")];
        held.apply(&Notice::read("FDSTOREREMOVE=1\nFDNAME=media"), Vec::new());
        assert!(is_closed(&mut others[0]) && !is_closed(&mut others[1]));
        assert_eq!(held.names(), "state");
    }

    #[test]
    fn what_nobody_asked_to_keep_is_closed() {
        let mut held = Held::default();
        let (descriptor, mut other) = descriptor();
        held.apply(&Notice::read("READY=1"), vec![descriptor]);
        assert!(is_closed(&mut other) && held.is_empty());
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut held = Held::default();
        let kept: Vec<UnixStream> = (0..MOST).map(|_| keep(&mut held, "state")).collect();
        let mut refused = keep(&mut held, "media");
        assert!(is_closed(&mut refused));
        assert_eq!(held.descriptors().len(), kept.len());
    }
}

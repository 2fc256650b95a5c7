//! What the process before this one left.

use super::Store;
use rustix::io::{FdFlags, fcntl_setfd};
use std::collections::BTreeMap;
use std::os::fd::{IntoRawFd, OwnedFd};

/// Descriptors by name. Those that nobody takes are closed with it.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    descriptors: BTreeMap<String, OwnedFd>,
}

impl Inherited {
    /// Takes over what the environment of this process names. To be called once: the descriptors are owned from then on.
    pub(super) fn from_env() -> Self {
        match sd_listen_fds::get() {
            Ok(passed) => Self::named(passed.into_iter().map(|(name, fd)| (name, fd.into_std()))),
            Err(error) => {
                tracing::warn!(%error, "what was kept cannot be taken over");
                Self::default()
            }
        }
    }

    /// Of those with one name the last stays; one without a name is of no use.
    fn named(passed: impl Iterator<Item = (Option<String>, OwnedFd)>) -> Self {
        let mut descriptors = BTreeMap::new();
        for (name, descriptor) in passed {
            if let (Some(name), Some(descriptor)) = (name, ours_alone(descriptor)) {
                descriptors.insert(name, descriptor);
            }
        }
        Self { descriptors }
    }

    /// The names of what is here.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.descriptors.keys().map(String::as_str)
    }

    /// What was kept under a name. It stays kept: only another one has to be kept again.
    pub(crate) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.descriptors.remove(name)
    }

    /// Has everything forgotten that nobody took, so that it does not come back at each start.
    pub(crate) fn forget_rest(self, store: &Store) {
        for name in self.descriptors.keys() {
            tracing::info!(name, "nobody wanted what was kept");
            store.forget(name);
        }
    }
}

/// Programs that this one starts do not inherit it.
fn ours_alone(descriptor: OwnedFd) -> Option<OwnedFd> {
    if let Err(error) = fcntl_setfd(&descriptor, FdFlags::CLOEXEC) {
        tracing::warn!(%error, "the environment names a descriptor that is not open");
        // It is nobody's, so it is not ours to close.
        let _ = descriptor.into_raw_fd();
        return None;
    }
    Some(descriptor)
}

#[cfg(test)]
mod tests {
    use super::Inherited;
    use std::io::Read;
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn passed(names: &[Option<&str>]) -> (Inherited, Vec<UnixStream>) {
        let (others, ours): (Vec<UnixStream>, Vec<OwnedFd>) = names
            .iter()
            .map(|_| UnixStream::pair().expect("a pair"))
            .map(|(other, ours)| (other, OwnedFd::from(ours)))
            .unzip();
        let names = names.iter().map(|name| name.map(str::to_owned));
        (Inherited::named(names.zip(ours)), others)
    }

    /// The other end reads an end of file.
    fn is_closed(other: &mut UnixStream) -> bool {
        other.set_nonblocking(true).expect("a mode");
        matches!(other.read(&mut [0]), Ok(0))
    }

    #[test]
    fn a_descriptor_is_taken_once_by_its_name() {
        let (mut inherited, _others) = passed(&[Some("media"), Some("state")]);
        assert!(inherited.take("media").is_some());
        assert!(inherited.take("media").is_none());
        assert!(inherited.take("pins").is_none());
        assert!(inherited.take("state").is_some());
    }

    #[test]
    fn of_one_name_the_last_wins_and_the_other_is_closed() {
        let (mut inherited, mut others) = passed(&[Some("media"), Some("media")]);
        let taken = UnixStream::from(inherited.take("media").expect("one"));
        assert!(is_closed(&mut others[0]));
        assert!(!is_closed(&mut others[1]));
        taken.shutdown(Shutdown::Both).expect("open");
        assert!(is_closed(&mut others[1]));
    }

    #[test]
    fn one_without_a_name_is_closed() {
        let (inherited, mut others) = passed(&[None]);
        assert!(is_closed(&mut others[0]));
        assert_eq!(inherited.names().count(), 0);
    }

    #[test]
    fn programs_do_not_inherit_what_was_inherited() {
        let (other, ours) = UnixStream::pair().expect("a pair");
        rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::empty()).expect("a flag");
        let one = std::iter::once((Some("media".to_owned()), OwnedFd::from(ours)));
        let taken = Inherited::named(one).take("media").expect("one");
        let flags = rustix::io::fcntl_getfd(&taken).expect("open");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        drop(other);
    }
}

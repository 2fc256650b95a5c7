//! The one who keeps descriptors for the process after this one.

use super::notify::Notifier;
use super::{Inherited, NOTIFY_SOCKET};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest name of a descriptor (sd_notify(3), `FDNAME=`).
const MAX_NAME: usize = 255;

/// Keeps duplicates of this process's descriptors, by name. Where nobody does that, every call is without effect.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    keeper: Option<Arc<Keeper>>,
}

#[derive(Debug)]
struct Keeper {
    notifier: Notifier,
    /// What it keeps of this process and those before.
    names: Mutex<BTreeSet<String>>,
}

impl Store {
    /// Who keeps things for this process, and what was kept for it. To be called once, at the start.
    pub(crate) fn from_env() -> (Self, Inherited) {
        let inherited = Inherited::from_env();
        let address = std::env::var_os(NOTIFY_SOCKET);
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            tracing::info!("nobody keeps anything for the daemon after this one: {NOTIFY_SOCKET} is not set");
            return (Self { keeper: None }, inherited);
        };
        let store = Self::at(&address, inherited.names().map(str::to_owned).collect());
        let store = store.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody keeps anything for the daemon after this one: {NOTIFY_SOCKET} is of no use");
            Self { keeper: None }
        });
        (store, inherited)
    }

    fn at(address: &OsStr, names: BTreeSet<String>) -> io::Result<Self> {
        let keeper = Keeper {
            notifier: Notifier::to(address)?,
            names: Mutex::new(names),
        };
        Ok(Self {
            keeper: Some(Arc::new(keeper)),
        })
    }

    /// Whether anybody keeps anything.
    pub(crate) fn is_there(&self) -> bool {
        self.keeper.is_some()
    }

    /// Has a duplicate of a descriptor kept, in place of what was kept under this name before.
    ///
    /// What it refers to must not be changed by closing: a connection that is shut down is kept all the same.
    pub(crate) fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        check(name)?;
        let mut names = keeper.names.lock().unwrap_or_else(PoisonError::into_inner);
        // systemd would keep both, and hand over the older one last.
        if !names.insert(name.to_owned()) {
            keeper.notifier.send(&removal(name), None)?;
        }
        // Without FDPOLL=0 systemd lets a descriptor go when it polls as hung up.
        let text = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
        keeper.notifier.send(&text, Some(descriptor))
    }

    /// Has what is kept under a name let go.
    pub(crate) fn forget(&self, name: &str) {
        let Some(keeper) = &self.keeper else { return };
        let mut names = keeper.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(name);
        self.say(&removal(name));
    }

    /// The edge serves.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// The edge ends in order.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, text: &str) {
        let Some(keeper) = &self.keeper else { return };
        if let Err(error) = keeper.notifier.send(text, None) {
            tracing::warn!(%error, text, "the one who started this daemon does not listen");
        }
    }
}

fn removal(name: &str) -> String {
    format!("FDSTOREREMOVE=1\nFDNAME={name}")
}

/// What `LISTEN_FDNAMES` can carry.
fn check(name: &str) -> io::Result<()> {
    let fits = (1..=MAX_NAME).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{name:?} cannot be the name of a kept descriptor"),
    ))
}

#[cfg(test)]
mod tests {
    use super::Store;
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use std::collections::BTreeSet;
    use std::io::{IoSliceMut, Read, Write};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

    /// Somebody who listens at an abstract name, and a store there.
    fn listener(name: &str) -> (UnixDatagram, Store) {
        let name = format!("lianmai-test-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a socket");
        socket.set_nonblocking(true).expect("a mode");
        let store = Store::at(format!("@{name}").as_ref(), BTreeSet::new());
        (socket, store.expect("a store"))
    }

    fn received(socket: &UnixDatagram) -> (String, Vec<OwnedFd>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 512];
        let mut into = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg(socket, &mut into, &mut control, RecvFlags::empty()).expect("a message");
        let descriptors = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<_>>(),
            _ => Vec::new(),
        });
        let descriptors = descriptors.collect();
        (
            String::from_utf8_lossy(&bytes[..message.bytes]).into_owned(),
            descriptors,
        )
    }

    #[test]
    fn what_is_kept_arrives_with_its_name_and_is_the_same_file() {
        let (socket, store) = listener("keep");
        let (mut other, ours) = UnixStream::pair().expect("a pair");
        store.keep("media", ours.as_fd()).expect("sent");
        drop(ours);
        let (text, mut descriptors) = received(&socket);
        assert_eq!(text, "FDSTORE=1\nFDNAME=media\nFDPOLL=0");
        let mut kept = UnixStream::from(descriptors.pop().expect("one"));
        other.write_all(b"after the end").expect("written");
        let mut read = [0; 13];
        kept.read_exact(&mut read).expect("read");
        assert_eq!(&read, b"after the end");
    }

    #[test]
    fn keeping_another_one_under_a_name_lets_the_first_go() {
        let (socket, store) = listener("again");
        let (one, two) = UnixStream::pair().expect("a pair");
        store.keep("media", one.as_fd()).expect("sent");
        store.keep("media", two.as_fd()).expect("sent");
        let texts: Vec<String> = (0..3).map(|_| received(&socket).0).collect();
        assert_eq!(texts[1], "FDSTOREREMOVE=1\nFDNAME=media");
        assert_eq!(texts[0], texts[2]);
    }

    #[test]
    fn what_is_forgotten_can_be_kept_again() {
        let (socket, store) = listener("forget");
        let (one, _two) = UnixStream::pair().expect("a pair");
        store.keep("media", one.as_fd()).expect("sent");
        store.forget("media");
        store.keep("media", one.as_fd()).expect("sent");
        let counts: Vec<usize> = (0..3).map(|_| received(&socket).1.len()).collect();
        assert_eq!(counts, [1, 0, 1]);
    }

    #[test]
    fn states_are_told() {
        let (socket, store) = listener("states");
        store.ready();
        store.stopping();
        assert_eq!(received(&socket).0, "READY=1");
        assert_eq!(received(&socket).0, "STOPPING=1");
    }

    #[test]
    fn a_socket_with_a_path_is_reached_as_well() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let store = Store::at(path.as_os_str(), BTreeSet::new()).expect("a store");
        store.ready();
        assert_eq!(received(&socket).0, "READY=1");
    }

    #[test]
    fn a_name_that_the_protocol_cannot_carry_is_refused() {
        let (_socket, store) = listener("names");
        let (one, _two) = UnixStream::pair().expect("a pair");
        for name in ["", "a:b", "a b", "a\nREADY=1", &"x".repeat(256)] {
            assert!(store.keep(name, one.as_fd()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn without_a_keeper_nothing_happens_and_nothing_fails() {
        let store = Store { keeper: None };
        let (one, _two) = UnixStream::pair().expect("a pair");
        store.keep("media", one.as_fd()).expect("no effect");
        store.forget("media");
        store.ready();
        store.stopping();
        assert!(!store.is_there());
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        assert!(Store::at("vsock:2:1".as_ref(), BTreeSet::new()).is_err());
    }
}

//! A decrypted copy of a stream for a mixer. A tap never slows the talk: what does not fit is dropped and counted.

use crate::metrics::{DropReason, Metrics};
use lianmai_mixer_control::media::{HEADER_LEN, HostId, Kind, MAX_LEN, Message};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// One mixer's socket for one stream.
#[derive(Debug)]
pub(crate) struct Tap {
    host: HostId,
    socket: OwnedFd,
    closed: bool,
}

impl Tap {
    pub(crate) const fn new(host: HostId, socket: OwnedFd) -> Self {
        Self {
            host,
            socket,
            closed: false,
        }
    }

    /// A packet of the stream.
    pub(crate) fn send(&mut self, kind: Kind, arrival_ns: u64, body: &[u8], metrics: &Metrics) {
        match self.try_send(&Message {
            kind,
            host: self.host,
            arrival_ns,
            body,
        }) {
            Ok(()) => _ = metrics.tapped.inc(),
            Err(reason) => metrics.dropped.inc(reason),
        }
    }

    /// What the round trip to the host is.
    pub(crate) fn send_round_trip(&mut self, now_ns: u64, round_trip: Duration, metrics: &Metrics) {
        let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        self.send(Kind::RoundTrip, now_ns, &nanos.to_be_bytes(), metrics);
    }

    fn try_send(&mut self, message: &Message<'_>) -> Result<(), DropReason> {
        if self.closed {
            return Err(DropReason::TapClosed);
        }
        if message.body.len() > MAX_LEN - HEADER_LEN {
            return Err(DropReason::TapOversized);
        }
        let header = message.header();
        let parts = [IoSlice::new(&header), IoSlice::new(message.body)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(self.socket.as_raw_fd(), &parts, &[], flags, None) {
            Ok(_) => Ok(()),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Err(DropReason::TapFull),
            Err(error) => {
                tracing::debug!(host = self.host.0, %error, "the mixer closed its media socket");
                self.closed = true;
                Err(DropReason::TapClosed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tap;
    use crate::metrics::{DropReason, Metrics};
    use lianmai_mixer_control::media::{HostId, Kind, MAX_LEN, Message};
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    fn pair() -> (Tap, OwnedFd) {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).expect("a pair");
        (Tap::new(HostId(7), ours), theirs)
    }

    fn receive(socket: &OwnedFd) -> Vec<u8> {
        let mut buffer = vec![0; MAX_LEN];
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).expect("a message");
        buffer.truncate(len);
        buffer
    }

    #[test]
    fn header_and_body_arrive_as_one_message() {
        let (mut tap, mixer) = pair();
        let metrics = Metrics::default();
        tap.send(Kind::Rtp, 77, b"packet", &metrics);
        tap.send_round_trip(78, Duration::from_micros(5), &metrics);
        let bytes = receive(&mixer);
        let expected = Message {
            kind: Kind::Rtp,
            host: HostId(7),
            arrival_ns: 77,
            body: b"packet",
        };
        assert_eq!(Message::parse(&bytes), Ok(expected));
        let bytes = receive(&mixer);
        assert_eq!(
            Message::parse(&bytes).expect("a message").body,
            5_000u64.to_be_bytes()
        );
    }

    #[test]
    fn a_mixer_that_does_not_read_costs_packets_and_no_time() {
        let (mut tap, _mixer) = pair();
        let metrics = Metrics::default();
        (0..10_000).for_each(|_| tap.send(Kind::Rtp, 0, &[0; 1_200], &metrics));
        assert_eq!(
            metrics.tapped.get() + metrics.dropped(DropReason::TapFull),
            10_000
        );
        assert!(metrics.dropped(DropReason::TapFull) > 0 && metrics.tapped.get() > 0);
    }

    #[test]
    fn a_mixer_that_is_gone_is_not_tried_again() {
        let (mut tap, mixer) = pair();
        drop(mixer);
        let metrics = Metrics::default();
        tap.send(Kind::Rtp, 0, b"packet", &metrics);
        tap.send(Kind::Rtp, 0, b"packet", &metrics);
        assert!(tap.closed);
        assert_eq!(metrics.dropped(DropReason::TapClosed), 2);
    }

    #[test]
    fn what_no_mixer_takes_is_not_sent() {
        let (mut tap, _mixer) = pair();
        let metrics = Metrics::default();
        tap.send(Kind::Rtcp, 0, &[0; MAX_LEN], &metrics);
        assert_eq!(metrics.dropped(DropReason::TapOversized), 1);
    }
}

//! Invariant 2, seen from the publisher: an index is taken once, by whoever comes first.

use crate::packets::Rtp;
use crate::stage::{DROP, PASS, REDIRECT, RING, SSRC, Stage};
use lianmai_fanout::records::Outcome;
use lianmai_kernel::Claim;

/// RFC 3711 §3.3.2: a packet whose index was received before is a replay.
#[test]
fn a_replay_is_dropped() {
    let mut stage = Stage::new(0);
    let sealed: Vec<_> = (0..100).map(|n| stage.seal(&Rtp::new(SSRC, n, 100))).collect();
    for datagram in &sealed {
        assert_eq!(stage.ingress(datagram).action, REDIRECT);
    }
    for datagram in &sealed {
        let frame = stage.to_edge(datagram);
        assert_eq!(stage.judge(&frame), (Outcome::Replayed, DROP));
    }
}

#[test]
fn packets_out_of_order_are_all_taken_once() {
    let mut stage = Stage::new(0);
    let sealed: Vec<_> = (0..512).map(|n| stage.seal(&Rtp::new(SSRC, n, 60))).collect();
    let shuffled = (0..512).map(|n| n * 179 % 512);
    for n in shuffled {
        let accepted = stage.ingress(&sealed[n]);
        assert_eq!(stage.fan_out(&accepted).len(), 3, "packet {n}");
    }
    assert_eq!(stage.stream.packets(), 512);
}

/// What is behind the ring has no permission any more: the daemon, which remembers longer, judges it.
#[test]
fn a_packet_from_behind_the_window_is_not_taken() {
    let mut stage = Stage::new(0);
    let old = stage.seal(&Rtp::new(SSRC, 10, 100));
    assert_eq!(stage.ingress(&old).action, REDIRECT);
    stage.fill(u64::from(RING)..2 * u64::from(RING));
    let frame = stage.to_edge(&old);
    assert_eq!(stage.judge(&frame), (Outcome::NoPad, PASS));
}

#[test]
fn what_the_daemon_took_is_a_replay_for_the_kernel() {
    let mut stage = Stage::new(0);
    let sealed = stage.seal(&Rtp::new(SSRC, 7, 100));
    assert_eq!(stage.tokens.claim(7), Claim::Granted);
    let frame = stage.to_edge(&sealed);
    assert_eq!(stage.judge(&frame), (Outcome::Replayed, DROP));
}

/// Invariant 4: where pads end, packets go up and lose nothing; when there are pads again, they stay.
#[test]
fn where_pads_run_out_packets_go_to_the_daemon() {
    let mut stage = Stage::new(0);
    stage.stream.set_ready_until(5);
    let sealed: Vec<_> = (0..10).map(|n| stage.seal(&Rtp::new(SSRC, n, 100))).collect();
    for (n, datagram) in sealed.iter().enumerate() {
        let frame = stage.to_edge(datagram);
        let expected = if n < 5 {
            (Outcome::Accepted, REDIRECT)
        } else {
            (Outcome::NoPad, PASS)
        };
        assert_eq!(stage.judge(&frame), expected);
    }
    stage.stream.set_ready_until(10);
    for datagram in &sealed[5..] {
        assert_eq!(stage.ingress(datagram).action, REDIRECT);
    }
}

/// Invariant 5: a record that nobody renews dies.
#[test]
fn an_expired_stream_is_not_forwarded() {
    let mut stage = Stage::new(0);
    let sealed = stage.seal(&Rtp::new(SSRC, 3, 100));
    stage.stream.renew(1);
    let frame = stage.to_edge(&sealed);
    assert_eq!(stage.judge(&frame), (Outcome::Expired, PASS));
    stage.stream.renew(u64::MAX);
    assert_eq!(stage.judge(&frame), (Outcome::Accepted, REDIRECT));
}

#[test]
fn a_withdrawn_stream_is_unknown() {
    let mut stage = Stage::new(0);
    let sealed = stage.seal(&Rtp::new(SSRC, 3, 100));
    stage.stream.withdraw();
    let frame = stage.to_edge(&sealed);
    assert_eq!(stage.judge(&frame), (Outcome::UnknownStream, PASS));
}

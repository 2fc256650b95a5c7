//! Invariant 1: no unverified packet is replicated.

use crate::packets::Rtp;
use crate::stage::{DROP, PASS, REDIRECT, SSRC, Stage};
use lianmai_fanout::records::Outcome;

/// Flips every bit of header and tag, and some of the payload, one at a time. None gets through, none uses anything up: the
/// genuine packet is accepted afterwards.
#[test]
fn one_flipped_bit_anywhere_keeps_a_packet_from_everybody() {
    let mut stage = Stage::new(1_000);
    let mut packet = Rtp::new(SSRC, 1_000, 300);
    packet.csrcs = 1;
    packet.extension = Some(([0xbe, 0xde], vec![0x10, 7, 0x31, 1, 2]));
    let genuine = stage.seal(&packet);
    let header_len = packet.header().len();
    let (payload, tag) = (header_len..genuine.len() - 16, genuine.len() - 16..genuine.len());
    let bits = (0..header_len * 8)
        .chain(payload.flat_map(|byte| [byte * 8 + byte % 8]))
        .chain(tag.start * 8..tag.end * 8);
    let mut forged = 0;
    for bit in bits {
        let mut datagram = genuine.clone();
        datagram[bit / 8] ^= 0x80 >> (bit % 8);
        let frame = stage.to_edge(&datagram);
        let (outcome, action) = stage.judge(&frame);
        match outcome {
            Outcome::Forged => {
                assert_eq!(action, DROP, "bit {bit}");
                forged += 1;
            }
            // Another version, sequence number, SSRC or length is another packet: the daemon looks at it.
            Outcome::Control | Outcome::NoPad | Outcome::UnknownStream | Outcome::Oversized => {
                assert_eq!(action, PASS, "bit {bit}");
            }
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    assert!(forged > 500, "{forged}");
    let mut copies = 0;
    stage.programs.copies().take(10, |_, _, _| copies += 1);
    assert_eq!((copies, stage.stream.packets()), (0, 0));
    let accepted = stage.ingress(&genuine);
    assert_eq!(stage.fan_out(&accepted).len(), 3);
}

/// A packet that is right for another key of the room is a forgery here.
#[test]
fn a_packet_sealed_under_the_key_of_a_leg_is_refused() {
    let mut stage = Stage::new(0);
    let packet = Rtp::new(SSRC, 5, 200);
    let other = crate::keys::seal(&mut crate::keys::Master(2).context(), &packet.bytes());
    let frame = stage.to_edge(&other);
    assert_eq!(stage.judge(&frame), (Outcome::Forged, DROP));
}

/// RFC 3711 §3.3.1: the rollover counter is authenticated, though it is not sent.
#[test]
fn a_packet_of_another_cycle_of_sequence_numbers_is_refused() {
    let mut stage = Stage::new(65_536 + 100);
    // This publisher starts with rollover counter 0, the permissions are for 1.
    let sealed = stage.seal(&Rtp::new(SSRC, 150, 200));
    let frame = stage.to_edge(&sealed);
    assert_eq!(stage.judge(&frame), (Outcome::Forged, DROP));
}

#[test]
fn a_million_ssrcs_that_nobody_has_change_nothing() {
    let mut stage = Stage::new(0);
    let sealed = stage.seal(&Rtp::new(SSRC, 5, 20));
    let mut frame = stage.to_edge(&sealed);
    for ssrc in 0..1_000_000u32 {
        let ssrc = ssrc.wrapping_mul(2_654_435_761);
        if ssrc == SSRC {
            continue;
        }
        frame[50..54].copy_from_slice(&ssrc.to_be_bytes());
        assert_eq!(stage.programs.ingress(&frame).action, PASS);
    }
    let outcomes = stage.programs.outcomes();
    assert!(outcomes.get(Outcome::UnknownStream) >= 999_999);
    assert_eq!(outcomes.get(Outcome::Accepted), 0);
    let accepted = stage.ingress(&sealed);
    assert_eq!(accepted.action, REDIRECT);
}

//! What leaves: opened by every subscriber, rewritten for every leg, sealed once.

use crate::packets::Rtp;
use crate::stage::{DROP, REDIRECT, RING, SSRC, Stage, address, edge};
use lianmai_fanout::records::Outcome;
use lianmai_fanout::{AbsSendTime, LegHeader, PayloadType, Stamps, rewrite};
use lianmai_kernel::Claim;

const ONE_BYTE: [u8; 2] = [0xbe, 0xde];
const TWO_BYTE: [u8; 2] = [0x10, 0];

/// RFC 3711 §3.3.1: the rollover counter goes up when the sequence number wraps.
#[test]
fn every_leg_opens_every_packet_over_a_wrap_of_the_sequence_number() {
    let first = 65_536 - 200;
    let mut stage = Stage::new(first);
    for n in 0..400 {
        let index = first + n;
        let mut packet = Rtp::new(SSRC, index as u16, 1 + (n as usize * 37) % 1_232);
        if n % 3 == 0 {
            packet.extension = Some((ONE_BYTE, vec![0x10, 7, 0x31, 0, 0]));
        }
        let sealed = stage.seal(&packet);
        let accepted = stage.ingress(&sealed);
        for opened in stage.fan_out(&accepted) {
            assert!(opened.ends_with(&packet.payload), "packet {index}");
            assert_eq!(opened.len(), packet.bytes().len());
            assert_eq!((opened[1], &opened[2..12]), (0x80 | 109, &packet.header()[2..12]));
        }
    }
    let outcomes = stage.programs.outcomes();
    assert_eq!(
        (outcomes.get(Outcome::Accepted), outcomes.get(Outcome::Sealed)),
        (400, 1_200)
    );
    assert_eq!(stage.stream.packets(), 400);
}

/// Every length modulo the block and the word, and the longest.
#[test]
fn payloads_of_every_length_come_through() {
    let mut stage = Stage::new(1_000);
    let lengths = (1..=80).chain([255, 256, 1_199, 1_200, 1_215, 1_216, 1_217, 1_231, 1_232]);
    for (index, len) in (1_000..).zip(lengths) {
        let packet = Rtp::new(SSRC, index, len);
        let sealed = stage.seal(&packet);
        let accepted = stage.ingress(&sealed);
        for opened in stage.fan_out(&accepted) {
            assert!(opened.ends_with(&packet.payload), "{len} bytes");
        }
    }
}

/// The kernel's rewriting is the daemon's, for headers of every shape.
#[test]
fn headers_are_rewritten_as_the_daemon_would() {
    let mut stage = Stage::new(1_000);
    let elements: [Option<([u8; 2], Vec<u8>)>; 10] = [
        None,
        Some((ONE_BYTE, vec![])),
        Some((ONE_BYTE, vec![0x10, 9, 0x22, 1, 2, 3, 0x31, 8, 9])),
        Some((ONE_BYTE, vec![0, 0, 0x10, 9, 0, 0x31, 8, 9])),
        Some((ONE_BYTE, vec![0x53, 1, 2, 3, 4, 0x31, 8, 9])),
        Some((ONE_BYTE, vec![0x10, 9, 0xf0, 1, 0x31, 8, 9])),
        Some((ONE_BYTE, vec![0x10, 9, 0x3f, 1])),
        Some((TWO_BYTE, vec![1, 1, 9, 3, 2, 8, 9, 2, 3, 1, 2, 3])),
        Some((TWO_BYTE, vec![1, 0, 200, 2, 7, 7, 3, 9, 1])),
        Some(([0xab, 0xac], vec![0x10, 9, 0x31, 8, 9])),
    ];
    let legs = LegHeader {
        payload_type: PayloadType(109),
        extensions: crate::stage::extensions(),
    };
    let mut transport_sequence = 0;
    for (index, (csrcs, extension)) in (1_000..).zip((0..3).cycle().zip(elements.iter().cycle()).take(60)) {
        let mut packet = Rtp::new(SSRC, index, 50);
        packet.csrcs = csrcs;
        packet.extension.clone_from(extension);
        let sealed = stage.seal(&packet);
        let accepted = stage.ingress(&sealed);
        let opened = stage.fan_out(&accepted);
        let stamps = Stamps {
            transport_sequence,
            send_time: AbsSendTime::from_nanos(0),
        };
        let mut expected = packet.bytes();
        let written = rewrite(&mut expected, &legs, &stamps).expect("well formed");
        for (leg, mut opened) in stage.legs.iter().zip(opened) {
            if written.send_time {
                // The time is the kernel's; it stands where ours does.
                let zero = (0..expected.len() - 4).find(|&at| {
                    expected[at..at + 4] == [0x32, 0, 0, 0] || expected[at..at + 4] == [3, 3, 0, 0]
                });
                let at = zero.expect("the time") + if expected[zero.unwrap()] == 0x32 { 1 } else { 2 };
                assert_ne!(opened[at..at + 3], [0; 3]);
                opened[at..at + 3].fill(0);
            }
            assert_eq!(opened, expected, "{packet:?}");
            let what = leg.sealed(index.into());
            assert_eq!(usize::from(what.len), expected.len() + 16);
            assert_eq!(
                what.transport_sequence,
                if written.transport_sequence {
                    transport_sequence
                } else {
                    0
                }
            );
        }
        transport_sequence += u16::from(written.transport_sequence);
    }
    assert!(transport_sequence > 20);
}

#[test]
fn publishers_and_legs_of_either_version_of_ip_share_one_path() {
    let legs = ["192.0.2.21:6001", "[2001:db8::22]:6002", "192.0.2.23:6003"].map(address);
    for from in ["192.0.2.9:5000", "[2001:db8::9]:5000"] {
        let mut stage = Stage::with(address(from), &legs, 100);
        for index in 100..130 {
            let packet = Rtp::new(SSRC, index, usize::from(index) * 8);
            let sealed = stage.seal(&packet);
            let accepted = stage.ingress(&sealed);
            for opened in stage.fan_out(&accepted) {
                assert!(opened.ends_with(&packet.payload), "from {from}");
            }
        }
    }
}

#[test]
fn as_many_legs_as_a_stream_may_have_are_served() {
    let legs: Vec<_> = (1..=15)
        .map(|n| address(&format!("192.0.2.{n}:{}", 6_000 + n)))
        .collect();
    let mut stage = Stage::with(address("192.0.2.99:5000"), &legs, 0);
    for index in 0..20 {
        let packet = Rtp::new(SSRC, index, 900);
        let sealed = stage.seal(&packet);
        let accepted = stage.ingress(&sealed);
        assert_eq!(stage.fan_out(&accepted).len(), 15);
    }
}

/// The daemon's copy is the packet as it came, verified: it opens under the publisher's key.
#[test]
fn the_daemon_gets_one_copy_of_every_accepted_packet() {
    let mut stage = Stage::new(500);
    let mut opener = crate::keys::Master(1).context();
    let packets: Vec<Rtp> = (500..540).map(|index| Rtp::new(SSRC, index, 700)).collect();
    let mut sealed = Vec::new();
    for packet in &packets {
        sealed.push(stage.seal(packet));
        let accepted = stage.ingress(sealed.last().unwrap());
        assert_eq!(accepted.action, REDIRECT);
    }
    let mut copies = Vec::new();
    let fan = stage.stream.fan().to_word();
    stage.programs.copies().take(1_000, |copy, header, payload| {
        assert_eq!((copy.fan, copy.arrival > 0), (fan, true));
        copies.push((copy.index, [header, payload].concat()));
    });
    assert_eq!(copies.len(), 40);
    for (((index, copy), packet), sealed) in copies.iter().zip(&packets).zip(&sealed) {
        assert_eq!(
            (*index, copy.as_slice()),
            (u64::from(packet.sequence), &sealed[..sealed.len() - 16])
        );
        let tagged = [copy.as_slice(), &sealed[sealed.len() - 16..]].concat();
        assert_eq!(crate::keys::open(&mut opener, &tagged), packet.bytes());
    }
}

/// Invariant 2, seen from the leg: what the daemon has sealed is not sealed again.
#[test]
fn a_pad_that_the_daemon_claimed_is_not_used() {
    let mut stage = Stage::new(10);
    assert_eq!(stage.legs[1].pads.claim(10), Claim::Granted);
    let packet = Rtp::new(SSRC, 10, 100);
    let sealed = stage.seal(&packet);
    let accepted = stage.ingress(&sealed);
    let actions: Vec<u32> = (0..3).map(|_| stage.programs.egress(&accepted).action).collect();
    assert_eq!(actions, [2, DROP, 2]);
    assert_eq!(stage.programs.outcomes().get(Outcome::PadTaken), 1);
}

/// The other way round: what the kernel has sealed, the daemon cannot claim.
#[test]
fn a_pad_that_the_kernel_used_is_not_there_for_the_daemon() {
    let mut stage = Stage::new(10);
    let sealed = stage.seal(&Rtp::new(SSRC, 10, 100));
    let accepted = stage.ingress(&sealed);
    stage.fan_out(&accepted);
    assert_eq!(stage.tokens.claim(10), Claim::AlreadyClaimed);
    for leg in &stage.legs {
        assert_eq!(leg.pads.claim(10), Claim::AlreadyClaimed);
    }
}

/// Invariant 2: copies of one packet beyond its legs, and copies that come twice, seal nothing.
#[test]
fn more_copies_than_legs_are_dropped() {
    let mut stage = Stage::new(10);
    let sealed = stage.seal(&Rtp::new(SSRC, 10, 100));
    let accepted = stage.ingress(&sealed);
    stage.fan_out(&accepted);
    assert_eq!(stage.programs.egress(&accepted).action, DROP);
    assert_eq!(stage.programs.outcomes().get(Outcome::Refused), 1);
}

/// Invariant 3: a frame that did not come by way of ingress is dropped, whatever it holds.
#[test]
fn a_frame_without_metadata_does_not_leave() {
    let mut stage = Stage::new(10);
    let sealed = stage.seal(&Rtp::new(SSRC, 10, 100));
    let bare = lianmai_kernel::Run::of_frame(&stage.to_edge(&sealed));
    assert_eq!(stage.programs.egress(&bare).action, DROP);
    assert_eq!(stage.programs.outcomes().get(Outcome::Refused), 1);
    assert_eq!(edge(address("192.0.2.9:1")).port(), crate::stage::MEDIA_PORT);
}

#[test]
fn a_stream_without_legs_is_taken_for_the_daemon_alone() {
    let mut stage = Stage::with(address("192.0.2.9:5000"), &[], 10);
    let sealed = stage.seal(&Rtp::new(SSRC, 10, 100));
    let accepted = stage.ingress(&sealed);
    assert_eq!(accepted.action, DROP);
    let mut copies = 0;
    stage.programs.copies().take(10, |_, _, _| copies += 1);
    assert_eq!(copies, 1);
    assert_eq!(stage.tokens.len(), RING);
}

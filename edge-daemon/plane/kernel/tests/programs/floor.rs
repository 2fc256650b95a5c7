//! The floor of the benchmark does what it is compared for: every leg gets the packet, with checksums.

use crate::packets::{Received, Rtp, frame};
use crate::stage::{MEDIA_PORT, PASS, REDIRECT, SSRC, address, edge, headers};
use lianmai_kernel::FloorByHand;

#[test]
fn every_leg_gets_the_packet_as_it_was() {
    let legs = ["192.0.2.21:6001", "192.0.2.22:6002", "192.0.2.23:6003"].map(address);
    let mut floor =
        FloorByHand::load(MEDIA_PORT, &legs.map(headers)).unwrap_or_else(|error| panic!("{error}"));
    let from = address("192.0.2.9:5000");
    for sequence in 1..4 {
        let packet = Rtp::new(SSRC, sequence, 1_150).bytes();
        let accepted = floor.ingress(&with_checksum(frame(from, edge(from), &packet)));
        assert_eq!(accepted.action, REDIRECT);
        for leg in legs {
            let sent = floor.egress(&accepted);
            assert_eq!(sent.action, PASS);
            let received = Received::parse(sent.frame());
            assert_eq!((received.source, received.destination), (edge(leg), leg));
            assert_eq!(received.payload, packet);
        }
    }
}

#[test]
fn what_is_no_media_is_left_to_the_kernel() {
    let leg = address("192.0.2.21:6001");
    let mut floor = FloorByHand::load(MEDIA_PORT, &[headers(leg)]).unwrap_or_else(|error| panic!("{error}"));
    let from = address("192.0.2.9:5000");
    let stun = frame(from, edge(from), &[0, 1, 0, 0]);
    assert_eq!(floor.ingress(&stun).action, PASS);
    let elsewhere = frame(from, address("192.0.2.1:53"), &Rtp::new(SSRC, 1, 100).bytes());
    assert_eq!(floor.ingress(&elsewhere).action, PASS);
}

/// The floor does not read payloads, so that it needs a checksum to begin with.
fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let covered = [&frame[26..34], &[0, 17], &frame[38..40], &frame[34..]].concat();
    let sum = lianmai_fanout::checksum::of_bytes(&covered);
    let checksum = lianmai_fanout::checksum::udp_complement(sum);
    frame[40..42].copy_from_slice(&checksum.to_ne_bytes());
    frame
}

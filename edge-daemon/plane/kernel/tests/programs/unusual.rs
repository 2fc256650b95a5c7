//! Invariant 4: what the programs do not handle goes up to the daemon unchanged.

use crate::packets::{Rtp, frame};
use crate::stage::{PASS, SSRC, Stage, address, edge};
use lianmai_fanout::records::Outcome;

/// The frame of a packet that would be accepted as it is.
fn genuine(stage: &mut Stage) -> Vec<u8> {
    let sealed = stage.seal(&Rtp::new(SSRC, 1, 200));
    stage.to_edge(&sealed)
}

fn goes_up(stage: &mut Stage, frame: &[u8], outcome: Outcome, what: &str) {
    let before = frame.to_vec();
    let run = stage.programs.ingress(frame);
    assert_eq!((run.action, run.frame()), (PASS, before.as_slice()), "{what}");
    assert_eq!(stage.judge(frame), (outcome, PASS), "{what}");
}

#[test]
fn tagged_fragmented_and_optioned_packets_go_up() {
    let mut stage = Stage::new(0);
    let plain = genuine(&mut stage);
    let with = |at: usize, value: u8| {
        let mut frame = plain.clone();
        frame[at] = value;
        frame
    };
    goes_up(&mut stage, &with(14, 0x46), Outcome::Unusual, "an IP option");
    goes_up(&mut stage, &with(20, 0x20), Outcome::Unusual, "a first fragment");
    goes_up(&mut stage, &with(21, 1), Outcome::Unusual, "a later fragment");
    goes_up(&mut stage, &with(23, 6), Outcome::NotOurs, "TCP");
    goes_up(&mut stage, &with(13, 6), Outcome::NotOurs, "ARP");
    goes_up(&mut stage, &with(37, 1), Outcome::NotOurs, "another port");
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    goes_up(&mut stage, &tagged, Outcome::Unusual, "a VLAN tag");
    let padded = [plain.clone(), vec![0; 4]].concat();
    goes_up(
        &mut stage,
        &padded,
        Outcome::Unusual,
        "a frame longer than its packet",
    );
    goes_up(
        &mut stage,
        &plain[..plain.len() - 1],
        Outcome::Unusual,
        "a frame shorter than its packet",
    );
}

#[test]
fn extension_headers_of_ipv6_go_up() {
    let from = address("[2001:db8::9]:5000");
    let mut stage = Stage::with(from, &[address("192.0.2.21:6001")], 0);
    let mut plain = genuine(&mut stage);
    plain[20] = 44;
    goes_up(&mut stage, &plain, Outcome::NotOurs, "a fragment header");
}

#[test]
fn control_goes_up() {
    let mut stage = Stage::new(0);
    for (first, second, what) in [
        (0, 1, "STUN"),
        (22, 254, "DTLS"),
        (0x80, 200, "RTCP"),
        (0x80, 206, "RTCP feedback"),
        (200, 0, "nothing known"),
    ] {
        let mut datagram = vec![0; 60];
        (datagram[0], datagram[1]) = (first, second);
        let frame = stage.to_edge(&datagram);
        goes_up(&mut stage, &frame, Outcome::Control, what);
    }
}

#[test]
fn packets_too_long_or_too_short_for_the_programs_go_up() {
    let mut stage = Stage::new(0);
    for len in [1_233, 1_300, 1_400] {
        let sealed = stage.seal(&Rtp::new(SSRC, 1, len));
        let frame = stage.to_edge(&sealed);
        goes_up(&mut stage, &frame, Outcome::Oversized, "a long payload");
    }
    let mut packet = Rtp::new(SSRC, 1, 100);
    packet.csrcs = 15;
    packet.extension = Some(([0xbe, 0xde], vec![0; 40]));
    let sealed = stage.seal(&packet);
    let frame = stage.to_edge(&sealed);
    goes_up(&mut stage, &frame, Outcome::Oversized, "a long header");
    let sealed = stage.seal(&Rtp::new(SSRC, 1, 0));
    let frame = stage.to_edge(&sealed);
    goes_up(&mut stage, &frame, Outcome::Oversized, "no payload");
    let frame = stage.to_edge(&[0x80, 96, 0, 1]);
    goes_up(&mut stage, &frame, Outcome::Oversized, "half a header");
}

/// An address is half of a stream's name: the right SSRC from elsewhere is nobody's.
#[test]
fn a_packet_from_another_address_or_port_goes_up() {
    let mut stage = Stage::new(0);
    let sealed = stage.seal(&Rtp::new(SSRC, 1, 100));
    for from in ["192.0.2.8:5000", "192.0.2.9:5001"] {
        let from = address(from);
        let frame = frame(from, edge(from), &sealed);
        goes_up(&mut stage, &frame, Outcome::UnknownStream, "from elsewhere");
    }
}

#[test]
fn frames_cut_anywhere_are_never_replicated() {
    let mut stage = Stage::new(0);
    let plain = genuine(&mut stage);
    for len in 14..plain.len() {
        let run = stage.programs.ingress(&plain[..len]);
        assert_eq!(run.action, PASS, "{len} bytes");
    }
    let before = stage.programs.outcomes();
    assert_eq!(before.get(Outcome::Accepted), 0);
}

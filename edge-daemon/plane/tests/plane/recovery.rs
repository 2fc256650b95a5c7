//! Losses on the way in and on the way out.

use crate::support::{GCM, Peer, Plane, VIDEO, VIDEO_RTX, packet, video, video_leg, video_track};
use lianmai_fanout::{PayloadType, RtpPacket, Ssrc};
use lianmai_plane::{DropReason, Retransmission};
use rtcp::transport_feedbacks::transport_layer_nack::{
    NackPair, TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use webrtc_util::marshal::Marshal;

fn start(rtx: Option<(u8, u32)>) -> (Plane, Peer, Peer) {
    let plane = Plane::start();
    let publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, rtx)]);
    (plane, publisher, leg)
}

fn nack(leg: &mut Peer, sequences: &[u16]) {
    let nacks = nack_pairs_from_sequence_numbers(sequences);
    let nack = TransportLayerNack {
        sender_ssrc: 1,
        media_ssrc: VIDEO,
        nacks,
    };
    leg.send_rtcp(&nack.marshal().expect("RTCP"));
}

/// RFC 4588 §4: the original's payload behind its sequence number, on another SSRC and payload type.
fn retransmission(payload_type: u8, ssrc: u32, sequence: u16, original: &[u8]) -> Vec<u8> {
    let original = RtpPacket::parse(original).expect("RTP");
    let osn = original.header.sequence.0.to_be_bytes();
    packet(
        payload_type,
        ssrc,
        sequence,
        &[],
        &[&osn, original.payload()].concat(),
    )
}

#[test]
fn a_leg_that_asks_again_is_answered_on_its_own_rtx_stream() {
    let (plane, mut publisher, mut leg) = start(Some((97, 0x77)));
    for sequence in 10..15 {
        publisher.send(&video(sequence));
        leg.expect_next(sequence);
    }
    nack(&mut leg, &[11, 13]);
    let mut numbers = Vec::new();
    for sequence in [11u16, 13] {
        let bytes = leg.receive();
        let rtx = RtpPacket::parse(&bytes).expect("RTP");
        assert_eq!(
            (rtx.header.payload_type, rtx.header.ssrc),
            (PayloadType(97), Ssrc(0x77))
        );
        assert_eq!(
            rtx.header.timestamp,
            u32::from(sequence) * 3_000,
            "that of the original"
        );
        let original = video(sequence);
        let original = RtpPacket::parse(&original).expect("RTP").payload().to_vec();
        assert_eq!(
            rtx.payload(),
            [sequence.to_be_bytes().to_vec(), original].concat()
        );
        numbers.push(rtx.header.sequence);
    }
    assert_eq!(numbers[1].since(numbers[0]), 1);
    assert_eq!(plane.metrics().retransmissions(Retransmission::Answered), 2);
    let snapshot = plane.snapshot();
    let stats = snapshot
        .endpoint(leg.id)
        .and_then(|endpoint| endpoint.leg.clone())
        .expect("a leg");
    assert_eq!((stats.packets, stats.retransmitted), (5, 2));
}

#[test]
fn a_leg_without_rtx_gets_no_second_seal_of_the_same_index() {
    let (plane, mut publisher, mut leg) = start(None);
    publisher.send(&video(1));
    leg.expect_next(1);
    nack(&mut leg, &[1]);
    plane.wait_until("it is counted", |_, metrics| {
        metrics.retransmissions(Retransmission::NotNegotiated) == 1
    });
    publisher.send(&video(2));
    leg.expect_next(2);
}

#[test]
fn a_packet_that_never_came_cannot_be_sent_again() {
    let (plane, mut publisher, mut leg) = start(Some((97, 0x77)));
    publisher.send(&video(1));
    publisher.send(&video(3));
    leg.expect_next(1);
    leg.expect_next(3);
    nack(&mut leg, &[2]);
    // Whether the leg's machine drops a number that it never sent, or the history misses it: no answer.
    publisher.send(&video(4));
    leg.expect_next(4);
    assert_eq!(plane.metrics().retransmissions(Retransmission::Answered), 0);
}

#[test]
fn retransmissions_have_a_budget() {
    let (plane, mut publisher, mut leg) = start(Some((97, 0x77)));
    for sequence in 0..400 {
        publisher.send(&video(sequence));
        leg.expect_next(sequence);
    }
    let all: Vec<u16> = (0..400).collect();
    nack(&mut leg, &all);
    plane.wait_until("all are decided", |_, metrics| {
        let outcomes = [Retransmission::Answered, Retransmission::OverBudget];
        outcomes
            .iter()
            .map(|&outcome| metrics.retransmissions(outcome))
            .sum::<u64>()
            == 400
    });
    let answered = plane.metrics().retransmissions(Retransmission::Answered);
    assert!(
        (100..=250).contains(&answered),
        "{answered} of 400, each of 915 bytes, from a burst of 128 KiB"
    );
}

#[test]
fn a_retransmission_of_the_publisher_reaches_legs_and_looks_like_the_original() {
    let (plane, mut publisher, mut leg) = start(None);
    publisher.send(&video(1));
    publisher.send(&video(3));
    publisher.send(&retransmission(103, VIDEO_RTX, 500, &video(2)));
    leg.expect_next(1);
    leg.expect_next(3);
    let bytes = leg.receive();
    let (received, original) = (RtpPacket::parse(&bytes).expect("RTP"), video(2));
    assert_eq!(
        (received.header.ssrc, received.header.sequence.0),
        (Ssrc(VIDEO), 2)
    );
    assert_eq!(
        received.payload(),
        RtpPacket::parse(&original).expect("RTP").payload()
    );
    // The original was only late, and a second retransmission was on its way.
    publisher.send(&video(2));
    publisher.send(&retransmission(103, VIDEO_RTX, 501, &video(3)));
    publisher.send(&video(4));
    leg.expect_next(4);
    assert_eq!(plane.metrics().dropped(DropReason::Duplicate), 2);
}

#[test]
fn padding_on_the_rtx_stream_is_a_probe_and_no_packet() {
    let (plane, mut publisher, mut leg) = start(None);
    publisher.send(&video(1));
    let mut probe = packet(103, VIDEO_RTX, 500, &[(3, &[0, 9])], &[0; 200]);
    probe[0] |= 0x20;
    *probe.last_mut().expect("not empty") = 200;
    publisher.send(&probe);
    publisher.send(&video(2));
    leg.expect_next(1);
    leg.expect_next(2);
    assert_eq!(plane.metrics().dropped(DropReason::RtxProbe), 1);
}

/// What got lost is asked for on the publisher's own feedback (RFC 4585 §6.2.1).
#[test]
fn a_gap_on_the_way_in_is_nacked() {
    let (_plane, mut publisher, _leg) = start(None);
    publisher.send(&video(1));
    publisher.send(&video(2));
    publisher.send(&video(5));
    let missing = publisher.receive_rtcp(|mut bytes| {
        let packets = rtcp::packet::unmarshal(&mut bytes).expect("RTCP");
        packets.iter().find_map(|packet| {
            let nack = packet.as_any().downcast_ref::<TransportLayerNack>()?;
            Some((
                nack.media_ssrc,
                nack.nacks
                    .iter()
                    .flat_map(NackPair::packet_list)
                    .collect::<Vec<_>>(),
            ))
        })
    });
    assert_eq!(missing, (VIDEO, vec![3, 4]));
}

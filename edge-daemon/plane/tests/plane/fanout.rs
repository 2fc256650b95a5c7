//! A publisher's packets reach its legs, as each leg negotiated them.

use crate::support::{
    AUDIO, GCM, Plane, SHA1, VIDEO, audio, audio_track, packet, video, video_leg, video_track,
};
use lianmai_fanout::{PayloadType, RtpPacket, Ssrc};
use lianmai_plane::{DropReason, PacketKind};
use lianmai_webrtc::media::Track;

fn extension(packet: &[u8], id: u8) -> Option<Vec<u8>> {
    RtpPacket::parse(packet)
        .expect("RTP")
        .extension(id)
        .map(<[u8]>::to_vec)
}

#[test]
fn every_leg_opens_its_copy_under_its_own_key_and_numbers() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![audio_track(), video_track()]);
    let mut legs = [
        plane.connect(2, GCM),
        plane.connect(3, SHA1),
        plane.connect(4, GCM),
    ];
    let numbers = [96u8, 125, 102];
    for (leg, number) in legs.iter().zip(numbers) {
        plane.subscribe(leg, &publisher, vec![video_leg(number, None)]);
    }
    for sequence in 65_530..=65_535u16 {
        let stamps: [(u8, &[u8]); 4] = [(4, b"1"), (2, &[9, 9, 9]), (3, &[0xaa, 0xaa]), (13, &[1])];
        publisher.send(&packet(102, VIDEO, sequence, &stamps, b"A picture"));
    }
    publisher.send(&video(0));
    for (leg, number) in legs.iter_mut().zip(numbers) {
        for (count, sequence) in (65_530..=65_535u16).enumerate() {
            let bytes = leg.receive();
            let received = RtpPacket::parse(&bytes).expect("RTP");
            assert_eq!(received.header.payload_type, PayloadType(number));
            assert_eq!(
                (received.header.ssrc, received.header.sequence.0),
                (Ssrc(VIDEO), sequence)
            );
            assert_eq!(received.header.timestamp, u32::from(sequence) * 3_000);
            assert_eq!(received.payload(), b"A picture");
            assert_eq!(
                extension(&bytes, 5),
                Some((count as u16).to_be_bytes().to_vec()),
                "its own count"
            );
            assert_ne!(
                extension(&bytes, 7),
                Some(vec![9, 9, 9]),
                "its own time of departure"
            );
            assert_eq!(extension(&bytes, 7).map(|time| time.len()), Some(3));
            assert_eq!(
                received.extensions().count(),
                2,
                "the mid and the orientation were not negotiated"
            );
        }
        leg.expect_next(0);
    }
    let snapshot = plane.snapshot();
    for leg in &legs {
        let stats = snapshot
            .endpoint(leg.id)
            .and_then(|endpoint| endpoint.leg.clone())
            .expect("a leg");
        assert_eq!(
            (stats.source, stats.packets, stats.retransmitted),
            (publisher.id, 7, 0)
        );
    }
    assert_eq!(plane.metrics().received(PacketKind::Rtp), 7);
    assert_eq!(plane.metrics().sent(PacketKind::Rtp), 21);
    assert_eq!(snapshot.transit.count, 21);
    assert!(snapshot.transit.p50 > 0 && snapshot.transit.p50 <= snapshot.transit.max);
}

#[test]
fn a_leg_gets_only_the_tracks_that_it_negotiated() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![audio_track(), video_track()]);
    let mut listener = plane.connect(2, GCM);
    plane.subscribe(&listener, &publisher, vec![audio_track()]);
    publisher.send(&video(1));
    publisher.send(&audio(7));
    let bytes = listener.receive();
    assert_eq!(RtpPacket::parse(&bytes).expect("RTP").header.ssrc, Ssrc(AUDIO));
}

#[test]
fn a_transport_sequence_number_is_not_added_where_the_publisher_sent_none() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, SHA1);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&video(1));
    publisher.send(&packet(102, VIDEO, 2, &[(3, &[1, 1])], b"x"));
    assert_eq!(extension(&leg.receive(), 5), None);
    assert_eq!(
        extension(&leg.receive(), 5),
        Some(vec![0, 0]),
        "and none is used up"
    );
}

#[test]
fn padding_in_the_extension_moves_no_byte_of_the_payload() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, SHA1);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    // The orientation is not negotiated on the leg: a whole word of its extension becomes padding.
    let sent = packet(102, VIDEO, 2, &[(13, &[1, 2, 3]), (3, &[1, 1])], b"the payload");
    publisher.send(&sent);
    let received = leg.receive();
    assert_eq!(received.len(), sent.len());
    assert_eq!(received[16..20], [0; 4]);
    assert_eq!(
        RtpPacket::parse(&received).expect("RTP").payload(),
        b"the payload"
    );
}

#[test]
fn a_loopback_gets_its_own_packets() {
    let plane = Plane::start();
    let mut host = plane.connect(1, GCM);
    plane.publish(&host, vec![audio_track(), video_track()]);
    let own = &host;
    plane.subscribe(own, own, vec![audio_track(), video_track()]);
    host.send(&video(9));
    host.expect_next(9);
    host.send(&audio(3));
    host.expect_next(3);
}

#[test]
fn an_unannounced_ssrc_is_learned_by_its_payload_type() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    let unannounced = Track {
        ssrc: None,
        rtx_ssrc: None,
        ..video_track()
    };
    plane.publish(
        &publisher,
        vec![
            Track {
                ssrc: None,
                ..audio_track()
            },
            unannounced,
        ],
    );
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&packet(102, 0x1234_5678, 40, &[], b"x"));
    leg.expect_next(40);
    let snapshot = plane.snapshot();
    let source = snapshot
        .endpoint(publisher.id)
        .and_then(|endpoint| endpoint.source.clone())
        .expect("a source");
    assert_eq!(source.tracks[0].ssrc, None);
    assert_eq!(
        (source.tracks[1].ssrc, source.tracks[1].packets),
        (Some(Ssrc(0x1234_5678)), 1)
    );
}

/// RFC 9143 §9.2: the mid tells tracks of one payload type apart.
#[test]
fn an_unannounced_ssrc_is_learned_by_its_mid() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    let track = |mid: &str| Track {
        mid: mid.to_owned(),
        ssrc: None,
        rtx_ssrc: None,
        ..video_track()
    };
    plane.publish(&publisher, vec![track("cam"), track("scr")]);
    publisher.send(&packet(102, 0x51, 1, &[(4, b"scr")], b"x"));
    publisher.send(&packet(102, 0xca, 1, &[(4, b"cam")], b"x"));
    plane.wait_until("both tracks have their SSRC", |snapshot, _| {
        let source = snapshot
            .endpoint(publisher.id)
            .and_then(|endpoint| endpoint.source.as_ref());
        let ssrcs: Vec<_> = source
            .into_iter()
            .flat_map(|source| &source.tracks)
            .map(|track| track.ssrc)
            .collect();
        ssrcs == [Some(Ssrc(0xca)), Some(Ssrc(0x51))]
    });
}

#[test]
fn a_payload_type_that_was_not_negotiated_reaches_nobody() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&packet(35, VIDEO, 1, &[], b"x"));
    publisher.send(&video(2));
    publisher.send(&packet(35, VIDEO, 3, &[], b"x"));
    publisher.send(&video(4));
    leg.expect_next(2);
    leg.expect_next(4);
    assert_eq!(plane.metrics().dropped(DropReason::UnknownPayloadType), 2);
}

//! RTCP, taps and events.

use crate::support::{
    AUDIO, GCM, Peer, Plane, SHA1, VIDEO, audio, audio_track, packet, video, video_leg, video_track,
};
use lianmai_mixer_control::media::{HostId, Kind, MAX_LEN, Message};
use lianmai_plane::{Command, DropReason, Event};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, setsockopt, socketpair, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use rtcp::extended_report::{DLRRReport, DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtcp::goodbye::Goodbye;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use webrtc_util::marshal::Marshal;

fn start(profile: lianmai_webrtc::SrtpProfile) -> (Plane, Peer, Peer) {
    let plane = Plane::start();
    let publisher = plane.connect(1, profile);
    plane.publish(&publisher, vec![audio_track(), video_track()]);
    let leg = plane.connect(2, profile);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    (plane, publisher, leg)
}

/// The first packet of this type.
fn find<T: Clone + 'static>(mut bytes: &[u8]) -> Option<T> {
    let packets = rtcp::packet::unmarshal(&mut bytes).expect("RTCP");
    packets
        .iter()
        .find_map(|packet| packet.as_any().downcast_ref::<T>().cloned())
}

fn sender_report(ssrc: u32) -> SenderReport {
    SenderReport {
        ssrc,
        ntp_time: 0xe6a1_b2c3_d4e5_f607,
        rtp_time: 0x1122_3344,
        packet_count: 10,
        octet_count: 9_000,
        ..SenderReport::default()
    }
}

fn compound(ssrc: u32) -> Vec<u8> {
    let name = SourceDescriptionItem {
        sdes_type: SdesType::SdesCname,
        text: "host-a".into(),
    };
    let description = SourceDescription {
        chunks: vec![SourceDescriptionChunk {
            source: ssrc,
            items: vec![name],
        }],
    };
    let report = sender_report(ssrc).marshal().expect("RTCP");
    [report, description.marshal().expect("RTCP")].concat()
}

#[test]
fn a_senders_report_reaches_its_legs_with_its_content_unchanged() {
    for profile in [GCM, SHA1] {
        let (plane, mut publisher, mut leg) = start(profile);
        publisher.send(&audio(1));
        publisher.send(&video(1));
        leg.expect_next(1);
        publisher.send_rtcp(&compound(AUDIO));
        publisher.send_rtcp(&compound(VIDEO));
        let relayed = leg.receive_rtcp(|bytes| Some(bytes.to_vec()));
        assert_eq!(
            relayed[..28],
            compound(VIDEO)[..28],
            "the audio is not on this leg, so neither is its report"
        );
        assert_eq!(find(&relayed), Some(sender_report(VIDEO)));
        let names = find::<SourceDescription>(&relayed).expect("its description");
        assert_eq!(names.chunks[0].source, VIDEO);
        assert_eq!(names.chunks[0].items[0].text, "host-a");
        drop(plane);
    }
}

#[test]
fn a_replayed_report_is_not_relayed_again() {
    for profile in [GCM, SHA1] {
        let (plane, mut publisher, mut leg) = start(profile);
        publisher.send(&video(1));
        leg.expect_next(1);
        let sealed = publisher.seal_rtcp(&compound(VIDEO));
        publisher.send_raw(&sealed);
        publisher.send_raw(&sealed);
        let mut later = sender_report(VIDEO);
        later.packet_count = 11;
        publisher.send_rtcp(&later.marshal().expect("RTCP"));
        assert_eq!(leg.receive_rtcp(find::<SenderReport>), sender_report(VIDEO));
        assert_eq!(leg.receive_rtcp(find::<SenderReport>), later);
        assert_eq!(plane.metrics().dropped(DropReason::Replayed), 1);
    }
}

/// A forged report could set the clocks of every viewer.
#[test]
fn a_report_in_the_clear_is_not_relayed() {
    let (plane, mut publisher, mut leg) = start(SHA1);
    publisher.send(&video(1));
    leg.expect_next(1);
    let forged = [compound(VIDEO), vec![0, 0, 0, 9], vec![0; 10]].concat();
    publisher.send_raw(&forged);
    let mut other = sender_report(VIDEO);
    other.packet_count = 11;
    publisher.send_rtcp(&other.marshal().expect("RTCP"));
    assert_eq!(leg.receive_rtcp(find::<SenderReport>), other);
    assert_eq!(plane.metrics().dropped(DropReason::Unencrypted), 1);
}

#[test]
fn the_end_of_a_stream_is_said_to_its_legs() {
    let (plane, mut publisher, mut leg) = start(GCM);
    publisher.send(&audio(1));
    publisher.send(&video(1));
    leg.expect_next(1);
    plane.apply(Command::Remove {
        endpoint: publisher.id,
    });
    assert_eq!(leg.receive_rtcp(find::<Goodbye>).sources, [VIDEO]);
    assert!(plane.snapshot().endpoint(publisher.id).is_none());
}

/// RFC 4585 §6.3.1.
#[test]
fn a_new_subscriber_makes_the_publisher_send_a_key_frame() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    publisher.send(&video(1));
    let leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    assert_eq!(
        publisher.receive_rtcp(find::<PictureLossIndication>).media_ssrc,
        VIDEO
    );
}

#[test]
fn a_subscriber_that_lost_the_picture_is_heard() {
    let (plane, mut publisher, mut leg) = start(GCM);
    publisher.send(&video(1));
    leg.expect_next(1);
    publisher.receive_rtcp(find::<PictureLossIndication>);
    let key_frame = packet(102, VIDEO, 2, &[], &[0x65, 1, 2, 3]);
    publisher.send(&key_frame);
    leg.expect_next(2);
    let lost = PictureLossIndication {
        sender_ssrc: 1,
        media_ssrc: VIDEO,
    };
    leg.send_rtcp(&lost.marshal().expect("RTCP"));
    assert_eq!(
        publisher.receive_rtcp(find::<PictureLossIndication>).media_ssrc,
        VIDEO
    );
    drop(plane);
}

#[test]
fn every_packet_is_reported_to_a_publisher_with_transport_wide_feedback() {
    let (_plane, mut publisher, _leg) = start(GCM);
    for sequence in 0..20u16 {
        let number = (sequence + 700).to_be_bytes();
        publisher.send(&packet(102, VIDEO, sequence, &[(3, &number)], b"x"));
    }
    let feedback = publisher.receive_rtcp(find::<TransportLayerCc>);
    assert_eq!(feedback.base_sequence_number, 700);
    assert!(feedback.packet_status_count > 0);
}

/// draft-alvestrand-rmcat-remb-03: two legs, and the publisher is held to what the weaker one can take.
#[test]
fn a_publisher_is_held_to_its_weakest_leg() {
    let (plane, mut publisher, mut weak) = start(GCM);
    let mut strong = plane.connect(3, GCM);
    plane.subscribe(&strong, &publisher, vec![video_leg(96, None)]);
    publisher.send(&video(1));
    weak.expect_next(1);
    strong.expect_next(1);
    for (leg, bitrate) in [(&mut strong, 2_000_000.0), (&mut weak, 400_000.0)] {
        let limit = ReceiverEstimatedMaximumBitrate {
            sender_ssrc: 1,
            bitrate,
            ssrcs: vec![VIDEO],
        };
        leg.send_rtcp(&limit.marshal().expect("RTCP"));
    }
    publisher.receive_rtcp(|bytes| {
        let limit = find::<ReceiverEstimatedMaximumBitrate>(bytes)?;
        (limit.bitrate <= 400_000.0 && limit.ssrcs.contains(&VIDEO)).then_some(())
    });
    let snapshot = plane.snapshot();
    let estimate = |leg: &Peer| snapshot.endpoint(leg.id)?.leg.as_ref()?.estimated_bitrate;
    assert!(
        estimate(&weak) <= Some(400_000) && estimate(&strong) > Some(400_000),
        "{snapshot:#?}"
    );
    plane.apply(Command::Remove { endpoint: weak.id });
    plane.wait_until("the weak leg no longer counts", |snapshot, _| {
        let source = snapshot
            .endpoint(publisher.id)
            .and_then(|endpoint| endpoint.source.as_ref());
        source.and_then(|source| source.allowed_bitrate) > Some(400_000)
    });
}

pub(crate) fn mixer() -> (OwnedFd, OwnedFd) {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).expect("a pair");
    setsockopt(&theirs, sockopt::ReceiveTimeout, &TimeVal::seconds(10)).expect("a timeout");
    (ours, theirs)
}

/// The next message for which `take` has something.
pub(crate) fn tapped<T>(socket: &OwnedFd, mut take: impl FnMut(&Message<'_>) -> Option<T>) -> T {
    let mut buffer = vec![0; MAX_LEN];
    for _ in 0..1_000 {
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).expect("within the time limit");
        if let Some(found) = take(&Message::parse(&buffer[..len]).expect("a message")) {
            return found;
        }
    }
    panic!("a thousand messages, but not the one");
}

#[test]
fn a_mixer_gets_the_packets_in_the_clear_with_their_arrival() {
    let (plane, mut publisher, mut leg) = start(GCM);
    let (ours, theirs) = mixer();
    plane.apply(Command::Tap {
        source: publisher.id,
        host: HostId(5),
        socket: ours,
    });
    publisher.send(&video(1));
    publisher.send_rtcp(&compound(VIDEO));
    let rtp = tapped(&theirs, |message| {
        assert_eq!((message.kind, message.host), (Kind::Rtp, HostId(5)));
        assert_eq!(
            message.body,
            video(1),
            "as the publisher sent it, not as a leg gets it"
        );
        Some(message.arrival_ns)
    });
    let rtcp = tapped(&theirs, |message| {
        assert_eq!(
            (message.kind, message.body),
            (Kind::Rtcp, compound(VIDEO).as_slice())
        );
        Some(message.arrival_ns)
    });
    assert!(rtp > 0 && rtp <= rtcp);
    plane.apply(Command::Untap { source: publisher.id });
    publisher.send(&video(2));
    leg.expect_next(1);
    leg.expect_next(2);
    plane.wait_until("the tap is gone", |snapshot, _| {
        let source = snapshot
            .endpoint(publisher.id)
            .and_then(|endpoint| endpoint.source.as_ref());
        source.is_some_and(|source| !source.tapped)
    });
    let nothing = recv(theirs.as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT);
    assert_eq!(nothing, Ok(0), "closed, and nothing after the first two");
}

#[test]
fn a_mixer_that_does_not_read_costs_the_talk_nothing() {
    let (plane, mut publisher, mut leg) = start(GCM);
    let (ours, _theirs) = mixer();
    plane.apply(Command::Tap {
        source: publisher.id,
        host: HostId(5),
        socket: ours,
    });
    for sequence in 0..1_000 {
        publisher.send(&video(sequence));
        leg.expect_next(sequence);
    }
    assert!(plane.metrics().dropped(DropReason::TapFull) > 0);
}

/// RFC 3611 §4.4 and §4.5: the publisher echoes our reference time.
#[test]
fn a_mixer_is_told_the_round_trip() {
    let (plane, mut publisher, _leg) = start(GCM);
    let (ours, theirs) = mixer();
    plane.apply(Command::Tap {
        source: publisher.id,
        host: HostId(5),
        socket: ours,
    });
    publisher.send(&audio(1));
    publisher.send(&video(1));
    let (sender, ntp) = publisher.receive_rtcp(|bytes| {
        let report = find::<ExtendedReport>(bytes)?;
        report.reports.iter().find_map(|block| {
            let reference = block
                .as_any()
                .downcast_ref::<ReceiverReferenceTimeReportBlock>()?;
            Some((report.sender_ssrc, reference.ntp_timestamp))
        })
    });
    let echo = DLRRReport {
        ssrc: sender,
        last_rr: (ntp >> 16) as u32,
        dlrr: 0,
    };
    let block = DLRRReportBlock { reports: vec![echo] };
    let answer = ExtendedReport {
        sender_ssrc: VIDEO,
        reports: vec![Box::new(block)],
    };
    publisher.send_rtcp(&answer.marshal().expect("RTCP"));
    let round_trip = tapped(&theirs, |message| {
        (message.kind == Kind::RoundTrip)
            .then(|| u64::from_be_bytes(message.body.try_into().expect("eight bytes")))
    });
    assert!(round_trip < 5_000_000_000, "{round_trip} ns over loopback");
}

#[test]
fn policy_hears_of_the_first_packet_and_of_speech() {
    let (mut plane, mut publisher, _leg) = start(GCM);
    let mut heard = Vec::new();
    // A packet every 20 ms, as a microphone sends them, until somebody is heard to speak.
    for sequence in 0..500 {
        publisher.send(&audio(sequence));
        if let Some(event) = plane.event_within(Duration::from_millis(20)) {
            heard.push(event);
        }
        if matches!(heard.last(), Some(Event::AudioLevel { .. })) {
            break;
        }
    }
    assert_eq!(
        heard.first(),
        Some(&Event::MediaStarted {
            endpoint: publisher.id
        })
    );
    let Some(Event::AudioLevel {
        source,
        level,
        speaking: true,
    }) = heard.last()
    else {
        panic!("no speech in {heard:?}");
    };
    assert_eq!(*source, publisher.id);
    assert!((30..60).contains(level), "-{level} dBov of packets at -30");
}

//! Offers of real clients, and what they are answered.

use lianmai_fanout::{PayloadType, Ssrc};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::sdp::{Answer, Local, Offer, SdpError, answer_publish, answer_subscribe};
use lianmai_webrtc::{Credentials, DtlsRole, Fingerprint, HashFunction};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

const CHROMIUM_PUBLISH: &str = include_str!("fixtures/chromium-publish.sdp");
const CHROMIUM_SUBSCRIBE: &str = include_str!("fixtures/chromium-subscribe.sdp");
const CHROMIUM_LOOPBACK: &str = include_str!("fixtures/chromium-loopback-datachannel.sdp");
const KURENTO_UTILS_PUBLISH: &str = include_str!("fixtures/kurento-utils-publish.sdp");
const KURENTO_UTILS_SUBSCRIBE: &str = include_str!("fixtures/kurento-utils-subscribe.sdp");
const KURENTO_UTILS_PLAN_B: &str = include_str!("fixtures/kurento-utils-planb-publish.sdp");
const FIREFOX_PUBLISH: &str = include_str!("fixtures/firefox-publish.sdp");
const FIREFOX_SUBSCRIBE: &str = include_str!("fixtures/firefox-subscribe.sdp");
const SAFARI_PUBLISH: &str = include_str!("fixtures/safari-publish.sdp");
const SAFARI_SUBSCRIBE: &str = include_str!("fixtures/safari-subscribe.sdp");
const GSTREAMER_WHIP: &str = include_str!("fixtures/gstreamer-whip.sdp");
const OBS_WHIP: &str = include_str!("fixtures/obs-whip.sdp");

const PUBLISHERS: [(&str, &str); 8] = [
    ("chromium", CHROMIUM_PUBLISH),
    ("chromium with a data channel", CHROMIUM_LOOPBACK),
    ("kurento-utils", KURENTO_UTILS_PUBLISH),
    ("kurento-utils, plan B", KURENTO_UTILS_PLAN_B),
    ("firefox", FIREFOX_PUBLISH),
    ("safari", SAFARI_PUBLISH),
    ("gstreamer", GSTREAMER_WHIP),
    ("obs", OBS_WHIP),
];
const SUBSCRIBERS: [(&str, &str); 4] = [
    ("chromium", CHROMIUM_SUBSCRIBE),
    ("kurento-utils", KURENTO_UTILS_SUBSCRIBE),
    ("firefox", FIREFOX_SUBSCRIBE),
    ("safari", SAFARI_SUBSCRIBE),
];

fn local() -> Local {
    Local {
        session_id: 4711,
        ice: Credentials {
            ufrag: "edgeUfrag".into(),
            pwd: "edgePasswordOfTwentyTwo".into(),
        },
        fingerprint: Fingerprint::of(HashFunction::Sha256, b"edge"),
        candidates: vec![
            "198.51.100.7:8444".parse().expect("v4"),
            "[2001:db8::7]:8444".parse().expect("v6"),
        ],
        rtx_ssrc: Ssrc(0x0ed6_e000),
    }
}

fn publish(offer: &str) -> Answer {
    answer_publish(&Offer::parse(offer).expect("an offer"), &local(), false).expect("an answer")
}

fn source(codec: Codec) -> Vec<Track> {
    let track = |kind, codec, payload_type, ssrc| Track {
        kind,
        mid: "x".into(),
        codec,
        payload_type: PayloadType(payload_type),
        rtx_payload_type: None,
        ssrc: Some(Ssrc(ssrc)),
        rtx_ssrc: None,
        extensions: ExtensionIds::default(),
        feedback: Feedback::default(),
    };
    vec![
        track(Kind::Audio, Codec::Opus, 1, 1111),
        track(Kind::Video, codec, 2, 2222),
    ]
}

fn subscribe(offer: &str, codec: Codec) -> Answer {
    let offer = Offer::parse(offer).expect("an offer");
    answer_subscribe(&offer, &local(), &source(codec), "alice_webcam").expect("an answer")
}

fn track(answer: &Answer, kind: Kind) -> &Track {
    answer
        .tracks
        .iter()
        .find(|track| track.kind == kind)
        .expect("a track of this kind")
}

/// The lines of the media sections, each from its `m=` line on.
fn sections(sdp: &str) -> Vec<Vec<&str>> {
    let mut sections = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections
}

#[test]
fn every_publisher_is_taken_with_opus_and_its_best_video_codec() {
    for (client, offer) in PUBLISHERS {
        let answer = publish(offer);
        assert_eq!(track(&answer, Kind::Audio).codec, Codec::Opus, "{client}");
        let expected = if client.contains("plan B") {
            Codec::Vp8
        } else {
            Codec::H264
        };
        assert_eq!(track(&answer, Kind::Video).codec, expected, "{client}");
    }
}

#[test]
fn constrained_baseline_is_chosen_before_baseline_and_high() {
    for (offer, number) in [
        (CHROMIUM_PUBLISH, 108),
        (FIREFOX_PUBLISH, 126),
        (SAFARI_PUBLISH, 98),
        (GSTREAMER_WHIP, 96),
    ] {
        assert_eq!(
            track(&publish(offer), Kind::Video).payload_type,
            PayloadType(number)
        );
    }
    let without_constrained = CHROMIUM_PUBLISH.replace("42e01f", "640c1f");
    assert_eq!(
        track(&publish(&without_constrained), Kind::Video).payload_type,
        PayloadType(102),
        "42001f"
    );
}

#[test]
fn a_publisher_of_high_profile_alone_falls_back_to_vp8() {
    let high = SAFARI_PUBLISH.replace("42e01f", "640c1f");
    assert_eq!(track(&publish(&high), Kind::Video).codec, Codec::Vp8);
}

#[test]
fn the_answer_has_the_sections_of_the_offer_in_their_order() {
    let subscribers = SUBSCRIBERS.map(|(_, offer)| (offer, subscribe(offer, Codec::H264).sdp));
    let publishers = PUBLISHERS.map(|(_, offer)| (offer, publish(offer).sdp));
    for (offer, answer) in publishers.into_iter().chain(subscribers) {
        let media = |sdp: &str| -> Vec<String> {
            let kind = |section: &Vec<&str>| section[0].split(' ').next().expect("a word").to_owned();
            sections(sdp).iter().map(kind).collect()
        };
        let mids = |sdp: &str| -> Vec<String> {
            sdp.lines()
                .filter(|line| line.starts_with("a=mid:"))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!((media(offer), mids(offer)), (media(&answer), mids(&answer)));
    }
}

#[test]
fn directions_are_mirrored() {
    for section in sections(&publish(CHROMIUM_PUBLISH).sdp) {
        assert!(section.contains(&"a=recvonly"));
    }
    for section in sections(&subscribe(CHROMIUM_SUBSCRIBE, Codec::H264).sdp) {
        assert!(section.contains(&"a=sendonly"));
    }
}

#[test]
fn every_taken_section_carries_the_lite_passive_transport() {
    let sdp = publish(GSTREAMER_WHIP).sdp;
    assert!(sdp.contains("a=ice-lite\r\n"));
    assert!(sdp.contains("a=group:BUNDLE video0 audio1\r\n"));
    for section in sections(&sdp) {
        for line in [
            "a=ice-ufrag:edgeUfrag",
            "a=ice-pwd:edgePasswordOfTwentyTwo",
            "a=setup:passive",
            "a=rtcp-mux",
            "a=candidate:1 1 udp 2130706431 198.51.100.7 8444 typ host",
            "a=candidate:2 1 udp 2130706175 2001:db8::7 8444 typ host",
            "a=end-of-candidates",
        ] {
            assert!(section.contains(&line), "{line}");
        }
        assert!(
            section
                .iter()
                .any(|line| line.starts_with("a=fingerprint:sha-256 "))
        );
    }
}

#[test]
fn reduced_size_rtcp_is_answered_where_offered() {
    let sections_of_safari = publish(SAFARI_PUBLISH).sdp;
    let [audio, video] = &sections(&sections_of_safari)[..] else {
        panic!("two sections")
    };
    assert!(!audio.contains(&"a=rtcp-rsize"));
    assert!(video.contains(&"a=rtcp-rsize"));
}

#[test]
fn the_announced_ssrcs_of_a_publisher_are_known() {
    let answer = publish(CHROMIUM_PUBLISH);
    let video = track(&answer, Kind::Video);
    assert_eq!(
        (video.ssrc, video.rtx_ssrc),
        (Some(Ssrc(654_194_185)), Some(Ssrc(1_737_015_312)))
    );
    assert_eq!(track(&answer, Kind::Audio).ssrc, Some(Ssrc(3_651_214_895)));
    let silent: String = FIREFOX_PUBLISH
        .lines()
        .filter(|line| !line.starts_with("a=ssrc"))
        .fold(String::new(), |text, line| text + line + "\r\n");
    assert!(
        publish(&silent)
            .tracks
            .iter()
            .all(|track| track.ssrc.is_none() && track.rtx_ssrc.is_none())
    );
}

#[test]
fn header_extensions_keep_the_offerers_ids() {
    let answer = publish(CHROMIUM_PUBLISH);
    let audio = ExtensionIds {
        mid: Some(4),
        audio_level: Some(1),
        abs_send_time: Some(2),
        transport_cc: Some(3),
        video_orientation: None,
    };
    assert_eq!(track(&answer, Kind::Audio).extensions, audio);
    let video = ExtensionIds {
        audio_level: None,
        video_orientation: Some(13),
        ..audio
    };
    assert_eq!(track(&answer, Kind::Video).extensions, video);
    assert!(!answer.sdp.contains("toffset") && !answer.sdp.contains("rtp-stream-id"));
}

#[test]
fn feedback_is_answered_as_offered_and_no_more() {
    let all = Feedback {
        nack: true,
        pli: true,
        fir: true,
        transport_cc: true,
        remb: true,
    };
    assert_eq!(track(&publish(CHROMIUM_PUBLISH), Kind::Video).feedback, all);
    let obs = publish(OBS_WHIP);
    assert_eq!(
        track(&obs, Kind::Video).feedback,
        Feedback {
            fir: false,
            transport_cc: false,
            ..all
        }
    );
    assert!(!obs.sdp.contains("transport-cc") && !obs.sdp.contains("ccm fir"));
}

#[test]
fn stereo_is_answered_where_offered() {
    assert!(
        publish(OBS_WHIP)
            .sdp
            .contains("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n")
    );
    assert!(
        publish(CHROMIUM_PUBLISH)
            .sdp
            .contains("a=fmtp:111 minptime=10;useinbandfec=1\r\n")
    );
}

#[test]
fn a_data_channel_is_refused_with_port_zero_and_stays_out_of_the_bundle() {
    let sdp = publish(CHROMIUM_LOOPBACK).sdp;
    assert!(sdp.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
    assert!(sdp.contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn a_second_video_section_is_refused() {
    let second = sections(CHROMIUM_PUBLISH)[1]
        .join("\r\n")
        .replace("a=mid:1", "a=mid:2");
    let offer = format!("{CHROMIUM_PUBLISH}{second}\r\n").replace("BUNDLE 0 1", "BUNDLE 0 1 2");
    let answer = publish(&offer);
    assert_eq!(answer.tracks.len(), 2);
    assert!(sections(&answer.sdp)[2][0].starts_with("m=video 0 "));
}

#[test]
fn loopback_returns_the_publishers_own_media() {
    let offer = Offer::parse(CHROMIUM_LOOPBACK).expect("an offer");
    let answer = answer_publish(&offer, &local(), true).expect("an answer");
    let lines = sections(&answer.sdp);
    assert!(lines[0].contains(&"a=sendrecv") && lines[1].contains(&"a=sendrecv"));
    assert_eq!(answer.loopback.len(), 2);
    for (sent, returned) in answer.tracks.iter().zip(&answer.loopback) {
        assert_eq!(
            (sent.ssrc, sent.payload_type),
            (returned.ssrc, returned.payload_type)
        );
    }
    assert!(
        answer_publish(&offer, &local(), false)
            .expect("an answer")
            .loopback
            .is_empty()
    );
}

#[test]
fn every_subscriber_gets_the_codec_of_the_source_under_its_own_numbers() {
    for (client, offer) in SUBSCRIBERS {
        for codec in [Codec::H264, Codec::Vp8] {
            let answer = subscribe(offer, codec);
            let video = track(&answer, Kind::Video);
            assert_eq!((video.codec, video.ssrc), (codec, Some(Ssrc(2222))), "{client}");
            let number = video.payload_type.0;
            let rtx = video.rtx_payload_type.expect("all of them offer RTX").0;
            assert!(offer.contains(&format!("a=fmtp:{rtx} apt={number}")), "{client}");
            assert!(
                answer.sdp.contains(&format!("a=fmtp:{rtx} apt={number}\r\n")),
                "{client}"
            );
        }
    }
}

#[test]
fn what_a_leg_is_sent_is_announced_for_browsers_of_all_ages() {
    let sdp = subscribe(CHROMIUM_SUBSCRIBE, Codec::H264).sdp;
    for line in [
        "a=msid:alice_webcam alice_webcam-video\r\n",
        "a=ssrc-group:FID 2222 248963072\r\n",
        "a=ssrc:2222 cname:alice_webcam\r\n",
        "a=ssrc:2222 msid:alice_webcam alice_webcam-video\r\n",
        "a=ssrc:248963072 cname:alice_webcam\r\n",
        "a=ssrc:1111 cname:alice_webcam\r\n",
    ] {
        assert!(sdp.contains(line), "{line}");
    }
}

#[test]
fn names_that_are_no_tokens_cannot_break_out_of_their_line() {
    let offer = Offer::parse(CHROMIUM_SUBSCRIBE).expect("an offer");
    let answer =
        answer_subscribe(&offer, &local(), &source(Codec::Vp8), "eve x\r\na=evil:名").expect("an answer");
    assert!(answer.sdp.contains("a=msid:eve-x--a-evil-- "));
    assert!(!answer.sdp.contains("\na=evil"));
}

#[test]
fn the_rtx_ssrc_of_a_leg_differs_from_what_it_repairs() {
    let offer = Offer::parse(CHROMIUM_SUBSCRIBE).expect("an offer");
    let clash = Local {
        rtx_ssrc: Ssrc(2222),
        ..local()
    };
    let answer = answer_subscribe(&offer, &clash, &source(Codec::H264), "s").expect("an answer");
    assert_eq!(track(&answer, Kind::Video).rtx_ssrc, Some(Ssrc(2223)));
}

#[test]
fn a_source_without_a_known_ssrc_is_not_repaired_on_an_ssrc_of_its_own() {
    let mut source = source(Codec::H264);
    source[1].ssrc = None;
    let offer = Offer::parse(CHROMIUM_SUBSCRIBE).expect("an offer");
    let answer = answer_subscribe(&offer, &local(), &source, "s").expect("an answer");
    let video = track(&answer, Kind::Video);
    assert_eq!((video.ssrc, video.rtx_ssrc), (None, None));
    assert!(!answer.sdp.contains("ssrc-group"));
}

#[test]
fn a_section_for_which_the_source_has_nothing_stays_idle() {
    let offer = Offer::parse(CHROMIUM_SUBSCRIBE).expect("an offer");
    let answer = answer_subscribe(&offer, &local(), &source(Codec::H264)[..1], "s").expect("an answer");
    assert_eq!(answer.tracks.len(), 1);
    let lines = sections(&answer.sdp);
    assert!(lines[1].contains(&"a=inactive") && !lines[1][0].starts_with("m=video 0"));
    assert!(answer.sdp.contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn a_subscriber_without_the_sources_codec_still_hears_it() {
    let h264_only: String = SAFARI_SUBSCRIBE.replace("VP8/90000", "VP9/90000");
    let answer = subscribe(&h264_only, Codec::Vp8);
    assert_eq!(
        answer.tracks.iter().map(|track| track.kind).collect::<Vec<_>>(),
        [Kind::Audio]
    );
    assert!(sections(&answer.sdp)[1].contains(&"a=inactive"));
}

#[test]
fn a_subscriber_that_can_take_nothing_is_told_what_the_stream_has() {
    let offer = Offer::parse(CHROMIUM_PUBLISH).expect("an offer");
    let error = answer_subscribe(&offer, &local(), &source(Codec::H264), "s").expect_err("sendonly");
    assert!(
        matches!(&error, SdpError::NothingToReceive(message) if message.contains("Opus and H264")),
        "{error}"
    );
}

#[test]
fn a_publisher_that_sends_nothing_is_refused() {
    let offer = Offer::parse(CHROMIUM_SUBSCRIBE).expect("an offer");
    assert!(matches!(
        answer_publish(&offer, &local(), false),
        Err(SdpError::NothingToPublish(_))
    ));
}

// RFC 9143 §7.3.1: the offerer-tagged section is the first of the group that is not refused.
#[test]
fn the_transport_of_the_first_bundled_section_counts() {
    let offer = GSTREAMER_WHIP.replacen("a=ice-ufrag:u7v2", "a=ice-ufrag:tagged", 1);
    assert!(
        Offer::parse(&offer)
            .expect("an offer")
            .remote()
            .ice
            .ufrag
            .starts_with("tagged")
    );
    let reversed = offer.replace("BUNDLE video0 audio1", "BUNDLE audio1 video0");
    assert!(
        Offer::parse(&reversed)
            .expect("an offer")
            .remote()
            .ice
            .ufrag
            .starts_with("u7v2")
    );
}

#[test]
fn session_level_transport_parameters_count_as_well() {
    let remote = Offer::parse(OBS_WHIP).expect("an offer").remote().clone();
    assert_eq!(
        (remote.ice.ufrag.as_str(), remote.role),
        ("Q8zk", DtlsRole::Server)
    );
}

// RFC 8842 §5.3: an offer of "passive" is answered with "active".
#[test]
fn a_passive_client_makes_us_the_dtls_client() {
    let answer = publish(&OBS_WHIP.replace("a=setup:actpass", "a=setup:passive"));
    assert_eq!(answer.remote.role, DtlsRole::Client);
    assert!(answer.sdp.contains("a=setup:active\r\n"));
}

#[test]
fn offers_that_break_a_rule_are_told_which() {
    let broken =
        |from: &str, to: &str| Offer::parse(&OBS_WHIP.replace(from, to)).expect_err("a broken offer");
    assert_eq!(broken("BUNDLE 0 1", "BUNDLE 0"), SdpError::NotBundled("1".into()));
    assert_eq!(
        broken("a=group:BUNDLE 0 1\n", ""),
        SdpError::NotBundled("0".into())
    );
    assert_eq!(broken("a=rtcp-mux\n", ""), SdpError::NoRtcpMux("0".into()));
    assert_eq!(broken("a=mid:1", "a=mid:0"), SdpError::DuplicateMid("0".into()));
    assert_eq!(
        broken("a=mid:1", "a=mid:a b"),
        SdpError::BadMid {
            index: 1,
            mid: "a b".into()
        }
    );
    assert_eq!(broken("a=ice-ufrag:Q8zk\n", ""), SdpError::NoIceCredentials);
    assert_eq!(
        broken("a=ice-ufrag:Q8zk", "a=ice-ufrag:Q8"),
        SdpError::BadIceCredentials
    );
    assert_eq!(
        broken("a=ice-ufrag:Q8zk", "a=ice-ufrag:Q8:zk"),
        SdpError::BadIceCredentials
    );
    assert_eq!(
        broken("a=setup:actpass", "a=setup:holdconn"),
        SdpError::BadSetup("holdconn".into())
    );
    assert!(matches!(
        broken("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        SdpError::BadFingerprint(_)
    ));
    assert_eq!(
        broken("a=fingerprint", "a=x-fingerprint"),
        SdpError::NoFingerprint
    );
    assert_eq!(broken("UDP/TLS/RTP/SAVPF", "RTP/AVP"), SdpError::NoMedia);
    assert!(matches!(broken("v=0", "GET / HTTP/1.1"), SdpError::Grammar(_)));
}

#[test]
fn oversized_offers_are_refused_before_they_are_read() {
    let long = format!("{OBS_WHIP}{}", "a=x\r\n".repeat(20_000));
    assert!(matches!(Offer::parse(&long), Err(SdpError::TooLong { .. })));
    let many = format!("{OBS_WHIP}{}", "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n".repeat(20));
    assert_eq!(
        Offer::parse(&many).expect_err("too many"),
        SdpError::TooManySections { count: 22, max: 16 }
    );
}

#[test]
fn a_fingerprint_of_an_unknown_hash_beside_a_known_one_is_no_obstacle() {
    let offer = OBS_WHIP.replace("a=setup:actpass", "a=setup:actpass\r\na=fingerprint:sha-1 AA:BB");
    assert_eq!(
        Offer::parse(&offer)
            .expect("an offer")
            .remote()
            .fingerprints
            .len(),
        1
    );
}

/// One change to the lines of an offer.
#[derive(Clone, Debug)]
enum Mutation {
    Delete(usize),
    Repeat(usize),
    Swap(usize, usize),
    Overwrite(usize, usize, char),
    Truncate(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<usize>().prop_map(Mutation::Delete),
        any::<usize>().prop_map(Mutation::Repeat),
        any::<(usize, usize)>().prop_map(|(a, b)| Mutation::Swap(a, b)),
        (
            any::<usize>(),
            any::<usize>(),
            prop_oneof![any::<char>(), prop::char::range('!', '~'), Just(' ')]
        )
            .prop_map(|(line, column, c)| Mutation::Overwrite(line, column, c)),
        any::<usize>().prop_map(Mutation::Truncate),
    ]
}

fn mutate(lines: &mut Vec<String>, mutation: &Mutation) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    match *mutation {
        Mutation::Delete(line) => drop(lines.remove(line % count)),
        Mutation::Repeat(line) => lines.push(lines[line % count].clone()),
        Mutation::Swap(a, b) => lines.swap(a % count, b % count),
        Mutation::Overwrite(line, column, c) => {
            let mut text: Vec<char> = lines[line % count].chars().collect();
            let column = column % text.len().max(1);
            text.splice(column..(column + 1).min(text.len()), [c]);
            lines[line % count] = text.into_iter().collect();
        }
        Mutation::Truncate(to) => lines.truncate(to % count),
    }
}

proptest! {
    #[test]
    fn damaged_offers_never_panic_and_their_answers_are_sdp(
        which in 0..PUBLISHERS.len() + SUBSCRIBERS.len(),
        mutations in prop::collection::vec(mutation(), 1..12),
    ) {
        let (_, text) = PUBLISHERS.into_iter().chain(SUBSCRIBERS).nth(which).expect("in range");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        mutations.iter().for_each(|mutation| mutate(&mut lines, mutation));
        let Ok(offer) = Offer::parse(&lines.join("\r\n")) else { return Ok(()) };
        let answers = [
            answer_publish(&offer, &local(), true),
            answer_subscribe(&offer, &local(), &source(Codec::H264), "stream"),
        ];
        for answer in answers.into_iter().flatten() {
            let parsed = sdp_types::Session::parse(answer.sdp.as_bytes()).expect("our answer is SDP");
            assert!(parsed.medias.iter().any(|media| media.port != 0));
        }
    }

    #[test]
    fn noise_is_no_offer(text in "\\PC{0,400}") {
        assert!(Offer::parse(&text).is_err());
    }
}

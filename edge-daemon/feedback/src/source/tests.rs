//! What a publisher hears of us, datagram by datagram, on a clock that is moved by hand.

use super::{Carries, Output, RtpArrival, Source, SourceConfig};
use crate::NtpTime;
use crate::wire::{Incoming, ReceptionBlock, SenderReport, parse};
use lianmai_fanout::{PayloadType, SequenceNumber, Ssrc};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use std::time::{Duration, Instant};

const OURS: Ssrc = Ssrc(0xed6e);
const AUDIO: Ssrc = Ssrc(0xa);
const VIDEO: Ssrc = Ssrc(0xb);
const RTX: Ssrc = Ssrc(0xc);
const MS: Duration = Duration::from_millis(1);

fn track(kind: Kind, codec: Codec) -> Track {
    let feedback = Feedback {
        nack: true,
        pli: true,
        fir: true,
        transport_cc: true,
        remb: true,
    };
    Track {
        kind,
        mid: "0".into(),
        codec,
        payload_type: PayloadType(96),
        rtx_payload_type: None,
        ssrc: None,
        rtx_ssrc: None,
        extensions: ExtensionIds::default(),
        feedback,
    }
}

fn config() -> SourceConfig {
    let tracks = vec![track(Kind::Audio, Codec::Opus), track(Kind::Video, Codec::H264)];
    SourceConfig {
        ours: OURS,
        cname: "edge".into(),
        reduced_size: false,
        tracks,
    }
}

/// A source whose clock runs from timeout to timeout.
struct Bench {
    start: Instant,
    now: Instant,
    source: Source,
    heard: Vec<(Duration, Vec<Incoming>)>,
    voices: Vec<(u8, bool)>,
}

impl Bench {
    fn new(config: SourceConfig) -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            source: Source::new(start, config),
            heard: Vec::new(),
            voices: Vec::new(),
        }
    }

    fn to(&mut self, ms: u32) {
        let end = self.start + ms * MS;
        while let Some(due) = self.source.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.source.handle_timeout(self.now);
            self.take();
            let next = self.source.next_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "a timeout that is not served would spin"
            );
        }
        self.now = end;
    }

    fn take(&mut self) {
        while let Some(output) = self.source.poll_output() {
            match output {
                Output::Rtcp(datagram) => {
                    let found = parse(&datagram).expect("we write what we can read");
                    self.heard.push((self.now - self.start, found));
                }
                Output::AudioLevel { level, speaking } => self.voices.push((level, speaking)),
            }
        }
    }

    fn arrive(&mut self, packet: RtpArrival) {
        self.source.on_rtp(
            self.now,
            &RtpArrival {
                arrival: self.now,
                ..packet
            },
        );
        self.take();
    }

    fn allow(&mut self, bitrate: Option<u64>) {
        self.source.set_allowed_bitrate(self.now, bitrate);
        self.take();
    }

    fn video(&mut self, seq: u16) {
        self.arrive(video(self.now, seq));
    }

    fn all<T>(&self, pick: impl Fn(&Incoming) -> Option<T>) -> Vec<(u128, T)> {
        let flat = self
            .heard
            .iter()
            .flat_map(|(at, found)| found.iter().map(|one| (at.as_millis(), one)));
        flat.filter_map(|(at, one)| Some((at, pick(one)?))).collect()
    }

    fn nacks(&self) -> Vec<(u128, Vec<u16>)> {
        self.all(|one| match one {
            Incoming::Nack { ssrc: VIDEO, seqs } => Some(seqs.iter().map(|seq| seq.0).collect()),
            _ => None,
        })
    }

    fn plis(&self) -> Vec<u128> {
        let plis = self.all(|one| matches!(one, Incoming::Pli { ssrc: VIDEO }).then_some(()));
        plis.into_iter().map(|(at, ())| at).collect()
    }

    fn rembs(&self) -> Vec<(u128, u64)> {
        self.all(|one| {
            if let Incoming::Remb { bitrate, .. } = one {
                Some(*bitrate)
            } else {
                None
            }
        })
    }

    fn blocks(&self) -> Vec<(u128, ReceptionBlock)> {
        let reports = self.all(|one| match one {
            Incoming::ReceiverReport { blocks, .. } if !blocks.is_empty() => Some(blocks.clone()),
            _ => None,
        });
        reports
            .into_iter()
            .flat_map(|(at, blocks)| blocks.into_iter().map(move |block| (at, block)))
            .collect()
    }
}

fn video(now: Instant, seq: u16) -> RtpArrival {
    RtpArrival {
        ssrc: VIDEO,
        kind: Kind::Video,
        seq: SequenceNumber(seq),
        timestamp: 0,
        arrival: now,
        transport_seq: None,
        size: 1_000,
        audio_level: None,
        carries: Carries::Media,
    }
}

#[test]
fn every_datagram_begins_with_a_report_and_a_name() {
    let mut bench = Bench::new(config());
    for step in 0..100_u16 {
        bench.to(u32::from(step) * 20);
        let packet = RtpArrival {
            transport_seq: Some(step),
            ..video(bench.now, step * 2)
        };
        bench.arrive(packet);
    }
    bench.source.request_key_frame(bench.now, VIDEO);
    bench.source.set_allowed_bitrate(bench.now, Some(500_000));
    bench.take();
    assert!(bench.heard.len() > 20);
    for (at, found) in &bench.heard {
        let [
            Incoming::ReceiverReport { sender: OURS, .. },
            Incoming::Cname { ssrc: OURS, .. },
            _,
            ..,
        ] = &found[..]
        else {
            panic!("at {at:?}: {found:?}");
        };
    }
}

#[test]
fn with_reduced_size_feedback_goes_alone_but_reports_stay_whole() {
    let mut bench = Bench::new(SourceConfig {
        reduced_size: true,
        ..config()
    });
    bench.video(1);
    bench.source.request_key_frame(bench.now, VIDEO);
    bench.take();
    assert_eq!(bench.heard[0].1, [Incoming::Pli { ssrc: VIDEO }]);
    bench.to(1_000);
    let (_, report) = &bench.heard[1];
    assert!(matches!(
        report[..],
        [
            Incoming::ReceiverReport { .. },
            Incoming::Cname { .. },
            Incoming::Rrtr { .. }
        ]
    ));
}

#[test]
fn reports_come_about_once_a_second_and_count_losses() {
    let mut bench = Bench::new(config());
    for seq in (0..1_000_u16).filter(|seq| seq % 10 != 5) {
        bench.to(u32::from(seq) * 10);
        bench.video(seq);
    }
    let blocks = bench.blocks();
    assert!((9..=13).contains(&blocks.len()), "{}", blocks.len());
    let gaps: Vec<_> = blocks.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| (750..=1_250).contains(gap)), "{gaps:?}");
    assert!(
        blocks[1..]
            .iter()
            .all(|(_, block)| (22..=30).contains(&block.fraction_lost)),
        "{blocks:?}"
    );
}

#[test]
fn the_publisher_s_report_comes_back_in_ours() {
    let mut bench = Bench::new(config());
    bench.video(1);
    let ntp = NtpTime(0x0000_1234_5678_0000);
    let report = SenderReport {
        ssrc: VIDEO,
        ntp,
        rtp: 0,
        packets: 1,
        octets: 1,
    };
    bench.source.on_rtcp(bench.now, &Incoming::SenderReport(report));
    bench.to(300);
    let (at, block) = bench.blocks()[0];
    assert_eq!((at, block.last_sr), (200, 0x1234_5678));
    assert_eq!(block.delay_since_last_sr, 65_536 / 5);
}

#[test]
fn a_lost_packet_is_asked_for_until_its_retransmission_comes_on_rtx() {
    let mut bench = Bench::new(config());
    bench.video(65_534);
    bench.video(1);
    bench.to(10);
    assert_eq!(bench.nacks(), [(10, vec![65_535, 0])]);
    bench.to(60);
    let recovered = Carries::Retransmission(VIDEO, SequenceNumber(65_535));
    let packet = RtpArrival {
        ssrc: RTX,
        carries: recovered,
        ..video(bench.now, 900)
    };
    bench.arrive(packet);
    bench.to(125);
    assert_eq!(bench.nacks()[1..], [(120, vec![0])]);
    assert_eq!(bench.source.counters().recovered, 1);
}

#[test]
fn bursts_and_scattered_losses_are_all_asked_for_once_at_first() {
    let lost = |seq: u16| (100..140).contains(&seq) || seq % 50 == 7 || seq == 399;
    let mut bench = Bench::new(config());
    for seq in (0..=400_u16).filter(|seq| !lost(*seq)) {
        bench.to(u32::from(seq));
        bench.video(seq);
    }
    bench.to(410);
    let mut asked: Vec<u16> = bench.nacks().into_iter().flat_map(|(_, seqs)| seqs).collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, (0..400).filter(|seq| lost(*seq)).collect::<Vec<_>>());
}

#[test]
fn nothing_is_asked_for_that_was_not_negotiated() {
    let mut plain = config();
    plain.tracks[1].feedback = Feedback {
        pli: true,
        ..Feedback::default()
    };
    plain.tracks[0].feedback = Feedback::default();
    let mut bench = Bench::new(plain);
    bench.video(1);
    bench.video(5);
    bench.allow(Some(400_000));
    bench.to(3_000);
    assert_eq!((bench.nacks(), bench.rembs()), (vec![], vec![]));
}

#[test]
fn a_gap_beyond_mending_asks_for_a_key_frame_instead() {
    let mut bench = Bench::new(config());
    bench.video(1);
    bench.video(1_000);
    bench.to(100);
    assert_eq!((bench.nacks(), bench.plis()), (vec![], vec![0]));
}

#[test]
fn twenty_subscribers_who_join_at_once_cost_one_key_frame_request() {
    let mut bench = Bench::new(config());
    bench.video(1);
    for _ in 0..20 {
        bench.source.request_key_frame(bench.now, VIDEO);
        bench.take();
    }
    bench.to(80);
    bench.source.on_key_frame(bench.now, VIDEO, SequenceNumber(2));
    bench.source.request_key_frame(bench.now, VIDEO);
    bench.to(10_000);
    assert_eq!(bench.plis()[..2], [0, 500]);
    bench.source.on_key_frame(bench.now, VIDEO, SequenceNumber(3));
    let before = bench.plis().len();
    bench.to(60_000);
    assert_eq!(bench.plis().len(), before, "a key frame ends the repetitions");
}

#[test]
fn a_key_frame_wanted_before_the_first_packet_is_asked_for_with_it() {
    let mut bench = Bench::new(config());
    bench.source.request_key_frames(bench.now);
    bench.to(700);
    assert!(bench.plis().is_empty());
    bench.video(1);
    bench.to(800);
    assert_eq!(bench.plis(), [700]);
}

#[test]
fn fir_serves_where_pli_was_not_negotiated() {
    let mut only_fir = config();
    only_fir.tracks[1].feedback.pli = false;
    let mut bench = Bench::new(only_fir);
    bench.video(1);
    bench.source.request_key_frame(bench.now, VIDEO);
    bench.take();
    let firs = bench.all(|one| {
        if let Incoming::Fir {
            ssrc: VIDEO,
            sequence,
        } = one
        {
            Some(*sequence)
        } else {
            None
        }
    });
    assert_eq!((firs, bench.plis()), (vec![(0, 1)], vec![]));
}

#[test]
fn the_weakest_leg_s_rate_is_told_each_second_and_at_once_when_it_falls() {
    let mut bench = Bench::new(config());
    bench.video(1);
    bench.allow(Some(1 << 20));
    bench.to(2_500);
    bench.allow(Some(300_000));
    bench.to(3_400);
    assert_eq!(
        bench.rembs(),
        [(0, 1 << 20), (1_000, 1 << 20), (2_000, 1 << 20), (2_500, 300_000)]
    );
}

#[test]
fn an_audio_only_publisher_is_not_limited_and_does_not_spin() {
    let mut bench = Bench::new(config());
    let packet = RtpArrival {
        ssrc: AUDIO,
        kind: Kind::Audio,
        ..video(bench.now, 1)
    };
    bench.arrive(packet);
    bench.allow(Some(150_000));
    bench.to(5_000);
    assert!(bench.rembs().is_empty());
}

#[test]
fn the_round_trip_is_learned_from_the_answer_to_our_clock() {
    let mut bench = Bench::new(config());
    bench.video(1);
    bench.to(200);
    let clocks = bench.all(|one| {
        if let Incoming::Rrtr { ntp, .. } = one {
            Some(*ntp)
        } else {
            None
        }
    });
    let [(200, sent)] = clocks[..] else {
        panic!("{clocks:?}")
    };
    bench.to(330);
    let delay = 65_536 / 10;
    let echo = Incoming::Dlrr {
        ssrc: OURS,
        last_rr: sent.middle(),
        delay,
    };
    let other = Incoming::Dlrr {
        ssrc: VIDEO,
        last_rr: sent.middle(),
        delay: 0,
    };
    bench.source.on_rtcp(bench.now, &other);
    assert_eq!(bench.source.round_trip(), None, "an answer to somebody else");
    bench.source.on_rtcp(bench.now, &echo);
    let known = bench.source.round_trip().unwrap();
    assert!(known.last.abs_diff(30 * MS) < MS, "{known:?}");
}

#[test]
fn arrivals_of_all_streams_go_into_one_feedback() {
    let mut bench = Bench::new(config());
    for step in 0..10_u16 {
        bench.to(u32::from(step) * 10);
        let ssrc = if step % 2 == 0 { VIDEO } else { AUDIO };
        let kind = if step % 2 == 0 { Kind::Video } else { Kind::Audio };
        let packet = RtpArrival {
            ssrc,
            kind,
            transport_seq: Some(step),
            ..video(bench.now, step / 2)
        };
        bench.arrive(packet);
    }
    bench.to(200);
    let feedbacks = bench.all(|one| match one {
        Incoming::TransportFeedback(feedback) => {
            Some((feedback.base, feedback.count, feedback.arrivals.len()))
        }
        _ => None,
    });
    assert_eq!(feedbacks, [(0, (0, 1, 1)), (100, (1, 9, 9))]);
}

#[test]
fn a_voice_is_reported_and_its_end_too() {
    let mut bench = Bench::new(config());
    for step in 0..50_u16 {
        bench.to(u32::from(step) * 20);
        let level = Some(if step < 25 { 20 } else { 127 });
        let packet = RtpArrival {
            ssrc: AUDIO,
            kind: Kind::Audio,
            audio_level: level,
            ..video(bench.now, step)
        };
        bench.arrive(packet);
    }
    bench.to(5_000);
    assert!(
        bench.voices.first().is_some_and(|(_, speaking)| *speaking),
        "{:?}",
        bench.voices
    );
    assert_eq!(bench.voices.last(), Some(&(127, false)));
}

#[test]
fn a_publisher_that_opens_streams_without_end_holds_eight() {
    let mut bench = Bench::new(config());
    for ssrc in 0..10_000 {
        bench.to(ssrc);
        let packet = RtpArrival {
            ssrc: Ssrc(ssrc),
            transport_seq: Some(ssrc as u16),
            ..video(bench.now, 1)
        };
        bench.arrive(packet);
    }
    assert_eq!(bench.source.statistics().count(), 8);
    assert_eq!(bench.source.counters().streams_evicted, 9_992);
}

#[test]
fn wild_packets_never_panic_and_outputs_nobody_polls_are_bounded() {
    let start = Instant::now();
    let mut source = Source::new(start, config());
    let mut state = 0x9e37_79b9_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    for step in 0..50_000_u32 {
        let now = start + step * MS;
        let ssrc = Ssrc(random() % 4);
        let packet = RtpArrival {
            ssrc,
            timestamp: random(),
            transport_seq: (random() % 3 > 0).then(|| random() as u16),
            audio_level: Some(random() as u8),
            carries: match random() % 3 {
                0 => Carries::Media,
                1 => Carries::Retransmission(Ssrc(random() % 4), SequenceNumber(random() as u16)),
                _ => Carries::Probe,
            },
            // Also times before the source began.
            arrival: start + Duration::from_micros(u64::from(random())) - Duration::from_secs(1),
            ..video(now, random() as u16)
        };
        source.on_rtp(now, &packet);
        source.on_key_frame(now, ssrc, SequenceNumber(random() as u16));
        source.on_xr_dlrr(now, OURS, random(), random());
        source.request_key_frame(now, ssrc);
        source.set_allowed_bitrate(now, (random() % 2 > 0).then(|| u64::from(random())));
        source.handle_timeout(now);
    }
    let left = std::iter::from_fn(|| source.poll_output()).count();
    assert_eq!(left, super::MAX_OUTPUTS);
    assert!(source.counters().outputs_dropped > 0);
}

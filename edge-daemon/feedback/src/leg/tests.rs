//! A leg on a simulated path: a bottleneck with a queue, in virtual time. The far end is our own [`Source`], so
//! its feedback is what steers the sender here.

use super::{Action, Leg, Sent};
use crate::source::{Carries, Output, RtpArrival, Source, SourceConfig};
use crate::wire::{Incoming, ReceptionBlock, TransportFeedback, parse};
use crate::{NtpTime, Weakest};
use lianmai_fanout::{SequenceNumber, Ssrc};
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::Kind;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const VIDEO: Ssrc = Ssrc(0xb);
const MS: Duration = Duration::from_millis(1);
const PACKET: usize = 1_200;
const FRAME: Duration = Duration::from_micros(33_333);
/// One way, without any queue.
const DELAY: Duration = Duration::from_millis(20);
/// An encoder follows a new limit about this late.
const ENCODER_LAG: Duration = Duration::from_millis(200);

enum Event {
    Frame,
    Arrive { seq: u16 },
    Feedback(Vec<u8>),
    Encoder(Option<u64>),
}

/// Publisher, edge, bottleneck and subscriber.
struct Path {
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    leg: Leg,
    weakest: Weakest,
    far: Source,
    capacity: u64,
    queue: Duration,
    free_at: Instant,
    /// Lost before the bottleneck, in 1/1000.
    random_loss: u64,
    wanted: u64,
    limit: Option<u64>,
    rate: f64,
    next_seq: u16,
    /// Spread of the one-way delay, as on a radio link.
    jitter: Duration,
    /// Every so many frames one is ten times as large and leaves in one burst; 0 for never.
    key_frames: u32,
    frames: u32,
    /// Left over from the last frame.
    carry: usize,
    delivered: usize,
    worst_delay: Duration,
    random: u64,
}

impl Path {
    fn new(capacity: u64, wanted: u64) -> Self {
        let start = Instant::now();
        let config = SourceConfig {
            ours: Ssrc(1),
            cname: "far".into(),
            reduced_size: false,
            tracks: Vec::new(),
        };
        let mut path = Self {
            now: start,
            events: BTreeMap::new(),
            serial: 0,
            leg: Leg::new(start),
            weakest: Weakest::default(),
            far: Source::new(start, config),
            capacity,
            queue: 300 * MS,
            free_at: start,
            random_loss: 0,
            wanted,
            limit: None,
            rate: 300_000.0,
            next_seq: 65_000,
            jitter: Duration::ZERO,
            key_frames: 0,
            frames: 0,
            carry: 0,
            delivered: 0,
            worst_delay: Duration::ZERO,
            random: 0x2545_f491_4f6c_dd1d,
        };
        path.at(Duration::ZERO, Event::Frame);
        path
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), event);
    }

    /// Runs for some seconds; returns what arrived in bits per second.
    fn run(&mut self, seconds: u32) -> u64 {
        let end = self.now + Duration::from_secs(seconds.into());
        self.delivered = 0;
        self.worst_delay = Duration::ZERO;
        while let Some(next) = self.next_time().filter(|at| *at <= end) {
            self.now = next;
            if self
                .events
                .first_key_value()
                .is_some_and(|((at, _), _)| *at <= next)
            {
                let (_, event) = self.events.pop_first().expect("just seen");
                self.handle(event);
            } else {
                self.far.handle_timeout(self.now);
            }
            self.collect_feedback();
        }
        self.now = end;
        self.delivered as u64 * 8 / u64::from(seconds)
    }

    fn next_time(&self) -> Option<Instant> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        event
            .into_iter()
            .chain(self.far.next_timeout())
            .min()
            .map(|at| at.max(self.now))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Frame => self.frame(),
            Event::Arrive { seq } => self.arrive(seq),
            Event::Feedback(datagram) => self.feedback(&datagram),
            Event::Encoder(limit) => self.limit = limit,
        }
    }

    /// The publisher ramps up as a browser does, up to what it wants and may.
    fn frame(&mut self) {
        let target = self.limit.map_or(self.wanted, |limit| limit.min(self.wanted)) as f64;
        self.rate = (self.rate * 1.01).min(target);
        self.frames += 1;
        let share = match self.key_frames {
            0 => 1.0,
            distance if self.frames.is_multiple_of(distance) => 10.0,
            distance => f64::from(distance - 10) / f64::from(distance - 1),
        };
        self.carry += (self.rate / 8.0 * FRAME.as_secs_f64() * share) as usize;
        while self.carry >= PACKET {
            self.carry -= PACKET;
            self.send();
        }
        self.at(FRAME, Event::Frame);
    }

    fn send(&mut self) {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        let sent = Sent {
            transport_seq: Some(seq),
            size: PACKET,
            ssrc: VIDEO,
            seq: SequenceNumber(seq),
        };
        self.leg.on_sent(self.now, &sent);
        let queued = self.free_at.saturating_duration_since(self.now);
        if queued > self.queue || self.roll() < self.random_loss {
            return;
        }
        let transmission = Duration::from_secs_f64(PACKET as f64 * 8.0 / self.capacity as f64);
        self.free_at = self.free_at.max(self.now) + transmission;
        self.worst_delay = self.worst_delay.max(queued);
        let jitter = self.jitter.mul_f64(self.roll() as f64 / 1_000.0);
        let arrival = self.free_at.saturating_duration_since(self.now) + DELAY + jitter;
        self.at(arrival, Event::Arrive { seq });
    }

    fn arrive(&mut self, seq: u16) {
        self.delivered += PACKET;
        let packet = RtpArrival {
            ssrc: VIDEO,
            kind: Kind::Video,
            seq: SequenceNumber(seq),
            timestamp: 0,
            arrival: self.now,
            transport_seq: Some(seq),
            size: PACKET,
            audio_level: None,
            carries: Carries::Media,
        };
        self.far.on_rtp(self.now, &packet);
    }

    fn collect_feedback(&mut self) {
        while let Some(output) = self.far.poll_output() {
            if let Output::Rtcp(datagram) = output {
                self.at(DELAY, Event::Feedback(datagram));
            }
        }
    }

    fn feedback(&mut self, datagram: &[u8]) {
        for incoming in parse(datagram).expect("our own") {
            self.leg.on_rtcp(self.now, &incoming);
        }
        let allowed = self.weakest.update(self.now, EndpointId(1), self.leg.estimate());
        self.at(ENCODER_LAG, Event::Encoder(allowed));
    }

    fn roll(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1_000
    }
}

#[test]
fn a_path_wider_than_the_stream_never_shows_a_limit() {
    let mut path = Path::new(20_000_000, 2_500_000);
    path.run(30);
    assert_eq!(path.leg.estimate(), None);
    assert!(path.run(10) > 2_400_000);
    let round_trip = path.leg.round_trip().expect("from feedback");
    assert!((40 * MS..60 * MS).contains(&round_trip.least), "{round_trip:?}");
}

#[test]
fn a_bottleneck_of_one_megabit_is_found_filled_and_kept_short_of_queues() {
    let mut path = Path::new(1_000_000, 2_500_000);
    path.run(20);
    for round in 0..6 {
        let through = path.run(10);
        let estimate = path.leg.estimate().expect("a limit");
        assert!(
            (780_000..=1_050_000).contains(&estimate),
            "round {round}: {estimate}"
        );
        assert!(through > 780_000, "round {round}: {through}");
        assert!(
            path.worst_delay < 200 * MS,
            "round {round}: {:?}",
            path.worst_delay
        );
    }
    assert!(
        path.leg.loss().is_some_and(|loss| loss < 0.02),
        "{:?}",
        path.leg.loss()
    );
}

#[test]
fn a_bottleneck_that_opens_is_climbed_again_and_one_that_closes_is_followed_down() {
    let mut path = Path::new(1_000_000, 2_500_000);
    path.run(30);
    path.capacity = 4_000_000;
    path.run(40);
    let through = path.run(10);
    assert!(through > 2_000_000, "{through} after it opened");
    path.capacity = 600_000;
    path.run(10);
    let through = path.run(10);
    let estimate = path.leg.estimate().expect("a limit");
    assert!(
        (420_000..=660_000).contains(&estimate),
        "{estimate} after it closed"
    );
    assert!(through > 420_000, "{through} after it closed");
}

#[test]
fn a_little_random_loss_is_no_limit() {
    let mut path = Path::new(20_000_000, 1_500_000);
    path.random_loss = 40;
    path.run(40);
    assert_eq!(path.leg.estimate(), None);
    assert!(
        path.leg.loss().is_some_and(|loss| (0.01..0.08).contains(&loss)),
        "{:?}",
        path.leg.loss()
    );
}

#[test]
fn heavy_loss_limits_and_its_end_lifts_the_limit_above_the_stream() {
    let mut path = Path::new(20_000_000, 1_500_000);
    path.run(10);
    path.random_loss = 300;
    path.run(10);
    let low = path.leg.estimate().expect("a limit");
    assert!(low < 800_000, "{low}");
    path.random_loss = 0;
    path.run(60);
    assert!(path.run(5) > 1_400_000);
}

#[test]
fn a_publisher_that_pauses_its_camera_does_not_sink_the_estimate() {
    let mut path = Path::new(1_000_000, 2_500_000);
    path.run(30);
    let before = path.leg.estimate().expect("a limit");
    path.wanted = 40_000;
    path.rate = 40_000.0;
    path.run(60);
    let after = path.leg.estimate().expect("a limit");
    assert!(after + 1_000 >= before.min(850_000), "{before} became {after}");
}

#[test]
fn key_frames_in_one_burst_do_not_choke_a_path_with_room() {
    let mut path = Path::new(5_000_000, 2_000_000);
    path.key_frames = 90;
    path.run(30);
    for round in 0..6 {
        let through = path.run(10);
        assert!(through > 1_900_000, "round {round}: {through}");
        assert!(path.worst_delay > 100 * MS, "the bursts do queue");
    }
}

#[test]
fn the_jitter_of_a_radio_link_is_no_congestion() {
    for jitter in [5, 10, 20, 40] {
        let mut path = Path::new(10_000_000, 2_000_000);
        path.jitter = jitter * MS;
        path.run(60);
        assert_eq!(path.leg.estimate(), None, "{jitter} ms");
        assert_eq!(
            path.leg.counters().unknown,
            0,
            "late packets are reported with known neighbours"
        );
    }
}

#[test]
fn a_path_below_the_floor_is_still_measured() {
    let mut path = Path::new(120_000, 1_000_000);
    path.run(30);
    let estimate = path.leg.estimate().expect("a limit");
    assert!(estimate < 150_000, "{estimate}");
    assert_eq!(
        path.weakest.allowed(),
        Some(crate::FLOOR),
        "but the room is not pressed below the floor"
    );
}

fn leg_that_sent(packets: u16) -> (Instant, Leg) {
    let start = Instant::now();
    let mut leg = Leg::new(start);
    for seq in 0..packets {
        let sent = Sent {
            transport_seq: None,
            size: PACKET,
            ssrc: VIDEO,
            seq: SequenceNumber(seq),
        };
        leg.on_sent(start + u32::from(seq) * 10 * MS, &sent);
    }
    (start + u32::from(packets) * 10 * MS, leg)
}

fn block(fraction_lost: u8, highest_seq: u32) -> ReceptionBlock {
    ReceptionBlock {
        ssrc: VIDEO,
        fraction_lost,
        cumulative_lost: 0,
        highest_seq,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    }
}

fn report(block: ReceptionBlock) -> Incoming {
    Incoming::ReceiverReport {
        sender: Ssrc(9),
        blocks: vec![block],
    }
}

#[test]
fn without_transport_feedback_receiver_reports_limit_by_loss_alone() {
    let (now, mut leg) = leg_that_sent(500);
    for second in 0..5_u32 {
        leg.on_rtcp(now + second * 1_000 * MS, &report(block(64, second * 100)));
    }
    let estimate = leg.estimate().expect("a quarter is lost");
    assert!(estimate < 960_000 * 9 / 10, "{estimate}");
    assert!(
        leg.loss().is_some_and(|loss| (0.2..0.3).contains(&loss)),
        "{:?}",
        leg.loss()
    );
}

#[test]
fn the_receiver_s_own_estimate_counts_while_it_is_fresh() {
    let (now, mut leg) = leg_that_sent(10);
    leg.on_rtcp(
        now,
        &Incoming::Remb {
            bitrate: 700_000,
            ssrcs: vec![VIDEO],
        },
    );
    assert_eq!(leg.estimate(), Some(700_000));
    let sent = Sent {
        transport_seq: None,
        size: 100,
        ssrc: VIDEO,
        seq: SequenceNumber(11),
    };
    leg.on_sent(now + Duration::from_secs(16), &sent);
    assert_eq!(leg.estimate(), None);
}

#[test]
fn the_echo_of_a_relayed_report_tells_the_round_trip_whatever_the_publisher_s_clock() {
    let (now, mut leg) = leg_that_sent(1);
    let ntp = NtpTime(0xdead_beef_0123_4567);
    leg.on_sender_report_sent(now, VIDEO, ntp);
    let echo = ReceptionBlock {
        last_sr: ntp.middle(),
        delay_since_last_sr: 65_536 / 4,
        ..block(0, 1)
    };
    leg.on_rtcp(now + 310 * MS, &report(echo));
    assert_eq!(leg.round_trip().map(|known| known.last), Some(60 * MS));
    let made_up = ReceptionBlock { last_sr: 77, ..echo };
    leg.on_rtcp(now + 9_000 * MS, &report(made_up));
    assert_eq!(leg.round_trip().map(|known| known.last), Some(60 * MS));
}

#[test]
fn requests_become_actions_once_and_only_for_streams_of_this_leg() {
    let (now, mut leg) = leg_that_sent(10);
    let seqs = vec![SequenceNumber(3), SequenceNumber(4)];
    let nack = Incoming::Nack {
        ssrc: VIDEO,
        seqs: seqs.clone(),
    };
    for _ in 0..3 {
        leg.on_rtcp(now, &nack);
        leg.on_rtcp(now, &Incoming::Pli { ssrc: VIDEO });
        leg.on_rtcp(
            now,
            &Incoming::Fir {
                ssrc: VIDEO,
                sequence: 1,
            },
        );
    }
    leg.on_rtcp(
        now,
        &Incoming::Nack {
            ssrc: Ssrc(99),
            seqs: seqs.clone(),
        },
    );
    leg.on_rtcp(now, &Incoming::Pli { ssrc: Ssrc(99) });
    assert_eq!(leg.poll_output(), Some(Action::Retransmit { ssrc: VIDEO, seqs }));
    assert_eq!(leg.poll_output(), Some(Action::KeyFrame { ssrc: VIDEO }));
    assert_eq!(leg.poll_output(), None);
    assert_eq!(leg.counters().unknown, 3);
}

#[test]
fn lies_of_a_subscriber_neither_panic_nor_pile_up() {
    let start = Instant::now();
    let mut leg = Leg::new(start);
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for step in 0..20_000_u32 {
        let now = start + step * MS;
        let ssrc = Ssrc((random() % 40) as u32);
        let sent = Sent {
            transport_seq: (random() % 4 > 0).then(|| {
                if random() % 50 == 0 {
                    random() as u16
                } else {
                    step as u16
                }
            }),
            size: (random() % 2_000) as usize,
            ssrc,
            seq: SequenceNumber(step as u16),
        };
        leg.on_sent(now, &sent);
        let feedback = TransportFeedback {
            sender: ssrc,
            media: ssrc,
            base: random() as u16,
            count: random() as u16,
            reference: (random() as i32) >> 8,
            sequence: 0,
            arrivals: (0..20).map(|at| (at * 7, i64::from(random() as i16))).collect(),
        };
        leg.on_rtcp(now, &Incoming::TransportFeedback(feedback));
        let seqs = (0..20).map(|_| SequenceNumber(random() as u16)).collect();
        leg.on_rtcp(now, &Incoming::Nack { ssrc, seqs });
        let block = ReceptionBlock {
            ssrc,
            last_sr: random() as u32,
            delay_since_last_sr: random() as u32,
            ..block(random() as u8, random() as u32)
        };
        leg.on_rtcp(now, &report(block));
        leg.on_rtcp(
            now,
            &Incoming::Remb {
                bitrate: random(),
                ssrcs: vec![],
            },
        );
    }
    assert!(std::iter::from_fn(|| leg.poll_output()).count() <= super::MAX_ACTIONS);
}

//! An hour of sound by fed timestamps, through the real timeline, jitter buffer, resampler and mixer: senders whose clocks
//! are off, packets that are late by a different time each, and a click every second that has to stay where it belongs.

use super::{A, B};
use crate::audio::{AudioMixer, BLOCK, CHANNELS, Pcm, SAMPLE_RATE};
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::jitter::{AudioItem, AudioJitter, Packet};
use lianmai_timeline::room::DECODE_MARGIN;
use lianmai_timeline::{EdgeTime, Kind, NtpTime, RtpTimestamp, SenderReport, Span, Ticker, Timeline};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

const START: EdgeTime = EdgeTime(50_000_000_000);
const PACKET: usize = 960;
const FRAMES: i64 = 30;

/// The senders' wallclock when they start.
const WALLCLOCK: NtpTime = NtpTime(3_900_000_000_000_000_000);
const SECOND: usize = SAMPLE_RATE as usize;

/// Clicks come in the middle of each of the sender's seconds, with its 16th picture.
const CLICK_AT: usize = SECOND / 2;

/// Until the timebase has settled.
const SETTLED: usize = 30;

/// Numbers of clicks over which positions are averaged.
const MINUTE: usize = 60;

/// A host that talks all the time, on a channel of its own, by a clock of its own.
struct Sender {
    id: HostId,
    channel: usize,
    ppm: f64,
    delay: Span,
    jitter: Span,
    second: Vec<f32>,
    random: StdRng,
    jitter_buffer: AudioJitter<i64>,
    /// By the time of arrival.
    on_its_way: BTreeMap<(EdgeTime, u64), Sent>,
    sent: u64,
    /// When the next of each is captured, in the sender's numbers.
    next: [i64; 2],
    /// Pictures that go with a click: when they are shown, before the room's delay.
    flashes: Vec<EdgeTime>,
    /// Clicks in the mix: their place in the stream, and the capture time that this stands for.
    clicks: Vec<(EdgeTime, EdgeTime)>,
}

enum Sent {
    Sound(i64),
    Picture(i64),
    Reports(i64),
}

impl Sender {
    fn new(id: HostId, channel: usize, ppm: f64, delay: i64, jitter: i64) -> Self {
        let mut second = vec![0.0; SECOND * CHANNELS];
        for frame in 0..SECOND {
            let hum = 0.02 * (std::f64::consts::TAU * 300.0 * frame as f64 / SECOND as f64).sin();
            second[frame * CHANNELS + channel] = hum as f32;
        }
        second[CLICK_AT * CHANNELS + channel] = 0.7;
        Self {
            id,
            channel,
            ppm,
            delay: Span::from_millis(delay),
            jitter: Span::from_millis(jitter),
            second,
            random: StdRng::seed_from_u64(u64::from(id.0)),
            jitter_buffer: AudioJitter::new(128),
            on_its_way: BTreeMap::new(),
            sent: 0,
            next: [0; 2],
            flashes: Vec::new(),
            clicks: Vec::new(),
        }
    }

    /// The true time at which the sender's clock has run for this long.
    fn true_time(&self, elapsed: Span) -> EdgeTime {
        START + Span((elapsed.0 as f64 / (1.0 + self.ppm * 1e-6)) as i64)
    }

    fn put(&mut self, at: EdgeTime, what: Sent) {
        let late = Span(self.random.random_range(0..=self.jitter.0));
        self.sent += 1;
        self.on_its_way.insert((at + self.delay + late, self.sent), what);
    }

    /// Sends what is captured by `now`.
    fn capture(&mut self, now: EdgeTime) {
        loop {
            let number = self.next[0];
            let ends = Span::from_ticks((number + 1) * PACKET as i64, i64::from(SAMPLE_RATE));
            if self.true_time(ends) > now {
                break;
            }
            self.next[0] += 1;
            self.put(self.true_time(ends), Sent::Sound(number));
            if number % 50 == 0 {
                self.put(self.true_time(ends), Sent::Reports(number));
            }
        }
        loop {
            let number = self.next[1];
            let at = self.true_time(Span::from_ticks(number, FRAMES));
            if at > now {
                break;
            }
            self.next[1] += 1;
            self.put(at, Sent::Picture(number));
        }
    }

    fn arrive(&mut self, now: EdgeTime, timeline: &mut Timeline<HostId>) {
        while let Some(entry) = self.on_its_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((arrival, _), sent) = entry.remove_entry();
            match sent {
                Sent::Sound(number) => {
                    let timestamp = RtpTimestamp((number * PACKET as i64) as u32);
                    timeline.on_packet(self.id, Kind::Audio, timestamp, arrival);
                    self.jitter_buffer.push(Packet {
                        sequence: number as u16,
                        timestamp,
                        marker: false,
                        payload: number,
                    });
                }
                Sent::Picture(number) => {
                    let timestamp = RtpTimestamp((number * 90_000 / FRAMES) as u32);
                    timeline.on_packet(self.id, Kind::Video, timestamp, arrival);
                    if number % FRAMES == FRAMES / 2 {
                        let shown = timeline.presentation_time(self.id, Kind::Video, timestamp);
                        self.flashes.push(shown.expect("it has a packet"));
                    }
                }
                Sent::Reports(number) => {
                    let elapsed = Span::from_millis(20 * (number + 1));
                    for kind in [Kind::Audio, Kind::Video] {
                        let report = SenderReport {
                            ntp: NtpTime(WALLCLOCK.0 + elapsed.0),
                            rtp: RtpTimestamp(elapsed.to_ticks(kind.clock_rate()) as u32),
                        };
                        timeline.on_sender_report(self.id, kind, report, arrival);
                    }
                    timeline.set_round_trip(self.id, self.delay * 2, arrival);
                }
            }
        }
    }

    /// Hands on what is next, as the ingest does.
    fn drain(&mut self, now: EdgeTime, timeline: &mut Timeline<HostId>, mixer: &mut AudioMixer) {
        let delay = timeline.room_delay(now) - DECODE_MARGIN;
        let captured = |timestamp| timeline.presentation_time(self.id, Kind::Audio, timestamp);
        let deadline = |timestamp| captured(timestamp).map(|captured| captured + delay);
        while let Some(item) = self.jitter_buffer.pop(now, deadline) {
            let AudioItem::Packet(packet) = item else { continue };
            let number = packet.payload;
            let at = number as usize % 50 * PACKET * CHANNELS;
            let pcm = Pcm {
                position: number * PACKET as i64,
                samples: self.second[at..at + PACKET * CHANNELS].to_vec(),
            };
            mixer.write(
                self.id,
                &pcm,
                captured(packet.timestamp).expect("it has a packet"),
            );
        }
    }

    /// Looks for its click in a block of the mix.
    fn listen(&mut self, pcm: &[i16], in_stream: EdgeTime, captured: EdgeTime) {
        let channel = pcm.iter().skip(self.channel).step_by(CHANNELS);
        let (frame, level) = channel
            .enumerate()
            .max_by_key(|(_, sample)| sample.unsigned_abs())
            .expect("a block");
        let is_new = |last: &(EdgeTime, EdgeTime)| in_stream - last.0 > Span::from_millis(500);
        if level.unsigned_abs() > 9_000 && self.clicks.last().is_none_or(is_new) {
            let into = Span::from_ticks(frame as i64, i64::from(SAMPLE_RATE));
            self.clicks.push((in_stream + into, captured + into));
        }
    }

    /// How long after each click it is heard in the stream, in milliseconds.
    fn latencies(&self) -> Vec<f64> {
        let truth =
            |second: usize| self.true_time(Span::from_ticks((second * SECOND + CLICK_AT) as i64, 48_000));
        let clicks = self.clicks.iter().enumerate();
        clicks
            .map(|(second, (heard, _))| (*heard - truth(second)).as_millis_f64())
            .collect()
    }

    /// How long after its flash each click is heard, in milliseconds.
    fn lip_sync(&self) -> Vec<f64> {
        let pairs = self.clicks.iter().zip(&self.flashes);
        pairs
            .map(|((_, heard), seen)| (*heard - *seen).as_millis_f64())
            .collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn spread(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    most - values.iter().copied().fold(f64::MAX, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).fold(0.0, f64::max)
}

/// Plays and mixes for some seconds.
fn play(senders: &mut [Sender], seconds: i64) {
    let (mut timeline, mut mixer) = (Timeline::new(), AudioMixer::new(None).expect("valid parameters"));
    for sender in &*senders {
        timeline.add_host(sender.id);
        mixer.add(sender.id);
    }
    let block_time = Span::from_ticks(BLOCK as i64, i64::from(SAMPLE_RATE));
    let mut blocks = Ticker::audio_blocks(START, SAMPLE_RATE, BLOCK as u32);
    while blocks.next_time() < START + Span::from_secs(seconds) {
        let now = blocks.next_time() + block_time;
        for sender in &mut *senders {
            sender.capture(now);
            sender.arrive(now, &mut timeline);
            sender.drain(now, &mut timeline, &mut mixer);
        }
        let tick = blocks.poll(now - block_time).expect("it is due");
        let from = tick.time - timeline.room_delay(now);
        let pcm = mixer.mix(from);
        for sender in &mut *senders {
            sender.listen(pcm, tick.time, from);
        }
    }
}

#[test]
fn in_an_hour_neither_a_fast_nor_a_slow_sender_drifts() {
    let mut senders = [
        Sender::new(A, 0, 100.0, 20, 12),
        Sender::new(B, 1, -100.0, 60, 25),
    ];
    play(&mut senders, 3_600);
    for sender in &senders {
        let latencies = &sender.latencies()[SETTLED..];
        let (first, last) = (&latencies[..MINUTE], &latencies[latencies.len() - MINUTE..]);
        let drift = mean(last) - mean(first);
        let lip_sync = &sender.lip_sync()[SETTLED..];
        println!(
            "{:+} ppm: {} clicks, drift {drift:+.2} ms in an hour, {:.2} ms between the earliest and the latest, \
             sound and picture at most {:.2} ms apart",
            sender.ppm,
            latencies.len(),
            spread(latencies),
            largest(lip_sync)
        );
        assert!(latencies.len() > 3_560, "{} clicks", latencies.len());
        assert!(drift.abs() < 5.0, "{:+} ppm: {drift} ms", sender.ppm);
        assert!(
            spread(latencies) < 12.0,
            "{:+} ppm: {}",
            sender.ppm,
            spread(latencies)
        );
        assert!(largest(lip_sync) <= 20.0, "{:+} ppm: {lip_sync:?}", sender.ppm);
    }
    let skews: Vec<f64> = senders[0]
        .latencies()
        .iter()
        .zip(senders[1].latencies())
        .skip(SETTLED)
        .map(|(a, b)| a - b)
        .collect();
    println!("the two hosts are at most {:.2} ms apart", largest(&skews));
    assert!(largest(&skews) <= 20.0);
}

//! A co-host: its packets and reports, each at its time.

use super::daemon::Daemon;
use bytes::Bytes;
use lianmai_mixer_control::media::{HostId, Kind};
use lianmai_mixer_control::{AudioSource, Codec, ToMixer, VideoSource};
use lianmai_timeline::{EdgeTime, Span};
use rtp::header::Header;
use rtp::packet::Packet;
use std::collections::{BTreeMap, BTreeSet};
use webrtc_util::marshal::Marshal;

const AUDIO: u8 = 111;
const VIDEO: u8 = 102;
const MILLION: i64 = 1_000_000;

/// One host that sends what it was given in real time.
pub(crate) struct Host {
    id: HostId,
    name: &'static str,
    codec: Codec,
    pictures: Vec<Vec<Bytes>>,
    sounds: Vec<Vec<u8>>,
    /// How long its packets take to the edge.
    delay: Span,
    /// Its wallclock less the edge's monotonic clock, when that was zero.
    wallclock: Span,
    /// How much its clocks run too fast, in millionths.
    ppm: i64,
    /// What is on its way: by the time of arrival.
    queue: BTreeMap<(EdgeTime, u64), (Kind, Vec<u8>)>,
}

impl Host {
    /// A host whose first picture and sound are captured at `start`.
    pub(crate) fn new(id: u32, name: &'static str, pictures: Vec<Vec<Bytes>>, sounds: Vec<Vec<u8>>) -> Self {
        let wallclock = Span::from_secs(3_900_000_000 + i64::from(id) * 17);
        Self {
            id: HostId(id),
            name,
            codec: Codec::H264,
            pictures,
            sounds,
            delay: Span::from_millis(5),
            wallclock,
            ppm: 0,
            queue: BTreeMap::new(),
        }
    }

    /// With pictures in VP8.
    pub(crate) fn with_vp8(mut self) -> Self {
        self.codec = Codec::Vp8;
        self
    }

    /// With a longer way to the edge.
    pub(crate) fn delayed(mut self, delay: Span) -> Self {
        self.delay = delay;
        self
    }

    /// With clocks that run too fast by this many millionths.
    pub(crate) fn drifting(mut self, ppm: i64) -> Self {
        self.ppm = ppm;
        self
    }

    /// Which host it is.
    pub(crate) fn id(&self) -> HostId {
        self.id
    }

    /// The RTP packets of video that are on their way.
    pub(crate) fn video(&self) -> BTreeSet<Vec<u8>> {
        let is_video = |(kind, body): &&(Kind, Vec<u8>)| *kind == Kind::Rtp && body[1] & 0x7f == VIDEO;
        let packets = self.queue.values().filter(is_video);
        packets.map(|(_, body)| body.clone()).collect()
    }

    /// Joins, with everything sent from `start` on.
    pub(crate) fn join(&mut self, daemon: &mut Daemon, start: EdgeTime) {
        daemon.say(&ToMixer::AddHost {
            host: self.id,
            name: self.name.to_owned(),
            audio: Some(AudioSource { payload_type: AUDIO }),
            video: Some(VideoSource {
                payload_type: VIDEO,
                codec: self.codec,
                orientation_extension: None,
            }),
        });
        self.schedule(start);
    }

    /// Sends what has arrived by `now`.
    pub(crate) fn send(&mut self, daemon: &Daemon, now: EdgeTime) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((arrival, _), (kind, body)) = entry.remove_entry();
            daemon.media(kind, self.id, arrival, &body);
        }
    }

    /// When its clocks, which began at `start`, have run for `elapsed`.
    pub(crate) fn time_of(&self, start: EdgeTime, elapsed: Span) -> EdgeTime {
        start + scaled(elapsed, MILLION, MILLION + self.ppm)
    }

    fn schedule(&mut self, start: EdgeTime) {
        let mut sequence = 65_500u16;
        let seconds = self.sounds.len() as i64 / 50;
        for (index, payloads) in std::mem::take(&mut self.pictures).into_iter().enumerate() {
            let elapsed = Span::from_ticks(index as i64, 30);
            let captured = self.time_of(start, elapsed);
            for (part, payload) in payloads.iter().enumerate() {
                sequence = sequence.wrapping_add(1);
                let timestamp = self.stamp(start, elapsed, 90_000);
                let marker = part + 1 == payloads.len();
                self.packet(captured, VIDEO, sequence, timestamp, marker, payload.clone());
            }
        }
        for (index, payload) in std::mem::take(&mut self.sounds).into_iter().enumerate() {
            // A packet is sent when the last of its sound was captured.
            let elapsed = Span::from_millis(20 * index as i64);
            let captured = self.time_of(start, elapsed);
            let timestamp = self.stamp(start, elapsed, 48_000);
            let sent = captured + Span::from_millis(20);
            self.packet(sent, AUDIO, index as u16, timestamp, false, payload.into());
        }
        for report in 0..(2 * seconds).max(30) {
            let now = start + Span::from_millis(100 + 500 * report);
            let compound = [self.report(now, VIDEO, 90_000), self.report(now, AUDIO, 48_000)].concat();
            self.put(now, Kind::Rtcp, compound);
            let round_trip = (self.delay * 2).0.unsigned_abs().to_be_bytes();
            self.put(now, Kind::RoundTrip, round_trip.to_vec());
        }
    }

    fn packet(
        &mut self,
        sent: EdgeTime,
        kind: u8,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: Bytes,
    ) {
        let header = Header {
            version: 2,
            marker,
            payload_type: kind,
            sequence_number: sequence,
            timestamp,
            ssrc: self.ssrc(kind),
            ..Header::default()
        };
        let packet = Packet { header, payload }.marshal().expect("marshals");
        self.put(sent, Kind::Rtp, packet.to_vec());
    }

    /// A sender report (RFC 3550 §6.4.1) without report blocks.
    fn report(&self, now: EdgeTime, kind: u8, rate: i64) -> Vec<u8> {
        let wallclock = (self.clock(now) + self.wallclock).0.unsigned_abs();
        let fraction = ((wallclock % 1_000_000_000) << 32) / 1_000_000_000;
        let words = [
            0x80c8_0006,
            self.ssrc(kind),
            (wallclock / 1_000_000_000) as u32,
            fraction as u32,
            self.rtp_time(now, rate),
            0,
            0,
        ];
        words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
    }

    fn put(&mut self, sent: EdgeTime, kind: Kind, body: Vec<u8>) {
        let number = self.queue.len() as u64;
        self.queue.insert((sent + self.delay, number), (kind, body));
    }

    /// RTP clocks start anywhere (RFC 3550 §5.1); here near the wrap.
    fn rtp_time(&self, at: EdgeTime, rate: i64) -> u32 {
        (self.clock(at).to_ticks(rate) as u32).wrapping_add(self.id.0.wrapping_mul(0x9e37_79b9))
    }

    /// The timestamp of what is captured when its clocks have run for `elapsed`: whole ticks from one to the next.
    fn stamp(&self, start: EdgeTime, elapsed: Span, rate: i64) -> u32 {
        self.rtp_time(start, rate)
            .wrapping_add(elapsed.to_ticks(rate) as u32)
    }

    /// What its own clock says.
    fn clock(&self, at: EdgeTime) -> Span {
        scaled(at - EdgeTime(0), MILLION + self.ppm, MILLION)
    }

    fn ssrc(&self, kind: u8) -> u32 {
        self.id.0 << 8 | u32::from(kind)
    }
}

fn scaled(span: Span, by: i64, of: i64) -> Span {
    let nanos = i128::from(span.0) * i128::from(by) / i128::from(of);
    Span(i64::try_from(nanos).expect("a time"))
}

//! A host on a clock of its own, before the real ingest and the real decoder.

use crate::audio::Pcm;
use crate::ingest::{Ingest, Sink};
use crate::video::Task;
use crate::video::decoder::HostDecoder;
use lianmai_mixer_control::media::{HostId, Kind, Message};
use lianmai_mixer_control::{Codec, VideoSource};
use lianmai_timeline::{EdgeTime, Span};

const HOST: HostId = HostId(7);
const VIDEO: u8 = 96;
const PICTURE: Span = Span::from_millis(40);

/// What became of it.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) decoder: HostDecoder,
    now: EdgeTime,
    pub(super) shown: usize,
    pub(super) asked: usize,
}

impl Sink for Seen {
    fn sound(&mut self, _: HostId, _: Pcm, _: EdgeTime) {}
    fn packet(&mut self, _: HostId, _: &[u8], _: EdgeTime) {}
    fn picture(&mut self, _: HostId, task: Task) -> bool {
        let outcome = self.decoder.decode(self.now, &task);
        self.shown += usize::from(outcome.frame.is_some());
        self.asked += usize::from(outcome.key_frame_needed);
        true
    }
    fn restarted(&mut self, _: HostId, _: lianmai_timeline::Kind) {
        self.decoder.restart();
    }
}

/// One host on a clock of its own.
pub(super) struct Sender {
    ingest: Ingest,
    pub(super) seen: Seen,
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    /// It has sent nothing.
    pub(super) fn new(codec: Codec) -> Self {
        let (mut ingest, mut seen) = (Ingest::default(), Seen::default());
        seen.now = EdgeTime(90_000_000_000);
        let video = VideoSource {
            payload_type: VIDEO,
            codec,
            orientation_extension: None,
        };
        ingest.add_host(HOST, None, Some(video), &mut seen);
        Self {
            ingest,
            seen,
            sequence: 65_500,
            timestamp: u32::MAX - 100_000,
        }
    }

    /// A picture.
    pub(super) fn send(&mut self, picture: &[Option<Vec<u8>>]) {
        for (number, payload) in picture.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let Some(payload) = payload else { continue };
            let datagram = self.datagram(number + 1 == picture.len(), payload);
            self.ingest.handle_input(self.seen.now, &datagram, &mut self.seen);
        }
        self.ingest.handle_timeout(self.seen.now, &mut self.seen);
        self.seen.now = self.seen.now + PICTURE;
        self.timestamp = self.timestamp.wrapping_add(3600);
    }

    fn datagram(&self, marker: bool, payload: &[u8]) -> Vec<u8> {
        let message = Message {
            kind: Kind::Rtp,
            host: HOST,
            arrival_ns: self.seen.now.0.unsigned_abs(),
            body: &[],
        };
        let mut datagram = message.header().to_vec();
        datagram.extend([0x80, u8::from(marker) << 7 | VIDEO]);
        datagram.extend(self.sequence.to_be_bytes());
        datagram.extend(self.timestamp.to_be_bytes());
        datagram.extend(1u32.to_be_bytes());
        datagram.extend_from_slice(payload);
        datagram
    }

    /// Takes out what still waits.
    pub(super) fn finish(&mut self) {
        self.seen.now = self.seen.now + Span::from_secs(3);
        self.ingest.handle_timeout(self.seen.now, &mut self.seen);
    }
}

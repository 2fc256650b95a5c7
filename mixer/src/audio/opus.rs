//! Opus of one host (RFC 6716, RFC 7587): packets in, stereo samples with positions out.

use super::{CHANNELS, Pcm, SAMPLE_RATE};

/// The longest sound in one packet: 120 ms (RFC 6716 §2.1.4).
const MAX_FRAMES: usize = 5_760;

/// The most that is made up of what was before a loss; what is longer stays silent: 100 ms.
const MAX_CONCEALED: usize = 4_800;

/// The decoder conceals in steps of 2.5 ms.
const STEP: usize = 120;

/// Decodes the packets of one host in order.
pub(crate) struct OpusTrack {
    decoder: opus::Decoder,
    /// Where the next packet belongs if nothing is missing.
    next: Option<i64>,
    /// How much the last packet held, in stereo frames.
    last: usize,
    concealed: u64,
    errors: u64,
}

impl OpusTrack {
    /// A decoder in its initial state.
    pub(crate) fn new() -> Result<Self, opus::Error> {
        let decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo)?;
        Ok(Self {
            decoder,
            next: None,
            last: 0,
            concealed: 0,
            errors: 0,
        })
    }

    /// Decodes the packet that belongs at `position` on the sender's 48 kHz clock. `lost` packets just before it never
    /// came: as much of the gap is concealed as they can have held. The rest of it is DTX and stays silent.
    pub(crate) fn decode(&mut self, position: i64, payload: &[u8], lost: u32, mut take: impl FnMut(Pcm)) {
        if let Some(next) = self.next
            && lost > 0
        {
            self.conceal(next, position, lost, payload, &mut take);
        }
        let Some(frames) = frames(payload) else {
            self.errors += 1;
            return;
        };
        match self.run(payload, frames, false) {
            Some(samples) => take(Pcm { position, samples }),
            None => self.errors += 1,
        }
        self.next = Some(position.saturating_add(frames as i64));
        self.last = frames;
    }

    /// Sound that was made up for loss, in stereo frames.
    #[must_use]
    pub(crate) fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Packets that the decoder refused.
    #[must_use]
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Fills a gap from both ends: what came before the packet from the redundancy in it (RFC 6716 §2.1.7), what followed the
    /// sound before by concealment.
    fn conceal(&mut self, next: i64, position: i64, lost: u32, payload: &[u8], take: &mut impl FnMut(Pcm)) {
        let gap = usize::try_from(position.saturating_sub(next)).unwrap_or(0);
        let missing = gap.min(self.last.saturating_mul(lost as usize)) / STEP * STEP;
        let redundant = frames(payload).unwrap_or(0).min(missing);
        let made_up = (missing - redundant).min(MAX_CONCEALED);
        for (at, payload, frames) in [
            (next, &[][..], made_up),
            (position.saturating_sub(redundant as i64), payload, redundant),
        ] {
            if frames == 0 {
                continue;
            }
            let Some(samples) = self.run(payload, frames, true) else {
                continue;
            };
            self.concealed += frames as u64;
            take(Pcm {
                position: at,
                samples,
            });
        }
    }

    fn run(&mut self, payload: &[u8], frames: usize, fec: bool) -> Option<Vec<f32>> {
        let mut samples = vec![0.0; frames * CHANNELS];
        let decoded = self.decoder.decode_float(payload, &mut samples, fec).ok()?;
        samples.truncate(decoded * CHANNELS);
        Some(samples)
    }
}

/// How many stereo frames a packet holds; `None` if it is no Opus packet.
fn frames(payload: &[u8]) -> Option<usize> {
    if payload.is_empty() {
        return None;
    }
    opus::packet::get_nb_samples(payload, SAMPLE_RATE)
        .ok()
        .filter(|frames| (1..=MAX_FRAMES).contains(frames))
}

#[cfg(test)]
mod tests {
    use super::OpusTrack;
    use crate::audio::{CHANNELS, Pcm, SAMPLE_RATE};
    use std::f32::consts::TAU;

    const FRAME: usize = 960;

    fn packets(count: usize) -> Vec<Vec<u8>> {
        let mut encoder = opus::Encoder::new(SAMPLE_RATE, opus::Channels::Stereo, opus::Application::Voip)
            .expect("an encoder");
        encoder.set_inband_fec(true).expect("known");
        encoder.set_packet_loss_perc(20).expect("known");
        encoder.set_bitrate(opus::Bitrate::Bits(32_000)).expect("known");
        let tone = |frame: usize| 0.5 * (TAU * 440.0 * frame as f32 / SAMPLE_RATE as f32).sin();
        (0..count)
            .map(|packet| {
                let sound: Vec<f32> = (0..FRAME * CHANNELS)
                    .map(|sample| tone(packet * FRAME + sample / CHANNELS))
                    .collect();
                encoder.encode_vec_float(&sound, 1275).expect("encodes")
            })
            .collect()
    }

    fn energy(pcm: &Pcm) -> f32 {
        pcm.samples.iter().map(|sample| sample * sample).sum::<f32>() / pcm.samples.len() as f32
    }

    fn decode(track: &mut OpusTrack, position: i64, payload: &[u8], lost: u32) -> Vec<Pcm> {
        let mut out = Vec::new();
        track.decode(position, payload, lost, |pcm| out.push(pcm));
        out
    }

    #[test]
    fn packets_in_order_keep_their_positions() {
        let mut track = OpusTrack::new().expect("a decoder");
        for (index, packet) in packets(5).iter().enumerate() {
            let pcm = decode(&mut track, 7_000 + (index * FRAME) as i64, packet, 0);
            assert_eq!(pcm.len(), 1);
            assert_eq!(
                (pcm[0].position, pcm[0].samples.len()),
                (7_000 + (index * FRAME) as i64, FRAME * CHANNELS)
            );
        }
        assert_eq!((track.concealed(), track.errors()), (0, 0));
    }

    #[test]
    fn a_lost_packet_is_rebuilt_where_it_belongs() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(12);
        for (index, packet) in packets[..10].iter().enumerate() {
            decode(&mut track, (index * FRAME) as i64, packet, 0);
        }
        let pcm = decode(&mut track, (11 * FRAME) as i64, &packets[11], 1);
        let positions: Vec<i64> = pcm.iter().map(|pcm| pcm.position / FRAME as i64).collect();
        assert_eq!(positions, [10, 11]);
        assert!(energy(&pcm[0]) > 0.05, "{}", energy(&pcm[0]));
        assert_eq!(track.concealed(), FRAME as u64);
    }

    #[test]
    fn of_three_lost_packets_only_the_last_comes_from_redundancy() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(9);
        for (index, packet) in packets[..5].iter().enumerate() {
            decode(&mut track, (index * FRAME) as i64, packet, 0);
        }
        let pcm = decode(&mut track, (8 * FRAME) as i64, &packets[8], 3);
        let lengths: Vec<usize> = pcm.iter().map(|pcm| pcm.samples.len() / CHANNELS).collect();
        assert_eq!(lengths, [2 * FRAME, FRAME, FRAME]);
    }

    #[test]
    fn a_dtx_gap_is_not_concealed() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(2);
        decode(&mut track, 0, &packets[0], 0);
        let pcm = decode(&mut track, 20 * FRAME as i64, &packets[1], 0);
        assert_eq!(pcm.len(), 1);
        assert_eq!(pcm[0].position, 20 * FRAME as i64);
        assert_eq!(track.concealed(), 0);
    }

    #[test]
    fn of_a_gap_only_as_much_is_concealed_as_was_lost() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(3);
        decode(&mut track, 0, &packets[0], 0);
        // 400 ms of DTX, and the packet after it is lost: its sound comes from the redundancy in the next.
        let pcm = decode(&mut track, 21 * FRAME as i64, &packets[2], 1);
        let positions: Vec<i64> = pcm.iter().map(|pcm| pcm.position / FRAME as i64).collect();
        assert_eq!(positions, [20, 21]);
        assert_eq!(track.concealed(), FRAME as u64);
    }

    #[test]
    fn the_redundancy_of_a_long_loss_lies_just_before_its_packet() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(2);
        decode(&mut track, 0, &packets[0], 0);
        let pcm = decode(&mut track, 31 * FRAME as i64, &packets[1], 30);
        let places: Vec<(i64, usize)> = pcm
            .iter()
            .map(|pcm| (pcm.position / FRAME as i64, pcm.samples.len() / CHANNELS))
            .collect();
        assert_eq!(places, [(1, 4_800), (30, FRAME), (31, FRAME)]);
    }

    #[test]
    fn an_endless_loss_is_concealed_only_at_its_head() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(2);
        decode(&mut track, 0, &packets[0], 0);
        let pcm = decode(&mut track, i64::MAX - 10_000, &packets[1], u32::MAX);
        assert_eq!(pcm[0].position, FRAME as i64);
        assert!(track.concealed() <= 4_800 + FRAME as u64);
    }

    #[test]
    fn junk_is_counted_and_the_next_packet_decodes() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(1);
        for junk in [&[][..], &[0xff; 3], &[0x03], &[0xfb, 0x3f, 0, 0, 0]] {
            decode(&mut track, 0, junk, 1);
        }
        assert!(track.errors() >= 3, "{}", track.errors());
        assert_eq!(decode(&mut track, 960, &packets[0], 0).len(), 1);
    }
}

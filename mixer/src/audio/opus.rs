//! Opus of one host (RFC 6716, RFC 7587): packets in, stereo samples with positions out.

use super::{CHANNELS, Pcm, SAMPLE_RATE};

/// The longest sound in one packet: 120 ms (RFC 6716 §2.1.4).
const MAX_FRAMES: usize = 5_760;

/// The longest loss that is concealed; what is longer stays silent: 100 ms.
const MAX_CONCEALED: usize = 4_800;

/// The decoder conceals in steps of 2.5 ms.
const STEP: usize = 120;

/// Decodes the packets of one host in order.
pub(crate) struct OpusTrack {
    decoder: opus::Decoder,
    /// Where the next packet belongs if nothing is missing.
    next: Option<i64>,
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
            concealed: 0,
            errors: 0,
        })
    }

    /// Decodes the packet that belongs at `position` on the sender's 48 kHz clock. `after_loss`: packets before it
    /// never came, so a gap is loss and is concealed; without it a gap is DTX and stays silent.
    pub(crate) fn decode(
        &mut self,
        position: i64,
        payload: &[u8],
        after_loss: bool,
        mut take: impl FnMut(Pcm),
    ) {
        let gap = self.next.map_or(0, |next| position.saturating_sub(next));
        if after_loss && gap > 0 {
            self.conceal(position, gap, payload, &mut take);
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

    /// Fills the end of a loss from the redundancy in the packet after it (RFC 6716 §2.1.7), what is before by
    /// concealment.
    fn conceal(&mut self, position: i64, gap: i64, payload: &[u8], take: &mut impl FnMut(Pcm)) {
        let lost = usize::try_from(gap).unwrap_or(usize::MAX).min(MAX_CONCEALED) / STEP * STEP;
        let redundant = frames(payload).unwrap_or(0).min(lost);
        let mut at = position.saturating_sub(gap);
        for (payload, frames) in [(&[][..], lost - redundant), (payload, redundant)] {
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
            at = at.saturating_add(frames as i64);
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

    fn decode(track: &mut OpusTrack, position: i64, payload: &[u8], after_loss: bool) -> Vec<Pcm> {
        let mut out = Vec::new();
        track.decode(position, payload, after_loss, |pcm| out.push(pcm));
        out
    }

    #[test]
    fn packets_in_order_keep_their_positions() {
        let mut track = OpusTrack::new().expect("a decoder");
        for (index, packet) in packets(5).iter().enumerate() {
            let pcm = decode(&mut track, 7_000 + (index * FRAME) as i64, packet, false);
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
            decode(&mut track, (index * FRAME) as i64, packet, false);
        }
        let pcm = decode(&mut track, (11 * FRAME) as i64, &packets[11], true);
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
            decode(&mut track, (index * FRAME) as i64, packet, false);
        }
        let pcm = decode(&mut track, (8 * FRAME) as i64, &packets[8], true);
        let lengths: Vec<usize> = pcm.iter().map(|pcm| pcm.samples.len() / CHANNELS).collect();
        assert_eq!(lengths, [2 * FRAME, FRAME, FRAME]);
    }

    #[test]
    fn a_dtx_gap_is_not_concealed() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(2);
        decode(&mut track, 0, &packets[0], false);
        let pcm = decode(&mut track, 20 * FRAME as i64, &packets[1], false);
        assert_eq!(pcm.len(), 1);
        assert_eq!(pcm[0].position, 20 * FRAME as i64);
        assert_eq!(track.concealed(), 0);
    }

    #[test]
    fn an_endless_loss_is_concealed_only_at_its_head() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(2);
        decode(&mut track, 0, &packets[0], false);
        let pcm = decode(&mut track, i64::MAX - 10_000, &packets[1], true);
        assert_eq!(pcm[0].position, FRAME as i64);
        assert!(track.concealed() <= 4_800);
    }

    #[test]
    fn junk_is_counted_and_the_next_packet_decodes() {
        let mut track = OpusTrack::new().expect("a decoder");
        let packets = packets(1);
        for junk in [&[][..], &[0xff; 3], &[0x03], &[0xfb, 0x3f, 0, 0, 0]] {
            decode(&mut track, 0, junk, true);
        }
        assert!(track.errors() >= 3, "{}", track.errors());
        assert_eq!(decode(&mut track, 960, &packets[0], false).len(), 1);
    }
}

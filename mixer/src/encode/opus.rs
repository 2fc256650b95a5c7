//! Opus (RFC 6716) of the mix, in packets of 20 ms.

use super::audio::{CodedSound, millis};
use crate::audio::{CHANNELS, SAMPLE_RATE};
use lianmai_rtmp::Tag;
use opus::{Application, Bitrate, Channels, Encoder};

/// Frames of a packet: 20 ms, as everybody sends it.
const PACKET: usize = 960;

/// The longest packet (RFC 6716 §3.2.1), for one stream of one frame.
const MAX_BYTES: usize = 1_275;

/// Bounds of what the encoder takes.
const BITRATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// Encodes stereo, whatever it comes cut into.
pub(crate) struct OpusEncoder {
    encoder: Encoder,
    delay: u16,
    /// Samples that do not fill a packet yet, interleaved.
    waiting: Vec<i16>,
    /// Where they begin in the mix; a multiple of [`PACKET`].
    at: u64,
}

impl OpusEncoder {
    /// An encoder of this many bits per second.
    pub(crate) fn new(bitrate: u32) -> Result<Self, opus::Error> {
        let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        let bitrate = bitrate.clamp(*BITRATES.start(), *BITRATES.end());
        encoder.set_bitrate(Bitrate::Bits(bitrate.cast_signed()))?;
        let delay = u16::try_from(encoder.get_lookahead()?).unwrap_or_default();
        Ok(Self {
            encoder,
            delay,
            waiting: Vec::with_capacity(2 * PACKET * CHANNELS),
            at: 0,
        })
    }

    /// The identification header (RFC 7845 §5.1).
    #[must_use]
    pub(crate) fn header(&self) -> Tag {
        Tag::opus_sequence_header(0, CHANNELS as u8, self.delay)
    }

    /// How many frames of silence a decoder gives before the first frame that went in.
    #[must_use]
    pub(crate) fn delay(&self) -> u32 {
        u32::from(self.delay)
    }

    /// Takes the sound that begins at frame `begin` of the mix, and hands out the packets that are full.
    pub(crate) fn encode(
        &mut self,
        begin: u64,
        pcm: &[i16],
        mut take: impl FnMut(CodedSound),
    ) -> Result<(), opus::Error> {
        let expected = self.at + (self.waiting.len() / CHANNELS) as u64;
        let pcm = if begin == expected {
            pcm
        } else {
            self.jump(begin, pcm)
        };
        self.waiting.extend_from_slice(pcm);
        while self.waiting.len() >= PACKET * CHANNELS {
            let packet = self
                .encoder
                .encode_vec(&self.waiting[..PACKET * CHANNELS], MAX_BYTES)?;
            self.waiting.drain(..PACKET * CHANNELS);
            let next = self.at + PACKET as u64;
            take(CodedSound {
                tag: Tag::opus_frame(millis(self.at), &packet),
                next_ms: millis(next),
            });
            self.at = next;
        }
        Ok(())
    }

    /// The mix left sound out: packets go on at the next of their places, and what is before it is lost.
    fn jump<'a>(&mut self, begin: u64, pcm: &'a [i16]) -> &'a [i16] {
        self.waiting.clear();
        self.at = begin.next_multiple_of(PACKET as u64);
        let lost = usize::try_from(self.at - begin).unwrap_or(usize::MAX);
        pcm.get(lost.saturating_mul(CHANNELS)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{OpusEncoder, PACKET};
    use crate::audio::{BLOCK, CHANNELS, SAMPLE_RATE};
    use lianmai_rtmp::Tag;
    use lianmai_rtmp::flv::Packet;

    fn encode(encoder: &mut OpusEncoder, block: u64, sample: impl Fn(usize) -> i16) -> Vec<Tag> {
        let begin = block as usize * BLOCK;
        let pcm: Vec<i16> = (0..BLOCK * CHANNELS)
            .map(|index| sample(begin + index / CHANNELS))
            .collect();
        let mut tags = Vec::new();
        encoder
            .encode(begin as u64, &pcm, |coded| {
                assert_eq!(coded.next_ms, coded.tag.timestamp_ms + 20);
                tags.push(coded.tag);
            })
            .expect("encodes");
        tags
    }

    fn times(tags: &[Tag]) -> Vec<u32> {
        tags.iter().map(|tag| tag.timestamp_ms).collect()
    }

    #[test]
    fn blocks_become_packets_of_20_ms() {
        let mut encoder = OpusEncoder::new(96_000).expect("an encoder");
        let tags: Vec<Tag> = (0..15)
            .flat_map(|block| encode(&mut encoder, block, |_| 0))
            .collect();
        let expected: Vec<u32> = (0..16).map(|packet| packet * 20).collect();
        assert_eq!(times(&tags), expected);
    }

    #[test]
    fn after_blocks_that_were_left_out_packets_are_where_they_belong() {
        let mut encoder = OpusEncoder::new(96_000).expect("an encoder");
        encode(&mut encoder, 0, |_| 0);
        let tags: Vec<Tag> = (100..103)
            .flat_map(|block| encode(&mut encoder, block, |_| 0))
            .collect();
        // Block 100 begins at 2133.3 ms.
        assert_eq!(times(&tags), [2_140, 2_160]);
    }

    /// The stamps of the output rely on this number, so it is measured and not believed.
    #[test]
    fn a_step_comes_out_of_a_decoder_exactly_one_delay_later() {
        const STEP_AT: usize = 10 * BLOCK + 100;
        let square = |frame: usize| match frame {
            0..STEP_AT => 0,
            _ if (frame / 24).is_multiple_of(2) => 12_000,
            _ => -12_000,
        };
        let mut encoder = OpusEncoder::new(256_000).expect("an encoder");
        let mut decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo).expect("a decoder");
        let mut decoded = Vec::new();
        for tag in (0..20).flat_map(|block| encode(&mut encoder, block, square)) {
            let header = Packet::of(&tag).expect("a packet").header;
            let mut pcm = vec![0; PACKET * CHANNELS];
            decoder
                .decode(&tag.body[header..], &mut pcm, false)
                .expect("decodes");
            decoded.extend(pcm.iter().step_by(CHANNELS).copied());
        }
        let onset = decoded
            .iter()
            .position(|sample| sample.abs() > 6_000)
            .expect("the tone");
        let wanted = STEP_AT + encoder.delay() as usize;
        assert!(onset.abs_diff(wanted) < 24, "at {onset}, wanted {wanted}");
    }

    #[test]
    fn every_bitrate_makes_an_encoder() {
        for bitrate in [0, 16_000, 512_000, u32::MAX] {
            assert!(OpusEncoder::new(bitrate).is_ok());
        }
    }
}

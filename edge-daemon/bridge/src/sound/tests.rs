use super::{CHANNELS, FRAMES, SAMPLE_RATE, Sound, Sounds};
use crate::refusal::Refusal;
use bytes::Bytes;
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};
use lianmai_rtmp::{Tag, TagKind};
use opus::{Channels, Decoder};
use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert};
use std::f32::consts::TAU;

const TONE: f32 = 997.0;

/// When the tone begins, in the sound that the publisher records.
const ONSET: f64 = 1.0;

/// AAC as a publisher sends it, and how many seconds later than recorded a frame's sound is heard, by the AAC itself.
fn aac(rate: u32, channels: ChannelMode) -> (Vec<Tag>, f64) {
    let encoder = Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(128_000),
        sample_rate: rate,
        transport: Transport::Raw,
        channels,
        audio_object_type: AudioObjectType::Mpeg4LowComplexity,
    })
    .expect("an encoder");
    let info = encoder.info().expect("knows itself");
    let config = &info.confBuf[..info.confSize as usize];
    let mut tags = vec![Tag::aac_sequence_header(0, config)];
    let width = if matches!(channels, ChannelMode::Mono) {
        1
    } else {
        2
    };
    let mut out = vec![0; info.maxOutBufBytes as usize];
    let mut frames = 0;
    for block in 0..2 * rate / 1024 {
        let samples = (block * 1024..(block + 1) * 1024).flat_map(|sample| {
            let time = f64::from(sample) / f64::from(rate);
            let tone = (TAU * TONE * time as f32).sin() * 16_000.0;
            let value = if time < ONSET { 0 } else { tone as i16 };
            std::iter::repeat_n(value, width)
        });
        let samples: Vec<i16> = samples.collect();
        let encoded = encoder.encode(&samples, &mut out).expect("encodes");
        if encoded.output_size > 0 {
            let at_ms = frames * 1024 * 1000 / rate;
            tags.push(Tag::aac_frame(at_ms, &out[..encoded.output_size]));
            frames += 1;
        }
    }
    (tags, f64::from(info.nDelay) / f64::from(rate))
}

fn push_all(tags: &[Tag]) -> (Vec<Sound>, Sounds) {
    let mut sounds = Sounds::new().expect("an encoder");
    let heard = tags
        .iter()
        .filter_map(|tag| sounds.push(tag).expect("AAC"))
        .flat_map(|(_, sounds)| sounds)
        .collect();
    (heard, sounds)
}

/// What a browser would play: the time of each packet in seconds, and its left channel.
fn decoded(sounds: &[Sound]) -> Vec<(f64, Vec<f32>)> {
    let mut decoder = Decoder::new(SAMPLE_RATE, Channels::Stereo).expect("a decoder");
    let mut pcm = vec![0.0; FRAMES * CHANNELS];
    let heard = sounds.iter().map(|sound| {
        decoder
            .decode_float(&sound.opus, &mut pcm, false)
            .expect("our own");
        (
            sound.at_us as f64 / 1e6,
            pcm.iter().copied().step_by(CHANNELS).collect(),
        )
    });
    heard.collect()
}

fn onset(heard: &[(f64, Vec<f32>)]) -> f64 {
    let mut samples = heard.iter().flat_map(|(at, samples)| {
        (0..)
            .zip(samples)
            .map(move |(index, sample)| (at + f64::from(index) / f64::from(SAMPLE_RATE), *sample))
    });
    samples.find(|(_, sample)| sample.abs() > 0.2).expect("a tone").0
}

#[test]
fn a_tone_is_heard_at_its_pitch_and_at_its_time_whatever_the_rate_and_the_channels() {
    for (rate, channels) in [
        (48_000, ChannelMode::Stereo),
        (44_100, ChannelMode::Stereo),
        (32_000, ChannelMode::Mono),
    ] {
        let (tags, delay) = aac(rate, channels);
        let (sounds, machine) = push_all(&tags);
        assert_eq!((machine.bad, machine.gaps()), (0, 0), "{rate}");
        let positions: Vec<_> = sounds.iter().map(|sound| sound.position).collect();
        assert!(positions.windows(2).all(|pair| pair[1] - pair[0] == 960));
        let heard = decoded(&sounds);
        let off = onset(&heard) - (ONSET + delay);
        assert!(
            off.abs() < 0.003,
            "{rate} Hz: the tone begins {:.1} ms late",
            off * 1000.0
        );
        let crossings = heard[80..90]
            .iter()
            .flat_map(|(_, samples)| samples)
            .collect::<Vec<_>>()
            .windows(2)
            .filter(|pair| *pair[0] < 0.0 && *pair[1] >= 0.0)
            .count();
        assert!(
            (199 - 3..=199 + 3).contains(&crossings),
            "{rate} Hz: {crossings} periods in 0.2 s"
        );
    }
}

#[test]
fn silence_is_as_quiet_as_it_gets_and_the_tone_is_loud() {
    let (sounds, _) = push_all(&aac(48_000, ChannelMode::Stereo).0);
    assert_eq!(sounds[10].level, -127);
    // A sine of half of full scale has 6 + 3 dB less than it.
    assert!((-11..=-8).contains(&sounds[85].level), "{}", sounds[85].level);
}

#[test]
fn what_is_missing_is_a_hole_and_what_cannot_be_decoded_is_made_up() {
    let (mut tags, _) = aac(48_000, ChannelMode::Stereo);
    tags.drain(20..40);
    tags[10].body = Bytes::from_static(b"\xaf\x01\xff\xff\xff");
    let (sounds, machine) = push_all(&tags);
    assert_eq!(machine.gaps(), 1);
    assert_eq!(machine.bad, 1);
    let longest = sounds
        .windows(2)
        .map(|pair| pair[1].position - pair[0].position)
        .max();
    let missing = 20 * 1024;
    assert!(
        longest.is_some_and(|longest| (longest - 960 - missing).abs() < 1024),
        "{longest:?}"
    );
}

#[test]
fn sound_that_is_not_aac_ends_the_stream() {
    let tag = Tag {
        body: Bytes::from_static(b"\x2fmp3"),
        ..Tag::aac_frame(0, b"")
    };
    let refused = Sounds::new().expect("an encoder").push(&tag);
    assert!(matches!(refused, Err(Refusal::AudioCodec(_))));
    let header = Tag::aac_sequence_header(0, b"\xff\xff\xff");
    let refused = Sounds::new().expect("an encoder").push(&header);
    assert!(matches!(refused, Err(Refusal::AudioConfig(_))));
}

proptest! {
    #[test]
    fn any_frames_are_sound_or_counted(bodies in collection::vec(collection::vec(any::<u8>(), 0..64), 0..12)) {
        let (mut tags, _) = (vec![Tag::aac_sequence_header(0, &[0x11, 0x90])], ());
        tags.extend((0..).zip(&bodies).map(|(index, body)| Tag {
            kind: TagKind::Audio,
            timestamp_ms: index * 21,
            body: [&[0xaf, 1], body.as_slice()].concat().into(),
        }));
        let (sounds, machine) = push_all(&tags);
        prop_assert!(sounds.len() <= bodies.len() * 3);
        prop_assert!(machine.bad <= bodies.len() as u64);
    }
}

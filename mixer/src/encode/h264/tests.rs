//! The stream that leaves the encoder.

use super::hard::{HEIGHT, Hard, WIDTH};
use super::{EncodedPicture, H264Encoder};
use lianmai_mixer_control::{Canvas, Profile};
use lianmai_rtmp::flv::annexb;
use openh264::decoder::Decoder;
use openh264::formats::{YUVBuffer, YUVSource};

const CANVAS: Canvas = Canvas {
    width: 320,
    height: 180,
    fps: 30,
};

/// Noise that no encoder can predict, from a multiplicative generator.
fn noise(seed: u64) -> YUVBuffer {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    YUVBuffer::from_vec((0..320 * 180 * 3 / 2).map(|_| next()).collect(), 320, 180)
}

#[test]
fn the_first_picture_and_each_one_asked_for_are_key_frames_with_parameter_sets() {
    let mut encoder = H264Encoder::new(CANVAS, 500_000, Profile::Baseline).expect("an encoder");
    let still = YUVBuffer::from_vec(vec![90; 320 * 180 * 3 / 2], 320, 180);
    for index in 0..120u64 {
        let key = index % 45 == 0;
        let EncodedPicture::Frame(unit) = encoder.encode(&still, index * 33, key).expect("encodes") else {
            panic!("a still picture was skipped");
        };
        let unit = annexb::access_unit(unit);
        assert_eq!((unit.key, unit.config.is_some()), (key, key), "picture {index}");
    }
}

#[test]
fn the_parameter_sets_name_the_profile() {
    for (profile, number) in [(Profile::Baseline, 66), (Profile::Main, 77), (Profile::High, 100)] {
        let mut encoder = H264Encoder::new(CANVAS, 500_000, profile).expect("an encoder");
        let EncodedPicture::Frame(unit) = encoder.encode(&noise(1), 0, true).expect("encodes") else {
            panic!("the first picture was skipped");
        };
        let config = annexb::access_unit(unit).config.expect("parameter sets");
        assert_eq!(config.sps[1], number, "{:?}", config.sps);
    }
}

#[test]
fn what_cannot_be_coded_at_the_rate_is_skipped_and_the_rate_holds() {
    let mut encoder = H264Encoder::new(CANVAS, 200_000, Profile::Baseline).expect("an encoder");
    let (mut bytes, mut skipped) = (0, 0);
    for index in 0..150u64 {
        match encoder
            .encode(&noise(index), index * 1000 / 30, index == 0)
            .expect("encodes")
        {
            EncodedPicture::Frame(unit) => bytes += unit.len(),
            EncodedPicture::Skipped => skipped += 1,
        }
    }
    assert!(skipped > 0);
    assert!(bytes * 8 < 5 * 400_000, "{bytes} bytes in 5 s at 200 kbit/s");
}

/// What became of hard pictures.
struct Stream {
    /// Bits of each picture.
    bits: Vec<u64>,
    left_out: usize,
    /// Mean PSNR of luma in dB; where a picture was left out, of the one before.
    psnr: f64,
}

impl Stream {
    /// The lowest and the highest rate of any two seconds, in bits a second.
    fn rates(&self) -> (u64, u64) {
        let windows = self.bits.windows(2 * FPS);
        let rates = windows.map(|window| window.iter().sum::<u64>() / 2);
        rates.fold((u64::MAX, 0), |(least, most), rate| {
            (least.min(rate), most.max(rate))
        })
    }

    fn mean(&self) -> u64 {
        self.bits.iter().sum::<u64>() * FPS as u64 / self.bits.len() as u64
    }

    /// How long a player whose line has just this rate has to wait at the beginning, so as never to wait again: what a
    /// buffering verifier calls its buffer, in milliseconds.
    fn store_ms(&self, bitrate: u32) -> u64 {
        let each = u64::from(bitrate) / FPS as u64;
        let (mut waiting, mut most) = (0_u64, 0);
        for bits in &self.bits {
            waiting = waiting.saturating_sub(each) + bits;
            most = most.max(waiting);
        }
        most * 1000 / u64::from(bitrate)
    }
}

const FPS: usize = 30;

/// Codes some seconds of hard pictures with a key frame each two seconds.
fn code(bitrate: u32, seconds: usize) -> Stream {
    let canvas = Canvas {
        width: WIDTH as u32,
        height: HEIGHT as u32,
        fps: FPS as u32,
    };
    let mut encoder = H264Encoder::new(canvas, bitrate, Profile::Baseline).expect("an encoder");
    let (mut hard, mut decoder) = (Hard::new(), Decoder::new().expect("a decoder"));
    let (mut bits, mut left_out, mut psnr, mut shown) = (Vec::new(), 0, 0.0, Vec::new());
    for index in 0..seconds * FPS {
        let picture = hard.picture();
        let coded = encoder.encode(&picture, (index * 1000 / FPS) as u64, index % (2 * FPS) == 0);
        match coded.expect("encodes") {
            EncodedPicture::Frame(unit) => {
                bits.push(unit.len() as u64 * 8);
                let decoded = decoder.decode(unit).expect("decodes").expect("a picture");
                let rows = decoded.y().chunks(decoded.strides().0).take(HEIGHT);
                shown = rows.flat_map(|row| row[..WIDTH].to_vec()).collect();
            }
            EncodedPicture::Skipped => {
                bits.push(0);
                left_out += 1;
            }
        }
        psnr += quality(&shown, picture.y());
    }
    let psnr = psnr / bits.len() as f64;
    Stream { bits, left_out, psnr }
}

fn quality(seen: &[u8], sent: &[u8]) -> f64 {
    let squares = seen
        .iter()
        .zip(sent)
        .map(|(seen, sent)| f64::from(seen.abs_diff(*sent)).powi(2));
    let mean = squares.sum::<f64>() / sent.len() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-3)).log10()
}

#[test]
fn on_hard_pictures_the_rate_holds_with_a_second_in_store_and_none_is_left_out() {
    for bitrate in [1_200_000, 2_500_000, 5_000_000] {
        let stream = code(bitrate, 8);
        let ((least, most), mean, store) = (stream.rates(), stream.mean(), stream.store_ms(bitrate));
        println!(
            "{WIDTH}x{HEIGHT}@{FPS} at {} kbit/s: mean {}, any 2 s {} to {}, {store} ms in store, {} left out, PSNR {:.2} dB",
            bitrate / 1000,
            mean / 1000,
            least / 1000,
            most / 1000,
            stream.left_out,
            stream.psnr
        );
        assert_eq!(stream.left_out, 0);
        assert!(store < 1_000, "{store} ms");
        let promised = u64::from(bitrate);
        assert!(
            (promised * 95 / 100..=promised * 103 / 100).contains(&mean),
            "{mean}"
        );
        assert!(
            most < promised * 150 / 100,
            "{most} of {promised} bit/s over two seconds"
        );
    }
}

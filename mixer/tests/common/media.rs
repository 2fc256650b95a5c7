//! Test sounds made by libopus, and what ffmpeg finds in the mix.

use super::streams::ffmpeg;
use std::path::Path;

/// Samples a second, everywhere.
pub(crate) const RATE: usize = 48_000;

/// Opus packets of 20 ms with a tone that sounds where `is_on` says, by the time in seconds.
pub(crate) fn tone(hertz: f64, seconds: f64, is_on: impl Fn(f64) -> bool) -> Vec<Vec<u8>> {
    sound(seconds, |time| {
        if is_on(time) {
            0.2 * (std::f64::consts::TAU * hertz * time).sin()
        } else {
            0.0
        }
    })
}

/// Opus packets of 20 ms of what `wave` says, by the time in seconds.
pub(crate) fn sound(seconds: f64, wave: impl Fn(f64) -> f64) -> Vec<Vec<u8>> {
    let mut encoder = opus::Encoder::new(RATE as u32, opus::Channels::Stereo, opus::Application::Audio)
        .expect("an encoder");
    let sample = |index: usize| wave(index as f64 / RATE as f64) as f32;
    (0..(seconds * 50.0) as usize)
        .map(|packet| {
            let sound: Vec<f32> = (0..1920).map(|index| sample(packet * 960 + index / 2)).collect();
            encoder.encode_vec_float(&sound, 1275).expect("encodes")
        })
        .collect()
}

/// What ffmpeg decodes of a file.
pub(crate) struct Decoded {
    /// Planar pictures of 320 x 180.
    pub pictures: Vec<Vec<u8>>,
    /// One channel.
    pub sound: Vec<f32>,
}

/// Decodes both tracks of a file; any complaint of ffmpeg is a failure.
pub(crate) fn decode(file: &Path) -> Decoded {
    let path = file.to_str().expect("text");
    let picture = 320 * 180 * 3 / 2;
    let raw = ffmpeg(&[
        "-i",
        path,
        "-an",
        "-fps_mode",
        "passthrough",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rawvideo",
        "-",
    ]);
    Decoded {
        pictures: raw.chunks_exact(picture).map(<[u8]>::to_vec).collect(),
        sound: decode_sound(file),
    }
}

/// Mean Y, U and V of a rectangle of a decoded picture.
pub(crate) fn mean(picture: &[u8], x: usize, y: usize, width: usize, height: usize) -> [f64; 3] {
    let (luma, chroma) = picture.split_at(320 * 180);
    let (u, v) = chroma.split_at(160 * 90);
    let of = |plane: &[u8], stride: usize, shift: usize| {
        let rows = (y >> shift..(y + height) >> shift).flat_map(|row| {
            plane[row * stride + (x >> shift)..row * stride + ((x + width) >> shift)]
                .iter()
                .copied()
        });
        let samples: Vec<u8> = rows.collect();
        samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / samples.len() as f64
    };
    [of(luma, 320, 0), of(u, 160, 1), of(v, 160, 1)]
}

/// The mean amplitude of a tone over a stretch of sound, by windows of 50 ms: slewing may move it by some hertz.
pub(crate) fn loudness(sound: &[f32], hertz: f64) -> f64 {
    let windows = sound.chunks_exact(RATE / 20);
    let count = windows.len() as f64;
    windows.map(|window| amplitude(window, hertz)).sum::<f64>() / count
}

/// The amplitude of a tone in a short stretch of sound (Goertzel's algorithm).
pub(crate) fn amplitude(sound: &[f32], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / RATE as f64;
    let (mut one, mut two) = (0.0, 0.0);
    for sample in sound {
        let next = f64::from(*sample) + 2.0 * step.cos() * one - two;
        (one, two) = (next, one);
    }
    (one * one + two * two - 2.0 * step.cos() * one * two)
        .max(0.0)
        .sqrt()
        * 2.0
        / sound.len() as f64
}

/// One channel of the sound of a file.
pub(crate) fn decode_sound(file: &Path) -> Vec<f32> {
    let path = file.to_str().expect("text");
    let sound = ffmpeg(&["-i", path, "-vn", "-ac", "1", "-f", "f32le", "-"]);
    sound
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect()
}

/// The mean luma of a rectangle in every picture of a file, without the pictures themselves.
pub(crate) fn decode_luma(file: &Path, x: usize, y: usize, width: usize, height: usize) -> Vec<u8> {
    let path = file.to_str().expect("text");
    let filter = format!("extractplanes=y,crop={width}:{height}:{x}:{y},scale=1:1:flags=area");
    ffmpeg(&[
        "-i",
        path,
        "-an",
        "-fps_mode",
        "passthrough",
        "-vf",
        &filter,
        "-f",
        "rawvideo",
        "-",
    ])
}

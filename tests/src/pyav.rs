//! Looking at a live stream through PyAV, whose FFmpeg is newer than Debian's: it reads AV1 and Opus by their FourCCs.

use crate::probe::Picture;
use crate::process::output;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// What was seen and heard of a stream.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Video, then audio.
    pub codecs: [String; 2],
    /// Seconds from the first picture to the last.
    pub span: f64,
    /// All pictures.
    pub pictures: Vec<Picture>,
    /// One channel at [`crate::probe::SAMPLE_RATE`].
    pub sound: Vec<f32>,
}

/// Decodes `seconds` of a stream of pictures of this size.
pub fn watch(url: &str, seconds: u32, [width, height]: [usize; 2]) -> Result<Watched> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = tempfile::tempdir()?;
    let [pictures, sound] = ["pictures", "sound"].map(|name| dir.path().join(name));
    let mut python = Command::new(root.join("target/python/bin/python"));
    python.arg(root.join("mixer/tests/coding/decode.py")).arg(url);
    python
        .arg(&pictures)
        .arg(&sound)
        .args(["rgb24", &seconds.to_string()]);
    let printed = String::from_utf8(output(&mut python).context("`cargo xtask setup` makes target/python")?)?;
    let words: Vec<&str> = printed.split_whitespace().collect();
    let [video, audio, first, last] = words[..] else {
        anyhow::bail!("PyAV found {printed:?}")
    };
    let (rgb, sound) = (std::fs::read(&pictures)?, std::fs::read(&sound)?);
    let len = width * height * 3;
    ensure!(
        !rgb.is_empty() && rgb.len() % len == 0,
        "{} bytes of pictures",
        rgb.len()
    );
    Ok(Watched {
        codecs: [video.to_owned(), audio.to_owned()],
        span: last.parse::<f64>()? - first.parse::<f64>()?,
        pictures: rgb
            .chunks_exact(len)
            .map(|rgb| Picture {
                width,
                height,
                rgb: rgb.to_vec(),
            })
            .collect(),
        sound: sound
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    })
}

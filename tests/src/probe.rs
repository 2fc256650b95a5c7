//! Looking at a stream through ffmpeg: its packets, its pictures, its sound.

use crate::process::output;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Samples per second of [`sound`].
pub const SAMPLE_RATE: u32 = 48_000;

/// One packet of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet {
    /// Video, otherwise audio.
    pub video: bool,
    /// Seconds.
    pub dts: f64,
    /// Seconds.
    pub pts: f64,
    /// Whether a decoder can start here.
    pub key: bool,
}

/// One decoded picture, three bytes a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Red, green, blue.
    pub rgb: Vec<u8>,
}

/// Takes `seconds` of a live stream into a file as they come, without recoding.
pub fn take(url: &str, seconds: u32, file: &Path) -> Result<()> {
    let patience = Duration::from_secs(u64::from(seconds) + 20)
        .as_micros()
        .to_string();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-rw_timeout", &patience, "-i", url]);
    command
        .args(["-t", &seconds.to_string(), "-c", "copy", "-f", "flv"])
        .arg(file);
    output(&mut command).map(drop)
}

/// The codecs of a file, video first.
pub fn codecs(file: &Path) -> Result<Vec<String>> {
    let streams = ffprobe(file, "-show_streams")?;
    let streams = streams["streams"].as_array().context("no streams")?;
    let mut named: Vec<_> = streams
        .iter()
        .map(|stream| {
            (
                stream["codec_type"] != "video",
                stream["codec_name"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    named.sort();
    Ok(named.into_iter().map(|(_, name)| name).collect())
}

/// Every packet of a file in its order.
pub fn packets(file: &Path) -> Result<Vec<Packet>> {
    let packets = ffprobe(file, "-show_packets")?;
    let packets = packets["packets"].as_array().context("no packets")?;
    packets.iter().map(packet).collect()
}

fn packet(packet: &Value) -> Result<Packet> {
    let seconds = |key: &str| {
        let text = packet[key]
            .as_str()
            .with_context(|| format!("a packet without {key}"))?;
        text.parse::<f64>().with_context(|| format!("{key} {text:?}"))
    };
    Ok(Packet {
        video: packet["codec_type"] == "video",
        dts: seconds("dts_time")?,
        pts: seconds("pts_time")?,
        key: packet["flags"].as_str().is_some_and(|flags| flags.contains('K')),
    })
}

fn ffprobe(file: &Path, what: &str) -> Result<Value> {
    let json = output(
        Command::new("ffprobe")
            .args(["-v", "error", "-of", "json", what])
            .arg(file),
    )?;
    Ok(serde_json::from_slice(&json)?)
}

/// Every picture of a file, scaled to this size, each as often as the file shows it.
pub fn pictures(file: &Path, width: usize, height: usize) -> Result<Vec<Picture>> {
    let scale = format!("scale={width}:{height}:flags=area");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file);
    command.args([
        "-an",
        "-vf",
        &scale,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]);
    let bytes = output(&mut command)?;
    let len = width * height * 3;
    ensure!(
        !bytes.is_empty() && bytes.len() % len == 0,
        "{} decodes to {} bytes",
        file.display(),
        bytes.len()
    );
    Ok(bytes
        .chunks_exact(len)
        .map(|rgb| Picture {
            width,
            height,
            rgb: rgb.to_vec(),
        })
        .collect())
}

/// Writes the picture that a file shows at a second as a PNG.
pub fn still(file: &Path, second: u32, png: &Path) -> Result<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(file);
    command
        .args(["-ss", &second.to_string(), "-frames:v", "1"])
        .arg(png);
    output(&mut command).map(drop)
}

/// The sound of a file, mixed to one channel.
pub fn sound(file: &Path) -> Result<Vec<f32>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(file);
    command.args([
        "-vn",
        "-ac",
        "1",
        "-ar",
        &SAMPLE_RATE.to_string(),
        "-f",
        "f32le",
        "-",
    ]);
    let bytes = output(&mut command)?;
    Ok(bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

impl Picture {
    /// The mean colour of a part, given in fractions of the picture: left, top, width, height.
    pub fn mean(&self, [left, top, width, height]: [f64; 4]) -> [f64; 3] {
        let column = |fraction: f64| (fraction * self.width as f64) as usize;
        let row = |fraction: f64| (fraction * self.height as f64) as usize;
        let (mut sum, mut count) = ([0.0; 3], 0.0);
        for y in row(top)..row(top + height).min(self.height) {
            for x in column(left)..column(left + width).min(self.width) {
                let at = (y * self.width + x) * 3;
                for (sum, byte) in sum.iter_mut().zip(&self.rgb[at..at + 3]) {
                    *sum += f64::from(*byte);
                }
                count += 1.0;
            }
        }
        sum.map(|sum| sum / f64::max(count, 1.0))
    }
}

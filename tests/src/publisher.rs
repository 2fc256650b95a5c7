//! A publisher by RTMP: a real ffmpeg with a test picture and a tone, as OBS would send them.

use crate::capture::Capture;
use crate::process::Running;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// One that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Publisher {
    /// The process.
    pub process: Running,
    log: PathBuf,
}

/// H.264 as browsers decode it everywhere.
pub const BASELINE: &[&str] = &["-profile:v", "baseline", "-tune", "zerolatency"];

/// What x264 does when it is told nothing: pictures in another order than they are shown.
pub const REORDERED: &[&str] = &["-profile:v", "high", "-bf", "2"];

impl Publisher {
    /// Publishes what a host looks and sounds like to `url`; its complaints go into `dir`.
    pub fn start(url: &str, host: &Capture, encoding: &[&str], dir: &Path) -> Result<Self> {
        let Capture {
            colour,
            tone,
            width,
            height,
            fps,
            ..
        } = host;
        let (side, pace) = (height / 6, width / 4);
        let picture = format!(
            "color=c={colour}:s={width}x{height}:r={fps}[colour];color=c=white:s={side}x{side}:r={fps}[square];\
             [colour][square]overlay=x='mod(t*{pace},W-w)':y=H-h"
        );
        // Not the rate of Opus, so that it has to be brought there.
        let sound = format!("sine=frequency={tone}:sample_rate=44100,volume=4");
        Self::start_from(&picture, &sound, url, encoding, dir)
    }

    /// Publishes any picture and sound, in the words of lavfi, with a key frame a second.
    pub fn start_from(picture: &str, sound: &str, url: &str, encoding: &[&str], dir: &Path) -> Result<Self> {
        static PUBLISHERS: AtomicU32 = AtomicU32::new(0);
        let number = PUBLISHERS.fetch_add(1, Ordering::Relaxed);
        let log = dir.join(format!("publisher-{number}.log"));
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-v", "warning", "-re", "-f", "lavfi", "-i", picture])
            .args(["-re", "-f", "lavfi", "-i", sound])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
            .args(["-b:v", "800k", "-force_key_frames", "expr:gte(t,n_forced)"])
            .args(encoding)
            .args(["-c:a", "aac", "-ac", "2", "-b:a", "128k", "-f", "flv", url]);
        let process = Running::start(&mut ffmpeg, &log)?;
        Ok(Self { process, log })
    }

    /// What it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

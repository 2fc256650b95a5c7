//! What a browser's fake camera and microphone give: a colour with something moving in it, and a tone.

use crate::process::output;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One host's looks and sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// As ffmpeg names it.
    pub colour: &'static str,
    /// The same as red, green, blue.
    pub rgb: [u8; 3],
    /// Hertz.
    pub tone: u32,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// A still picture of a face beside the colour, in place of what moves.
    pub face: bool,
}

/// Four hosts that cannot be taken for one another.
pub const HOSTS: [Capture; 4] = [
    Capture {
        colour: "0xC02020",
        rgb: [192, 32, 32],
        tone: 440,
        width: 640,
        height: 360,
        fps: 30,
        face: false,
    },
    Capture {
        colour: "0x20A020",
        rgb: [32, 160, 32],
        tone: 660,
        width: 640,
        height: 360,
        fps: 30,
        face: false,
    },
    Capture {
        colour: "0x2020C0",
        rgb: [32, 32, 192],
        tone: 990,
        width: 640,
        height: 360,
        fps: 30,
        face: false,
    },
    Capture {
        colour: "0xC0A020",
        rgb: [192, 160, 32],
        tone: 1485,
        width: 640,
        height: 360,
        fps: 30,
        face: false,
    },
];

/// Longer than any test, since the sound loses some milliseconds where it loops.
const SECONDS: u32 = 180;

impl Capture {
    /// The same at another size and rate.
    #[must_use]
    pub const fn sized(self, width: u32, height: u32, fps: u32) -> Self {
        Self {
            width,
            height,
            fps,
            ..self
        }
    }

    /// The same with a face.
    #[must_use]
    pub const fn with_face(self) -> Self {
        Self { face: true, ..self }
    }

    /// Motion JPEG for the camera: played at 30 fps, so a lower rate is asked of getUserMedia.
    pub fn video(&self) -> Result<PathBuf> {
        if self.face {
            return self.face_video();
        }
        let Self {
            colour,
            width,
            height,
            ..
        } = self;
        let (side, pace) = (height / 6, width / 4);
        let background = format!("color=c={colour}:s={width}x{height}:r=30:d=4");
        let moving = format!(
            "color=c=white:s={side}x{side}:r=30:d=4[square];[0][square]overlay=x='mod(t*{pace},W-w)':y=H-h"
        );
        make(&format!("{colour}-{width}x{height}.mjpeg"), |file| {
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args([
                "-v",
                "error",
                "-y",
                "-f",
                "lavfi",
                "-i",
                &background,
                "-filter_complex",
                &moving,
            ]);
            output(
                ffmpeg
                    .args(["-c:v", "mjpeg", "-q:v", "3", "-t", "4", "-f", "mjpeg"])
                    .arg(file),
            )
            .map(drop)
        })
    }

    /// The picture is square and as high as the video, at its left; the face is a quarter from the left of all.
    /// Chromium decodes no other JPEGs than those with chroma of half the size.
    fn face_video(&self) -> Result<PathBuf> {
        let Self {
            colour,
            width,
            height,
            ..
        } = self;
        let layout = format!("scale={height}:{height},pad={width}:{height}:0:0:{colour},format=yuvj420p");
        make(&format!("face-{colour}-{width}x{height}.mjpeg"), |file| {
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-v", "error", "-y", "-loop", "1", "-r", "30", "-i"]);
            ffmpeg.arg(face()?).args(["-vf", &layout]);
            output(
                ffmpeg
                    .args(["-c:v", "mjpeg", "-q:v", "3", "-t", "1", "-f", "mjpeg"])
                    .arg(file),
            )
            .map(drop)
        })
    }

    /// A WAV of the tone for the microphone.
    pub fn audio(&self) -> Result<PathBuf> {
        let source = format!(
            "sine=frequency={}:sample_rate=48000:duration={SECONDS}",
            self.tone
        );
        make(&format!("{}.wav", self.tone), |file| {
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args([
                "-v",
                "error",
                "-y",
                "-f",
                "lavfi",
                "-i",
                &source,
                "-af",
                "volume=0.5",
                "-f",
                "wav",
            ]);
            output(ffmpeg.arg(file)).map(drop)
        })
    }
}

/// A portrait by NASA, in the public domain, as scikit-image ships it; the test's Python has it for this alone.
fn face() -> Result<PathBuf> {
    const FIND: &str =
        "import importlib.util as u; print(u.find_spec('skimage').submodule_search_locations[0])";
    let package = output(Command::new(python()).args(["-c", FIND]))?;
    let package = String::from_utf8(package)?;
    Ok(Path::new(package.trim()).join("data/astronaut.png"))
}

/// The Python that `cargo xtask setup` makes.
pub fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python")
}

/// Makes a file once; it appears under its name only when it is whole.
fn make(name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fixtures");
    std::fs::create_dir_all(&dir)?;
    // Chromium opens no capture file whose path goes up.
    let dir = dir.canonicalize()?;
    let file = dir.join(name);
    if !file.exists() {
        let part = dir.join(format!("part-{}-{name}", std::process::id()));
        write(&part)?;
        std::fs::rename(part, &file)?;
    }
    Ok(file)
}

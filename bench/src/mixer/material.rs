//! What the hosts send: pictures and sounds that are coded once and given to every mixer.

use super::{FPS, SIZE};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use lianmai_rtmp::flv::annexb::nal_units;
use lianmai_tests::process::output;
use rtp::codecs::h264::H264Payloader;
use rtp::packetizer::Payloader;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a packet of Opus: 20 ms at a constant 96 kbit/s.
const OPUS: usize = 240;

/// All hosts.
pub(super) struct Material {
    pub(super) hosts: Vec<Host>,
}

/// One host.
pub(super) struct Host {
    /// Both tracks in a Matroska file, for mixers that read files.
    pub(super) file: PathBuf,
    /// RTP payloads of each picture.
    pub(super) pictures: Vec<Vec<Bytes>>,
    /// Packets of Opus.
    pub(super) sounds: Vec<Bytes>,
}

/// Where a picture's detail and movement come from: drawings, a zoom, and what cameras add, which is noise.
const SOURCES: [&str; 4] = [
    "testsrc2=size=SIZE:rate=30",
    "mandelbrot=size=SIZE:rate=30:start_scale=0.4",
    "gradients=size=SIZE:rate=30:speed=0.02:seed=7:nb_colors=6,noise=alls=5:allf=t",
    "life=size=160x90:rate=30:mold=20:ratio=0.3:seed=11:life_color=#d0c0a0:death_color=#304050,scale=SIZE:flags=bicubic",
];

impl Material {
    /// Codes so many seconds of so many hosts.
    pub(super) fn make(folder: &Path, hosts: usize, seconds: u32) -> Result<Self> {
        let hosts = (0..hosts).map(|host| Host::make(folder, host, seconds));
        Ok(Self {
            hosts: hosts.collect::<Result<_>>()?,
        })
    }
}

impl Host {
    fn make(folder: &Path, number: usize, seconds: u32) -> Result<Self> {
        let file = folder.join(format!("host{number}.mkv"));
        let size = format!("{}x{}", SIZE.width, SIZE.height);
        let picture = SOURCES[number % SOURCES.len()].replace("SIZE", &size);
        let sound = format!("sine=frequency={}:sample_rate=48000", 220 * (number + 2));
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound]);
        ffmpeg.args(["-t", &seconds.to_string(), "-pix_fmt", "yuv420p", "-ac", "2"]);
        // As browsers send it: constrained baseline, no reordering, one slice a picture.
        ffmpeg.args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-profile:v",
            "baseline",
            "-bf",
            "0",
        ]);
        ffmpeg.args([
            "-b:v", "2500k", "-maxrate", "2500k", "-bufsize", "2500k", "-g", "120",
        ]);
        ffmpeg.args(["-x264-params", "sliced-threads=0:rc-lookahead=0:sync-lookahead=0"]);
        ffmpeg.args([
            "-c:a",
            "libopus",
            "-b:a",
            "96k",
            "-vbr",
            "off",
            "-frame_duration",
            "20",
        ]);
        output(ffmpeg.arg(&file))?;
        let track = |track: &str, format: &str| {
            let mut ffmpeg = self::ffmpeg();
            ffmpeg
                .arg("-i")
                .arg(&file)
                .args(["-map", track, "-c", "copy", "-f", format, "-"]);
            output(&mut ffmpeg)
        };
        let pictures = packetise(&track("0:v", "h264")?)?;
        let sound = track("0:a", "data")?;
        ensure!(
            sound.len() % OPUS == 0,
            "{} bytes of Opus are not packets of {OPUS}",
            sound.len()
        );
        ensure!(
            pictures.len() == (seconds * FPS) as usize,
            "{} pictures in {seconds} s",
            pictures.len()
        );
        Ok(Self {
            file,
            pictures,
            sounds: sound.chunks(OPUS).map(Bytes::copy_from_slice).collect(),
        })
    }
}

/// The RTP payloads of each picture, which ends with its one slice.
fn packetise(coded: &[u8]) -> Result<Vec<Vec<Bytes>>> {
    let mut payloader = H264Payloader::default();
    let mut pictures = vec![Vec::new()];
    for nal in nal_units(coded) {
        let payloads = payloader.payload(1_200, &Bytes::copy_from_slice(nal))?;
        pictures.last_mut().context("one at least")?.extend(payloads);
        if nal.first().is_some_and(|first| matches!(first & 0x1f, 1 | 5)) {
            pictures.push(Vec::new());
        }
    }
    pictures.retain(|picture| !picture.is_empty());
    Ok(pictures)
}

/// One that says nothing but errors.
pub(super) fn ffmpeg() -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    ffmpeg
}

//! Streams as hosts send them: coded by ffmpeg's libx264 and libvpx, each picture as the payloads of its RTP packets.

use bytes::Bytes;
use rtp::codecs::h264::H264Payloader;
use rtp::codecs::vp8::Vp8Payloader;
use rtp::packetizer::Payloader;
use std::process::Command;

/// Bytes of payload in a packet.
const MTU: usize = 1200;

/// The pictures of an ffmpeg source as constrained baseline, one slice each, with a key frame every `gop` pictures.
pub(crate) fn h264(source: &str, seconds: f64, gop: u32) -> Vec<Vec<Bytes>> {
    let params = format!("sliced-threads=0:keyint={gop}:scenecut=0");
    let coding = [
        "-c:v",
        "libx264",
        "-profile:v",
        "baseline",
        "-preset",
        "ultrafast",
    ];
    let live = ["-tune", "zerolatency", "-x264-params", &params, "-f", "h264"];
    let coded = coded(source, seconds, &[&coding[..], &live].concat());
    let mut payloader = H264Payloader::default();
    let mut pictures = vec![Vec::new()];
    for nal in lianmai_rtmp::flv::annexb::nal_units(&coded) {
        let payloads = payloader
            .payload(MTU, &Bytes::copy_from_slice(nal))
            .expect("packs");
        pictures.last_mut().expect("one at least").extend(payloads);
        // One picture ends with its one slice.
        if matches!(nal[0] & 0x1f, 1 | 5) {
            pictures.push(Vec::new());
        }
    }
    pictures.retain(|picture| !picture.is_empty());
    pictures
}

/// The pictures of an ffmpeg source as VP8 with a PictureID, with a key frame every `gop` pictures.
pub(crate) fn vp8(source: &str, seconds: f64, gop: u32) -> Vec<Vec<Bytes>> {
    let gop = gop.to_string();
    let coding = [
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        &gop,
    ];
    let live = ["-lag-in-frames", "0", "-b:v", "1M", "-f", "ivf"];
    let coded = coded(source, seconds, &[&coding[..], &live].concat());
    let mut payloader = Vp8Payloader::default();
    payloader.enable_picture_id = true;
    ivf_frames(&coded)
        .map(|frame| {
            payloader
                .payload(MTU, &Bytes::copy_from_slice(frame))
                .expect("packs")
        })
        .collect()
}

/// The frames of an IVF file: 32 bytes of header, then 12 bytes before each frame, of which four are its length.
fn ivf_frames(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &file[32..];
    std::iter::from_fn(move || {
        let (header, after) = rest.split_first_chunk::<12>()?;
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        let (frame, after) = after.split_at(len as usize);
        rest = after;
        Some(frame)
    })
}

fn coded(source: &str, seconds: f64, coding: &[&str]) -> Vec<u8> {
    let graph = format!("{source},format=yuv420p");
    let seconds = seconds.to_string();
    let input = ["-f", "lavfi", "-i", &graph, "-t", &seconds];
    ffmpeg(&[&input[..], coding, &["-"]].concat())
}

/// What ffmpeg writes; any complaint is a failure.
pub(crate) fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error"])
        .args(arguments)
        .output()
        .expect("ffmpeg is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "ffmpeg {arguments:?}: {complaints}"
    );
    output.stdout
}

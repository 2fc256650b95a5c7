use super::{CHROMA, LUMA, encode};
use lianmai_compositor::{Color, Frame, Rect, Size};
use lianmai_mixer_control::MAX_JPEG;
use std::io::Write;
use std::process::{Command, Stdio};

/// What ffmpeg makes of a JPEG: red, green, blue for each pixel.
fn decoded(jpeg: &[u8], size: Size) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "image2pipe", "-c:v", "mjpeg", "-i", "-"])
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    ffmpeg
        .stdin
        .take()
        .expect("piped")
        .write_all(jpeg)
        .expect("it reads");
    let output = ffmpeg.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert_eq!(output.stdout.len(), size.width * size.height * 3);
    output.stdout
}

/// Red, green and blue of limited-range YCbCr by ITU-R BT.601-7 §2.5 and §3.5, in full range.
fn bt601(color: Color) -> [f64; 3] {
    let y = (f64::from(color.y) - 16.0) * 255.0 / 219.0;
    let [cb, cr] = [color.u, color.v].map(|sample| (f64::from(sample) - 128.0) * 255.0 / 224.0);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|part| part.clamp(0.0, 255.0))
}

fn color(y: u8, u: u8, v: u8) -> Color {
    Color { y, u, v }
}

/// Black, white, grey, and the six colours of 75 % bars in BT.601.
const BARS: [(u8, u8, u8); 9] = [
    (16, 128, 128),
    (235, 128, 128),
    (126, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
];

#[test]
fn another_decoder_sees_the_colours_of_bt_601() {
    let size = Size::new(9 * 32, 64);
    let mut frame = Frame::new(size).expect("a size");
    for (bar, (y, u, v)) in BARS.into_iter().enumerate() {
        frame.fill_rect(Rect::even(bar * 32, 0, 32, 64), color(y, u, v));
    }
    let (jpeg, shown) = encode(&frame, 95, 1280).expect("a JPEG");
    assert_eq!(shown, size);
    let rgb = decoded(&jpeg, size);
    for (bar, (y, u, v)) in BARS.into_iter().enumerate() {
        let at = (32 * size.width + bar * 32 + 16) * 3;
        let (seen, meant) = (&rgb[at..at + 3], bt601(color(y, u, v)));
        let off = seen
            .iter()
            .zip(meant)
            .map(|(seen, meant)| (f64::from(*seen) - meant).abs())
            .fold(0.0, f64::max);
        assert!(off <= 3.0, "bar {bar}: {seen:?} where {meant:?} should be");
    }
}

#[test]
fn every_sample_is_stretched_to_full_range() {
    for sample in 0..=255u8 {
        let luma = ((f64::from(sample) - 16.0) * 255.0 / 219.0).clamp(0.0, 255.0);
        let chroma = ((f64::from(sample) - 128.0) * 255.0 / 224.0 + 128.0).clamp(0.0, 255.0);
        let place = usize::from(sample);
        assert!((f64::from(LUMA[place]) - luma).abs() <= 0.5, "{sample}");
        assert!((f64::from(CHROMA[place]) - chroma).abs() <= 0.5, "{sample}");
    }
}

#[test]
fn odd_and_small_sizes_are_good_and_long_sides_are_scaled_down() {
    for (width, height, expected) in [
        (1, 1, (1, 1)),
        (35, 17, (35, 17)),
        (17, 35, (17, 35)),
        (640, 360, (320, 180)),
        (360, 640, (180, 320)),
        (1920, 2, (320, 2)),
    ] {
        let mut frame = Frame::new(Size::new(width, height)).expect("a size");
        frame.fill(color(81, 90, 240));
        let (jpeg, size) = encode(&frame, 80, 320).expect("a JPEG");
        assert_eq!((size.width, size.height), expected);
        let rgb = decoded(&jpeg, size);
        let last: [u8; 3] = rgb[rgb.len() - 3..].try_into().expect("a pixel");
        assert!(
            last[0] > 245 && last[1] < 10 && last[2] < 10,
            "{width}x{height}: {last:?}"
        );
    }
}

#[test]
fn noise_is_made_to_fit() {
    let size = Size::new(1920, 1080);
    let mut frame = Frame::new(size).expect("a size");
    let mut state = 1u32;
    for plane in frame.view_mut().planes_mut() {
        for y in 0..plane.size().height {
            for sample in plane.row_mut(y) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = (state >> 24) as u8;
            }
        }
    }
    let (jpeg, _) = encode(&frame, 95, 1920).expect("a JPEG");
    assert!(jpeg.len() <= MAX_JPEG, "{} bytes", jpeg.len());
    assert_eq!(decoded(&jpeg, size).len(), 1920 * 1080 * 3);
}

//! The encoder on its thread, and the reading of what it gives.

use super::{Av1Encoder, Obu, leb128, obus, without_delimiter};
use crate::encode::video::{CodedData, CodedPicture};
use lianmai_compositor::{Color, Frame, Rect, Size};
use lianmai_mixer_control::{Canvas, Coding, SeiKind, Settings, VideoCodec};
use proptest::prelude::{any, proptest};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(width: u32, height: u32) -> Settings {
    Settings {
        room: "test".to_owned(),
        canvas: Canvas {
            width,
            height,
            fps: 15,
        },
        video_bitrate: 300_000,
        audio_bitrate: 64_000,
        gop_seconds: 2,
        record: None,
        images: None,
        font: None,
        rtmps_ca: None,
        sei: SeiKind::Off,
        loudness: None,
        vision: false,
        coding: Coding {
            video: VideoCodec::Av1,
            ..Coding::default()
        },
    }
}

/// A box that moves over grey.
fn picture(size: Size, index: usize) -> Frame {
    let mut frame = Frame::new(size).expect("a size");
    let grey = |y| Color { y, u: 128, v: 128 };
    frame.fill(grey(100));
    let rect = Rect {
        x: index * 4 % size.width,
        y: 10,
        width: 40,
        height: 40,
    };
    frame.fill_rect(rect, grey(200));
    frame
}

/// What is coded until nothing has come for a while.
fn drain(encoder: &mut Av1Encoder, count: usize) -> Vec<CodedPicture> {
    let (mut coded, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while coded.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} pictures", coded.len());
        match encoder.poll().expect("it works") {
            Some(picture) => coded.push(picture),
            None => std::thread::yield_now(),
        }
    }
    coded
}

#[test]
fn pictures_come_back_in_order_with_key_frames_where_they_were_asked_for() {
    const SIZE: Size = Size::new(320, 180);
    const PICTURES: usize = 45;
    /// The encoder looks ahead, and keeps fewer than these to itself.
    const AHEAD: usize = 5;
    let mut encoder = Av1Encoder::new(&settings(320, 180)).expect("an encoder");
    let mut coded = Vec::new();
    for index in 0..PICTURES {
        let (frame, key) = (picture(SIZE, index), [0, 10, 39].contains(&index));
        let deadline = Instant::now() + PATIENCE;
        while !encoder.push(&frame, index as u32 * 66, key).expect("it works") {
            assert!(Instant::now() < deadline, "picture {index} is not taken");
            coded.extend(encoder.poll().expect("it works"));
        }
    }
    let rest = (PICTURES - AHEAD).saturating_sub(coded.len());
    coded.extend(drain(&mut encoder, rest));
    let numbers: Vec<usize> = coded
        .iter()
        .map(|picture| picture.time_ms as usize / 66)
        .collect();
    assert_eq!(numbers, (0..coded.len()).collect::<Vec<_>>());
    let keys: Vec<usize> = (0..coded.len()).filter(|index| coded[*index].key).collect();
    assert_eq!(keys, [0, 10, 39]);
    let headers: Vec<usize> = (0..coded.len())
        .filter(|index| coded[*index].header.is_some())
        .collect();
    assert_eq!(headers, [0], "the record stays the same");
    let record = &coded[0].header.as_ref().expect("the first").body[5..];
    assert_eq!(record[0], 0x81, "AV1 in ISOBMFF §2.3.3: marker and version");
    assert_eq!(obus(&record[4..]).map(|obu| obu.kind).collect::<Vec<_>>(), [1]);
    for picture in &coded {
        let CodedData::Av1(data) = &picture.data else {
            panic!("not AV1")
        };
        assert!(
            obus(data).all(|obu| obu.kind != 2) && obus(data).count() > 0,
            "no delimiters"
        );
    }
}

/// As an empty room is before somebody comes, and after they left: nothing to code, then all of it, then nothing again.
#[test]
fn a_still_picture_after_a_dear_one_is_coded_too() {
    const SIZE: Size = Size::new(320, 180);
    const PICTURES: usize = 240;
    let mut encoder = Av1Encoder::new(&settings(320, 180)).expect("an encoder");
    let still = picture(SIZE, 0);
    let mut coded = 0;
    for index in 0..PICTURES {
        let moving = (60..90).contains(&index);
        let frame = if moving {
            camera(SIZE, index * 37)
        } else {
            Frame::copy_of(&still.view()).expect("a size")
        };
        let deadline = Instant::now() + PATIENCE;
        while !encoder
            .push(&frame, index as u32, index % 30 == 0)
            .expect("it works")
        {
            assert!(Instant::now() < deadline, "picture {index} is not taken");
            coded += usize::from(encoder.poll().expect("it works").is_some());
        }
    }
    drain(&mut encoder, (PICTURES - 5).saturating_sub(coded));
}

#[test]
fn what_comes_faster_than_it_can_be_coded_is_left_out_and_nobody_waits() {
    const SIZE: Size = Size::new(1280, 720);
    let mut encoder = Av1Encoder::new(&settings(1280, 720)).expect("an encoder");
    let frame = picture(SIZE, 0);
    let begun = Instant::now();
    let taken = (0..200)
        .filter(|index| encoder.push(&frame, *index, *index == 0).expect("it works"))
        .count();
    let took = begun.elapsed();
    assert!(taken < 100, "{taken} of 200 taken in {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Two waves that move, with the grain of a camera: about as hard as people before one.
fn camera(size: Size, index: usize) -> Frame {
    let mut frame = Frame::new(size).expect("a size");
    frame.fill(Color { y: 0, u: 120, v: 135 });
    let mut random = index as u32 + 1;
    for y in 0..size.height {
        for (x, sample) in frame.view_mut().planes_mut()[0].row_mut(y).iter_mut().enumerate() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let waves = ((x + 3 * index) as f32 * 0.031).sin() + ((y + index) as f32 * 0.047).cos();
            *sample = (128.0 + 50.0 * waves) as u8 + (random >> 29) as u8;
        }
    }
    frame
}

/// `cargo test --release -p lianmai-mixer --lib av1 -- --ignored --nocapture`, on a machine that does nothing else.
#[test]
#[ignore = "measures for half a minute how much this machine codes; its figures are in docs/operating.md"]
fn how_many_pictures_a_second_are_coded() {
    const TIME: Duration = Duration::from_secs(7);
    for (width, height) in [(320, 180), (640, 360), (854, 480), (1280, 720)] {
        let size = Size::new(width as usize, height as usize);
        let pictures: Vec<Frame> = (0..30).map(|index| camera(size, index)).collect();
        let mut encoder = Av1Encoder::new(&settings(width, height)).expect("an encoder");
        let (begun, mut taken, mut coded, mut bytes) = (Instant::now(), 0_usize, 0_u32, 0_usize);
        while begun.elapsed() < TIME {
            let picture = &pictures[taken % pictures.len()];
            if encoder
                .push(picture, taken as u32, taken % 30 == 0)
                .expect("it works")
            {
                taken += 1;
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
            while let Some(picture) = encoder.poll().expect("it works") {
                let CodedData::Av1(data) = picture.data else {
                    panic!("not AV1")
                };
                (coded, bytes) = (coded + 1, bytes + data.len());
            }
        }
        let rate = f64::from(coded) / begun.elapsed().as_secs_f64();
        println!(
            "{width}x{height}: {rate:.1} pictures a second, {:.1} million pixels a second, {} bytes a picture",
            rate * f64::from(width * height) / 1e6,
            bytes / coded.max(1) as usize
        );
    }
}

#[test]
fn obus_are_told_apart_and_the_delimiter_goes() {
    let unit = [0x12, 0, 0x0a, 2, 7, 8, 0x36, 0, 1, 9];
    let kinds: Vec<(u8, usize)> = obus(&unit)
        .map(|Obu { kind, whole }| (kind, whole.len()))
        .collect();
    assert_eq!(kinds, [(2, 2), (1, 4), (6, 4)]);
    assert_eq!(without_delimiter(unit.to_vec()).expect("OBUs")[..], unit[2..]);
}

#[test]
fn sizes_have_seven_bits_a_byte() {
    assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some((624_485, 3)));
    assert_eq!(leb128(&[0x80; 9]), None);
    assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x7f]), None, "beyond 32 bits");
}

proptest! {
    #[test]
    fn whatever_comes_the_obus_are_parts_of_it(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let length: usize = obus(&bytes).map(|obu| obu.whole.len()).sum();
        assert!(length <= bytes.len());
    }
}

//! One host's decoder: what it can decode, what it shows, and when it needs a key frame.

use super::Task;
use super::codec::{DecodeError, PictureDecoder};
use super::filters::{FilterBoard, HostFilters};
use super::pool::FramePool;
use lianmai_compositor::{Frame, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

/// A key frame is asked for at most this often.
const ASK_EVERY: Span = Span::from_millis(500);

/// Decodes the pictures of one host, in order.
#[derive(Default)]
pub(super) struct HostDecoder {
    decoder: Option<PictureDecoder>,
    pool: FramePool,
    filters: HostFilters,
    asked: Option<EdgeTime>,
    counters: Counters,
}

/// What a decoder counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Pictures that came out.
    pub decoded: u64,
    /// Pictures that the decoder refused.
    pub errors: u64,
    /// Size of the last one, as shown.
    pub size: Size,
}

/// What became of a coded picture.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The picture, if it could be decoded.
    pub frame: Option<Arc<Frame>>,
    /// Whether the host should be asked for a key frame now.
    pub key_frame_needed: bool,
}

impl HostDecoder {
    /// Decodes the next picture. After a loss or an error nothing is shown before the next key frame: a frozen
    /// picture is better than a broken one.
    pub(super) fn decode(&mut self, now: EdgeTime, task: &Task) -> Outcome {
        let is_other = |decoder: &PictureDecoder| decoder.codec() != task.codec;
        if (task.after_loss && !task.key) || self.decoder.as_ref().is_some_and(is_other) {
            self.decoder = None;
        }
        if self.decoder.is_none() && !task.key {
            return self.ask(now);
        }
        match self.run(task) {
            Ok(frame) => {
                self.counters.decoded += u64::from(frame.is_some());
                self.counters.size = frame.as_ref().map_or(self.counters.size, |frame| frame.size());
                Outcome {
                    frame,
                    key_frame_needed: false,
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a picture could not be decoded");
                self.counters.errors += 1;
                self.decoder = None;
                self.ask(now)
            }
        }
    }

    /// What was counted.
    #[must_use]
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Filters pictures from now on as it was last said.
    pub(super) fn follow(&mut self, board: &FilterBoard, host: HostId) {
        self.filters.follow(board, host);
    }

    /// The host's encoder started anew.
    pub(super) fn restart(&mut self) {
        self.decoder = None;
        self.filters.chain.restart();
        self.asked = None;
    }

    fn run(&mut self, task: &Task) -> Result<Option<Arc<Frame>>, DecodeError> {
        let Self {
            decoder,
            pool,
            filters,
            ..
        } = self;
        let chain = &mut filters.chain;
        let decoder = match decoder {
            Some(decoder) => decoder,
            none => none.insert(PictureDecoder::new(task.codec)?),
        };
        decoder.decode(&task.data, |view| pool.copy(view, task.rotation, chain))
    }

    fn ask(&mut self, now: EdgeTime) -> Outcome {
        let due = self.asked.is_none_or(|asked| now - asked >= ASK_EVERY);
        if due {
            self.asked = Some(now);
        }
        Outcome {
            frame: None,
            key_frame_needed: due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostDecoder;
    use crate::encode::{EncodedPicture, H264Encoder};
    use crate::testing::streams;
    use crate::video::FilterBoard;
    use crate::video::Task;
    use bytes::Bytes;
    use lianmai_compositor::{Rotation, Size};
    use lianmai_fanout::Vp8Payload;
    use lianmai_mixer_control::filter::{Filter, Filters};
    use lianmai_mixer_control::media::HostId;
    use lianmai_mixer_control::{Canvas, Codec, Profile};
    use lianmai_timeline::{EdgeTime, Span};
    use openh264::formats::YUVBuffer;

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_millis(millis)
    }

    /// A grey that grows lighter from picture to picture.
    fn coded(width: u32, height: u32, count: usize) -> Vec<Task> {
        let canvas = Canvas {
            width,
            height,
            fps: 30,
        };
        let mut encoder = H264Encoder::new(canvas, 400_000, Profile::Baseline).expect("an encoder");
        (0..count)
            .map(|index| {
                let mut i420 = vec![128; (width * height * 3 / 2) as usize];
                i420[..(width * height) as usize].fill(60 + index as u8);
                let picture = YUVBuffer::from_vec(i420, width as usize, height as usize);
                let coded = encoder
                    .encode(&picture, index as u64 * 33, index == 0)
                    .expect("encodes");
                let EncodedPicture::Frame(data) = coded else {
                    panic!("skipped")
                };
                let (data, key) = (data.to_vec(), index == 0);
                Task {
                    codec: Codec::H264,
                    data,
                    key,
                    after_loss: false,
                    rotation: Rotation::None,
                    captured: at(0),
                }
            })
            .collect()
    }

    #[test]
    fn each_coded_picture_gives_its_picture_at_once() {
        let mut decoder = HostDecoder::default();
        for (index, task) in coded(320, 180, 10).iter().enumerate() {
            let frame = decoder.decode(at(0), task).frame.expect("decoded");
            assert_eq!(frame.size(), Size::new(320, 180));
            let luma = frame.view().planes()[0].row(90)[160];
            assert!(luma.abs_diff(60 + index as u8) <= 3, "picture {index}: {luma}");
        }
    }

    /// The same from libvpx, with a key frame first; not grey.
    fn vp8(size: &str, count: usize) -> Vec<Task> {
        let source = format!("testsrc2=size={size}:rate=25");
        let pictures = streams::vp8(&source, count as f64 / 25.0, 1000);
        let task = |(index, payloads): (usize, Vec<Bytes>)| Task {
            codec: Codec::Vp8,
            data: payloads
                .iter()
                .flat_map(|payload| Vp8Payload::parse(payload).expect("packed").data.to_vec())
                .collect(),
            key: index == 0,
            after_loss: false,
            rotation: Rotation::None,
            captured: at(0),
        };
        pictures.into_iter().enumerate().map(task).collect()
    }

    #[test]
    fn vp8_is_decoded_turned_and_refused_as_h264_is() {
        let mut decoder = HostDecoder::default();
        let mut tasks = vp8("320x180", 4);
        assert!(decoder.decode(at(0), &tasks[1]).key_frame_needed);
        assert!(decoder.decode(at(0), &tasks[0]).frame.is_some());
        tasks[1].rotation = Rotation::Quarter;
        let turned = decoder.decode(at(0), &tasks[1]).frame.expect("decoded");
        assert_eq!(turned.size(), Size::new(180, 320));
        tasks[2].after_loss = true;
        assert!(decoder.decode(at(1000), &tasks[2]).key_frame_needed);
        let large = &vp8("2048x1152", 1)[0];
        assert!(decoder.decode(at(1000), large).frame.is_none());
        assert_eq!((decoder.counters().decoded, decoder.counters().errors), (2, 1));
    }

    #[test]
    fn a_host_may_change_its_codec_with_a_key_frame() {
        let mut decoder = HostDecoder::default();
        let (h264, vp8) = (coded(320, 180, 2), vp8("320x180", 2));
        assert!(decoder.decode(at(0), &h264[0]).frame.is_some());
        assert!(decoder.decode(at(0), &vp8[1]).key_frame_needed);
        for task in [&vp8[0], &vp8[1], &h264[0], &h264[1]] {
            assert!(decoder.decode(at(0), task).frame.is_some());
        }
    }

    #[test]
    fn without_a_key_frame_nothing_is_shown_and_one_is_asked_for_now_and_then() {
        let mut decoder = HostDecoder::default();
        let tasks = coded(320, 180, 3);
        let asked: Vec<bool> = [0, 100, 499, 500, 600]
            .iter()
            .map(|ms| decoder.decode(at(*ms), &tasks[1]).key_frame_needed)
            .collect();
        assert_eq!(asked, [true, false, false, true, false]);
        assert!(decoder.decode(at(700), &tasks[0]).frame.is_some());
    }

    #[test]
    fn after_a_loss_the_picture_freezes_until_the_next_key_frame() {
        let mut decoder = HostDecoder::default();
        let mut tasks = coded(320, 180, 4);
        assert!(decoder.decode(at(0), &tasks[0]).frame.is_some());
        tasks[2].after_loss = true;
        let outcome = decoder.decode(at(0), &tasks[2]);
        assert!(outcome.frame.is_none() && outcome.key_frame_needed);
        assert!(decoder.decode(at(1), &tasks[3]).frame.is_none());
        tasks[0].after_loss = true;
        assert!(decoder.decode(at(2), &tasks[0]).frame.is_some());
    }

    #[test]
    fn a_new_resolution_is_followed() {
        let mut decoder = HostDecoder::default();
        for (width, height) in [(320, 180), (640, 360), (160, 90)] {
            let task = &coded(width, height, 1)[0];
            let frame = decoder.decode(at(0), task).frame.expect("decoded");
            assert_eq!(frame.size(), Size::new(width as usize, height as usize));
        }
    }

    #[test]
    fn a_turned_picture_is_set_upright() {
        let mut task = coded(320, 180, 1).remove(0);
        task.rotation = Rotation::Quarter;
        let frame = HostDecoder::default()
            .decode(at(0), &task)
            .frame
            .expect("decoded");
        assert_eq!(frame.size(), Size::new(180, 320));
    }

    #[test]
    fn filters_hold_from_the_next_picture_on_until_others_are_said() {
        let (mut decoder, board, host) = (HostDecoder::default(), FilterBoard::default(), HostId(3));
        let tasks = coded(320, 180, 4);
        let mut look = |task: &Task| {
            decoder.follow(&board, host);
            let frame = decoder.decode(at(0), task).frame.expect("decoded");
            (frame.size(), frame.view().planes()[0].row(90)[90])
        };
        let near = |luma: u8, wanted: u8| assert!(luma.abs_diff(wanted) <= 3, "{luma}");
        near(look(&tasks[0]).1, 60);
        let lighter = Filter::Brightness { amount: 0.5 };
        board.set(host, Filters(vec![lighter, Filter::Rotate { degrees: 90 }]));
        board.set(HostId(4), Filters(vec![Filter::Brightness { amount: -1.0 }]));
        let (size, luma) = look(&tasks[1]);
        assert_eq!(size, Size::new(180, 320));
        near(luma, 61 + 110);
        board.set(host, Filters::default());
        near(look(&tasks[2]).1, 62);
        board.set(host, Filters(vec![lighter]));
        board.remove(host);
        near(look(&tasks[3]).1, 63);
    }

    #[test]
    fn corrupt_pictures_are_survived_and_the_next_key_frame_is_shown() {
        let mut decoder = HostDecoder::default();
        let tasks = coded(320, 180, 40);
        let mut state = 1u64;
        for round in 0..200 {
            for task in &tasks {
                let mut task = task.clone();
                for _ in 0..1 + round % 5 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let place = (state >> 33) as usize % task.data.len();
                    task.data[place] ^= (state >> 25) as u8;
                }
                task.data.truncate(task.data.len() - round % 3);
                decoder.decode(at(round as i64 * 1000), &task);
            }
        }
        assert!(decoder.counters().errors > 0);
        assert!(decoder.decode(at(500_000), &tasks[0]).frame.is_some());
    }

    #[test]
    fn a_picture_too_large_for_the_mix_is_refused() {
        let task = &coded(2048, 1152, 1)[0];
        let mut decoder = HostDecoder::default();
        assert!(decoder.decode(at(0), task).frame.is_none());
        assert_eq!(decoder.counters().errors, 1);
    }
}

use super::{LISTED, MAX_BYTES, SegmentError, Segmenter};
use bytes::Bytes;
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::AvcConfig;
use proptest::prelude::{any, prop, proptest};

const FPS: u32 = 25;

/// By x264 for 320 x 180; the other one is of another level.
fn header(level: u8) -> Tag {
    let sps = [
        0x67, 0x42, 0xc0, level, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40,
        0x00, 0x00, 0x0f, 0x03, 0xc5, 0x0a, 0xa8,
    ];
    let config = AvcConfig {
        sps: Bytes::copy_from_slice(&sps),
        pps: Bytes::from_static(&[0x68, 0xce, 0x0f, 0xc8]),
    };
    Tag::avc_sequence_header(0, &config).expect("parameter sets")
}

/// A stream whose clock the test moves.
struct Stream {
    segmenter: Segmenter,
    time: u32,
    since_key: u32,
}

impl Stream {
    fn new() -> Self {
        let mut segmenter = Segmenter::new(100);
        for tag in [Tag::aac_sequence_header(0, &[0x11, 0x90]), header(0x0d)] {
            segmenter.push(&tag).expect("H.264 and AAC");
        }
        Self {
            segmenter,
            time: 0,
            since_key: u32::MAX,
        }
    }

    fn push(&mut self, tag: &Tag) {
        self.segmenter.push(tag).expect("it fits");
    }

    fn frame(&mut self, key: bool, picture: &[u8]) {
        self.push(&Tag::avc_frame(self.time, key, picture));
        self.push(&Tag::aac_frame(self.time + 1, b"sound"));
        self.time += 1000 / FPS;
        self.since_key = if key { 1 } else { self.since_key + 1 };
    }

    /// With a key frame every `gop` frames.
    fn play(&mut self, frames: u32, gop: u32) {
        for _ in 0..frames {
            self.frame(self.since_key >= gop, b"picture");
        }
    }

    fn list(&mut self) -> String {
        self.segmenter.playlist().expect("there is something to play")
    }
}

fn values<'a>(list: &'a str, tag: &str) -> Vec<&'a str> {
    list.lines().filter_map(|line| line.strip_prefix(tag)).collect()
}

/// What RFC 8216 asks of every list.
fn assert_valid(list: &str) {
    assert!(list.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{list}");
    let target: f64 = values(list, "#EXT-X-TARGETDURATION:")[0]
        .parse()
        .expect("seconds");
    for duration in values(list, "#EXTINF:") {
        let duration: f64 = duration.trim_end_matches(',').parse().expect("seconds");
        assert!(duration > 0.0 && duration.round() <= target, "{list}");
    }
    let uris = list.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(uris, values(list, "#EXTINF:").len(), "{list}");
}

#[test]
fn segments_are_groups_of_pictures_and_the_list_appears_with_the_first_two_seconds() {
    let mut stream = Stream::new();
    stream.play(2 * FPS, 2 * FPS);
    assert_eq!(stream.segmenter.playlist(), None);
    stream.play(1, 2 * FPS);
    let expected = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:100\n\
        #EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-MAP:URI=\"init-100.mp4\"\n#EXTINF:2.000000,\n100.m4s\n";
    assert_eq!(stream.list(), expected);
    assert!(
        stream
            .segmenter
            .map(100)
            .is_some_and(|head| &head[4..8] == b"ftyp")
    );
    assert!(
        stream
            .segmenter
            .segment(100)
            .is_some_and(|bytes| &bytes[4..8] == b"moof")
    );
}

#[test]
fn the_list_is_a_window_that_moves_and_segments_stay_for_a_while_after_they_left_it() {
    let mut stream = Stream::new();
    stream.play(61 * FPS, 2 * FPS);
    let list = stream.list();
    assert_valid(&list);
    assert_eq!(values(&list, "#EXT-X-MEDIA-SEQUENCE:"), ["124"]);
    assert_eq!(values(&list, "#EXTINF:").len(), LISTED);
    assert!(
        stream.segmenter.segment(123).is_some(),
        "it left the list just now"
    );
    assert!(stream.segmenter.segment(100).is_none(), "it left long ago");
    assert!(stream.segmenter.map(100).is_some(), "all of them need it");
}

#[test]
fn the_target_duration_does_not_change_whatever_the_key_frames_do() {
    let mut stream = Stream::new();
    stream.play(5 * FPS, 2 * FPS);
    assert_eq!(values(&stream.list(), "#EXT-X-TARGETDURATION:"), ["2"]);
    // A key frame on demand every now and then, then none for long.
    for frames in [7, 13, 30, 49, 3, 3, 3, 50, 500] {
        stream.play(frames, 10_000);
        stream.frame(true, b"picture");
        let list = stream.list();
        assert_valid(&list);
        assert_eq!(values(&list, "#EXT-X-TARGETDURATION:"), ["2"]);
    }
}

#[test]
fn long_groups_of_pictures_make_a_long_target_duration() {
    let mut stream = Stream::new();
    stream.play(13 * FPS, 4 * FPS);
    let list = stream.list();
    assert_valid(&list);
    assert_eq!(values(&list, "#EXT-X-TARGETDURATION:"), ["4"]);
}

#[test]
fn another_publisher_of_the_same_kind_is_a_discontinuity_under_the_same_head() {
    let mut stream = Stream::new();
    stream.play(5 * FPS, 2 * FPS);
    stream.push(&header(0x0d));
    stream.time += 400;
    stream.since_key = u32::MAX;
    stream.play(5 * FPS, 2 * FPS);
    let list = stream.list();
    assert_valid(&list);
    assert_eq!(
        values(&list, "#EXT-X-DISCONTINUITY").len(),
        2,
        "the tag, and the sequence:\n{list}"
    );
    assert_eq!(values(&list, "#EXT-X-MAP").len(), 1, "{list}");
    // The second of group and a half before it is not lost.
    assert!(
        list.contains("#EXTINF:1.000000,\n102.m4s\n#EXT-X-DISCONTINUITY\n#EXTINF:2.0"),
        "{list}"
    );
    stream.play(30 * FPS, 2 * FPS);
    let later = stream.list();
    assert_eq!(values(&later, "#EXT-X-DISCONTINUITY-SEQUENCE:"), ["1"], "{later}");
    assert_eq!(values(&later, "#EXT-X-DISCONTINUITY").len(), 1, "{later}");
}

#[test]
fn another_kind_of_picture_is_a_discontinuity_with_a_head_of_its_own() {
    let mut stream = Stream::new();
    stream.play(5 * FPS, 2 * FPS);
    stream.push(&header(0x1f));
    stream.since_key = u32::MAX;
    stream.play(5 * FPS, 2 * FPS);
    let list = stream.list();
    let maps = values(&list, "#EXT-X-MAP:URI=");
    assert_eq!(maps, ["\"init-100.mp4\"", "\"init-103.mp4\""], "{list}");
    assert!(stream.segmenter.map(100) != stream.segmenter.map(103));
    stream.play(60 * FPS, 2 * FPS);
    assert!(stream.segmenter.map(100).is_none(), "nobody needs it any more");
}

#[test]
fn headers_that_are_repeated_in_passing_change_nothing() {
    let mut stream = Stream::new();
    for _ in 0..10 {
        stream.play(2 * FPS, 2 * FPS);
        stream.push(&header(0x0d));
        stream.push(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
    }
    let list = stream.list();
    assert!(!list.contains("#EXT-X-DISCONTINUITY\n"), "{list}");
}

#[test]
fn a_stream_that_ends_ends_its_list_with_everything_that_came() {
    let mut stream = Stream::new();
    stream.play(FPS / 2, 2 * FPS);
    assert_eq!(stream.segmenter.playlist(), None);
    stream.segmenter.end().expect("it fits");
    let list = stream.list();
    assert_valid(&list);
    assert!(
        list.ends_with("#EXTINF:0.480000,\n100.m4s\n#EXT-X-ENDLIST\n"),
        "{list}"
    );
}

#[test]
fn sound_alone_is_cut_every_two_seconds() {
    let mut segmenter = Segmenter::new(0);
    segmenter
        .push(&Tag::aac_sequence_header(0, &[0x11, 0x90]))
        .expect("AAC");
    for frame in 0..600_u32 {
        let millis = u64::from(frame) * 1024 * 1000 / 48_000;
        segmenter
            .push(&Tag::aac_frame(u32::try_from(millis).expect("small"), b"sound"))
            .expect("it fits");
    }
    let list = segmenter.playlist().expect("twelve seconds");
    assert_valid(&list);
    assert!(
        values(&list, "#EXTINF:")
            .iter()
            .all(|duration| duration.starts_with("2.0")),
        "{list}"
    );
}

#[test]
fn a_stream_of_huge_pictures_costs_bounded_memory() {
    let mut stream = Stream::new();
    let picture = vec![0; 2 << 20];
    for frame in 0..200 {
        stream.frame(frame % 50 == 0, &picture);
    }
    let kept: usize = (100..300)
        .filter_map(|number| stream.segmenter.segment(number))
        .map(|bytes| bytes.len())
        .sum();
    assert!(kept <= MAX_BYTES && kept > MAX_BYTES / 2, "{kept}");
    assert_valid(&stream.list());
}

#[test]
fn a_codec_that_players_do_not_get_is_named() {
    let tag = Tag {
        body: Bytes::from_static(b"\x90av01\x81"),
        ..Tag::avc_frame(0, true, b"")
    };
    let error = Segmenter::new(0).push(&tag).expect_err("AV1");
    assert!(
        matches!(&error, SegmentError::Track(_)) && error.to_string().contains("av01"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn whatever_times_come_the_list_is_valid(steps in prop::collection::vec((any::<bool>(), 0_u32..4000, any::<bool>()), 1..200)) {
        let mut stream = Stream::new();
        stream.frame(true, b"picture");
        for (key, step, back) in steps {
            stream.time = if back { stream.time.wrapping_sub(step) } else { stream.time.wrapping_add(step) };
            let time = stream.time;
            stream.push(&Tag::avc_frame(time, key, b"picture"));
            if let Some(list) = stream.segmenter.playlist() {
                assert_valid(&list);
            }
        }
    }
}

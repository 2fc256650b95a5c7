//! What a host and the mix give, as a reel takes it.

use super::epoch::Epoch;
use super::reel::{Act, Reel};
use bytes::Bytes;
use lianmai_mp4::{Audio, Avc, Item, Picture, Sound, Tags, Video, packet_samples};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::annexb;
use lianmai_timeline::{EdgeTime, Span};
use std::time::Duration;

/// How long the first picture of a host is waited for before its sound is recorded alone.
const PATIENCE: Span = Span::from_secs(3);

/// One host.
#[derive(Debug)]
pub(super) struct HostFeed {
    reel: Reel,
    audio: Option<Audio>,
    expects_video: bool,
    video: Option<Video>,
    heard: Option<EdgeTime>,
}

impl HostFeed {
    /// A host that sends these.
    pub(super) fn new(epoch: Epoch, audio: bool, video: bool) -> Self {
        Self {
            reel: Reel::new(epoch),
            audio: audio.then(Audio::opus),
            expects_video: video,
            video: None,
            heard: None,
        }
    }

    /// A picture in the form of Annex B, to be turned clockwise by so many quarters.
    pub(super) fn picture(&mut self, at: EdgeTime, key: bool, turns: u8, annexb: &[u8]) {
        if key && self.video.as_ref().is_none_or(|video| video.turns != turns) {
            // The sets of the first key frame hold for the head of the file; later ones stand in the pictures.
            let config = annexb::access_unit(annexb).config;
            let described = config.map(|config| Avc::in_band(&config));
            match described {
                Some(Ok(avc)) => self.video = Some(Video { avc, turns }),
                Some(Err(error)) => return tracing::warn!(%error, "a key frame is not recorded"),
                None => {}
            }
            self.reel.set_tracks(self.video.clone(), self.audio.clone());
        }
        let picture = Picture {
            time: Duration::ZERO,
            offset_ms: 0,
            key,
            data: Avc::sample(annexb),
        };
        self.reel.picture(at, picture);
    }

    /// An Opus packet.
    pub(super) fn sound(&mut self, at: EdgeTime, packet: Bytes) {
        let Some(samples) = packet_samples(&packet) else {
            return;
        };
        let since = *self.heard.get_or_insert(at);
        if self.video.is_none() {
            if self.expects_video && at - since < PATIENCE {
                return;
            }
            self.reel.set_tracks(None, self.audio.clone());
        }
        let sound = Sound {
            time: Duration::ZERO,
            samples,
            data: packet,
        };
        self.reel.sound(at, sound);
    }

    pub(super) fn finish(&mut self) {
        self.reel.finish();
    }

    pub(super) fn poll(&mut self) -> Option<Act> {
        self.reel.poll()
    }
}

/// The mix.
#[derive(Debug)]
pub(super) struct MixFeed {
    reel: Reel,
    tags: Tags,
}

impl MixFeed {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            reel: Reel::new(epoch),
            tags: Tags::default(),
        }
    }

    /// A tag, and when it is played.
    pub(super) fn tag(&mut self, at: EdgeTime, tag: &Tag) {
        match self.tags.read(tag) {
            Ok(Some(Item::Tracks)) => {
                let (video, audio) = self.tags.tracks();
                self.reel.set_tracks(video, audio);
            }
            // The mix always has pictures: they are announced before the first of them.
            Ok(Some(Item::Sound(sound))) if self.tags.has_video() => self.reel.sound(at, sound),
            Ok(Some(Item::Picture(picture))) => self.reel.picture(at, picture),
            Ok(Some(Item::Sound(_)) | None) => {}
            Err(error) => tracing::error!(%error, "a track of the mix is not recorded"),
        }
    }

    pub(super) fn finish(&mut self) {
        self.reel.finish();
    }

    pub(super) fn poll(&mut self) -> Option<Act> {
        self.reel.poll()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Act, Epoch, HostFeed, MixFeed};
    use bytes::Bytes;
    use lianmai_mp4::{Avc, Picture, Sound};
    use lianmai_rtmp::Tag;
    use lianmai_rtmp::flv::AvcConfig;
    use lianmai_timeline::{EdgeTime, Span};
    use std::time::Duration;

    /// One Opus packet of 20 ms of silence.
    pub(crate) const OPUS: [u8; 3] = [0xfc, 0xff, 0xfe];

    /// By x264 for 320 x 180.
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00,
        0x00, 0x0f, 0x03, 0xc5, 0x0a, 0xa8,
    ];
    const PPS: &[u8] = &[0x68, 0xce, 0x0f, 0xc8];

    pub(crate) fn config() -> AvcConfig {
        AvcConfig {
            sps: Bytes::from_static(SPS),
            pps: Bytes::from_static(PPS),
        }
    }

    pub(crate) fn avc() -> Avc {
        Avc::in_band(&config()).expect("parameter sets")
    }

    pub(crate) fn picture(key: bool) -> Picture {
        Picture {
            time: Duration::ZERO,
            offset_ms: 0,
            key,
            data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
        }
    }

    pub(crate) fn sound() -> Sound {
        Sound {
            time: Duration::ZERO,
            samples: 960,
            data: Bytes::from_static(&OPUS),
        }
    }

    /// A key frame as browsers send it, in Annex B.
    pub(crate) fn key_frame() -> Vec<u8> {
        let start: [u8; 4] = [0, 0, 0, 1];
        [&start[..], SPS, &start, PPS, &start, &[0x65, 0x88, 1]].concat()
    }

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(9_000_000_000) + Span::from_millis(millis)
    }

    fn epoch() -> Epoch {
        Epoch::new(at(0), Duration::from_secs(1_700_000_000))
    }

    fn begun(poll: impl FnMut() -> Option<Act>) -> usize {
        std::iter::from_fn(poll)
            .filter(|act| matches!(act, Act::Begin(_)))
            .count()
    }

    #[test]
    fn a_host_whose_pictures_do_not_come_is_recorded_as_sound_and_anew_when_they_do() {
        let mut host = HostFeed::new(epoch(), true, true);
        (0..150).for_each(|packet| host.sound(at(packet * 20), Bytes::from_static(&OPUS)));
        assert_eq!(begun(|| host.poll()), 0, "within three seconds");
        host.sound(at(3000), Bytes::from_static(&OPUS));
        assert_eq!(begun(|| host.poll()), 1);
        host.picture(at(3010), true, 0, &key_frame());
        let acts: Vec<_> = std::iter::from_fn(|| host.poll()).collect();
        assert!(
            matches!(acts[..], [Act::Write(_), Act::End, Act::Begin(_), Act::Write(_)]),
            "{acts:?}"
        );
    }

    #[test]
    fn a_phone_that_is_turned_gets_another_file_and_one_that_is_not_does_not() {
        let mut host = HostFeed::new(epoch(), true, true);
        host.picture(at(0), true, 0, &key_frame());
        host.picture(at(33), true, 0, &key_frame());
        host.picture(at(66), false, 1, &[0, 0, 0, 1, 0x61, 1]);
        assert_eq!(begun(|| host.poll()), 1);
        host.picture(at(99), true, 1, &key_frame());
        assert_eq!(begun(|| host.poll()), 1);
    }

    #[test]
    fn junk_of_a_host_makes_no_file() {
        let mut host = HostFeed::new(epoch(), true, true);
        for length in 0..64 {
            let junk = vec![0x65; length];
            host.picture(
                at(length as i64),
                true,
                0,
                &[&[0, 0, 1, 0x67], &junk[..], &[0, 0, 1, 0x68, 1]].concat(),
            );
            host.sound(at(length as i64), Bytes::new());
        }
        assert_eq!(host.poll(), None);
    }

    #[test]
    fn the_mix_begins_when_its_pictures_are_known() {
        let mut mix = MixFeed::new(epoch());
        mix.tag(at(0), &Tag::aac_sequence_header(0, &[0x11, 0x90]));
        mix.tag(at(0), &Tag::aac_frame(0, b"sound"));
        assert_eq!(mix.poll(), None);
        mix.tag(at(0), &Tag::avc_sequence_header(0, &config()).expect("sets"));
        mix.tag(at(0), &Tag::avc_frame(0, true, b"picture"));
        assert_eq!(begun(|| mix.poll()), 1);
    }
}

//! From one source to files: when one begins, what stands in it, when it ends. No I/O and no clock in here.

use super::epoch::{Epoch, Zero};
use bytes::Bytes;
use lianmai_mp4::{Audio, Mp4Error, Muxer, Picture, Sound, Video};
use lianmai_timeline::EdgeTime;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a fragment is: a crash costs as much.
const FRAGMENT: Duration = Duration::from_secs(1);

/// A fragment is shorter if it would have more bytes.
const MAX_FRAGMENT: usize = 4 << 20;

/// What is to be done with files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Begin a file whose zero was so many seconds after 1970.
    Begin(u64),
    /// Append this.
    Write(Bytes),
    /// It is complete.
    End,
    /// It cannot go on.
    Fail(String),
}

/// One source.
#[derive(Debug)]
pub(super) struct Reel {
    epoch: Epoch,
    video: Option<Video>,
    audio: Option<Audio>,
    film: Option<Film>,
    acts: VecDeque<Act>,
}

/// A file that grows.
#[derive(Debug)]
struct Film {
    zero: Zero,
    muxer: Muxer,
}

impl Reel {
    pub(super) const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            video: None,
            audio: None,
            film: None,
            acts: VecDeque::new(),
        }
    }

    /// What comes from now on. If that is something else than before, a file ends here.
    pub(super) fn set_tracks(&mut self, video: Option<Video>, audio: Option<Audio>) {
        if self.video != video || self.audio != audio {
            self.finish();
            (self.video, self.audio) = (video, audio);
        }
    }

    /// A picture, decoded at `at`; its own time is not looked at. A file begins with a key frame.
    pub(super) fn picture(&mut self, at: EdgeTime, mut picture: Picture) {
        if self.video.is_none() || (self.film.is_none() && !picture.key) {
            return;
        }
        self.begin(at);
        let Some(film) = &mut self.film else { return };
        if let Some(time) = film.time(at) {
            picture.time = time;
            film.muxer.picture(picture);
        }
        self.cut();
    }

    /// Sound, heard from `at` on; its own time is not looked at. It begins a file only where there are no pictures.
    pub(super) fn sound(&mut self, at: EdgeTime, mut sound: Sound) {
        if self.audio.is_none() || (self.film.is_none() && self.video.is_some()) {
            return;
        }
        self.begin(at);
        let Some(film) = &mut self.film else { return };
        if let Some(time) = film.time(at) {
            sound.time = time;
            film.muxer.sound(sound);
        }
        self.cut();
    }

    /// Nothing more comes for this file.
    pub(super) fn finish(&mut self) {
        let Some(mut film) = self.film.take() else {
            return;
        };
        let rest = film.muxer.finish();
        self.write(rest);
        self.acts.push_back(Act::End);
    }

    /// What is to be done next.
    pub(super) fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    fn begin(&mut self, at: EdgeTime) {
        if self.film.is_some() {
            return;
        }
        let zero = self.epoch.zero(at);
        let muxer = Muxer::new(self.video.clone(), self.audio.clone(), zero.unix);
        self.acts.push_back(Act::Begin(zero.unix));
        let head = muxer.head().map(Some);
        self.film = Some(Film { zero, muxer });
        self.write(head);
    }

    fn cut(&mut self) {
        let Some(film) = &mut self.film else { return };
        if film.muxer.length() >= FRAGMENT || film.muxer.bytes() >= MAX_FRAGMENT {
            let fragment = film.muxer.fragment();
            self.write(fragment);
        }
    }

    fn write(&mut self, bytes: Result<Option<Bytes>, Mp4Error>) {
        match bytes {
            Ok(bytes) => self.acts.extend(bytes.map(Act::Write)),
            Err(error) => {
                self.film = None;
                self.acts.push_back(Act::Fail(error.to_string()));
            }
        }
    }
}

impl Film {
    /// What is before the zero of the file is not in it.
    fn time(&self, at: EdgeTime) -> Option<Duration> {
        u64::try_from((at - self.zero.edge).0)
            .ok()
            .map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Epoch, Reel};
    use crate::record::feeds::tests::{avc, picture, sound};
    use lianmai_mp4::{Audio, Video};
    use lianmai_timeline::{EdgeTime, Span};
    use std::time::Duration;

    const START: EdgeTime = EdgeTime(7_000_000_000);

    fn reel(video: Option<Video>) -> Reel {
        let epoch = Epoch::new(START, Duration::from_millis(1_700_000_000_400));
        let mut reel = Reel::new(epoch);
        reel.set_tracks(video, Some(Audio::opus()));
        reel
    }

    fn video(turns: u8) -> Option<Video> {
        Some(Video { avc: avc(), turns })
    }

    fn at(millis: i64) -> EdgeTime {
        START + Span::from_millis(millis)
    }

    /// `B`egin, `w`rite, `E`nd, in their order.
    fn acts(reel: &mut Reel) -> String {
        std::iter::from_fn(|| reel.poll())
            .map(|act| match act {
                Act::Begin(_) => 'B',
                Act::Write(_) => 'w',
                Act::End => 'E',
                Act::Fail(_) => 'F',
            })
            .collect()
    }

    #[test]
    fn a_file_begins_with_a_key_frame_at_a_whole_second_and_grows_every_second() {
        let mut reel = reel(video(0));
        reel.sound(at(0), sound());
        reel.picture(at(30), picture(false));
        assert_eq!(reel.poll(), None);
        reel.picture(at(60), picture(true));
        assert_eq!(reel.poll(), Some(Act::Begin(1_700_000_000)));
        assert_eq!(acts(&mut reel), "w", "the head");
        (1..=70).for_each(|frame| reel.picture(at(60 + frame * 33), picture(false)));
        assert_eq!(acts(&mut reel), "ww");
        reel.finish();
        assert_eq!(acts(&mut reel), "wE");
    }

    #[test]
    fn other_tracks_end_a_file_and_the_next_begins_with_the_next_key_frame() {
        let mut reel = reel(video(0));
        reel.picture(at(0), picture(true));
        reel.set_tracks(video(0), Some(Audio::opus()));
        assert_eq!(acts(&mut reel), "Bw", "nothing changed");
        reel.set_tracks(video(1), Some(Audio::opus()));
        reel.picture(at(33), picture(false));
        assert_eq!(acts(&mut reel), "wE");
        reel.picture(at(66), picture(true));
        assert_eq!(acts(&mut reel), "Bw");
    }

    #[test]
    fn sound_alone_makes_a_file_where_no_pictures_are_expected() {
        let mut reel = reel(None);
        (0..60).for_each(|packet| reel.sound(at(packet * 20), sound()));
        assert_eq!(acts(&mut reel), "Bww");
    }

    #[test]
    fn what_was_before_the_zero_of_a_file_is_not_in_it() {
        let mut reel = reel(video(0));
        reel.picture(at(0), picture(true));
        reel.sound(at(-401), sound());
        reel.picture(at(1100), picture(false));
        reel.picture(at(1133), picture(false));
        let written: Vec<_> = std::iter::from_fn(|| reel.poll()).collect();
        let Some(Act::Write(fragment)) = written.last() else {
            panic!("{written:?}")
        };
        let tracks = fragment.windows(4).filter(|name| name == b"traf").count();
        assert_eq!(tracks, 1, "pictures alone");
    }
}

//! Pictures and sound in, a head and fragments out.

use crate::Mp4Error;
use crate::boxes::{self, AUDIO, VIDEO};
use crate::fragment::fragment;
use crate::lane::{Lane, Sample};
use crate::sound::Places;
use crate::track::{Audio, Video};
use bytes::Bytes;
use std::time::Duration;

/// Units a second of every track of pictures.
pub(crate) const VIDEO_RATE: u32 = 90_000;

/// How long a picture lasts of which nothing is known.
const USUAL_PICTURE: u32 = VIDEO_RATE / 30;

/// One coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// When it is decoded, since the file's zero.
    pub time: Duration,
    /// How much later it is shown, in milliseconds: other than zero where pictures are coded in another order.
    pub offset_ms: i32,
    /// Whether it needs none before it.
    pub key: bool,
    /// NAL units, each behind its length in four bytes.
    pub data: Bytes,
}

/// One coded frame of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// When it is heard, since the file's zero.
    pub time: Duration,
    /// How long it is, in samples at the track's rate.
    pub samples: u32,
    /// As the codec gave it.
    pub data: Bytes,
}

/// One file, or one run of segments: a head, then fragments.
#[derive(Debug)]
pub struct Muxer {
    video: Option<(Video, Lane)>,
    audio: Option<(Audio, Lane)>,
    places: Places,
    fragments: u32,
    created: u64,
}

impl Muxer {
    /// A file with these tracks, whose zero is `created` seconds after 1970.
    #[must_use]
    pub fn new(video: Option<Video>, audio: Option<Audio>, created: u64) -> Self {
        let video = video.map(|video| (video, Lane::new(VIDEO_RATE, USUAL_PICTURE)));
        let audio = audio.map(|audio| {
            // The 20 ms of a packet; the first pair of frames says more.
            let lane = Lane::new(audio.rate, audio.rate / 50);
            (audio, lane)
        });
        Self {
            video,
            audio,
            places: Places::default(),
            fragments: 0,
            created,
        }
    }

    /// What stands before the first fragment.
    ///
    /// # Errors
    /// When the tracks do not fit into MP4.
    pub fn head(&self) -> Result<Bytes, Mp4Error> {
        let video = self.video.as_ref().map(|(video, _)| video);
        let audio = self.audio.as_ref().map(|(audio, _)| audio);
        boxes::head(video, audio, self.created)
    }

    /// The next picture in the order of decoding. Without a track for it, it is left out.
    pub fn picture(&mut self, picture: Picture) {
        let Some((_, lane)) = &mut self.video else {
            return;
        };
        lane.push(Sample {
            time: ticks(picture.time, VIDEO_RATE),
            duration: 0,
            offset: picture.offset_ms.saturating_mul(VIDEO_RATE.cast_signed() / 1000),
            key: picture.key,
            data: picture.data,
        });
    }

    /// The next frame of sound. Without a track for it, it is left out.
    pub fn sound(&mut self, sound: Sound) {
        let Some((audio, lane)) = &mut self.audio else {
            return;
        };
        let wanted = ticks(sound.time, audio.rate);
        lane.push(Sample {
            time: self.places.place(wanted, sound.samples, audio.rate),
            duration: 0,
            offset: 0,
            key: true,
            data: sound.data,
        });
    }

    /// How much a fragment would hold now: the longer of the tracks.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.lanes().map(length).max().unwrap_or_default()
    }

    /// How much of pictures a fragment would hold now, or of sound if there are no pictures.
    #[must_use]
    pub fn leading_length(&self) -> Duration {
        self.lanes().map(length).next().unwrap_or_default()
    }

    /// Bytes of pictures and sound that a fragment would hold now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lanes().map(Lane::bytes).sum()
    }

    /// A fragment of everything but the last sample of each track, whose length is not known yet; `None` if there is nothing.
    ///
    /// # Errors
    /// When it does not fit into MP4: beyond 2 GiB.
    pub fn fragment(&mut self) -> Result<Option<Bytes>, Mp4Error> {
        let taken = [
            self.video.as_mut().map(|(_, lane)| (VIDEO, lane.take())),
            self.audio.as_mut().map(|(_, lane)| (AUDIO, lane.take())),
        ];
        let tracks: Vec<_> = taken
            .into_iter()
            .flatten()
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        if tracks.is_empty() {
            return Ok(None);
        }
        self.fragments = self.fragments.wrapping_add(1);
        fragment(self.fragments, &tracks).map(Some)
    }

    /// Nothing more comes: the next fragment has the last sample of each track too.
    pub fn end(&mut self) {
        let video = self.video.iter_mut().map(|(_, lane)| lane);
        let audio = self.audio.iter_mut().map(|(_, lane)| lane);
        video.chain(audio).for_each(Lane::end);
    }

    /// The last fragment, with everything.
    ///
    /// # Errors
    /// As for [`Self::fragment`].
    pub fn finish(&mut self) -> Result<Option<Bytes>, Mp4Error> {
        self.end();
        self.fragment()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let video = self.video.iter().map(|(_, lane)| lane);
        video.chain(self.audio.iter().map(|(_, lane)| lane))
    }
}

/// Rounded, so that times that are a whole number of units stay it.
fn ticks(time: Duration, rate: u32) -> u64 {
    let nanos = time.as_nanos() * u128::from(rate) + 500_000_000;
    u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX)
}

fn length(lane: &Lane) -> Duration {
    Duration::from_nanos(
        u64::try_from(u128::from(lane.length()) * 1_000_000_000 / u128::from(lane.rate)).unwrap_or(u64::MAX),
    )
}

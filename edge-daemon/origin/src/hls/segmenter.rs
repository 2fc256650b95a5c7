//! From tags to segments of fragmented MP4 and the list of them (RFC 8216). No I/O and no clock in here.

use super::playlist;
use bytes::Bytes;
use lianmai_mp4::{Item, Mp4Error, Muxer, Picture, Sound, Tags, TrackError};
use lianmai_rtmp::{Tag, TagKind};
use std::collections::VecDeque;
use std::time::Duration;

/// Segments in the list; behind the last three of them no player should be (RFC 8216 §6.3.3).
pub(super) const LISTED: usize = 6;

/// Segments that are kept after they left the list, for players that still have an older one (§6.2.2).
const KEPT: usize = LISTED + 2;

/// Bytes of all segments of a stream.
const MAX_BYTES: usize = 48 << 20;

/// Bytes of one segment.
const MAX_SEGMENT: usize = 8 << 20;

/// The list appears when it has this much, which is also the least target duration.
const FIRST: Duration = Duration::from_secs(2);

/// A key frame this soon after the last cut is no place for another.
const SHORTEST: Duration = Duration::from_millis(450);

/// Before it is longer than this beyond the target duration, a segment is cut without a key frame (§4.3.3.1).
const LEEWAY: Duration = Duration::from_millis(450);

/// While the target duration is not known.
const LONGEST: Duration = Duration::from_secs(10);

/// Between two frames: somebody else publishes, or the same one anew, if headers came in between.
const RESTART_GAP: Duration = Duration::from_millis(100);

/// Between two frames: whatever came in between, players do not bridge it.
const MAX_GAP: Duration = Duration::from_secs(2);

/// A stream cannot be made into segments.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    /// Of a codec that HLS players do not get from here.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// Too large for MP4.
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
}

/// One segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// The number of the head that goes before it: that of the first segment that has it.
    pub(super) map: u64,
    /// It does not go on from the one before.
    pub(super) discontinuity: bool,
    pub(super) duration: Duration,
    bytes: Bytes,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Segmenter {
    tags: Tags,
    run: Option<Run>,
    segments: VecDeque<Segment>,
    /// Heads that kept segments need, by number.
    maps: VecDeque<(u64, Bytes)>,
    next: u64,
    /// Discontinuities that left the list (§4.3.3.3).
    discontinuities: u64,
    /// Seconds; does not change once it was shown (§6.2.1).
    target: Option<u64>,
    /// How much was made so far.
    made: Duration,
    headers_came: bool,
    last: Option<Duration>,
    ended: bool,
}

/// From one discontinuity to the next.
#[derive(Debug)]
struct Run {
    muxer: Muxer,
    map: u64,
    /// When the segment begins that is being made.
    start: Duration,
    /// The latest frame, and how much later it is than the one before: of pictures, or of sound if there are none.
    last: Duration,
    step: Duration,
    /// No segment of it is complete yet.
    fresh: bool,
}

impl Segmenter {
    /// The first segment has number `first`.
    pub(crate) fn new(first: u64) -> Self {
        Self {
            tags: Tags::default(),
            run: None,
            segments: VecDeque::new(),
            maps: VecDeque::new(),
            next: first,
            discontinuities: 0,
            target: None,
            made: Duration::ZERO,
            headers_came: false,
            last: None,
            ended: false,
        }
    }

    /// The next tag.
    pub(crate) fn push(&mut self, tag: &Tag) -> Result<(), SegmentError> {
        self.headers_came |= tag.kind != TagKind::Script && tag.is_sequence_header();
        match self.tags.read(tag)? {
            None => Ok(()),
            Some(Item::Tracks) => self.finish_run(),
            Some(Item::Picture(picture)) => {
                self.look_for_gap(picture.time)?;
                self.picture(picture)
            }
            Some(Item::Sound(sound)) => {
                self.look_for_gap(sound.time)?;
                self.sound(sound)
            }
        }
    }

    /// There is no next tag.
    pub(crate) fn end(&mut self) -> Result<(), SegmentError> {
        self.ended = true;
        self.finish_run()
    }

    /// The list, once there is something to play.
    pub(crate) fn playlist(&mut self) -> Option<String> {
        if self.target.is_none() {
            let is_all_there_is = self.ended && !self.segments.is_empty();
            if self.made < FIRST && !is_all_there_is {
                return None;
            }
            let longest = self.segments.iter().map(|segment| segment.duration).max();
            self.target = longest.map(|longest| rounded(longest.max(FIRST)));
        }
        let listed: Vec<&Segment> = self.segments.iter().skip(self.unlisted()).collect();
        let target = self.target?;
        Some(playlist::write(target, self.discontinuities, &listed, self.ended))
    }

    /// The bytes of a segment.
    pub(crate) fn segment(&self, number: u64) -> Option<Bytes> {
        let found = self.segments.iter().find(|segment| segment.number == number)?;
        Some(found.bytes.clone())
    }

    /// The bytes of a head.
    pub(crate) fn map(&self, number: u64) -> Option<Bytes> {
        let (_, bytes) = self.maps.iter().find(|(of, _)| *of == number)?;
        Some(bytes.clone())
    }

    /// How many segments there were so far, counted from the first number.
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    fn look_for_gap(&mut self, time: Duration) -> Result<(), SegmentError> {
        let last = self.last.replace(time).unwrap_or(time);
        let gap = time.saturating_sub(last);
        // Sound and pictures may leave a little out of their order; more means that time begins anew.
        let back = last.saturating_sub(time);
        let headers_came = std::mem::take(&mut self.headers_came);
        if (headers_came && gap > RESTART_GAP) || gap > MAX_GAP || back > MAX_GAP {
            self.finish_run()?;
        }
        Ok(())
    }

    fn picture(&mut self, picture: Picture) -> Result<(), SegmentError> {
        let (time, key) = (picture.time, picture.key);
        if self.run.is_none() && !key {
            return Ok(());
        }
        self.make_room(time)?;
        self.run(time)?.muxer.picture(picture);
        self.cut(time, if key { SHORTEST } else { Duration::MAX })
    }

    fn sound(&mut self, sound: Sound) -> Result<(), SegmentError> {
        let time = sound.time;
        if !self.tags.has_video() {
            // Every sound is a place to cut.
            self.make_room(time)?;
            self.run(time)?.muxer.sound(sound);
            return self.cut(time, FIRST);
        }
        if let Some(run) = &mut self.run {
            run.muxer.sound(sound);
        }
        Ok(())
    }

    /// The run that goes on, or a new one.
    fn run(&mut self, time: Duration) -> Result<&mut Run, SegmentError> {
        let run = match self.run.take() {
            Some(run) => run,
            None => self.begin(time)?,
        };
        Ok(self.run.insert(run))
    }

    fn begin(&mut self, time: Duration) -> Result<Run, SegmentError> {
        let (video, audio) = self.tags.tracks();
        let muxer = Muxer::new(video, audio, 0);
        let head = muxer.head()?;
        let map = match self.maps.back() {
            Some((number, same)) if *same == head => *number,
            _ => {
                self.maps.push_back((self.next, head));
                self.next
            }
        };
        Ok(Run {
            muxer,
            map,
            start: time,
            last: time,
            step: Duration::ZERO,
            fresh: true,
        })
    }

    /// Ends the segment before the latest frame, if a frame at `time` would make it too long.
    fn make_room(&mut self, time: Duration) -> Result<(), SegmentError> {
        let longest = self
            .target
            .map_or(LONGEST, |target| Duration::from_secs(target) + LEEWAY);
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        if run.last <= run.start || time.saturating_sub(run.start) <= longest {
            return Ok(());
        }
        run.start = run.last;
        self.complete()
    }

    /// A frame was taken at `time`, before which a segment may end that is as long as `least`.
    fn cut(&mut self, time: Duration, least: Duration) -> Result<(), SegmentError> {
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        // Whatever the publisher says: in the segment no frame is before the one that came before it.
        let time = time.max(run.last);
        run.step = time - run.last;
        run.last = time;
        let is_long = time - run.start >= least;
        if !is_long && run.muxer.bytes() < MAX_SEGMENT {
            return Ok(());
        }
        run.start = time;
        self.complete()
    }

    fn finish_run(&mut self) -> Result<(), SegmentError> {
        let Some(run) = &self.run else {
            return Ok(());
        };
        // The last frame is taken to be as long as the one before it.
        let end = run.last + run.step;
        self.make_room(end)?;
        if let Some(run) = &mut self.run {
            run.muxer.end();
        }
        self.complete()?;
        self.run = None;
        Ok(())
    }

    fn complete(&mut self) -> Result<(), SegmentError> {
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        let duration = run.muxer.leading_length();
        let Some(bytes) = run.muxer.fragment()? else {
            return Ok(());
        };
        self.segments.push_back(Segment {
            number: self.next,
            map: run.map,
            discontinuity: std::mem::take(&mut run.fresh) && !self.segments.is_empty(),
            duration,
            bytes,
        });
        self.next += 1;
        self.made += duration;
        self.forget();
        Ok(())
    }

    /// Segments that are kept but no longer listed.
    fn unlisted(&self) -> usize {
        self.segments.len().saturating_sub(LISTED)
    }

    fn forget(&mut self) {
        // The one that has just left the list.
        let left = self
            .unlisted()
            .checked_sub(1)
            .and_then(|last| self.segments.get(last));
        if self.segments.len() > LISTED {
            self.discontinuities += u64::from(left.is_some_and(|segment| segment.discontinuity));
        }
        let bytes =
            |segments: &VecDeque<Segment>| segments.iter().map(|segment| segment.bytes.len()).sum::<usize>();
        while self.segments.len() > LISTED + KEPT
            || (self.segments.len() > 1 && bytes(&self.segments) > MAX_BYTES)
        {
            if self.segments.len() <= LISTED {
                let first = self.segments.front();
                self.discontinuities += u64::from(first.is_some_and(|segment| segment.discontinuity));
            }
            self.segments.pop_front();
        }
        let oldest = self.segments.front().map_or(self.next, |segment| segment.map);
        self.maps.retain(|(number, _)| *number >= oldest);
    }
}

/// To the nearest second, as lists are read.
fn rounded(duration: Duration) -> u64 {
    (duration + Duration::from_millis(500)).as_secs()
}

#[cfg(test)]
mod tests;

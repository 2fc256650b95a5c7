//! Who sits where, and which picture of each host a tick shows.

use super::sei::Region;
use lianmai_compositor::layout::grid;
use lianmai_compositor::{Color, Composition, Fit, Frame, FrameError, Kernels, Picture, Size, Tile, TileKey};
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::select::{FrameQueue, Picked};
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

/// Hosts that are shown; further ones are only heard.
const MAX_SHOWN: usize = 9;

/// Decoded pictures that wait to be shown: they are decoded just before their time.
const QUEUE: usize = 16;

/// After so long without a new picture the last one is dimmed.
const FREEZE_AFTER: Span = Span::from_secs(5);

/// Red, green, blue of what no host covers.
pub(super) const BACKGROUND_RGB: [u8; 3] = [0x10, 0x14, 0x1a];

const BACKGROUND: Color = Color::from_rgb(BACKGROUND_RGB[0], BACKGROUND_RGB[1], BACKGROUND_RGB[2]);

/// The canvas and the hosts on it, in the order in which they came.
pub(super) struct Stage {
    composition: Composition,
    seats: Vec<Seat>,
    pictures: u64,
}

struct Seat {
    host: HostId,
    queue: FrameQueue<Numbered>,
    /// What the last tick showed.
    last: Option<Numbered>,
    dimmed: Option<Numbered>,
}

/// A picture and the number that tells it from every other.
#[derive(Clone)]
struct Numbered {
    frame: Arc<Frame>,
    number: u64,
}

impl Stage {
    /// An empty canvas.
    pub(super) fn new(size: Size) -> Result<Self, FrameError> {
        let composition = Composition::new(size, BACKGROUND, Kernels::detect())?;
        Ok(Self {
            composition,
            seats: Vec::new(),
            pictures: 0,
        })
    }

    /// Seats a host; one that is there keeps its seat. Without `video` its last picture is taken away.
    pub(super) fn add(&mut self, host: HostId, video: bool) {
        let seated = self.seats.iter_mut().find(|seat| seat.host == host);
        match seated {
            Some(seat) if !video => seat.clear(),
            Some(_) => {}
            None => self.seats.push(Seat::new(host)),
        }
    }

    /// A host leaves; the others close ranks.
    pub(super) fn remove(&mut self, host: HostId) {
        self.seats.retain(|seat| seat.host != host);
    }

    /// A picture of a host, to be shown the room delay after `captured`.
    pub(super) fn show(&mut self, host: HostId, captured: EdgeTime, frame: Arc<Frame>) {
        self.pictures += 1;
        let number = self.pictures;
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == host) {
            seat.queue.push(captured, Numbered { frame, number });
        }
    }

    /// The host's encoder started anew: pictures that wait are void. The one shown stays until the next.
    pub(super) fn restart(&mut self, host: HostId) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.host == host) {
            seat.queue.clear();
        }
    }

    /// Where the hosts are.
    pub(super) fn regions(&self) -> Vec<Region> {
        let shown = self.seats.len().min(MAX_SHOWN);
        let cells = grid(shown, self.composition.size());
        let region = |(seat, rect): (&Seat, _)| Region {
            host: seat.host,
            rect,
            z_order: 1,
            alpha: 1.0,
        };
        self.seats.iter().zip(cells).map(region).collect()
    }

    /// The canvas with the pictures nearest to capture time `at`.
    pub(super) fn compose(&mut self, at: EdgeTime) -> &Frame {
        let shown: Vec<(HostId, Option<Numbered>)> = self
            .seats
            .iter_mut()
            .take(MAX_SHOWN)
            .map(|seat| (seat.host, seat.pick(at, &mut self.pictures)))
            .collect();
        let cells = grid(shown.len(), self.composition.size());
        let tiles: Vec<Tile<'_>> = shown
            .iter()
            .zip(cells)
            .map(|((host, picture), rect)| Tile {
                key: TileKey(u64::from(host.0)),
                rect,
                fit: Fit::Contain,
                picture: match picture {
                    Some(Numbered { frame, number }) => Picture::Frame {
                        view: frame.view(),
                        id: *number,
                    },
                    None => Picture::Placeholder,
                },
            })
            .collect();
        self.composition.compose(&tiles).frame
    }
}

impl Seat {
    fn new(host: HostId) -> Self {
        Self {
            host,
            queue: FrameQueue::new(QUEUE, FREEZE_AFTER),
            last: None,
            dimmed: None,
        }
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.last = None;
        self.dimmed = None;
    }

    fn pick(&mut self, at: EdgeTime, numbers: &mut u64) -> Option<Numbered> {
        match self.queue.pick(at) {
            Picked::Nothing => {}
            Picked::New(picture) | Picked::Held(picture) => {
                self.dimmed = None;
                self.last = Some(picture.clone());
            }
            Picked::Frozen(picture) => {
                if self.dimmed.is_none() {
                    *numbers += 1;
                    self.dimmed = dim(&picture.frame).map(|frame| Numbered {
                        frame,
                        number: *numbers,
                    });
                }
                self.last = self.dimmed.clone().or_else(|| Some(picture.clone()));
            }
        }
        self.last.clone()
    }
}

/// The picture at half its brightness and colour.
fn dim(frame: &Frame) -> Option<Arc<Frame>> {
    let mut dimmed = Frame::copy_of(&frame.view()).ok()?;
    for (plane, black) in dimmed.view_mut().planes_mut().iter_mut().zip([16, 128, 128]) {
        for y in 0..plane.size().height {
            for sample in plane.row_mut(y) {
                *sample = sample.midpoint(black);
            }
        }
    }
    Some(Arc::new(dimmed))
}

#[cfg(test)]
mod tests {
    use super::Stage;
    use lianmai_compositor::{Color, Frame, Size};
    use lianmai_mixer_control::media::HostId;
    use lianmai_timeline::{EdgeTime, Span};
    use std::sync::Arc;

    const A: HostId = HostId(1);
    const B: HostId = HostId(2);

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(1_000_000_000) + Span::from_millis(millis)
    }

    fn picture(luma: u8) -> Arc<Frame> {
        let mut frame = Frame::new(Size::new(320, 180)).expect("a size");
        frame.fill(Color {
            y: luma,
            u: 128,
            v: 128,
        });
        Arc::new(frame)
    }

    fn stage() -> Stage {
        Stage::new(Size::new(320, 180)).expect("a size")
    }

    fn luma(frame: &Frame, x: usize, y: usize) -> u8 {
        frame.view().planes()[0].row(y)[x]
    }

    #[test]
    fn an_empty_stage_is_background() {
        let mut stage = stage();
        let frame = stage.compose(at(0));
        assert_eq!(luma(frame, 0, 0), luma(frame, 319, 179));
    }

    #[test]
    fn two_hosts_sit_side_by_side_and_one_alone_has_all_of_it() {
        let mut stage = stage();
        stage.add(A, true);
        stage.add(B, true);
        stage.show(A, at(0), picture(60));
        stage.show(B, at(0), picture(200));
        let frame = stage.compose(at(0));
        assert_eq!((luma(frame, 80, 90), luma(frame, 240, 90)), (60, 200));
        stage.remove(A);
        let frame = stage.compose(at(33));
        assert_eq!((luma(frame, 10, 10), luma(frame, 310, 170)), (200, 200));
    }

    #[test]
    fn each_tick_shows_the_picture_nearest_to_its_time() {
        let mut stage = stage();
        stage.add(A, true);
        for (millis, level) in [(0, 50), (40, 100), (80, 150)] {
            stage.show(A, at(millis), picture(level));
        }
        let shown: Vec<u8> = [0, 33, 66]
            .iter()
            .map(|ms| luma(stage.compose(at(*ms)), 160, 90))
            .collect();
        assert_eq!(shown, [50, 100, 150]);
    }

    #[test]
    fn a_frozen_host_is_dimmed_until_its_next_picture() {
        let mut stage = stage();
        stage.add(A, true);
        stage.show(A, at(0), picture(216));
        assert_eq!(luma(stage.compose(at(0)), 160, 90), 216);
        assert_eq!(luma(stage.compose(at(4_900)), 160, 90), 216);
        assert_eq!(luma(stage.compose(at(5_100)), 160, 90), 116);
        stage.show(A, at(5_110), picture(216));
        assert_eq!(luma(stage.compose(at(5_133)), 160, 90), 216);
    }

    #[test]
    fn a_host_that_stops_its_video_gets_the_placeholder() {
        let mut stage = stage();
        stage.add(A, true);
        stage.show(A, at(0), picture(216));
        stage.compose(at(0));
        stage.add(A, false);
        assert!(luma(stage.compose(at(33)), 2, 2) < 60);
    }

    #[test]
    fn a_restarted_encoder_keeps_the_last_picture_until_its_first() {
        let mut stage = stage();
        stage.add(A, true);
        stage.show(A, at(1_000), picture(100));
        stage.compose(at(1_000));
        stage.restart(A);
        assert_eq!(luma(stage.compose(at(1_033)), 160, 90), 100);
        // Its capture times may lie before those of the old encoder.
        stage.show(A, at(990), picture(200));
        assert_eq!(luma(stage.compose(at(1_066)), 160, 90), 200);
    }

    #[test]
    fn of_more_than_nine_hosts_the_first_nine_are_shown() {
        let mut stage = stage();
        for host in 0..12 {
            stage.add(HostId(host), true);
            stage.show(HostId(host), at(0), picture(100 + host as u8));
        }
        let frame = stage.compose(at(0));
        assert_eq!((luma(frame, 50, 30), luma(frame, 270, 150)), (100, 108));
    }
}

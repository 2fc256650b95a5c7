//! One host on the stage, and its pictures in time.

use lianmai_compositor::Frame;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::select::{FrameQueue, Picked};
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

/// Decoded pictures that wait to be shown: they are decoded just before their time.
const QUEUE: usize = 16;

/// After so long without a new picture the last one is dimmed.
const FREEZE_AFTER: Span = Span::from_secs(5);

pub(super) struct Seat {
    pub(super) host: HostId,
    pub(super) name: String,
    pub(super) speaking: bool,
    queue: FrameQueue<Numbered>,
    /// What the last tick showed.
    last: Option<Numbered>,
    dimmed: Option<Numbered>,
}

/// A picture and the number that tells it from every other.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) frame: Arc<Frame>,
    pub(super) number: u64,
}

impl Seat {
    pub(super) fn new(host: HostId, name: String) -> Self {
        Self {
            host,
            name,
            speaking: false,
            queue: FrameQueue::new(QUEUE, FREEZE_AFTER),
            last: None,
            dimmed: None,
        }
    }

    /// A picture, to be shown the room delay after `captured`.
    pub(super) fn push(&mut self, captured: EdgeTime, picture: Numbered) {
        self.queue.push(captured, picture);
    }

    /// Pictures that wait are void. The one shown stays until the next.
    pub(super) fn restart(&mut self) {
        self.queue.clear();
    }

    /// Nothing is shown any more.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.last = None;
        self.dimmed = None;
    }

    /// The picture that a tick shows.
    pub(super) fn pick(&mut self, at: EdgeTime, numbers: &mut u64) -> Option<Numbered> {
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

//! The way from one arrangement to the next, in time.

use lianmai_compositor::{CrossFade, Frame, FrameError, Kernels, Size};
use lianmai_timeline::{EdgeTime, Span};

/// Cross-fades: at most one runs.
pub(super) struct Transition {
    fade: CrossFade,
    length: Span,
    began: Option<EdgeTime>,
}

impl Transition {
    /// For canvases of this size.
    pub(super) fn new(size: Size, kernels: Kernels) -> Result<Self, FrameError> {
        Ok(Self {
            fade: CrossFade::new(size, kernels)?,
            length: Span::ZERO,
            began: None,
        })
    }

    /// How long fades take that begin from now on.
    pub(super) fn set_length(&mut self, length: Span) {
        self.length = length;
    }

    /// `canvas` is about to change all over.
    pub(super) fn begin(&mut self, canvas: &Frame, at: EdgeTime) {
        if self.length <= Span::ZERO {
            self.began = None;
            return;
        }
        if self.began.is_some() {
            self.fade.begin_again();
        } else {
            self.fade.begin(canvas);
        }
        self.began = Some(at);
    }

    /// What is shown when the canvas is so.
    pub(super) fn show<'a>(&'a mut self, canvas: &'a Frame, at: EdgeTime) -> &'a Frame {
        let Some(began) = self.began else { return canvas };
        let alpha = (at - began).0.saturating_mul(256) / self.length.0.max(1);
        // Time may go back a little when the room delay grows.
        let alpha = u16::try_from(alpha.max(0)).unwrap_or(u16::MAX);
        if alpha >= 256 {
            self.began = None;
            return canvas;
        }
        self.fade.mix(canvas, alpha)
    }
}

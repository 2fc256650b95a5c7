//! The origin's streams as the HTTP side plays them.

use crate::http::{FlvStream, LiveStreams};
use futures_util::stream::unfold;
use lianmai_origin::Origin;
use std::sync::Arc;

/// Rooms' mixes at the embedded origin.
pub(crate) struct Live {
    origin: Arc<Origin>,
}

/// An edge without an origin has nothing to play.
pub(crate) struct NoOrigin;

impl Live {
    /// What `origin` has under its application `live`.
    pub(crate) const fn new(origin: Arc<Origin>) -> Self {
        Self { origin }
    }
}

impl LiveStreams for Live {
    fn subscribe(&self, name: &str) -> Option<FlvStream> {
        let player = self.origin.subscribe(name)?;
        Some(Box::pin(unfold(player, async |mut player| {
            Some((player.recv().await?, player))
        })))
    }
}

impl LiveStreams for NoOrigin {
    fn subscribe(&self, _: &str) -> Option<FlvStream> {
        None
    }
}

//! The origin's streams as the HTTP side plays them.

use crate::http::{FlvStream, HlsAnswer, LiveStreams};
use futures_util::stream::unfold;
use lianmai_origin::{HlsError, HlsFile, Origin};
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

    fn hls(&self, name: String, file: HlsFile) -> HlsAnswer {
        let origin = Arc::clone(&self.origin);
        Box::pin(async move { origin.hls(&name, file).await })
    }
}

impl LiveStreams for NoOrigin {
    fn subscribe(&self, _: &str) -> Option<FlvStream> {
        None
    }

    fn hls(&self, _: String, _: HlsFile) -> HlsAnswer {
        Box::pin(async { Err(HlsError::NotFound) })
    }
}

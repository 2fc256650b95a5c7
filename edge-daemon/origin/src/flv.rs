//! A stream as the body of an HTTP-FLV response.

use crate::Shared;
use crate::hub::PeerId;
use crate::name::StreamName;
use crate::outlet::Outlet;
use bytes::{Bytes, BytesMut};
use lianmai_rtmp::{StreamHeaders, Tag, flv};
use std::sync::Arc;

/// Tags that wait are sent together up to about this many bytes.
const PIECE: usize = 64 * 1024;

/// An FLV file without end: file header, metadata, sequence headers, the last group of pictures, then what comes. A reader
/// that is too slow skips to a later key frame. Dropping it is leaving.
#[derive(Debug)]
pub struct FlvStream {
    player: Player,
    header_sent: bool,
}

/// A place among the players of a stream, given back when dropped.
#[derive(Debug)]
pub(crate) struct Player {
    shared: Arc<Shared>,
    name: StreamName,
    id: PeerId,
    pub(crate) outlet: Arc<Outlet>,
}

impl Player {
    pub(crate) fn new(shared: &Arc<Shared>, name: &StreamName, id: PeerId, outlet: Arc<Outlet>) -> Self {
        Self {
            shared: Arc::clone(shared),
            name: name.clone(),
            id,
            outlet,
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.shared.hub().leave(&self.name, self.id);
    }
}

impl FlvStream {
    pub(crate) fn open(shared: &Arc<Shared>, name: &StreamName) -> Option<Self> {
        let played = shared.hub().play(name);
        let (id, outlet) = match played {
            Ok(player) => player,
            Err(denied) => {
                shared.metrics.refuse(denied.label());
                return None;
            }
        };
        Some(Self {
            player: Player::new(shared, name, id, outlet),
            header_sent: false,
        })
    }

    /// The next piece, or `None` when the stream is over.
    pub async fn recv(&mut self) -> Option<Bytes> {
        let mut piece = BytesMut::new();
        if self.header_sent {
            self.player.outlet.recv().await?.write_flv(&mut piece);
        } else {
            self.begin(&mut piece).await?;
        }
        while piece.len() < PIECE {
            let Some(tag) = self.player.outlet.try_recv() else {
                break;
            };
            tag.write_flv(&mut piece);
        }
        self.player
            .shared
            .metrics
            .bytes_sent
            .inc_by(u64::try_from(piece.len()).unwrap_or_default());
        Some(piece.freeze())
    }

    /// The file header says which tracks there are, and players believe it: it waits for the first frame, before which
    /// every track was announced.
    async fn begin(&mut self, piece: &mut BytesMut) -> Option<()> {
        let mut headers = StreamHeaders::default();
        let first: Tag = loop {
            let tag = self.player.outlet.recv().await?;
            if tag.is_frame() {
                break tag;
            }
            headers.note(&tag);
        };
        let known = headers.has_audio() || headers.has_video();
        piece.extend_from_slice(&flv::file_header(
            headers.has_audio() || !known,
            headers.has_video() || !known,
        ));
        headers.tags().for_each(|tag| tag.write_flv(piece));
        first.write_flv(piece);
        self.header_sent = true;
        Some(())
    }
}

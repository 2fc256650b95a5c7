//! What every codec's packets are put together to.

use lianmai_timeline::jitter::{AccessUnit, Packet};

/// The longest picture that is put together; a longer one is malformed.
const MAX_PICTURE: usize = 2 * 1024 * 1024;

/// One coded picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CodedPicture {
    /// As its decoder takes it.
    pub data: Vec<u8>,
    /// Whether decoding may start here.
    pub key: bool,
}

/// Why packets make no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPicture {
    /// Some of its packets never came.
    #[error("packets of the picture are missing")]
    Incomplete,
    /// A payload is not what the RFC of its codec describes.
    #[error("a payload is not what RFC 6184 (H.264) or RFC 7741 (VP8) describes")]
    Malformed,
}

impl CodedPicture {
    /// Refuses a payload that would make the picture too long.
    pub(super) fn check_room(&self, payload: &[u8]) -> Result<(), NoPicture> {
        if self.data.len() + payload.len() > MAX_PICTURE {
            return Err(NoPicture::Malformed);
        }
        Ok(())
    }
}

/// Refuses a unit of which packets may be missing. `is_head` says whether a picture can begin with a payload.
pub(super) fn check_whole<T: AsRef<[u8]>>(
    unit: &AccessUnit<T>,
    is_head: impl Fn(&[u8]) -> bool,
) -> Result<(), NoPicture> {
    if unit.lost > 0 && !is_whole(unit, is_head) {
        return Err(NoPicture::Incomplete);
    }
    Ok(())
}

/// Whether all packets of a unit are there though packets were lost around it.
fn is_whole<T: AsRef<[u8]>>(unit: &AccessUnit<T>, is_head: impl Fn(&[u8]) -> bool) -> bool {
    let gapless = |pair: &[Packet<T>]| match pair {
        [one, next] => next.sequence == one.sequence.wrapping_add(1),
        _ => true,
    };
    unit.packets
        .first()
        .is_some_and(|packet| is_head(packet.payload.as_ref()))
        && unit.packets.last().is_some_and(|packet| packet.marker)
        && unit.packets.windows(2).all(gapless)
}

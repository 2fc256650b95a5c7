//! What a leg receives, opened by an SRTP implementation that is not the server's kernel plane.

use super::packets::index_of;
use super::receiver::Received;
use crate::host::Connected;
use anyhow::{Context, Result, bail};
use webrtc_srtp::context::Context as SrtpContext;

/// One who receives.
pub(crate) struct Leg {
    pub(crate) peer: Connected,
    /// Whose stream.
    pub(crate) publisher: usize,
    opener: Option<SrtpContext>,
    /// What the server adds to the publisher's sequence numbers; known once a packet was opened.
    offset: Option<u16>,
}

impl Leg {
    /// One who takes nothing but what is sealed.
    pub(crate) fn new(peer: Connected, publisher: usize) -> Result<Self> {
        let keys = peer.keys.as_ref().context("a handshake gave no keys")?;
        let opener = Some(keys.opener()?);
        Ok(Self {
            peer,
            publisher,
            opener,
            offset: None,
        })
    }

    /// One who takes packets as they are, for a system without crypto.
    pub(crate) fn in_the_clear(peer: Connected, publisher: usize) -> Self {
        Self {
            peer,
            publisher,
            opener: None,
            offset: None,
        }
    }

    /// The low 16 bits of the index of the packet with this sequence number; `None` before a packet was opened.
    pub(crate) fn index_of(&self, sequence: u16) -> Option<u16> {
        Some(sequence.wrapping_sub(self.offset?))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.offset.is_some()
    }

    fn open(&mut self, packet: &[u8]) -> Result<()> {
        let opened = match &mut self.opener {
            Some(opener) => opener.decrypt_rtp(packet).context("its tag is wrong")?.to_vec(),
            None => packet.to_vec(),
        };
        let index = index_of(&opened).context("it is no packet of this run")?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let offset = sequence.wrapping_sub(index as u16);
        match self.offset.replace(offset) {
            Some(known) if known != offset => {
                bail!("its number is {offset} ahead of the publisher's, before it was {known}")
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Opens everything that was kept, in the order in which it came; returns how many.
pub(crate) fn open_all(legs: &mut [Leg], received: &Received) -> Result<usize> {
    for kept in &received.kept {
        legs[kept.leg]
            .open(received.bytes(kept))
            .with_context(|| format!("a packet that leg {} received", kept.leg))?;
    }
    Ok(received.kept.len())
}

//! The packets of a trial, sealed before it begins.
//!
//! A packet says in its payload which one it is; when it was sent stands in a list of the sender's. Sender and
//! receivers are one process, so this is as good as a timestamp in the payload, and the sealing stays out of the
//! measured time.

use crate::host::dtls::Keys;
use crate::host::sdp::TRANSPORT_CC_ID;
use crate::host::{Connected, Media};
use anyhow::Result;
use std::ops::Range;
use webrtc_srtp::context::Context as SrtpContext;

/// Marks our payloads. The first byte is the header of a slice that is no key frame (RFC 6184 §1.3), which is what
/// most packets of a video are.
const MAGIC: [u8; 4] = *b"\x41LMB";
/// The shortest payload: mark and index.
pub(crate) const MIN_PAYLOAD: usize = 8;
/// The longest that fits a UDP packet of 1500 bytes with an extended RTP header and a tag.
pub(crate) const MAX_PAYLOAD: usize = 1400;
/// RFC 3550 §5.1.
const RTP_HEADER: usize = 12;
/// Of the RTP clock; what it says does not matter, that it rises does.
const TIMESTAMP_STEP: u32 = 90;

/// One who sends.
pub(crate) struct Publisher {
    pub(crate) peer: Connected,
    media: Media,
    sealer: Option<SrtpContext>,
    /// The index of the next packet; its low 16 bits are the sequence number.
    next: u32,
}

/// Packets of all publishers in turn: packet `k` is of publisher `k % publishers`.
#[derive(Debug)]
pub(crate) struct Packets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    pub(crate) publishers: usize,
    /// Of each publisher, the index of its first packet here.
    pub(crate) first: Vec<u32>,
}

impl Publisher {
    /// One whose packets are sealed under its keys; without keys they go out in the clear.
    pub(crate) fn new(peer: Connected, media: Media) -> Result<Self> {
        let sealer = peer.keys.as_ref().map(Keys::sealer).transpose()?;
        Ok(Self {
            peer,
            media,
            sealer,
            // A first sequence number below 2^15, as RFC 3711 §3.3.1 advises.
            next: 1,
        })
    }

    fn packet(&mut self, payload: usize, scratch: &mut Vec<u8>) -> Result<Vec<u8>> {
        let index = self.next;
        self.next += 1;
        scratch.clear();
        write(scratch, self.media, self.peer.ssrc, index, payload);
        match &mut self.sealer {
            Some(sealer) => Ok(sealer.encrypt_rtp(scratch)?.into()),
            None => Ok(scratch.clone()),
        }
    }
}

impl Packets {
    /// So many for each publisher.
    pub(crate) fn seal(publishers: &mut [Publisher], each: usize, payload: usize) -> Result<Self> {
        let count = each * publishers.len();
        let mut packets = Self {
            bytes: Vec::with_capacity(count * (payload + 64)),
            ends: Vec::with_capacity(count),
            publishers: publishers.len(),
            first: publishers.iter().map(|publisher| publisher.next).collect(),
        };
        let mut scratch = Vec::new();
        for _ in 0..each {
            for publisher in &mut *publishers {
                packets
                    .bytes
                    .extend_from_slice(&publisher.packet(payload, &mut scratch)?);
                packets.ends.push(packets.bytes.len());
            }
        }
        Ok(packets)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[start..self.ends[number]]
    }

    /// The numbers of all packets but those that are sent in the first part of the trial.
    pub(crate) fn measured(&self, warm_up: usize) -> Range<usize> {
        warm_up.min(self.len())..self.len()
    }
}

/// The RTP packet with this index in the clear.
fn write(packet: &mut Vec<u8>, media: Media, ssrc: u32, index: u32, payload: usize) {
    packet.extend([0x90, media.payload_type()]);
    packet.extend((index as u16).to_be_bytes());
    packet.extend(index.wrapping_mul(TIMESTAMP_STEP).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    // RFC 8285 §4.2: one element of two bytes, padded.
    packet.extend([0xbe, 0xde, 0, 1, TRANSPORT_CC_ID << 4 | 1]);
    packet.extend((index as u16).to_be_bytes());
    packet.push(0);
    let start = packet.len();
    packet.extend(MAGIC);
    packet.extend(index.to_be_bytes());
    packet.resize(start + payload, 0xa5);
}

/// The index in an RTP packet in the clear; `None` if it is not one of ours.
pub(crate) fn index_of(packet: &[u8]) -> Option<u32> {
    let csrcs = usize::from(packet.first()? & 0x0f);
    let mut start = RTP_HEADER + 4 * csrcs;
    if packet[0] & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    let payload = packet.get(start..)?.strip_prefix(&MAGIC)?;
    Some(u32::from_be_bytes(payload.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{index_of, write};
    use crate::host::Media;

    #[test]
    fn a_packet_says_which_one_it_is() {
        let mut packet = Vec::new();
        write(&mut packet, Media::Video, 7, 0x1_2345, 120);
        assert_eq!(index_of(&packet), Some(0x1_2345));
        assert_eq!(
            (packet.len(), packet[2..4].to_vec()),
            (12 + 8 + 120, vec![0x23, 0x45])
        );
    }

    #[test]
    fn what_is_cut_or_somebody_elses_is_none_of_ours() {
        let mut packet = Vec::new();
        write(&mut packet, Media::Audio, 7, 9, 120);
        for len in 0..28 {
            assert_eq!(index_of(&packet[..len]), None, "{len}");
        }
        packet[21] ^= 1;
        assert_eq!(index_of(&packet), None);
    }
}

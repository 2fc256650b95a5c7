//! A cursor over bytes of a peer: every read says what it needs, none can panic.

use super::ParseError;
use lianmai_fanout::Ssrc;

/// The unread rest of one RTCP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    packet_type: u8,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(packet_type: u8, rest: &'a [u8]) -> Self {
        Self { packet_type, rest }
    }

    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, needed: usize) -> Result<&'a [u8], ParseError> {
        let Some((head, rest)) = self.rest.split_at_checked(needed) else {
            return Err(self.short(needed));
        };
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ParseError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, ParseError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// 24 bits.
    pub(super) fn u24(&mut self) -> Result<u32, ParseError> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, ParseError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, ParseError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(super) fn ssrc(&mut self) -> Result<Ssrc, ParseError> {
        self.u32().map(Ssrc)
    }

    pub(super) fn ssrcs(&mut self, count: usize) -> Result<Vec<Ssrc>, ParseError> {
        (0..count).map(|_| self.ssrc()).collect()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let short = self.short(N);
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = rest;
        Ok(*head)
    }

    const fn short(&self, needed: usize) -> ParseError {
        ParseError::TooShort {
            packet_type: self.packet_type,
            needed,
            left: self.rest.len(),
        }
    }
}

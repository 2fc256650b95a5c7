//! The ring buffer: verified packets, still sealed, on their way to the daemon.

use aya::maps::{MapData, RingBuf};
use lianmai_fanout::records::{Copy, MAX_HEADER, MAX_PAYLOAD};
use std::os::fd::{AsFd, BorrowedFd};

/// Reads copies in the order in which they came. The descriptor is readable while there are some; but the programs do not
/// wake a waiting reader for each one, so look in from time to time.
pub struct Copies {
    ring: RingBuf<MapData>,
    malformed: u64,
}

impl Copies {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring, malformed: 0 }
    }

    /// Gives out at most `limit` copies: the record, the RTP header as it was received, and the payload without its tag.
    /// Returns how many there were.
    pub fn take(&mut self, limit: usize, mut f: impl FnMut(&Copy, &[u8], &[u8])) -> usize {
        let mut taken = 0;
        while taken < limit {
            let Some(item) = self.ring.next() else { break };
            taken += 1;
            match parse(&item) {
                Some((copy, header, payload)) => f(&copy, header, payload),
                None => self.malformed += 1,
            }
        }
        taken
    }

    /// Entries that were no copies: always zero, unless the programs are of other sources than this crate.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}

impl AsFd for Copies {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies")
            .field("malformed", &self.malformed)
            .finish_non_exhaustive()
    }
}

/// The record, then room for the longest header, then the payload; there may be more behind it.
fn parse(entry: &[u8]) -> Option<(Copy, &[u8], &[u8])> {
    let (record, rest) = entry.split_first_chunk::<{ size_of::<Copy>() }>()?;
    let (header, payload) = rest.split_at_checked(MAX_HEADER)?;
    let copy = read(record);
    if usize::from(copy.payload_len) > MAX_PAYLOAD {
        return None;
    }
    let header = header.get(..usize::from(copy.header_len))?;
    let payload = payload.get(..usize::from(copy.payload_len))?;
    Some((copy, header, payload))
}

/// Field by field, in their order in the record, which has no padding.
fn read(record: &[u8; size_of::<Copy>()]) -> Copy {
    let (words, _) = record.as_chunks::<8>();
    let [arrival, index, fan, last] = [0, 1, 2, 3].map(|place| u64::from_ne_bytes(words[place]));
    let last = last.to_ne_bytes();
    Copy {
        arrival,
        index,
        fan,
        stream: u32::from_ne_bytes([last[0], last[1], last[2], last[3]]),
        header_len: u16::from_ne_bytes([last[4], last[5]]),
        payload_len: u16::from_ne_bytes([last[6], last[7]]),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use lianmai_fanout::records::{Copy, MAX_HEADER, MAX_PAYLOAD};

    const COPY: Copy = Copy {
        arrival: 0x1122_3344_5566_7788,
        index: 0x1_ffff,
        fan: 0x20_0000_0003,
        stream: 4_095,
        header_len: 20,
        payload_len: 5,
    };

    fn entry(copy: Copy, payload: &[u8]) -> Vec<u8> {
        let mut entry = [copy.arrival, copy.index, copy.fan]
            .map(u64::to_ne_bytes)
            .concat();
        entry.extend(copy.stream.to_ne_bytes());
        entry.extend(copy.header_len.to_ne_bytes());
        entry.extend(copy.payload_len.to_ne_bytes());
        entry.extend((0..MAX_HEADER).map(|at| at as u8));
        entry.extend(payload);
        entry
    }

    #[test]
    fn an_entry_is_a_record_a_header_and_a_payload() {
        let entry = entry(COPY, b"12345 and what stood there before");
        let (copy, header, payload) = parse(&entry).expect("well formed");
        assert_eq!(copy, COPY);
        assert_eq!(
            (header, payload),
            (&(0..20).collect::<Vec<u8>>()[..], &b"12345"[..])
        );
    }

    #[test]
    fn an_entry_of_any_shorter_length_is_refused() {
        let entry = entry(COPY, b"12345");
        assert!(parse(&entry).is_some());
        for len in 0..entry.len() {
            assert!(parse(&entry[..len]).is_none(), "{len} bytes");
        }
    }

    #[test]
    fn lengths_beyond_their_room_are_refused() {
        let payload = vec![0; 65_535];
        let header_len = MAX_HEADER as u16 + 1;
        assert!(parse(&entry(Copy { header_len, ..COPY }, &payload)).is_none());
        let payload_len = MAX_PAYLOAD as u16 + 1;
        assert!(parse(&entry(Copy { payload_len, ..COPY }, &payload)).is_none());
    }
}

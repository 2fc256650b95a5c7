//! AVC as FLV carries it: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), and NAL units behind their lengths.

use bytes::Bytes;

/// NAL unit types (ISO/IEC 14496-10 table 7-1).
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// What a decoder needs before the first picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    sps: Bytes,
    pps: Bytes,
    /// Bytes in front of each NAL unit.
    length_size: usize,
}

/// Why a sequence header is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// It ends within itself, or is another version.
    #[error("the sequence header is not one of H.264")]
    Malformed,
    /// RTP carries those of one.
    #[error("the stream has {sps} sequence and {pps} picture parameter sets; one of each can be passed on")]
    Many {
        /// Sequence parameter sets.
        sps: usize,
        /// Picture parameter sets.
        pps: usize,
    },
}

impl Record {
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader(bytes.clone());
        let [version, _, _, _, lengths, sps_count] = reader.array()?;
        let sps = reader.sets(usize::from(sps_count & 0x1f))?;
        let [pps_count] = reader.array()?;
        let pps = reader.sets(usize::from(pps_count))?;
        // What follows for the high profiles stands in the SPS too.
        if version != 1 {
            return Err(RecordError::Malformed);
        }
        match (sps.as_slice(), pps.as_slice()) {
            ([sps], [pps]) if kind(sps) == SPS && kind(pps) == PPS => Ok(Self {
                sps: sps.clone(),
                pps: pps.clone(),
                length_size: usize::from(lengths & 3) + 1,
            }),
            ([_], [_]) => Err(RecordError::Malformed),
            (sps, pps) => Err(RecordError::Many {
                sps: sps.len(),
                pps: pps.len(),
            }),
        }
    }

    /// A picture as a byte stream (ISO/IEC 14496-10 annex B), parameter sets in front of it if it is a key frame without its own.
    /// `None` when its lengths do not add up. What no decoder needs is left out.
    pub(crate) fn annexb(&self, key: bool, avcc: &[u8]) -> Option<Vec<u8>> {
        let units = self.units(avcc)?;
        let mut out = Vec::with_capacity(avcc.len() + self.sps.len() + self.pps.len() + 16);
        let mut put = |unit: &[u8]| {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(unit);
        };
        if key && !units.iter().any(|unit| kind(unit) == SPS) {
            put(&self.sps);
            put(&self.pps);
        }
        units
            .iter()
            .filter(|unit| !matches!(kind(unit), SEI | DELIMITER | FILLER))
            .for_each(|unit| put(unit));
        Some(out)
    }

    fn units<'a>(&self, mut avcc: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let mut units = Vec::new();
        while !avcc.is_empty() {
            let (length, rest) = avcc.split_at_checked(self.length_size)?;
            let length = length
                .iter()
                .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
            let (unit, rest) = rest.split_at_checked(length)?;
            if !unit.is_empty() {
                units.push(unit);
            }
            avcc = rest;
        }
        Some(units)
    }
}

struct Reader(Bytes);

impl Reader {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let array = *self.0.first_chunk::<N>().ok_or(RecordError::Malformed)?;
        let _ = self.0.split_to(N);
        Ok(array)
    }

    /// So many NAL units, each behind its length in two bytes.
    fn sets(&mut self, count: usize) -> Result<Vec<Bytes>, RecordError> {
        let mut sets = Vec::new();
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes(self.array()?));
            if length > self.0.len() {
                return Err(RecordError::Malformed);
            }
            sets.push(self.0.split_to(length));
        }
        Ok(sets)
    }
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::{Record, RecordError};
    use bytes::Bytes;
    use lianmai_rtmp::flv::AvcConfig;
    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert};

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1e, 0xd9];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    fn header() -> Bytes {
        let config = AvcConfig {
            sps: Bytes::from_static(SPS),
            pps: Bytes::from_static(PPS),
        };
        config.record().expect("parameter sets")
    }

    fn record() -> Record {
        Record::parse(&header()).expect("our own")
    }

    fn avcc(units: &[&[u8]]) -> Vec<u8> {
        let lengths = units.iter().map(|unit| u32::try_from(unit.len()).expect("short"));
        lengths
            .zip(units)
            .flat_map(|(length, unit)| [&length.to_be_bytes(), *unit].concat())
            .collect()
    }

    #[test]
    fn a_key_frame_has_its_parameter_sets_in_front() {
        let picture = record().annexb(true, &avcc(&[b"\x65idr"])).expect("whole");
        let expected = [b"\0\0\0\x01", SPS, b"\0\0\0\x01", PPS, b"\0\0\0\x01\x65idr"].concat();
        assert_eq!(picture, expected);
    }

    #[test]
    fn one_that_brings_its_own_keeps_them_and_other_pictures_have_none() {
        let own: [&[u8]; 3] = [b"\x67own", b"\x68own", b"\x65idr"];
        let picture = record().annexb(true, &avcc(&own)).expect("whole");
        assert_eq!(picture, b"\0\0\0\x01\x67own\0\0\0\x01\x68own\0\0\0\x01\x65idr");
        let picture = record().annexb(false, &avcc(&[b"\x41p"])).expect("whole");
        assert_eq!(picture, b"\0\0\0\x01\x41p");
    }

    #[test]
    fn what_no_decoder_needs_is_left_out() {
        let units: [&[u8]; 5] = [b"\x09\xf0", b"\x06sei", b"", b"\x41p", b"\x0cfill"];
        let picture = record().annexb(false, &avcc(&units)).expect("whole");
        assert_eq!(picture, b"\0\0\0\x01\x41p");
    }

    #[test]
    fn a_header_that_ends_early_is_refused_at_every_length() {
        let header = header();
        for length in 0..header.len() {
            let found = Record::parse(&header.slice(..length));
            assert_eq!(found, Err(RecordError::Malformed), "{length}");
        }
    }

    #[test]
    fn parameter_sets_that_do_not_fit_are_counted_in_the_refusal() {
        let mut header = header().to_vec();
        header[5] = 0xe0;
        header.drain(6..6 + 2 + SPS.len());
        let found = Record::parse(&header.into());
        assert_eq!(found, Err(RecordError::Many { sps: 0, pps: 1 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_not(bytes in collection::vec(any::<u8>(), 0..64)) {
            let _ = Record::parse(&bytes.into());
        }

        #[test]
        fn a_picture_of_any_bytes_is_not_much_longer_than_it_was(bytes in collection::vec(any::<u8>(), 0..256), size in 1_usize..5) {
            let record = Record { length_size: size, ..record() };
            if let Some(picture) = record.annexb(false, &bytes) {
                prop_assert!(picture.len() <= 4 * bytes.len());
            }
        }
    }
}

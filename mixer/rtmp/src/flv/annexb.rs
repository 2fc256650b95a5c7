//! From Annex B byte streams (ISO/IEC 14496-10 annex B) to what FLV carries.

use super::AvcConfig;
use bytes::{BufMut, Bytes, BytesMut};

/// One access unit, ready for a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// The parameter sets, if the encoder repeated them here.
    pub config: Option<AvcConfig>,
    /// The NAL units of the picture, each behind its length in four bytes. Parameter sets, delimiters and fillers are
    /// left out: the sequence header has the former, and nobody needs the latter.
    pub avcc: Bytes,
    /// Whether it holds an IDR picture.
    pub key: bool,
}

/// Converts one access unit.
#[must_use]
pub fn access_unit(annexb: &[u8]) -> AccessUnit {
    let (mut sps, mut pps, mut key) = (None, None, false);
    let mut avcc = BytesMut::with_capacity(annexb.len() + 16);
    for nal in nal_units(annexb) {
        match nal[0] & 0x1f {
            7 => sps = Some(Bytes::copy_from_slice(nal)),
            8 => pps = Some(Bytes::copy_from_slice(nal)),
            9..=12 => {}
            nal_type => {
                key |= nal_type == 5;
                put_nal(nal, &mut avcc);
            }
        }
    }
    let config = sps.zip(pps).map(|(sps, pps)| AvcConfig { sps, pps });
    AccessUnit {
        config,
        avcc: avcc.freeze(),
        key,
    }
}

/// The access unit `avcc` with one more NAL unit in front, as an SEI has to stand (ISO/IEC 14496-10 §7.4.1.2.3).
#[must_use]
pub fn with_nal_before(nal: &[u8], avcc: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(4 + nal.len() + avcc.len());
    put_nal(nal, &mut out);
    out.put_slice(avcc);
    out.freeze()
}

/// The NAL units of a byte stream, without start codes and trailing zeros. None is empty.
pub fn nal_units(annexb: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(annexb);
    std::iter::from_fn(move || {
        loop {
            let current = rest?;
            let end = find_start_code(current).unwrap_or(current.len());
            rest = after_start_code(&current[end..]);
            let nal = &current[..end];
            let length = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if length > 0 {
                return Some(&nal[..length]);
            }
        }
    })
}

fn put_nal(nal: &[u8], out: &mut BytesMut) {
    let Ok(length) = u32::try_from(nal.len()) else {
        return;
    };
    out.put_u32(length);
    out.put_slice(nal);
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|start| &bytes[start + 3..])
}

#[cfg(test)]
mod tests {
    use super::{access_unit, nal_units, with_nal_before};

    const STREAM: &[u8] =
        b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x42\xc0\x1e\0\0\x01\x68\xce\0\0\x01\x65abc\0\0\0\x01\x65de\0\0";

    #[test]
    fn start_codes_of_three_and_four_bytes_and_trailing_zeros_go() {
        let units: Vec<&[u8]> = nal_units(STREAM).collect();
        assert_eq!(
            units,
            [
                b"\x09\xf0" as &[u8],
                b"\x67\x42\xc0\x1e",
                b"\x68\xce",
                b"\x65abc",
                b"\x65de"
            ]
        );
    }

    #[test]
    fn an_idr_access_unit_yields_config_and_lengths() {
        let unit = access_unit(STREAM);
        assert!(unit.key);
        assert_eq!(unit.avcc[..], *b"\0\0\0\x04\x65abc\0\0\0\x03\x65de");
        let config = unit.config.expect("both parameter sets");
        assert_eq!(
            (&config.sps[..], &config.pps[..]),
            (b"\x67\x42\xc0\x1e" as &[u8], b"\x68\xce" as &[u8])
        );
    }

    #[test]
    fn one_more_nal_stands_in_front_with_its_length() {
        assert_eq!(
            with_nal_before(b"\x06abc", b"\0\0\0\x02\x65x")[..],
            *b"\0\0\0\x04\x06abc\0\0\0\x02\x65x"
        );
    }

    #[test]
    fn every_prefix_parses_without_panic_and_without_empty_units() {
        for length in 0..STREAM.len() {
            assert!(nal_units(&STREAM[..length]).all(|nal| !nal.is_empty()));
            let _ = access_unit(&STREAM[..length]);
        }
        assert_eq!(nal_units(b"no start code").count(), 0);
        assert_eq!(nal_units(b"\0\0\x01\0\0\x01\0\0\x01").count(), 0);
    }
}

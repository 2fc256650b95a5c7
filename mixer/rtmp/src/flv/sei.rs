//! Supplemental enhancement information of H.264 (ISO/IEC 14496-10 §7.3.2.3): data for players beside the pictures.

use bytes::{BufMut, Bytes, BytesMut};

/// The payload type of `user_data_unregistered` (§D.1.7).
pub const UNREGISTERED: u8 = 5;

/// A NAL unit with one message of this payload type, ready to stand before the slices of a picture.
#[must_use]
pub fn nal(payload_type: u8, payload: &[u8]) -> Bytes {
    let mut rbsp = BytesMut::with_capacity(payload.len() + payload.len() / 255 + 4);
    rbsp.put_u8(payload_type);
    // §7.3.2.3.1: a byte of 255 for each 255, then the rest.
    rbsp.put_bytes(0xff, payload.len() / 255);
    rbsp.put_u8(u8::try_from(payload.len() % 255).unwrap_or_default());
    rbsp.put_slice(payload);
    // The stop bit (§7.3.2.11).
    rbsp.put_u8(0x80);
    let mut out = BytesMut::with_capacity(rbsp.len() + 8);
    // nal_ref_idc 0, type 6.
    out.put_u8(6);
    put_with_emulation_prevention(&rbsp, &mut out);
    out.freeze()
}

/// The same for data that the UUID tells from everybody else's.
#[must_use]
pub fn unregistered(uuid: [u8; 16], data: &[u8]) -> Bytes {
    nal(UNREGISTERED, &[&uuid, data].concat())
}

/// §7.4.1: what would look like a start code gets a 3 in between.
fn put_with_emulation_prevention(rbsp: &[u8], out: &mut BytesMut) {
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            out.put_u8(3);
            zeros = 0;
        }
        out.put_u8(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::{nal, unregistered};

    #[test]
    fn lengths_of_255_and_more_are_spelt_out() {
        for (length, size) in [
            (0, b"\0" as &[u8]),
            (1, b"\x01"),
            (254, b"\xfe"),
            (255, b"\xff\0"),
            (922, b"\xff\xff\xff\x9d"),
        ] {
            let nal = nal(100, &vec![b'x'; length]);
            let expected = [b"\x06\x64", size, &vec![b'x'; length], b"\x80"].concat();
            assert_eq!(nal, expected, "{length}");
        }
    }

    #[test]
    fn no_start_code_stands_in_it_whatever_the_payload() {
        for payload in [
            b"\0\0\0\0\0\0\x01" as &[u8],
            b"\0\0\x03\0\0\x02",
            b"\0\0",
            b"a\0\0\0",
        ] {
            let nal = nal(5, payload);
            let like_a_code = nal.windows(3).any(|bytes| bytes[..2] == [0, 0] && bytes[2] < 3);
            assert!(!like_a_code, "{nal:02x?}");
            assert_eq!(nal.last(), Some(&0x80));
        }
    }

    #[test]
    fn unregistered_data_stand_behind_their_uuid() {
        let nal = unregistered(*b"0123456789abcdef", b"{}");
        assert_eq!(nal[..], *b"\x06\x05\x120123456789abcdef{}\x80");
    }
}

//! Does a payload start a picture that needs no other?

use crate::Vp8Payload;

/// RFC 6184 §5.2: NAL unit types.
const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;

/// Whether an H.264 payload (RFC 6184, `packetization-mode` 0 or 1) holds the start of an IDR picture or a
/// sequence parameter set: in a single NAL unit, in a STAP-A, or in the first fragment of a FU-A.
#[must_use]
pub fn h264(payload: &[u8]) -> bool {
    let Some((&first, rest)) = payload.split_first() else {
        return false;
    };
    match first & 0x1f {
        NAL_IDR | NAL_SPS => true,
        NAL_STAP_A => stap_a(rest),
        // RFC 6184 §5.8: the top bit of the FU header marks the first fragment.
        NAL_FU_A => rest
            .first()
            .is_some_and(|fu| fu & 0x80 != 0 && matches!(fu & 0x1f, NAL_IDR | NAL_SPS)),
        _ => false,
    }
}

/// RFC 6184 §5.7.1: a 16-bit length before each NAL unit.
fn stap_a(mut rest: &[u8]) -> bool {
    while let Some((&[high, low], tail)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some((unit, tail)) = tail.split_at_checked(len) else {
            return false;
        };
        if unit
            .first()
            .is_some_and(|first| matches!(first & 0x1f, NAL_IDR | NAL_SPS))
        {
            return true;
        }
        rest = tail;
    }
    false
}

/// Whether a VP8 payload (RFC 7741) holds the first bytes of a key frame.
#[must_use]
pub fn vp8(payload: &[u8]) -> bool {
    let first_bytes = Vp8Payload::parse(payload).filter(|payload| payload.starts_frame);
    // RFC 6386 §9.1: the lowest bit of the frame tag is clear in a key frame.
    first_bytes
        .and_then(|payload| payload.data.first())
        .is_some_and(|tag| tag & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::{h264, vp8};
    use proptest::prelude::{any, prop, proptest};

    #[test]
    fn h264_key_frames_in_each_packetisation() {
        assert!(h264(&[0x65, 1, 2]), "single IDR");
        assert!(h264(&[0x67, 0x42]), "single SPS");
        assert!(
            h264(&[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68]),
            "STAP-A with SPS first"
        );
        assert!(h264(&[0x78, 0, 1, 0x09, 0, 2, 0x65, 1]), "STAP-A with IDR second");
        assert!(h264(&[0x7c, 0x85, 1]), "FU-A start of an IDR");
    }

    #[test]
    fn h264_payloads_that_start_no_key_frame() {
        assert!(!h264(&[]));
        assert!(!h264(&[0x41, 1, 2]), "single non-IDR slice");
        assert!(!h264(&[0x7c, 0x05, 1]), "FU-A middle of an IDR");
        assert!(!h264(&[0x7c, 0x45, 1]), "FU-A end of an IDR");
        assert!(!h264(&[0x7c, 0x81, 1]), "FU-A start of a slice");
        assert!(!h264(&[0x7c]), "FU-A cut short");
        assert!(!h264(&[0x78, 0, 9, 0x67]), "STAP-A unit longer than the packet");
        assert!(!h264(&[0x78, 0, 0, 0]), "STAP-A with an empty unit");
    }

    #[test]
    fn vp8_key_frames_behind_each_descriptor() {
        assert!(vp8(&[0x10, 0x00]), "no extension");
        assert!(vp8(&[0x90, 0x00, 0x00]), "no optional field");
        assert!(vp8(&[0x90, 0x80, 0x11, 0x00]), "7-bit PictureID");
        assert!(vp8(&[0x90, 0x80, 0x91, 0x11, 0x00]), "15-bit PictureID");
        assert!(vp8(&[0x90, 0xf0, 0x91, 0x11, 1, 2, 0x00]), "all fields");
    }

    #[test]
    fn vp8_payloads_that_start_no_key_frame() {
        assert!(!vp8(&[]));
        assert!(!vp8(&[0x10]), "no frame tag");
        assert!(!vp8(&[0x10, 0x01]), "an inter frame");
        assert!(!vp8(&[0x00, 0x00]), "not the start of a partition");
        assert!(!vp8(&[0x11, 0x00]), "partition 1");
        assert!(!vp8(&[0x90, 0x80, 0x91, 0x11]), "cut before the frame tag");
    }

    proptest! {
        #[test]
        fn any_payload_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (h264(&bytes), vp8(&bytes));
        }
    }
}

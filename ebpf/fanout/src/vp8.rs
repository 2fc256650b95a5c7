//! VP8 in RTP (RFC 7741).

/// A payload without its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Payload<'a> {
    /// Whether a frame starts here: the first bytes of its first partition.
    pub starts_frame: bool,
    /// Bytes of the frame.
    pub data: &'a [u8],
}

impl<'a> Vp8Payload<'a> {
    /// Takes the payload descriptor off (RFC 7741 §4.2); `None` if the payload ends within it.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (&first, rest) = payload.split_first()?;
        // X says that the extensions follow.
        let data = if first & 0x80 == 0 {
            rest
        } else {
            after_extensions(rest)?
        };
        // S and PID: the start of partition 0.
        let starts_frame = first & 0x10 != 0 && first & 0x07 == 0;
        Some(Self { starts_frame, data })
    }
}

/// I, L, T and K say which of PictureID, TL0PICIDX and TID/Y/KEYIDX follow.
fn after_extensions(rest: &[u8]) -> Option<&[u8]> {
    let (&flags, mut rest) = rest.split_first()?;
    if flags & 0x80 != 0 {
        // M says that the PictureID has 15 bits.
        let long = rest.first()? & 0x80 != 0;
        rest = rest.get(if long { 2 } else { 1 }..)?;
    }
    if flags & 0x40 != 0 {
        rest = rest.get(1..)?;
    }
    if flags & 0x30 != 0 {
        rest = rest.get(1..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::Vp8Payload;
    use proptest::prelude::{any, prop, proptest};

    /// A descriptor with the fields that `flags` (I, L, T, K) ask for, and `long` for a PictureID of 15 bits.
    fn described(first: u8, flags: u8, long: bool, data: &[u8]) -> Vec<u8> {
        let mut payload = vec![first | 0x80, flags];
        if flags & 0x80 != 0 {
            payload.extend_from_slice(if long { &[0x91, 0x11] } else { &[0x11] });
        }
        payload.extend((flags & 0x40 != 0).then_some(7));
        payload.extend((flags & 0x30 != 0).then_some(9));
        payload.extend_from_slice(data);
        payload
    }

    #[test]
    fn every_descriptor_is_taken_off() {
        assert_eq!(
            Vp8Payload::parse(&[0x10, 1, 2]).map(|it| it.data),
            Some(&[1, 2][..])
        );
        for flags in (0..16).map(|flags| flags << 4) {
            for long in [false, true] {
                let payload = described(0x10, flags, long, &[1, 2]);
                let expected = Vp8Payload {
                    starts_frame: true,
                    data: &[1, 2],
                };
                assert_eq!(Vp8Payload::parse(&payload), Some(expected), "{flags:#x} {long}");
            }
        }
    }

    #[test]
    fn a_frame_starts_with_its_first_partition_alone() {
        let starts = |first| Vp8Payload::parse(&[first, 0]).map(|it| it.starts_frame);
        assert_eq!(starts(0x10), Some(true));
        assert_eq!(starts(0x30), Some(true), "a frame that may be dropped");
        assert_eq!((starts(0x00), starts(0x11)), (Some(false), Some(false)));
    }

    #[test]
    fn a_descriptor_that_is_cut_is_no_payload() {
        let payload = described(0x10, 0xf0, true, &[]);
        assert_eq!(Vp8Payload::parse(&payload).map(|it| it.data), Some(&[][..]));
        for len in 0..payload.len() {
            assert_eq!(Vp8Payload::parse(&payload[..len]), None, "{len}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_end_of_any_payload(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(payload) = Vp8Payload::parse(&bytes) {
                assert!(bytes.ends_with(payload.data) && bytes.len() - payload.data.len() <= 6);
            }
        }
    }
}

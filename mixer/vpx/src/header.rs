//! What a frame says of itself before it is decoded (RFC 6386 §9.1).

/// Bytes of the frame tag.
const TAG: usize = 3;

/// What follows the tag of a key frame.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// The sizes have 14 bits; the two above ask the viewer to scale, which nobody does.
const SIZE_BITS: u16 = 0x3fff;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameHeader {
    /// A frame that needs no other.
    Key(KeyFrame),
    /// A frame that goes on from those before.
    Inter,
}

/// What a key frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// Pixels, 1 to 16383.
    pub width: u16,
    /// Pixels, 1 to 16383.
    pub height: u16,
}

/// Why bytes begin no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They end within the header.
    #[error("a VP8 frame of {0} bytes, which is shorter than its header")]
    Short(usize),
    /// The start code is another.
    #[error("a VP8 key frame with the start code {0:02x?}; it has to be {START_CODE:02x?}")]
    StartCode([u8; 3]),
    /// A side is zero.
    #[error("a VP8 key frame of {0} x {1}")]
    Empty(u16, u16),
}

impl FrameHeader {
    /// Reads the header of a whole frame.
    ///
    /// # Errors
    /// When the bytes begin no frame.
    pub fn parse(frame: &[u8]) -> Result<Self, HeaderError> {
        let short = HeaderError::Short(frame.len());
        let (tag, rest) = frame.split_first_chunk::<TAG>().ok_or(short)?;
        // The lowest bit is clear in a key frame.
        if tag[0] & 1 != 0 {
            return Ok(Self::Inter);
        }
        let (start_code, rest) = rest.split_first_chunk::<3>().ok_or(short)?;
        if *start_code != START_CODE {
            return Err(HeaderError::StartCode(*start_code));
        }
        let [w0, w1, h0, h1] = *rest.first_chunk::<4>().ok_or(short)?;
        let width = u16::from_le_bytes([w0, w1]) & SIZE_BITS;
        let height = u16::from_le_bytes([h0, h1]) & SIZE_BITS;
        if width == 0 || height == 0 {
            return Err(HeaderError::Empty(width, height));
        }
        Ok(Self::Key(KeyFrame { width, height }))
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameHeader, HeaderError, KeyFrame};
    use proptest::prelude::{any, prop, proptest};

    const KEY: [u8; 10] = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];

    #[test]
    fn a_key_frame_says_its_size_and_the_scale_is_no_part_of_it() {
        let sized = FrameHeader::Key(KeyFrame {
            width: 640,
            height: 360,
        });
        assert_eq!(FrameHeader::parse(&KEY), Ok(sized));
        let mut scaled = KEY;
        scaled[7] |= 0xc0;
        scaled[9] |= 0x40;
        assert_eq!(FrameHeader::parse(&scaled), Ok(sized));
    }

    #[test]
    fn a_frame_that_goes_on_says_nothing_more() {
        assert_eq!(FrameHeader::parse(&[0x11, 0, 0]), Ok(FrameHeader::Inter));
    }

    #[test]
    fn every_short_length_is_refused() {
        for len in 0..KEY.len() {
            assert_eq!(FrameHeader::parse(&KEY[..len]), Err(HeaderError::Short(len)));
        }
    }

    #[test]
    fn another_start_code_or_a_side_of_zero_is_refused() {
        let mut frame = KEY;
        frame[4] = 0;
        assert_eq!(
            FrameHeader::parse(&frame),
            Err(HeaderError::StartCode([0x9d, 0, 0x2a]))
        );
        let mut frame = KEY;
        frame[6..8].fill(0);
        assert_eq!(FrameHeader::parse(&frame), Err(HeaderError::Empty(0, 360)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            if let Ok(FrameHeader::Key(KeyFrame { width, height })) = FrameHeader::parse(&bytes) {
                assert!((1..=16_383).contains(&width) && (1..=16_383).contains(&height));
            }
        }
    }
}

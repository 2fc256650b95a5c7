//! RTP header extensions (RFC 8285): elements with a local id that each leg negotiates for itself.

use crate::packet::RtpHeader;
use core::ops::Range;

/// RFC 8285 §4.2.
const ONE_BYTE_PROFILE: u16 = 0xbede;

/// RFC 8285 §4.3: the low four bits are the application's.
const TWO_BYTE_PROFILE: u16 = 0x1000;

/// RFC 8285 §4.2: the element that ends a one-byte extension.
const ONE_BYTE_STOP: u8 = 15;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Local id, never zero.
    pub id: u8,
    /// Its value; may be empty in the two-byte form.
    pub data: &'a [u8],
}

/// The elements of one packet in their order.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    bytes: &'a [u8],
    cursor: Option<Cursor>,
}

impl<'a> Extensions<'a> {
    /// `header` was read from `bytes`.
    pub(crate) fn of(bytes: &'a [u8], header: &RtpHeader) -> Self {
        Self {
            bytes,
            cursor: Cursor::new(bytes, header),
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.cursor.as_mut()?.next(self.bytes)?;
        Some(Extension {
            id: element.id,
            data: self.bytes.get(element.data)?,
        })
    }
}

/// One- or two-byte element headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    OneByte,
    TwoByte,
}

/// Where one element lies in its packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) id: u8,
    /// The first byte of its own header.
    pub(crate) at: usize,
    pub(crate) data: Range<usize>,
}

/// Walks the elements of a packet without holding on to it, so that the walker may write.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) form: Form,
    /// What is looked at next.
    pub(crate) at: usize,
    /// Where the extension ends.
    pub(crate) end: usize,
}

impl Cursor {
    /// `None` if the packet has no extension of RFC 8285.
    pub(crate) fn new(bytes: &[u8], header: &RtpHeader) -> Option<Self> {
        let Range { start, end } = header.extension_elements()?;
        let profile = bytes.get(start.checked_sub(4)?..start.checked_sub(2)?)?;
        let form = match u16::from_be_bytes([*profile.first()?, *profile.get(1)?]) {
            ONE_BYTE_PROFILE => Form::OneByte,
            profile if profile & 0xfff0 == TWO_BYTE_PROFILE => Form::TwoByte,
            _ => return None,
        };
        Some(Self { form, at: start, end })
    }

    /// The next element. `None` at the end, and at the first element that is not well formed.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<Element> {
        while self.at < self.end && *bytes.get(self.at)? == 0 {
            self.at += 1;
        }
        let element = self.element(bytes)?;
        self.at = element.data.end;
        Some(element)
    }

    /// The element that starts here. `None` at the end, and if it is not well formed.
    #[inline(always)]
    pub(crate) fn element(&self, bytes: &[u8]) -> Option<Element> {
        if self.at >= self.end {
            return None;
        }
        let (id, data_at, len) = self.element_header(bytes)?;
        let data_end = data_at + len;
        if data_end > self.end {
            return None;
        }
        Some(Element {
            id,
            at: self.at,
            data: data_at..data_end,
        })
    }

    /// Id, start and length of the data of the element here.
    #[inline(always)]
    fn element_header(&self, bytes: &[u8]) -> Option<(u8, usize, usize)> {
        let first = *bytes.get(self.at)?;
        match self.form {
            // RFC 8285 §4.2: id 0 with a length, and id 15, end the processing of the whole extension.
            Form::OneByte => match first >> 4 {
                0 | ONE_BYTE_STOP => None,
                id => Some((id, self.at + 1, usize::from(first & 0x0f) + 1)),
            },
            Form::TwoByte => {
                let len = *bytes.get(self.at + 1).filter(|_| self.at + 1 < self.end)?;
                Some((first, self.at + 2, usize::from(len)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::packet::RtpPacket;

    fn packet(profile: [u8; 2], elements: &[u8]) -> Vec<u8> {
        assert_eq!(elements.len() % 4, 0, "a whole number of words");
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.extend(profile);
        packet.extend(u16::try_from(elements.len() / 4).expect("short").to_be_bytes());
        packet.extend(elements);
        packet.extend(b"payload");
        packet
    }

    fn read(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let packet = RtpPacket::parse(bytes).expect("well formed");
        packet
            .extensions()
            .map(|extension| (extension.id, extension.data.to_vec()))
            .collect()
    }

    /// RFC 8285 §4.2: padding of zeros may stand between elements.
    #[test]
    fn one_byte_elements_with_padding_between() {
        let bytes = packet([0xbe, 0xde], &[0x10, 9, 0, 0, 0x51, 7, 8, 0]);
        assert_eq!(read(&bytes), [(1, vec![9]), (5, vec![7, 8])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty_and_have_large_ids() {
        let bytes = packet([0x10, 0x05], &[200, 0, 0, 3, 2, 7, 8, 0]);
        assert_eq!(read(&bytes), [(200, vec![]), (3, vec![7, 8])]);
    }

    #[test]
    fn id_15_ends_the_one_byte_form() {
        let bytes = packet([0xbe, 0xde], &[0x10, 9, 0xf0, 1, 0x20, 5, 0, 0]);
        assert_eq!(read(&bytes), [(1, vec![9])]);
    }

    #[test]
    fn id_0_with_a_length_ends_the_one_byte_form() {
        let bytes = packet([0xbe, 0xde], &[0x10, 9, 0x02, 1, 0x20, 5, 0, 0]);
        assert_eq!(read(&bytes), [(1, vec![9])]);
    }

    #[test]
    fn an_element_longer_than_the_extension_is_not_read() {
        assert_eq!(read(&packet([0xbe, 0xde], &[0x10, 9, 0x2f, 1])), [(1, vec![9])]);
        assert_eq!(read(&packet([0x10, 0x00], &[1, 1, 9, 2])), [(1, vec![9])]);
        assert_eq!(read(&packet([0x10, 0x00], &[1, 3, 9, 2])), []);
    }

    #[test]
    fn another_profile_has_no_elements() {
        assert_eq!(read(&packet([0xab, 0xac], &[0x10, 9, 0, 0])), []);
    }
}

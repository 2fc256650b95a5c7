//! Making a publisher's header a leg's header, in place and without changing its length.
//!
//! SSRC, sequence number and timestamp stay the publisher's, so its sender reports hold on every leg. What a leg
//! negotiated otherwise is rewritten: payload type, extension ids, and the two extensions that belong to one hop.

use crate::extension::{Cursor, Form};
use crate::ids::{PayloadType, SequenceNumber, Ssrc};
use crate::packet::{Malformed, RtpHeader};

/// The largest id that the one-byte form can carry (RFC 8285 §4.2).
const MAX_ID: usize = 14;

/// From the publisher's extension ids to the leg's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ExtensionMap {
    /// Indexed by the publisher's id; zero is not mapped.
    to: [u8; MAX_ID + 1],
    /// The publisher's id of the transport-wide sequence number; zero is none.
    transport_cc: u8,
    /// The publisher's id of abs-send-time; zero is none.
    abs_send_time: u8,
}

impl ExtensionMap {
    /// Maps the publisher's id to the leg's. An id that the one-byte form cannot carry is not mapped.
    pub fn map(&mut self, publisher: u8, leg: u8) {
        if !(1..=MAX_ID).contains(&usize::from(leg)) || publisher == 0 {
            return;
        }
        if let Some(slot) = self.to.get_mut(usize::from(publisher)) {
            *slot = leg;
        }
    }

    /// The same, and the value is the leg's transport-wide sequence number.
    pub fn map_transport_cc(&mut self, publisher: u8, leg: u8) {
        self.map(publisher, leg);
        self.transport_cc = publisher;
    }

    /// The same, and the value is the time of departure.
    pub fn map_abs_send_time(&mut self, publisher: u8, leg: u8) {
        self.map(publisher, leg);
        self.abs_send_time = publisher;
    }

    #[inline(always)]
    fn leg_id(&self, publisher: u8) -> u8 {
        self.to.get(usize::from(publisher)).copied().unwrap_or(0)
    }
}

/// How one leg numbers one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegHeader {
    /// Its payload type.
    pub payload_type: PayloadType,
    /// Its extension ids.
    pub extensions: ExtensionMap,
}

/// Seconds modulo 64 in 6.18 fixed point, as the abs-send-time extension has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(u32);

impl AbsSendTime {
    /// From nanoseconds of any clock that the leg sees go steadily.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        const SECOND: u64 = 1_000_000_000;
        let fraction = ((nanos % (64 * SECOND)) << 18) / SECOND;
        Self((fraction & 0x00ff_ffff) as u32)
    }

    /// As on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }
}

/// The values that belong to this one packet on this one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// The next transport-wide sequence number of the leg.
    pub transport_sequence: u16,
    /// When the packet leaves.
    pub send_time: AbsSendTime,
}

/// What a rewritten packet carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The transport-wide sequence number was written, so it is used up.
    pub transport_sequence: bool,
    /// The time of departure was written.
    pub send_time: bool,
}

/// Rewrites the header of a packet for a leg. The length of the header never changes: an element that the leg did
/// not negotiate becomes padding, and one that the packet does not carry is not added.
pub fn rewrite(packet: &mut [u8], leg: &LegHeader, stamps: &Stamps) -> Result<Written, Malformed> {
    let header = RtpHeader::parse(packet)?;
    let mut rewriting = Rewriting::begin(packet, &header, leg);
    while rewriting.step(packet, leg) {}
    Ok(rewriting.stamp(packet, stamps))
}

/// A header being rewritten in steps of bounded work, at most two for each byte of its extension: the kernel's verifier
/// follows a single step, and takes the number of them from us.
#[derive(Clone, Debug)]
pub struct Rewriting {
    /// What is not rewritten yet; `None` without an extension of RFC 8285.
    rest: Option<Cursor>,
    /// Up to here bytes become padding.
    erase_until: usize,
    /// Where the transport-wide sequence number stands; zero is nowhere.
    transport_sequence_at: usize,
    /// Where the time of departure stands; zero is nowhere.
    send_time_at: usize,
}

impl Rewriting {
    /// Writes the payload type. `header` was read from `packet`.
    #[inline(always)]
    pub fn begin(packet: &mut [u8], header: &RtpHeader, leg: &LegHeader) -> Self {
        write_payload_type(packet, leg.payload_type);
        Self {
            rest: Cursor::new(packet, header),
            erase_until: 0,
            transport_sequence_at: 0,
            send_time_at: 0,
        }
    }

    /// Rewrites one element, or passes one byte of padding; `false` when there is nothing left.
    #[inline(always)]
    pub fn step(&mut self, packet: &mut [u8], leg: &LegHeader) -> bool {
        let Some(cursor) = &mut self.rest else {
            return false;
        };
        let Some(byte) = packet.get_mut(cursor.at).filter(|_| cursor.at < cursor.end) else {
            return false;
        };
        if cursor.at < self.erase_until {
            *byte = 0;
        }
        if *byte == 0 {
            cursor.at += 1;
            return true;
        }
        let Some(element) = cursor.element(packet) else {
            self.erase_until = cursor.end;
            return true;
        };
        let id = leg.extensions.leg_id(element.id);
        if id == 0 {
            self.erase_until = element.data.end;
            return true;
        }
        cursor.at = element.data.end;
        write_id(packet, cursor.form, element.at, id);
        let (at, len) = (element.data.start, element.data.len());
        if element.id == leg.extensions.transport_cc && len >= 2 {
            self.transport_sequence_at = at;
        }
        if element.id == leg.extensions.abs_send_time && len == 3 {
            self.send_time_at = at;
        }
        true
    }

    /// Whether the packet carries a transport-wide sequence number; known after the last step.
    #[inline(always)]
    #[must_use]
    pub const fn wants_transport_sequence(&self) -> bool {
        self.transport_sequence_at != 0
    }

    /// Writes the values of this one packet where the steps found room for them.
    #[inline(always)]
    pub fn stamp(&self, packet: &mut [u8], stamps: &Stamps) -> Written {
        let (transport_at, time_at) = (self.transport_sequence_at, self.send_time_at);
        if transport_at != 0 {
            write(packet, transport_at, stamps.transport_sequence.to_be_bytes());
        }
        if time_at != 0 {
            write(packet, time_at, stamps.send_time.to_bytes());
        }
        Written {
            transport_sequence: transport_at != 0,
            send_time: time_at != 0,
        }
    }
}

/// Makes a packet one of another SSRC and sequence number: a retransmission (RFC 4588 §4), or what it was before.
pub fn readdress(packet: &mut [u8], payload_type: PayloadType, ssrc: Ssrc, sequence: SequenceNumber) {
    write_payload_type(packet, payload_type);
    write(packet, 2, sequence.0.to_be_bytes());
    write(packet, 8, ssrc.0.to_be_bytes());
}

#[inline(always)]
fn write_id(packet: &mut [u8], form: Form, at: usize, id: u8) {
    let Some(byte) = packet.get_mut(at) else { return };
    *byte = match form {
        Form::OneByte => id << 4 | *byte & 0x0f,
        Form::TwoByte => id,
    };
}

fn write_payload_type(packet: &mut [u8], payload_type: PayloadType) {
    if let Some(byte) = packet.get_mut(1) {
        *byte = *byte & 0x80 | payload_type.0 & 0x7f;
    }
}

/// What does not fit is left out.
#[inline(always)]
fn write<const N: usize>(packet: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(to) = packet.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *to = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{AbsSendTime, ExtensionMap, LegHeader, Stamps, Written, readdress, rewrite};
    use crate::ids::{PayloadType, SequenceNumber, Ssrc};
    use crate::packet::{RtpHeader, RtpPacket};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    const STAMPS: Stamps = Stamps {
        transport_sequence: 0x1122,
        send_time: AbsSendTime(0x0003_0405),
    };

    fn leg() -> LegHeader {
        let mut extensions = ExtensionMap::default();
        extensions.map(1, 10);
        extensions.map_transport_cc(3, 5);
        extensions.map_abs_send_time(2, 3);
        LegHeader {
            payload_type: PayloadType(109),
            extensions,
        }
    }

    fn packet(profile: [u8; 2], elements: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend(profile);
        packet.extend(u16::try_from(elements.len() / 4).expect("short").to_be_bytes());
        packet.extend(elements);
        packet.extend(b"payload");
        packet
    }

    fn extensions(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let packet = RtpPacket::parse(bytes).expect("still RTP");
        packet
            .extensions()
            .map(|extension| (extension.id, extension.data.to_vec()))
            .collect()
    }

    #[test]
    fn ids_are_mapped_values_stamped_and_the_rest_is_padding() {
        let elements = [0x10, 0x7f, 0x22, 0, 0, 0, 0x31, 0, 0, 0x40, 9, 0];
        let mut bytes = packet([0xbe, 0xde], &elements);
        let before = bytes.clone();
        let written = rewrite(&mut bytes, &leg(), &STAMPS).expect("RTP");
        assert_eq!(
            written,
            Written {
                transport_sequence: true,
                send_time: true
            }
        );
        assert_eq!(
            extensions(&bytes),
            [(10, vec![0x7f]), (3, vec![3, 4, 5]), (5, vec![0x11, 0x22])]
        );
        assert_eq!(bytes.len(), before.len());
        assert_eq!(bytes[1], 0x80 | 109, "the marker stays");
        assert_eq!(
            bytes[2..12],
            before[2..12],
            "sequence number, timestamp and SSRC stay"
        );
        assert_eq!(bytes[28..], before[28..], "the payload stays");
    }

    #[test]
    fn the_two_byte_form_keeps_its_form() {
        let mut bytes = packet([0x10, 0x00], &[1, 1, 0x7f, 200, 1, 9, 3, 2, 0, 0, 0, 0]);
        let written = rewrite(&mut bytes, &leg(), &STAMPS).expect("RTP");
        assert!(written.transport_sequence && !written.send_time);
        assert_eq!(extensions(&bytes), [(10, vec![0x7f]), (5, vec![0x11, 0x22])]);
    }

    #[test]
    fn a_packet_without_the_transport_sequence_number_uses_none_up() {
        let mut bytes = packet([0xbe, 0xde], &[0x10, 0x7f, 0, 0]);
        assert_eq!(rewrite(&mut bytes, &leg(), &STAMPS), Ok(Written::default()));
    }

    #[test]
    fn nothing_that_was_not_understood_reaches_the_leg() {
        let mut bytes = packet([0xbe, 0xde], &[0x10, 0x7f, 0xf0, 1, 0x20, 5, 6, 7]);
        rewrite(&mut bytes, &leg(), &STAMPS).expect("RTP");
        assert_eq!(bytes[16..24], [0xa0, 0x7f, 0, 0, 0, 0, 0, 0]);
    }

    /// The one-byte form has no room for ids over 14 (RFC 8285 §4.2), and 0 is padding.
    #[test]
    fn an_impossible_id_is_not_mapped() {
        let mut map = ExtensionMap::default();
        for (publisher, leg) in [(0, 3), (3, 0), (3, 15), (15, 3), (255, 3), (3, 255)] {
            map.map(publisher, leg);
            assert_eq!(map, ExtensionMap::default(), "{publisher} to {leg}");
        }
    }

    #[test]
    fn send_time_counts_quarter_millionths_and_wraps_after_64_s() {
        assert_eq!(AbsSendTime::from_nanos(0).to_bytes(), [0, 0, 0]);
        assert_eq!(AbsSendTime::from_nanos(1_000_000_000).to_bytes(), [0x04, 0, 0]);
        assert_eq!(
            AbsSendTime::from_nanos(63_999_999_999).to_bytes(),
            [0xff, 0xff, 0xff]
        );
        assert_eq!(AbsSendTime::from_nanos(64_500_000_000).to_bytes(), [0x02, 0, 0]);
        assert_eq!(AbsSendTime::from_nanos(u64::MAX).0 >> 24, 0);
    }

    #[test]
    fn a_readdressed_packet_differs_in_three_fields_only() {
        let mut bytes = packet([0xbe, 0xde], &[0x10, 0x7f, 0, 0]);
        let before = bytes.clone();
        readdress(
            &mut bytes,
            PayloadType(97),
            Ssrc(0xdead_beef),
            SequenceNumber(0xabcd),
        );
        let header = RtpHeader::parse(&bytes).expect("RTP");
        assert_eq!(
            (header.payload_type, header.ssrc),
            (PayloadType(97), Ssrc(0xdead_beef))
        );
        assert_eq!(header.sequence, SequenceNumber(0xabcd));
        assert!(header.marker);
        assert_eq!((&bytes[4..8], &bytes[12..]), (&before[4..8], &before[12..]));
        for len in 0..12 {
            readdress(&mut bytes[..len], PayloadType(97), Ssrc(1), SequenceNumber(1));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let before = bytes.clone();
            if rewrite(&mut bytes, &leg(), &STAMPS).is_err() {
                prop_assert_eq!(bytes, before);
            }
        }

        #[test]
        fn a_mutated_packet_keeps_its_length_and_all_but_its_header_fields(
            elements in prop::collection::vec(any::<u8>(), 0..16),
            two_byte in any::<bool>(),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let words = elements.repeat(4);
            let profile = if two_byte { [0x10, 0] } else { [0xbe, 0xde] };
            let mut bytes = packet(profile, &words);
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let before = bytes.clone();
            let Ok(header) = RtpHeader::parse(&before) else { return Ok(()) };
            rewrite(&mut bytes, &leg(), &STAMPS).expect("parsed once");
            let after = RtpHeader::parse(&bytes).expect("still RTP");
            let mut expected = header;
            expected.payload_type = PayloadType(109);
            prop_assert_eq!(after, expected);
            let elements = header.extension_elements().unwrap_or(header.len..header.len);
            prop_assert_eq!(bytes[0], before[0]);
            prop_assert_eq!(&bytes[2..elements.start], &before[2..elements.start]);
            prop_assert_eq!(&bytes[elements.end..], &before[elements.end..]);
            let known = [10, 5, 3];
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                prop_assert!(packet.extensions().all(|extension| known.contains(&extension.id)));
            }
        }
    }
}

//! Retransmissions (RFC 4588): the original packet on another SSRC, its sequence number before the payload.

use bytes::{BufMut, Bytes, BytesMut};
use lianmai_fanout::{PayloadType, RtpPacket, SequenceNumber, Ssrc, readdress};

/// RFC 4588 §4: the original sequence number.
const OSN_LEN: usize = 2;

/// The sequence number of the packet that is sent again. `None` is padding that probes the path.
pub(crate) fn original_sequence(packet: &RtpPacket<'_>) -> Option<SequenceNumber> {
    let (osn, _) = packet.payload().split_first_chunk::<OSN_LEN>()?;
    Some(SequenceNumber(u16::from_be_bytes(*osn)))
}

/// The packet that is sent again, as it was sent first.
pub(crate) fn unwrap(packet: &RtpPacket<'_>, payload_type: PayloadType, ssrc: Ssrc) -> Option<Bytes> {
    let sequence = original_sequence(packet)?;
    let (header, rest) = packet.bytes().split_at_checked(packet.header.len)?;
    let mut original = BytesMut::with_capacity(packet.bytes().len());
    original.put_slice(header);
    original.put_slice(rest.get(OSN_LEN..)?);
    readdress(&mut original, payload_type, ssrc, sequence);
    Some(original.freeze())
}

/// Makes a packet with a header of `header_len` bytes a retransmission of itself.
pub(crate) fn wrap(
    packet: &mut Vec<u8>,
    header_len: usize,
    payload_type: PayloadType,
    ssrc: Ssrc,
    next: SequenceNumber,
) {
    let Some(&osn) = packet.get(2..).and_then(<[u8]>::first_chunk::<OSN_LEN>) else {
        return;
    };
    if header_len > packet.len() {
        return;
    }
    packet.splice(header_len..header_len, osn);
    readdress(packet, payload_type, ssrc, next);
}

#[cfg(test)]
mod tests {
    use super::{original_sequence, unwrap, wrap};
    use lianmai_fanout::{PayloadType, RtpPacket, SequenceNumber, Ssrc};

    /// A marker, an extension, a payload and padding.
    fn original() -> Vec<u8> {
        let mut packet = vec![
            0xb0, 0xe0, 0xff, 0xfe, 0, 0, 0, 9, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x30, 5, 0, 0,
        ];
        packet.extend(b"payload");
        packet.extend([0, 0, 3]);
        packet
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_bit_by_bit() {
        let mut packet = original();
        wrap(&mut packet, 20, PayloadType(97), Ssrc(2), SequenceNumber(5));
        let rtx = RtpPacket::parse(&packet).expect("RTP");
        assert_eq!(
            (rtx.header.payload_type, rtx.header.ssrc),
            (PayloadType(97), Ssrc(2))
        );
        assert_eq!(
            (rtx.header.sequence, rtx.header.marker),
            (SequenceNumber(5), true)
        );
        assert_eq!(rtx.payload(), b"\xff\xfepayload");
        assert_eq!(original_sequence(&rtx), Some(SequenceNumber(0xfffe)));
        assert_eq!(
            unwrap(&rtx, PayloadType(96), Ssrc(1)).expect("an original")[..],
            original()
        );
    }

    /// Browsers probe with padding on the RTX stream before they have anything to repeat.
    #[test]
    fn padding_alone_repeats_nothing() {
        let packet = [0xa0, 97, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3];
        let rtx = RtpPacket::parse(&packet).expect("RTP");
        assert_eq!(original_sequence(&rtx), None);
        assert!(unwrap(&rtx, PayloadType(96), Ssrc(1)).is_none());
    }

    #[test]
    fn a_header_beyond_the_packet_changes_nothing() {
        let mut packet = original();
        wrap(&mut packet, 200, PayloadType(97), Ssrc(2), SequenceNumber(5));
        assert_eq!(packet, original());
    }
}

//! What holds for any input: the bodies of the fuzz targets, which the ordinary tests run on the corpus.
#![allow(dead_code, reason = "each target runs one of them")]

use lianmai_fanout::frame::{ETHERNET, IPV4, IPV6, UDP, ipv4, ipv6, network};
use lianmai_fanout::{
    AbsSendTime, ExtensionMap, LegHeader, PayloadType, RtpHeader, RtpPacket, Stamps, demux, keyframe, rewrite,
};

/// Reads a packet: everything that it names lies within it.
pub(crate) fn packet(input: &[u8]) {
    let _ = demux::classify(input);
    let _ = (keyframe::h264(input), keyframe::vp8(input));
    let Ok(header) = RtpHeader::parse(input) else {
        return;
    };
    assert!(header.len <= input.len() && header.len % 4 == 0);
    let Ok(packet) = RtpPacket::parse(input) else {
        return;
    };
    assert_eq!(packet.header, header);
    assert_eq!(
        header.len + packet.payload().len() + packet.padding(),
        input.len()
    );
    let elements = header.extension_elements().map_or(0, |range| range.len());
    let read: usize = packet
        .extensions()
        .map(|extension| extension.data.len() + 1)
        .sum();
    assert!(read <= elements);
}

/// Rewrites a packet for a leg: only payload type and extension change, and nothing is left that the leg did not negotiate.
///
/// The first bytes choose the leg: a payload type, and three pairs of ids.
pub(crate) fn rewrite_header(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first_chunk::<7>() else {
        return;
    };
    let [payload_type, ids @ ..] = *choice;
    let mut extensions = ExtensionMap::default();
    extensions.map(ids[0], ids[1]);
    extensions.map_transport_cc(ids[2], ids[3]);
    extensions.map_abs_send_time(ids[4], ids[5]);
    let leg = LegHeader {
        payload_type: PayloadType(payload_type),
        extensions,
    };
    let stamps = Stamps {
        transport_sequence: 0xabcd,
        send_time: AbsSendTime::from_nanos(1_234_567_890),
    };
    let mut rewritten = bytes.to_vec();
    let outcome = rewrite(&mut rewritten, &leg, &stamps);
    let Ok(before) = RtpHeader::parse(bytes) else {
        assert!(outcome.is_err() && rewritten == bytes);
        return;
    };
    let after = RtpHeader::parse(&rewritten).expect("still a header");
    assert_eq!(after.payload_type.0, payload_type & 0x7f);
    assert_eq!(
        (
            before.ssrc,
            before.sequence,
            before.timestamp,
            before.marker,
            before.len
        ),
        (
            after.ssrc,
            after.sequence,
            after.timestamp,
            after.marker,
            after.len
        )
    );
    let elements = before.extension_elements().unwrap_or(12..12);
    assert_eq!(
        (bytes[0], &bytes[2..elements.start]),
        (rewritten[0], &rewritten[2..elements.start])
    );
    assert_eq!(bytes[before.len..], rewritten[before.len..]);
    let negotiated = [ids[1], ids[3], ids[5]];
    if let Ok(packet) = RtpPacket::parse(&rewritten) {
        assert!(
            packet
                .extensions()
                .all(|extension| negotiated.contains(&extension.id))
        );
    }
}

/// Reads a frame: what is taken for plain UDP is exactly as long as it says.
pub(crate) fn frame(input: &[u8]) {
    let Some((ethernet, rest)) = input.split_first_chunk::<ETHERNET>() else {
        return;
    };
    let _ = network(ethernet);
    if let Some(headers) = rest.first_chunk::<{ IPV4 + UDP }>()
        && let Ok(udp) = ipv4(headers, rest.len())
    {
        assert_eq!(IPV4 + UDP + udp.payload_len, rest.len());
    }
    if let Some(headers) = rest.first_chunk::<{ IPV6 + UDP }>()
        && let Ok(udp) = ipv6(headers, rest.len())
    {
        assert_eq!(IPV6 + UDP + udp.payload_len, rest.len());
    }
}

//! Ethernet, IP and UDP, as far as a fan-out wants to know them: anything unusual is left to the kernel's stack.

use crate::checksum::{complement, fold, udp_complement};
use crate::records::MAX_FRAME_HEADER;

/// An Ethernet II header.
pub const ETHERNET: usize = 14;
/// An IPv4 header without options.
pub const IPV4: usize = 20;
/// An IPv6 header without extension headers.
pub const IPV6: usize = 40;
/// A UDP header.
pub const UDP: usize = 8;

const PROTOCOL_UDP: u8 = 17;

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// A VLAN tag (IEEE 802.1Q or 802.1ad).
    Vlan,
    /// Anything else.
    Other,
}

/// Reads the type field of an Ethernet header.
#[inline(always)]
#[must_use]
pub const fn network(ethernet: &[u8; ETHERNET]) -> Network {
    match [ethernet[12], ethernet[13]] {
        [0x08, 0x00] => Network::V4,
        [0x86, 0xdd] => Network::V6,
        [0x81, 0x00] | [0x88, 0xa8] => Network::Vlan,
        _ => Network::Other,
    }
}

/// Why a packet is left to the kernel's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlain {
    /// Not UDP.
    OtherProtocol,
    /// IPv4 options, a fragment, or lengths that contradict each other.
    Unusual,
}

/// A UDP header and the addresses before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// The sender's address as IPv6, an IPv4 address mapped into it (RFC 4291 §2.5.5.2).
    pub source: [u8; 16],
    /// As on the wire.
    pub source_port: [u8; 2],
    /// As on the wire.
    pub destination_port: [u8; 2],
    /// Bytes that follow the header.
    pub payload_len: usize,
}

/// Reads an IPv4 header without options and the UDP header behind it. `after` is how many bytes follow the Ethernet header.
#[inline(always)]
pub fn ipv4(headers: &[u8; IPV4 + UDP], after: usize) -> Result<Udp, NotPlain> {
    if headers[9] != PROTOCOL_UDP {
        return Err(NotPlain::OtherProtocol);
    }
    // RFC 791 §3.1: version 4, five words of header; more fragments or an offset make a fragment.
    let is_fragment = u16::from_be_bytes([headers[6], headers[7]]) & 0x3fff != 0;
    if headers[0] != 0x45 || is_fragment {
        return Err(NotPlain::Unusual);
    }
    let total_len = usize::from(u16::from_be_bytes([headers[2], headers[3]]));
    let mut source = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    source[12] = headers[12];
    source[13] = headers[13];
    source[14] = headers[14];
    source[15] = headers[15];
    let udp = [
        headers[20],
        headers[21],
        headers[22],
        headers[23],
        headers[24],
        headers[25],
    ];
    read_udp(source, udp, total_len, IPV4, after)
}

/// The same for an IPv6 header without extension headers.
#[inline(always)]
pub fn ipv6(headers: &[u8; IPV6 + UDP], after: usize) -> Result<Udp, NotPlain> {
    // RFC 8200 §3: an extension header stands in the next header field as a protocol of its own.
    if headers[6] != PROTOCOL_UDP {
        return Err(NotPlain::OtherProtocol);
    }
    if headers[0] >> 4 != 6 {
        return Err(NotPlain::Unusual);
    }
    let payload_len = usize::from(u16::from_be_bytes([headers[4], headers[5]]));
    let mut source = [0; 16];
    let mut byte = 0;
    while byte < source.len() {
        source[byte] = headers[8 + byte];
        byte += 1;
    }
    let udp = [
        headers[40],
        headers[41],
        headers[42],
        headers[43],
        headers[44],
        headers[45],
    ];
    read_udp(source, udp, IPV6 + payload_len, IPV6, after)
}

#[inline(always)]
fn read_udp(
    source: [u8; 16],
    udp: [u8; 6],
    total_len: usize,
    ip_len: usize,
    after: usize,
) -> Result<Udp, NotPlain> {
    let udp_len = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    // What a frame has beyond the packet is padding to the least length of Ethernet; no media packet is that short.
    if udp_len < UDP || ip_len + udp_len != total_len || total_len != after {
        return Err(NotPlain::Unusual);
    }
    Ok(Udp {
        source,
        source_port: [udp[0], udp[1]],
        destination_port: [udp[2], udp[3]],
        payload_len: udp_len - UDP,
    })
}

/// Completes the headers of a leg for one packet: lengths and checksums, which are zero before.
///
/// `sums` are those of [`crate::records::Leg`]; `payload_sum` is the sum of the UDP payload.
#[inline(always)]
pub fn complete(
    headers: &mut [u8; MAX_FRAME_HEADER],
    ip_version: u8,
    sums: [u16; 2],
    payload_len: usize,
    payload_sum: u64,
) {
    let udp_len = ((UDP + payload_len) as u16).to_be_bytes();
    let udp_len_word = u64::from(u16::from_ne_bytes(udp_len));
    // The length stands in the header and in the pseudo-header (RFC 768, RFC 8200 §8.1).
    let udp_sum = u64::from(sums[1]) + 2 * udp_len_word + payload_sum;
    let udp_checksum = udp_complement(fold(udp_sum)).to_ne_bytes();
    if ip_version == 4 {
        let ip_len = ((IPV4 + UDP + payload_len) as u16).to_be_bytes();
        let ip_sum = u64::from(sums[0]) + u64::from(u16::from_ne_bytes(ip_len));
        put(headers, ETHERNET + 2, ip_len);
        put(headers, ETHERNET + 10, complement(fold(ip_sum)).to_ne_bytes());
        put(headers, ETHERNET + IPV4 + 4, udp_len);
        put(headers, ETHERNET + IPV4 + 6, udp_checksum);
    } else {
        put(headers, ETHERNET + 4, udp_len);
        put(headers, ETHERNET + IPV6 + 4, udp_len);
        put(headers, ETHERNET + IPV6 + 6, udp_checksum);
    }
}

#[inline(always)]
fn put(headers: &mut [u8; MAX_FRAME_HEADER], at: usize, bytes: [u8; 2]) {
    headers[at] = bytes[0];
    headers[at + 1] = bytes[1];
}

#[cfg(test)]
mod tests {
    use super::{IPV4, IPV6, Network, NotPlain, UDP, complete, ipv4, ipv6, network};
    use crate::checksum;
    use crate::records::MAX_FRAME_HEADER;

    /// From 192.0.2.1:5000 to 198.51.100.2:8444, ten bytes of payload.
    fn v4() -> [u8; IPV4 + UDP] {
        [
            0x45, 0, 0, 38, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, 0x13, 0x88, 0x20,
            0xfc, 0, 18, 0, 0,
        ]
    }

    fn v6() -> [u8; IPV6 + UDP] {
        let mut headers = [0; IPV6 + UDP];
        headers[0] = 0x60;
        headers[5] = 18;
        headers[6] = 17;
        headers[7] = 64;
        headers[8..24].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        headers[24..40].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        headers[40..48].copy_from_slice(&[0x13, 0x88, 0x20, 0xfc, 0, 18, 0, 0]);
        headers
    }

    #[test]
    fn the_type_of_an_ethernet_frame() {
        let ethernet = |kind: [u8; 2]| network(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, kind[0], kind[1]]);
        assert_eq!(ethernet([8, 0]), Network::V4);
        assert_eq!(ethernet([0x86, 0xdd]), Network::V6);
        assert_eq!(
            (ethernet([0x81, 0]), ethernet([0x88, 0xa8])),
            (Network::Vlan, Network::Vlan)
        );
        assert_eq!(ethernet([8, 6]), Network::Other);
    }

    #[test]
    fn addresses_ports_and_length_are_read() {
        let udp = ipv4(&v4(), 38).expect("plain");
        assert_eq!(udp.source[10..], [0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(
            (udp.source_port, udp.destination_port),
            ([0x13, 0x88], [0x20, 0xfc])
        );
        assert_eq!(udp.payload_len, 10);
        let udp = ipv6(&v6(), 58).expect("plain");
        assert_eq!(udp.source, v6()[8..24]);
        assert_eq!(udp.payload_len, 10);
    }

    #[test]
    fn what_is_not_plain_udp_is_left_alone() {
        let with_v4 = |at: usize, value: u8| {
            let mut headers = v4();
            headers[at] = value;
            ipv4(&headers, 38)
        };
        assert_eq!(with_v4(9, 6), Err(NotPlain::OtherProtocol));
        for (at, value, what) in [
            (0, 0x46, "an option"),
            (0, 0x65, "version 6"),
            (6, 0x20, "the first fragment"),
            (7, 1, "a later fragment"),
            (3, 39, "an IP length that contradicts the frame"),
            (25, 17, "a UDP length that contradicts the packet"),
            (25, 7, "a UDP length shorter than its header"),
        ] {
            assert_eq!(with_v4(at, value), Err(NotPlain::Unusual), "{what}");
        }
        assert_eq!(ipv4(&v4(), 39), Err(NotPlain::Unusual), "padding");
        let mut headers = v6();
        headers[6] = 44;
        assert_eq!(
            ipv6(&headers, 58),
            Err(NotPlain::OtherProtocol),
            "a fragment header"
        );
        headers = v6();
        headers[0] = 0x40;
        assert_eq!(ipv6(&headers, 58), Err(NotPlain::Unusual), "version 4");
    }

    /// RFC 1071 §1: a checksum is right when the sum over everything it covers is all ones.
    #[test]
    fn completed_headers_have_valid_checksums() {
        let payload = b"0123456789";
        let payload_sum = u64::from(checksum::of_bytes(payload));
        let complete_as = |ip_version: u8, ip: &[u8], addresses: &[u8]| {
            let mut headers = [0; MAX_FRAME_HEADER];
            headers[14..14 + ip.len()].copy_from_slice(ip);
            let udp_at = 14 + ip.len() - UDP;
            headers[udp_at + 4..udp_at + 8].fill(0);
            let mut fixed = ip[..ip.len() - UDP].to_vec();
            fixed[if ip_version == 4 { 2..4 } else { 4..6 }].fill(0);
            headers[14..udp_at].copy_from_slice(&fixed);
            let pseudo = [addresses, &[0, 17], &ip[ip.len() - UDP..ip.len() - 4]].concat();
            let sums = [checksum::of_bytes(&fixed), checksum::of_bytes(&pseudo)];
            complete(&mut headers, ip_version, sums, payload.len(), payload_sum);
            let covered = [
                addresses,
                &[0, 17, 0, 18],
                &headers[udp_at..udp_at + UDP],
                payload,
            ]
            .concat();
            assert_eq!(checksum::of_bytes(&covered), 0xffff, "UDP over IPv{ip_version}");
            headers
        };
        let headers = complete_as(4, &v4(), &v4()[12..20]);
        assert_eq!(checksum::of_bytes(&headers[14..34]), 0xffff);
        assert_eq!(
            (headers[16..18].to_vec(), headers[38..40].to_vec()),
            (vec![0, 38], vec![0, 18])
        );
        let headers = complete_as(6, &v6(), &v6()[8..40]);
        assert_eq!(
            (headers[18..20].to_vec(), headers[58..60].to_vec()),
            (vec![0, 18], vec![0, 18])
        );
    }
}

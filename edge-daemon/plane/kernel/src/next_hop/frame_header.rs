//! The headers of frames to one peer: all but lengths and checksums, which the programs complete.

use lianmai_fanout::checksum;
use lianmai_fanout::records::{Leg, MAX_FRAME_HEADER};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

const ETHERNET: usize = 14;
const UDP: usize = 8;
const PROTOCOL_UDP: u8 = 17;

/// RFC 791 §3.1: do not fragment; no offset. The identification is zero then (RFC 6864 §4.1).
const DONT_FRAGMENT: [u8; 2] = [0x40, 0];

/// RFC 1700, "IP time to live parameter".
const TIME_TO_LIVE: u8 = 64;

/// An address of Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Between whom a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// The next hop.
    pub to: MacAddress,
    /// Our interface.
    pub from: MacAddress,
}

/// What a leg's record says of its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The headers, with zero for lengths and checksums.
    pub bytes: [u8; MAX_FRAME_HEADER],
    /// Their length: 42 or 62.
    pub len: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// As in [`Leg::sums`].
    pub sums: [u16; 2],
}

impl FrameHeader {
    /// Of UDP between these addresses; `None` if they are of different versions of IP.
    #[must_use]
    pub fn new(ethernet: Ethernet, from: SocketAddr, to: SocketAddr) -> Option<Self> {
        let (ip, ip_version, kind) = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => (ipv4(from.octets(), to.octets()), 4, [0x08, 0x00]),
            (IpAddr::V6(from), IpAddr::V6(to)) => (ipv6(from.octets(), to.octets()), 6, [0x86, 0xdd]),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        let parts = [
            &ethernet.to.0[..],
            &ethernet.from.0,
            &kind,
            &ip.header,
            &ports,
            &[0; UDP - 4],
        ];
        let headers = parts.concat();
        let mut bytes = [0; MAX_FRAME_HEADER];
        bytes[..headers.len()].copy_from_slice(&headers);
        // RFC 768, RFC 8200 §8.1: the pseudo-header has the protocol behind a zero.
        let pseudo_header = [&ip.addresses[..], &[0, PROTOCOL_UDP], &ports].concat();
        Some(Self {
            bytes,
            len: headers.len() as u16,
            ip_version,
            sums: [
                if ip_version == 4 {
                    checksum::of_bytes(&ip.header)
                } else {
                    0
                },
                checksum::of_bytes(&pseudo_header),
            ],
        })
    }

    /// Writes what it says into a leg's record.
    pub fn fill(&self, leg: &mut Leg) {
        leg.frame_header = self.bytes;
        leg.frame_header_len = self.len;
        leg.ip_version = self.ip_version;
        leg.sums = self.sums;
    }

    /// The longest IP packet that the programs send with these headers, in bytes.
    #[must_use]
    pub fn longest_packet(&self) -> u32 {
        use lianmai_fanout::records::{MAX_HEADER, MAX_PAYLOAD, TAG};
        u32::from(self.len) - ETHERNET as u32 + (MAX_HEADER + MAX_PAYLOAD + TAG) as u32
    }
}

struct Ip {
    header: Vec<u8>,
    addresses: Vec<u8>,
}

fn ipv4(from: [u8; 4], to: [u8; 4]) -> Ip {
    let addresses = [from, to].concat();
    let [flags, offset] = DONT_FRAGMENT;
    let fixed = [
        0x45,
        0,
        0,
        0,
        0,
        0,
        flags,
        offset,
        TIME_TO_LIVE,
        PROTOCOL_UDP,
        0,
        0,
    ];
    Ip {
        header: [&fixed[..], &addresses].concat(),
        addresses,
    }
}

fn ipv6(from: [u8; 16], to: [u8; 16]) -> Ip {
    let addresses = [from, to].concat();
    let fixed = [0x60, 0, 0, 0, 0, 0, PROTOCOL_UDP, TIME_TO_LIVE];
    Ip {
        header: [&fixed[..], &addresses].concat(),
        addresses,
    }
}

#[cfg(test)]
mod tests {
    use super::{Ethernet, FrameHeader, MacAddress};
    use lianmai_fanout::frame;
    use std::net::SocketAddr;

    const ETHERNET: Ethernet = Ethernet {
        to: MacAddress([2, 0, 0, 0, 0, 2]),
        from: MacAddress([2, 0, 0, 0, 0, 1]),
    };

    fn header(from: &str, to: &str) -> FrameHeader {
        let parse = |address: &str| address.parse::<SocketAddr>().expect("an address");
        FrameHeader::new(ETHERNET, parse(from), parse(to)).expect("one version of IP")
    }

    fn v4() -> FrameHeader {
        header("192.0.2.1:8444", "198.51.100.2:5000")
    }

    fn v6() -> FrameHeader {
        header("[2001:db8::1]:8444", "[2001:db8:0:1::2]:5000")
    }

    /// RFC 1071 §1, with the words as on the wire.
    fn sum(parts: &[&[u8]]) -> u16 {
        let bytes = parts.concat();
        let words = bytes
            .chunks(2)
            .map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low)));
        let mut sum: u64 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn an_ipv4_frame_begins_like_this() {
        let header = v4();
        assert_eq!(
            (header.len, header.ip_version, header.longest_packet()),
            (42, 4, 1_372)
        );
        let expected = [
            2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
            0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, // IPv4
            0x20, 0xfc, 0x13, 0x88, 0, 0, 0, 0, // UDP
        ];
        assert_eq!(header.bytes[..42], expected);
        assert_eq!(header.bytes[42..], [0; 22]);
    }

    #[test]
    fn an_ipv6_frame_begins_like_this() {
        let header = v6();
        assert_eq!(
            (header.len, header.ip_version, header.longest_packet()),
            (62, 6, 1_392)
        );
        assert_eq!(header.bytes[12..22], [0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64]);
        assert_eq!(
            header.bytes[22..38],
            [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        );
        assert_eq!(
            header.bytes[38..54],
            [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
        );
        assert_eq!(header.bytes[54..64], [0x20, 0xfc, 0x13, 0x88, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_sums_are_those_of_the_header_and_of_the_pseudo_header_without_lengths() {
        let (v4, v6) = (v4(), v6());
        let as_on_the_wire =
            |header: &FrameHeader| header.sums.map(|sum| u16::from_be_bytes(sum.to_ne_bytes()));
        let pseudo_4 = sum(&[&v4.bytes[26..34], &[0, 17], &v4.bytes[34..38]]);
        assert_eq!(as_on_the_wire(&v4), [sum(&[&v4.bytes[14..34]]), pseudo_4]);
        let pseudo_6 = sum(&[&v6.bytes[22..54], &[0, 17], &v6.bytes[54..58]]);
        assert_eq!(as_on_the_wire(&v6), [0, pseudo_6]);
    }

    #[test]
    fn completed_by_the_programs_the_checksums_are_valid() {
        let payload = *b"an odd length";
        let payload_sum = u64::from(lianmai_fanout::checksum::of_bytes(&payload));
        let len = [0, 8 + payload.len() as u8];
        for (header, addresses, udp_at) in [(v4(), 26..34, 34), (v6(), 22..54, 54)] {
            let mut bytes = header.bytes;
            frame::complete(
                &mut bytes,
                header.ip_version,
                header.sums,
                payload.len(),
                payload_sum,
            );
            let covered: [&[u8]; 4] = [
                &bytes[addresses],
                &[0, 17, len[0], len[1]],
                &bytes[udp_at..udp_at + 8],
                &payload,
            ];
            assert_eq!(sum(&covered), 0xffff, "UDP over IPv{}", header.ip_version);
            assert_eq!(bytes[udp_at + 4..udp_at + 6], len);
            if header.ip_version == 4 {
                assert_eq!(sum(&[&bytes[14..34]]), 0xffff, "the IPv4 header");
            }
        }
    }

    #[test]
    fn addresses_of_different_versions_have_no_header() {
        let (v4, v6) = (
            "192.0.2.1:1".parse().expect("v4"),
            "[2001:db8::1]:1".parse().expect("v6"),
        );
        assert_eq!(FrameHeader::new(ETHERNET, v4, v6), None);
        assert_eq!(FrameHeader::new(ETHERNET, v6, v4), None);
    }
}

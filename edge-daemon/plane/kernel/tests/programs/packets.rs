//! Packets and frames, byte by byte.

use std::net::{IpAddr, SocketAddr};

/// An RTP packet in the clear.
#[derive(Clone, Debug)]
pub(crate) struct Rtp {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) csrcs: usize,
    /// The profile of the header extension and its elements, padded to words.
    pub(crate) extension: Option<([u8; 2], Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl Rtp {
    pub(crate) fn new(ssrc: u32, sequence: u16, payload_len: usize) -> Self {
        Self {
            payload_type: 96,
            sequence,
            timestamp: 9_000 + u32::from(sequence),
            ssrc,
            csrcs: 0,
            extension: None,
            payload: (0..payload_len)
                .map(|n| (n * 13 + usize::from(sequence)) as u8)
                .collect(),
        }
    }

    pub(crate) fn header(&self) -> Vec<u8> {
        let extension_bit = u8::from(self.extension.is_some()) << 4;
        let mut header = vec![0x80 | extension_bit | self.csrcs as u8, 0x80 | self.payload_type];
        header.extend(self.sequence.to_be_bytes());
        header.extend(self.timestamp.to_be_bytes());
        header.extend(self.ssrc.to_be_bytes());
        header.extend((0..self.csrcs * 4).map(|n| n as u8));
        if let Some((profile, elements)) = &self.extension {
            header.extend(profile);
            header.extend((elements.len().div_ceil(4) as u16).to_be_bytes());
            header.extend(elements);
            header.resize(header.len().next_multiple_of(4), 0);
        }
        header
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.header(), self.payload.clone()].concat()
    }
}

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// UDP from one address to another in an Ethernet frame, checksums left zero as nobody looks at them on the way in.
pub(crate) fn frame(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut frame = ETHERNET.to_vec();
    let udp_len = 8 + payload.len();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend(((20 + udp_len) as u16).to_be_bytes());
            frame.extend([0, 7, 0x40, 0, 64, 17, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((udp_len as u16).to_be_bytes());
            frame.extend([17, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => panic!("two versions of IP"),
    }
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend((udp_len as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// What came out for a leg, every checksum verified on the way.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// Reads a frame as a strict receiver would.
    pub(crate) fn parse(frame: &[u8]) -> Self {
        let ip = &frame[14..];
        let (addresses, udp, pseudo) = match [frame[12], frame[13]] {
            [8, 0] => {
                assert_eq!(ip[0], 0x45);
                assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
                assert_eq!(sum(&ip[..20]), 0xffff, "IPv4 header checksum");
                let address = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
                ((address(12), address(16)), &ip[20..], ip[12..20].to_vec())
            }
            [0x86, 0xdd] => {
                assert_eq!((ip[0] >> 4, ip[6]), (6, 17));
                assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])), ip.len() - 40);
                let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
                ((address(8), address(24)), &ip[40..], ip[8..40].to_vec())
            }
            other => panic!("type {other:?}"),
        };
        assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
        let covered = [pseudo, vec![0, 17], udp[4..6].to_vec(), udp.to_vec()].concat();
        assert!(udp[6..8] != [0, 0], "a UDP checksum is there");
        assert_eq!(sum(&covered), 0xffff, "UDP checksum");
        let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
        Self {
            source: SocketAddr::new(addresses.0, port(0)),
            destination: SocketAddr::new(addresses.1, port(2)),
            payload: udp[8..].to_vec(),
        }
    }
}

/// RFC 1071 §1.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

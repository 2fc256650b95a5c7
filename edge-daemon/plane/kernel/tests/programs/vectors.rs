//! RFC 7714 §16.1.1: the programs take exactly this packet, and make exactly this packet.

use crate::keys::Keys;
use crate::packets::{Received, frame};
use crate::stage::{MEDIA_PORT, PASS, REDIRECT, address, edge, headers, wait_for};
use lianmai_fanout::records::{Leg, MAX_FRAME_HEADER, MAX_PAYLOAD};
use lianmai_fanout::{ExtensionMap, PayloadType, Ssrc};
use lianmai_kernel::{ByHand, stream_key};

const SSRC: u32 = 0x5501_a0b2;
const SEQUENCE: u64 = 0xf17b;

fn key() -> [u8; 16] {
    std::array::from_fn(|n| n as u8)
}

const SALT: [u8; 12] = [
    0x51, 0x75, 0x69, 0x64, 0x20, 0x70, 0x72, 0x6f, 0x20, 0x71, 0x75, 0x6f,
];

/// Version 2, payload type 64 (0x40), as the RFC has it.
const HEADER: [u8; 12] = [
    0x80, 0x40, 0xf1, 0x7b, 0x80, 0x41, 0xf8, 0xd3, 0x55, 0x01, 0xa0, 0xb2,
];

const PLAIN: &[u8; 38] = b"Gallia est omnis divisa in partes tres";

const SEALED: [u8; 54] = [
    0xf2, 0x4d, 0xe3, 0xa3, 0xfb, 0x34, 0xde, 0x6c, 0xac, 0xba, 0x86, 0x1c, 0x9d, 0x7e, 0x4b, 0xca, 0xbe,
    0x63, 0x3b, 0xd5, 0x0d, 0x29, 0x4e, 0x6f, 0x42, 0xa5, 0xf4, 0x7a, 0x51, 0xc7, 0xd1, 0x9b, 0x36, 0xde,
    0x3a, 0xdf, 0x88, 0x33, 0x89, 0x9d, 0x7f, 0x27, 0xbe, 0xb1, 0x6a, 0x91, 0x52, 0xcf, 0x76, 0x5e, 0xe4,
    0x39, 0x0c, 0xce,
];

#[test]
fn the_example_of_the_rfc_is_taken_and_made() {
    let from = address("192.0.2.9:5000");
    let to = address("192.0.2.21:6001");
    let mut programs = ByHand::load(MEDIA_PORT).unwrap_or_else(|error| panic!("{error}"));
    let keys = Keys::new(key(), SALT);
    let maps = programs.maps();
    let (tokens, pads) = (maps.tokens(256).expect("room"), maps.pads(256).expect("room"));
    let table = maps.table(keys.hash_subkey()).expect("room");
    let (peer, mut stream) = (maps.peer().expect("room"), maps.stream().expect("room"));
    assert!(tokens.put(SEQUENCE, keys.tag_mask(SSRC, SEQUENCE), false));
    // The same key on both sides: what is crossed with zeros stays what it is.
    assert!(pads.put(
        SEQUENCE,
        keys.tag_mask(SSRC, SEQUENCE),
        false,
        MAX_PAYLOAD,
        |pad| pad.fill(0)
    ));
    let mut leg = Leg {
        pads: pads.id(),
        pad_mask: 255,
        table: table.id(),
        peer: peer.id(),
        payload_type: PayloadType(0x40),
        ip_version: 0,
        frame_header_len: 0,
        sums: [0; 2],
        extensions: ExtensionMap::default(),
        reserved: [0; 7],
        frame_header: [0; MAX_FRAME_HEADER],
    };
    headers(to).fill(&mut leg);
    stream.describe(&tokens, &table);
    wait_for(|| tokens.is_installed() && pads.is_installed() && table.is_installed());
    stream.set_legs(&[leg]);
    stream.set_ready_until(SEQUENCE + 1);
    stream.renew(u64::MAX);
    stream.announce(stream_key(from, Ssrc(SSRC))).expect("room");

    let packet = [&HEADER[..], &SEALED].concat();
    let accepted = programs.ingress(&frame(from, edge(from), &packet));
    assert_eq!(accepted.action, REDIRECT);
    let sent = programs.egress(&accepted);
    assert_eq!(sent.action, PASS);
    assert_eq!(Received::parse(sent.frame()).payload, packet);
    let stream: Vec<u8> = keys.stream(SSRC, SEQUENCE, PLAIN.len());
    let opened: Vec<u8> = SEALED
        .iter()
        .zip(stream)
        .map(|(sealed, stream)| sealed ^ stream)
        .collect();
    assert_eq!(opened, PLAIN);
}

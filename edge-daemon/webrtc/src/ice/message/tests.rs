use super::testing::Check;
use super::{BINDING_SUCCESS, FINGERPRINT, Malformed, Message, Parsed, Setter, XorMappedAddress, integrity};
use std::net::IpAddr;
use stun::attributes::{ATTR_ICE_CONTROLLED, ATTR_USE_CANDIDATE, AttrType};
use stun::message::Getter;

/// RFC 5769 §2: the password of the short-term vectors.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

// RFC 5769 §2.1.
const SAMPLE_REQUEST: &str = "\
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae \
    80220010 5354554e 20746573 7420636c 69656e74 \
    00240004 6e0001ff 80290008 932ff9b1 51263b36 \
    00060009 6576746a 3a683676 59202020 \
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf";
// RFC 5769 §2.2.
const SAMPLE_IPV4_RESPONSE: &str = "\
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 \
    00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";
// RFC 5769 §2.3.
const SAMPLE_IPV6_RESPONSE: &str = "\
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 \
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 \
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ascii"), 16).expect("hex"))
        .collect()
}

fn request(datagram: &[u8]) -> super::BindingRequest {
    match Parsed::read(datagram) {
        Ok(Parsed::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

#[test]
fn rfc5769_sample_request() {
    let mut request = request(&bytes(SAMPLE_REQUEST));
    assert_eq!(request.fragments(), Some(("evtj", "h6vY")));
    assert_eq!(request.priority(), 0x6e00_01ff);
    assert!(request.claims_controlled_role());
    assert!(!request.nominates());
    assert!(request.is_signed_with(PASSWORD));
    assert!(!request.is_signed_with("VOkJxbRl1RmTxUk/WvJxBT"));
}

#[test]
fn rfc5769_sample_responses() {
    for (vector, ip) in [
        (SAMPLE_IPV4_RESPONSE, "192.0.2.1"),
        (SAMPLE_IPV6_RESPONSE, "2001:db8:1234:5678:11:2233:4455:6677"),
    ] {
        let mut message = super::decode(&bytes(vector)).expect("well-formed, with a right fingerprint");
        assert_eq!(message.typ, BINDING_SUCCESS);
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&message).expect("a mapped address");
        assert_eq!(
            (mapped.ip, mapped.port),
            (ip.parse::<IpAddr>().expect("an address"), 32_853)
        );
        assert!(integrity(PASSWORD).check(&mut message).is_ok());
        assert!(FINGERPRINT.check(&message).is_ok());
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_of_a_request_is_refused_without_a_panic() {
    let whole = bytes(SAMPLE_REQUEST);
    for len in 0..whole.len() {
        assert_eq!(
            Parsed::read(&whole[..len]).err(),
            Some(Malformed),
            "truncated to {len}"
        );
    }
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(
            Parsed::read(&damaged).is_err(),
            "bit {bit}: the fingerprint covers it"
        );
    }
}

#[test]
fn attribute_lengths_of_any_value_are_survived() {
    // The fingerprint is made right again, so that the parser is what refuses.
    for offset in [22, 42, 50, 62, 78] {
        for length in [0u16, 1, 3, 4, 5, 8, 19, 20, 21, 255, 0x7fff, 0xfffc, 0xffff] {
            let mut datagram = bytes(SAMPLE_REQUEST);
            datagram[offset..offset + 2].copy_from_slice(&length.to_be_bytes());
            let body = datagram.len() - 8;
            let crc = stun::fingerprint::fingerprint_value(&datagram[..body]);
            datagram[body + 4..].copy_from_slice(&crc.to_be_bytes());
            if datagram == bytes(SAMPLE_REQUEST) {
                continue;
            }
            if let Ok(Parsed::Request(mut request)) = Parsed::read(&datagram) {
                assert!(!request.is_signed_with(PASSWORD), "length {length} at {offset}");
            }
        }
    }
}

// RFC 8489 §14.5: "attributes that follow MESSAGE-INTEGRITY" other than FINGERPRINT and MESSAGE-INTEGRITY-SHA256 "MUST
// be ignored".
#[test]
fn a_nomination_pasted_behind_the_signature_is_not_seen() {
    let pasted = Check::new("a:b")
        .priority(1)
        .signed(PASSWORD)
        .with(ATTR_USE_CANDIDATE, &[])
        .finish();
    let mut request = request(&pasted);
    assert!(request.is_signed_with(PASSWORD));
    assert!(!request.nominates());
}

#[test]
fn trailing_bytes_are_refused() {
    let mut datagram = Check::new("a:b").signed(PASSWORD).finish();
    datagram.extend([0; 4]);
    assert_eq!(Parsed::read(&datagram).err(), Some(Malformed));
}

#[test]
fn a_request_without_integrity_or_user_name_is_refused() {
    assert_eq!(Parsed::read(&Check::new("a:b").finish()).err(), Some(Malformed));
    let mut nameless = Message::new();
    nameless.write_header();
    nameless.set_type(stun::message::BINDING_REQUEST);
    integrity(PASSWORD).add_to(&mut nameless).expect("room");
    FINGERPRINT.add_to(&mut nameless).expect("room");
    assert_eq!(Parsed::read(&nameless.raw).err(), Some(Malformed));
}

#[test]
fn unknown_attributes_are_reported_only_from_the_range_that_demands_understanding() {
    let demanding = Check::new("a:b")
        .with(AttrType(0x7ffe), &[1])
        .with(AttrType(0xc057), &[2])
        .signed(PASSWORD)
        .finish();
    assert_eq!(request(&demanding).unknown_attributes(), [0x7ffe]);
    let plain = Check::new("a:b")
        .priority(7)
        .nominating()
        .with(ATTR_ICE_CONTROLLED, &[0; 8])
        .signed(PASSWORD)
        .finish();
    assert_eq!(request(&plain).unknown_attributes(), [0u16; 0]);
}

//! The test vectors of RFC 3711 and RFC 7714 on the code in use.
//!
//! Those of RFC 7714 run through our own code. Those of RFC 3711 give session keys, while a context takes master keys and
//! derives them; so that transform stands here a second time, over other primitives: it reproduces the vectors, and
//! the code in use agrees with it bit by bit on whole packets.

use super::session::SessionKey;
use super::{Book, Opener, Sealer, context};
use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use lianmai_fanout::ghash::{Block, Ghash, Table};
use lianmai_fanout::{RtpHeader, Ssrc};
use lianmai_webrtc::{MasterKey, SrtpKeys, SrtpProfile};
use ring::hmac;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

/// RFC 3711 §4.1.1: the keystream of AES in counter mode from this first counter block on.
fn aes_cm(key: &[u8], mut counter: [u8; 16], len: usize) -> Vec<u8> {
    let cipher = Aes128::new_from_slice(key).expect("16 bytes");
    let mut stream = Vec::new();
    for block in 0..len.div_ceil(16) {
        counter[14..].copy_from_slice(&u16::try_from(block).expect("short").to_be_bytes());
        let mut output = counter.into();
        cipher.encrypt_block(&mut output);
        stream.extend(output);
    }
    stream.truncate(len);
    stream
}

/// RFC 3711 §4.3.1 with a key derivation rate of zero: x = label * 2^48 XOR salt, used as the counter x * 2^16.
fn derive(master: &MasterKey, label: u8, len: usize) -> Vec<u8> {
    let mut counter = [0; 16];
    counter[..master.salt.len()].copy_from_slice(&master.salt);
    counter[7] ^= label;
    aes_cm(&master.key, counter, len)
}

/// RFC 3711 §4.1.1: IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16).
fn aes_cm_iv(salt: &[u8], ssrc: [u8; 4], index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    let index = index.to_be_bytes();
    iv[4..8]
        .iter_mut()
        .zip(ssrc)
        .for_each(|(byte, with)| *byte ^= with);
    iv[8..14]
        .iter_mut()
        .zip(&index[2..])
        .for_each(|(byte, with)| *byte ^= with);
    iv
}

/// A whole packet of AES_CM_128_HMAC_SHA1_80 from master keys.
fn reference(master: &MasterKey, packet: &[u8], index: u64) -> Vec<u8> {
    let header = RtpHeader::parse(packet).expect("RTP");
    let (aad, plain) = packet.split_at(header.len);
    let iv = aes_cm_iv(&derive(master, 2, 14), header.ssrc.0.to_be_bytes(), index);
    let stream = aes_cm(&derive(master, 0, 16), iv, plain.len());
    let cipher: Vec<u8> = plain.iter().zip(stream).map(|(byte, with)| byte ^ with).collect();
    // RFC 3711 §4.2: M = authenticated portion || ROC; the tag is cut to 80 bits.
    let rollovers = u32::try_from(index >> 16).expect("short").to_be_bytes();
    let signed = [aad, &cipher, &rollovers].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &derive(master, 1, 20));
    [aad, &cipher, &hmac::sign(&key, &signed).as_ref()[..10]].concat()
}

/// RFC 3711 appendix B.2.
#[test]
fn rfc_3711_counter_mode() {
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let iv = aes_cm_iv(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"), [0; 4], 0);
    let stream = aes_cm(&key, iv, 48);
    assert_eq!(
        stream,
        hex(
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
        )
    );
}

/// RFC 3711 appendix B.3.
#[test]
fn rfc_3711_key_derivation() {
    let master = MasterKey {
        key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
    };
    assert_eq!(derive(&master, 0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive(&master, 2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        derive(&master, 1, 20),
        hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
    );
}

/// RFC 7714 §16.1.1 and §16.1.2: "Gallia est omnis divisa in partes tres".
struct Gallia {
    session: SessionKey,
    packet: Vec<u8>,
    sealed: Vec<u8>,
}

const SSRC: Ssrc = Ssrc(0x5501_a0b2);
const INDEX: u64 = 0xf17b;

fn gallia() -> Gallia {
    let key = hex("000102030405060708090a0b0c0d0e0f");
    let salt = hex("51756964 2070726f 2071756f");
    let header = hex("8040f17b 8041f8d3 5501a0b2");
    let cipher = "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833";
    let tag = "899d7f27 beb16a91 52cf765e e4390cce";
    Gallia {
        session: SessionKey::new(
            &key.try_into().expect("16 bytes"),
            salt.try_into().expect("12 bytes"),
        ),
        packet: [&header, b"Gallia est omnis divisa in partes tres".as_slice()].concat(),
        sealed: [header, hex(cipher), hex(tag)].concat(),
    }
}

#[test]
fn rfc_7714_encryption_and_decryption() {
    let Gallia {
        session,
        packet,
        sealed,
    } = gallia();
    assert_eq!(
        session.seal(SSRC, INDEX, &packet, 12).expect("sealed")[..],
        sealed
    );
    assert_eq!(
        session.open(SSRC, INDEX, &sealed, 12).expect("authentic")[..],
        packet
    );
}

/// What the kernel is given for a packet makes the same packet, by its own arithmetic.
#[test]
fn rfc_7714_in_parts() {
    let Gallia {
        session,
        packet,
        sealed,
    } = gallia();
    let mut payload = packet[12..].to_vec();
    session.apply_key_stream(SSRC, INDEX, &mut payload);
    assert_eq!(payload, sealed[12..sealed.len() - 16]);
    let mut crossed = vec![0xa5; payload.len()];
    session.cross(SSRC, INDEX, &packet[12..], &mut crossed);
    assert_eq!(crossed, payload);
    let mut table = Box::new(Table::EMPTY);
    table.fill(session.hash_subkey());
    let mut hash = Ghash::new(&table);
    [&sealed[..12], &payload]
        .into_iter()
        .flat_map(blocks)
        .for_each(|block| hash.absorb(block));
    let hash = hash
        .finish(12, payload.len())
        .into_iter()
        .flat_map(u64::to_ne_bytes);
    let mask = session.tag_mask(SSRC, INDEX);
    let tag: Vec<u8> = hash.zip(mask).map(|(byte, mask)| byte ^ mask).collect();
    assert_eq!(tag, sealed[sealed.len() - 16..]);
}

/// NIST SP 800-38D §7.1: what is hashed is filled up with zeros.
fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(16), 0);
    let words = padded.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    words.collect::<Vec<_>>().as_chunks().0.to_vec()
}

/// The code in use seals and opens what the RFCs say, over a wrap of the sequence number; for AEAD_AES_128_GCM an
/// independent context says it.
#[test]
fn the_code_in_use_agrees_with_both_rfcs() {
    for (profile, salt) in [
        (SrtpProfile::AeadAes128Gcm, "51756964 2070726f 2071756f"),
        (SrtpProfile::Aes128CmHmacSha1_80, "0EC675AD498AFEEBB6960B3AABE6"),
    ] {
        let master = MasterKey {
            key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            salt: hex(salt),
        };
        let keys = SrtpKeys {
            profile,
            inbound: master.clone(),
            outbound: master.clone(),
        };
        let mut sealer = Sealer::new(&keys, Book::of_nobody()).expect("keys");
        let mut opener = Opener::new(&keys, Book::of_nobody()).expect("keys");
        let mut independent = context(profile, &master).expect("keys");
        for index in 65_533..65_540u64 {
            // A CSRC, and extension elements between paddings.
            let mut packet = hex("91600000 8041f8d3 5501a0b2 00000007 bede0002 00100900 00200000");
            packet[2..4].copy_from_slice(&index.to_be_bytes()[6..]);
            packet.extend(b"Gallia est omnis divisa in partes tres");
            let header = RtpHeader::parse(&packet).expect("RTP");
            let expected = match profile {
                SrtpProfile::Aes128CmHmacSha1_80 => reference(&master, &packet, index),
                SrtpProfile::AeadAes128Gcm => {
                    let mut described = rtp::header::Header::default();
                    super::describe(&mut described, &header);
                    let sealed = independent.encrypt_rtp_with_header(&packet, &described);
                    sealed.expect("sealed").to_vec()
                }
            };
            assert_eq!(
                sealer.seal_rtp(&packet, &header).expect("sealed"),
                expected,
                "{profile:?} {index}"
            );
            let opened = opener.open_rtp(&expected, &header).expect("opened");
            assert_eq!(opened.bytes()[..], packet, "{profile:?} {index}");
        }
    }
}

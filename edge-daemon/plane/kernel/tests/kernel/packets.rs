//! SRTP packets without AES: what a key would give is chosen, so that a test can say what every byte must be.

use ghash::GHash;
use ghash::universal_hash::{KeyInit, UniversalHash};

/// Bytes that differ from packet to packet.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| (seed.wrapping_mul(31).wrapping_add(at * 7) % 251) as u8)
        .collect()
}

/// What stands for E(K, Y0).
pub(crate) fn mask(seed: u64) -> [u8; 16] {
    bytes(seed ^ 0x5a5a, 16).try_into().expect("16 bytes")
}

/// An RTP header with the index's sequence number and two extensions of one byte: 3, two bytes long, and 4.
pub(crate) fn header(index: u64, ssrc: u32) -> Vec<u8> {
    let mut header = vec![0x90, 0xe0];
    header.extend((index as u16).to_be_bytes());
    header.extend(7_u32.to_be_bytes());
    header.extend(ssrc.to_be_bytes());
    header.extend([0xbe, 0xde, 0, 2, 0x31, 0xaa, 0xbb, 0x40, 0x7f, 0, 0, 0]);
    header
}

/// Header, payload and tag, as AEAD_AES_128_GCM would have them (RFC 7714 §8).
pub(crate) fn sealed(hash_subkey: [u8; 16], mask: [u8; 16], header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut hash = GHash::new(&hash_subkey.into());
    hash.update_padded(header);
    hash.update_padded(payload);
    let lengths = [header, payload]
        .map(|part| (8 * part.len() as u64).to_be_bytes())
        .concat();
    hash.update_padded(&lengths);
    let tag = xor(&hash.finalize(), &mask);
    [header, payload, &tag].concat()
}

pub(crate) fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

//! SRTP keys a second time, by `aes` alone: what the daemon computes for the kernel is computed here once more.

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Session key and salt of one direction.
pub(crate) struct Keys {
    block: Aes128,
    salt: [u8; 12],
}

/// A master key and salt, from one byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Master(pub(crate) u8);

impl Master {
    fn key(self) -> [u8; 16] {
        std::array::from_fn(|n| self.0.wrapping_mul(31).wrapping_add(n as u8))
    }

    fn salt(self) -> [u8; 12] {
        std::array::from_fn(|n| self.0.wrapping_mul(17) ^ n as u8)
    }

    /// The independent implementation.
    pub(crate) fn context(self) -> Context {
        Context::new(
            &self.key(),
            &self.salt(),
            ProtectionProfile::AeadAes128Gcm,
            None,
            None,
        )
        .expect("keys")
    }

    /// RFC 3711 §4.3.3 with the labels of §4.3.2, as RFC 7714 §11 uses it.
    pub(crate) fn keys(self) -> Keys {
        let prf = Aes128::new(&self.key().into());
        let derive = |label: u8| {
            let mut block = [0; 16];
            block[..12].copy_from_slice(&self.salt());
            block[7] ^= label;
            let mut block = block.into();
            prf.encrypt_block(&mut block);
            <[u8; 16]>::from(block)
        };
        let salt = derive(2);
        Keys::new(derive(0), *salt.first_chunk().expect("twelve of sixteen"))
    }
}

impl Keys {
    pub(crate) fn new(key: [u8; 16], salt: [u8; 12]) -> Self {
        Self {
            block: Aes128::new(&key.into()),
            salt,
        }
    }

    pub(crate) fn hash_subkey(&self) -> [u8; 16] {
        self.encrypt([0; 16])
    }

    pub(crate) fn tag_mask(&self, ssrc: u32, index: u64) -> [u8; 16] {
        self.counter(ssrc, index, 1)
    }

    pub(crate) fn stream(&self, ssrc: u32, index: u64, len: usize) -> Vec<u8> {
        let blocks = (2..).flat_map(|counter| self.counter(ssrc, index, counter));
        blocks.take(len).collect()
    }

    /// RFC 7714 §8.1.
    fn counter(&self, ssrc: u32, index: u64, counter: u32) -> [u8; 16] {
        let mut block = [0; 16];
        block[2..6].copy_from_slice(&ssrc.to_be_bytes());
        block[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
        block
            .iter_mut()
            .zip(self.salt)
            .for_each(|(byte, salt)| *byte ^= salt);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        self.encrypt(block)
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.block.encrypt_block(&mut block);
        block.into()
    }
}

/// Tells `webrtc-srtp` the length of a header, which it would count wrongly for padding between elements: one with this many
/// CSRCs is as long.
fn described(packet: &[u8]) -> rtp::header::Header {
    let header = lianmai_fanout::RtpHeader::parse(packet).expect("RTP");
    rtp::header::Header {
        ssrc: header.ssrc.0,
        sequence_number: header.sequence.0,
        csrc: vec![0; (header.len - 12) / 4],
        ..Default::default()
    }
}

pub(crate) fn seal(context: &mut Context, packet: &[u8]) -> Vec<u8> {
    let sealed = context.encrypt_rtp_with_header(packet, &described(packet));
    sealed.expect("sealed").to_vec()
}

pub(crate) fn open(context: &mut Context, packet: &[u8]) -> Vec<u8> {
    let opened = context.decrypt_rtp_with_header(packet, &described(packet));
    opened.expect("opened by the independent implementation").to_vec()
}

//! What the programs are told of a key: its hash subkey, masks of tags, and key streams (RFC 7714 §8).

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use anyhow::Result;
use webrtc_srtp::context::Context as SrtpContext;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Which ones does not matter for what they cost.
const SALT: [u8; 12] = [0xc3; 12];

/// A session key and salt.
pub(super) struct Keys {
    master: [u8; 16],
    block: Aes128,
    salt: [u8; 12],
}

impl Keys {
    pub(super) fn numbered(number: usize) -> Self {
        let mut master = [0x5a; 16];
        master[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let prf = Aes128::new(&master.into());
        // RFC 3711 §4.3.3 with the labels of §4.3.2: 0 for the key, 2 for the salt.
        let derive = |label: u8| {
            let mut block = [0; 16];
            block[..12].copy_from_slice(&SALT);
            block[7] ^= label;
            encrypt(&prf, block)
        };
        let mut salt = [0; 12];
        salt.copy_from_slice(&derive(2)[..12]);
        Self {
            master,
            block: Aes128::new(&derive(0).into()),
            salt,
        }
    }

    /// The implementation that seals what the programs are given.
    pub(super) fn sealer(&self) -> Result<SrtpContext> {
        let profile = ProtectionProfile::AeadAes128Gcm;
        Ok(SrtpContext::new(&self.master, &SALT, profile, None, None)?)
    }

    pub(super) fn hash_subkey(&self) -> [u8; 16] {
        encrypt(&self.block, [0; 16])
    }

    pub(super) fn tag_mask(&self, ssrc: u32, index: u64) -> [u8; 16] {
        self.counter(ssrc, index, 1)
    }

    pub(super) fn cross(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        for (counter, block) in (2..).zip(bytes.chunks_mut(16)) {
            let stream = self.counter(ssrc, index, counter);
            block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
        }
    }

    /// RFC 7714 §8.1: salt, SSRC and index; then the block counter.
    fn counter(&self, ssrc: u32, index: u64, counter: u32) -> [u8; 16] {
        let mut block = [0; 16];
        block[2..6].copy_from_slice(&ssrc.to_be_bytes());
        block[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
        block
            .iter_mut()
            .zip(self.salt)
            .for_each(|(byte, salt)| *byte ^= salt);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        encrypt(&self.block, block)
    }
}

fn encrypt(cipher: &Aes128, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

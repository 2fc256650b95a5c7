//! AEAD_AES_128_GCM at explicit indices (RFC 7714): for RTP, and for sealing RTCP.
//!
//! The kernel seals under the same keys, and so does the next process after a crash. So no counter is kept in two places:
//! whoever seals or opens here says which of the 2^48 packets of its SSRC it means, or which of the 2^31 of its SRTCP.

use super::{BadKeys, NotSealed};
use aes::Aes128;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use bytes::{Bytes, BytesMut};
use ctr::CtrCore;
use ctr::flavors::Ctr32BE;
use lianmai_fanout::Ssrc;
use lianmai_webrtc::MasterKey;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// RFC 7714 §14.2: the length of the tag.
pub(crate) const TAG_LEN: usize = 16;

/// RFC 3711 §3.3.1: a packet index has 48 bits.
const INDICES: u64 = 1 << 48;

/// RFC 3711 §4.3.2: the labels of the encryption key and salt of SRTP, and of SRTCP.
const RTP_LABELS: [u8; 2] = [0, 2];
const RTCP_LABELS: [u8; 2] = [3, 5];

/// RFC 3711 §3.4: the E flag says that SRTCP is encrypted; the index beside it has 31 bits.
const ENCRYPTED: u32 = 1 << 31;

/// RFC 7714 §9.2: what of an RTCP packet stays in the clear.
const RTCP_HEADER_LEN: usize = 8;

/// RFC 7714 §14.2.
const KEY_LEN: usize = 16;
const SALT_LEN: usize = 12;

/// NIST SP 800-38D §7.1: the first counter block masks the tag, the following ones are the key stream.
const TAG_COUNTER: u32 = 1;
const STREAM_COUNTER: u32 = 2;

type KeyStream<'k> = StreamCipherCoreWrapper<CtrCore<&'k Aes128, Ctr32BE>>;

/// The keys of one direction of one peer.
pub(crate) struct SessionKey {
    block: Aes128,
    aead: LessSafeKey,
    salt: [u8; SALT_LEN],
}

/// The tag is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl SessionKey {
    /// The keys of RTP.
    pub(crate) fn derive(master: &MasterKey) -> Result<Self, BadKeys> {
        Self::derive_with(master, RTP_LABELS)
    }

    /// The keys of RTCP.
    pub(super) fn derive_rtcp(master: &MasterKey) -> Result<Self, BadKeys> {
        Self::derive_with(master, RTCP_LABELS)
    }

    /// RFC 3711 §4.3, as RFC 7714 §11 uses it.
    fn derive_with(master: &MasterKey, labels: [u8; 2]) -> Result<Self, BadKeys> {
        let (key, salt) = (&master.key, &master.salt);
        let prf = Aes128::new_from_slice(key)
            .map_err(|_| webrtc_srtp::Error::SrtpMasterKeyLength(KEY_LEN, key.len()))?;
        let salt: [u8; SALT_LEN] = salt
            .as_slice()
            .try_into()
            .map_err(|_| webrtc_srtp::Error::SrtpSaltLength(SALT_LEN, salt.len()))?;
        let [session_key, session_salt] = labels.map(|label| derive_block(&prf, &salt, label));
        let mut session = Self::new(&session_key, [0; SALT_LEN]);
        if let Some(salt) = session_salt.first_chunk() {
            session.salt = *salt;
        }
        Ok(session)
    }

    /// From the session's own key and salt.
    pub(super) fn new(key: &[u8; KEY_LEN], salt: [u8; SALT_LEN]) -> Self {
        let unbound = UnboundKey::new(&AES_128_GCM, key).expect("a key of 16 bytes is one of AES-128");
        Self {
            block: Aes128::new(GenericArray::from_slice(key)),
            aead: LessSafeKey::new(unbound),
            salt,
        }
    }

    /// H = E(K, 0^128), which the tags of this key are computed with (NIST SP 800-38D §7.1).
    pub(crate) fn hash_subkey(&self) -> [u8; 16] {
        self.encrypt([0; 16])
    }

    /// What the hash of this packet is masked with to be its tag.
    pub(crate) fn tag_mask(&self, ssrc: Ssrc, index: u64) -> [u8; 16] {
        self.encrypt(self.counter_block(ssrc, index, TAG_COUNTER))
    }

    /// XORs the key stream of this packet into `bytes`.
    pub(crate) fn apply_key_stream(&self, ssrc: Ssrc, index: u64, bytes: &mut [u8]) {
        self.key_stream(ssrc, index).apply_keystream(bytes);
    }

    /// Writes `bytes` XOR the key stream of this packet, without a look at what stood in `crossed`, which is as long.
    pub(crate) fn cross(&self, ssrc: Ssrc, index: u64, bytes: &[u8], crossed: &mut [u8]) {
        self.key_stream(ssrc, index)
            .apply_keystream_b2b(bytes, crossed)
            .expect("both are as long as a pad");
    }

    fn key_stream(&self, ssrc: Ssrc, index: u64) -> KeyStream<'_> {
        let iv = self.counter_block(ssrc, index, STREAM_COUNTER);
        let core = CtrCore::<_, Ctr32BE>::inner_iv_init(&self.block, &iv.into());
        StreamCipherCoreWrapper::from_core(core)
    }

    /// Opens a packet whose header has this length.
    pub(super) fn open(
        &self,
        ssrc: Ssrc,
        index: u64,
        packet: &[u8],
        header_len: usize,
    ) -> Result<Bytes, Forged> {
        let mut plain = BytesMut::from(packet);
        let (header, sealed) = plain.split_at_mut_checked(header_len).ok_or(Forged)?;
        let opened = self
            .aead
            .open_in_place(self.nonce(ssrc, index), Aad::from(&*header), sealed)
            .map_err(|_| Forged)?;
        let len = header_len + opened.len();
        plain.truncate(len);
        Ok(plain.freeze())
    }

    /// Seals a packet whose header has this length. The caller answers for using the index once.
    pub(super) fn seal(
        &self,
        ssrc: Ssrc,
        index: u64,
        packet: &[u8],
        header_len: usize,
    ) -> Result<Bytes, NotSealed> {
        if index >= INDICES {
            return Err(NotSealed::Refused);
        }
        let mut sealed = BytesMut::with_capacity(packet.len() + TAG_LEN);
        sealed.extend_from_slice(packet);
        let (header, payload) = sealed
            .split_at_mut_checked(header_len)
            .ok_or(NotSealed::Refused)?;
        let tag = self
            .aead
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(&*header), payload)
            .map_err(|_| NotSealed::Refused)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed.freeze())
    }

    /// Seals a compound RTCP packet (RFC 7714 §9). The caller answers for using the index once.
    pub(super) fn seal_rtcp(&self, ssrc: Ssrc, index: u32, packet: &[u8]) -> Result<Bytes, NotSealed> {
        if index >= ENCRYPTED {
            return Err(NotSealed::Refused);
        }
        let trailer = (ENCRYPTED | index).to_be_bytes();
        let mut sealed = BytesMut::with_capacity(packet.len() + TAG_LEN + trailer.len());
        sealed.extend_from_slice(packet);
        let (header, payload) = sealed
            .split_at_mut_checked(RTCP_HEADER_LEN)
            .ok_or(NotSealed::Refused)?;
        let clear = [&*header, &trailer].concat();
        // RFC 7714 §9.1: 00 00 || SSRC || 00 00 || 0 || index, which is the IV of an RTP packet with that index.
        let tag = self
            .aead
            .seal_in_place_separate_tag(self.nonce(ssrc, u64::from(index)), Aad::from(clear), payload)
            .map_err(|_| NotSealed::Refused)?;
        sealed.extend_from_slice(tag.as_ref());
        sealed.extend_from_slice(&trailer);
        Ok(sealed.freeze())
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.block.encrypt_block(&mut block);
        block.into()
    }

    /// RFC 7714 §8.1: 00 00 || SSRC || ROC || SEQ, XORed with the salt.
    fn iv(&self, ssrc: Ssrc, index: u64) -> [u8; SALT_LEN] {
        let [s0, s1, s2, s3] = ssrc.0.to_be_bytes();
        let [_, _, i0, i1, i2, i3, i4, i5] = index.to_be_bytes();
        let mut iv = [0, 0, s0, s1, s2, s3, i0, i1, i2, i3, i4, i5];
        iv.iter_mut()
            .zip(self.salt)
            .for_each(|(byte, salt)| *byte ^= salt);
        iv
    }

    fn nonce(&self, ssrc: Ssrc, index: u64) -> Nonce {
        Nonce::assume_unique_for_key(self.iv(ssrc, index))
    }

    /// NIST SP 800-38D §7.1: an IV of 96 bits and a counter of 32.
    fn counter_block(&self, ssrc: Ssrc, index: u64, counter: u32) -> [u8; 16] {
        let mut block = [0; 16];
        let (iv, count) = block.split_at_mut(SALT_LEN);
        iv.copy_from_slice(&self.iv(ssrc, index));
        count.copy_from_slice(&counter.to_be_bytes());
        block
    }
}

/// RFC 3711 §4.3.1 with a key derivation rate of zero: x = label * 2^48 XOR salt, encrypted as the counter block
/// x * 2^16. One block is as much as a key or a salt takes; RFC 7714 §11 fills a salt of 96 bits up to 112 with zeros.
fn derive_block(prf: &Aes128, salt: &[u8; SALT_LEN], label: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block.iter_mut().zip(salt).for_each(|(byte, salt)| *byte = *salt);
    block[7] ^= label;
    let mut block = block.into();
    prf.encrypt_block(&mut block);
    block.into()
}

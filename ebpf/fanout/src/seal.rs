//! What the kernel programs do with a payload: check it, and seal it again without ever opening it.
//!
//! A ciphertext of the publisher XOR a pad (its key stream XOR that of the leg) is the ciphertext of the leg. Each word is
//! touched once: crossed with the pad, added to the checksum of UDP and to the hash of the leg's tag.

use crate::ghash::{BLOCK, Block, Ghash, first_bytes, low_bytes};
use crate::records::{MAX_HEADER, MAX_PAYLOAD, TAG};

/// A header with room behind it; only its length counts.
pub type Header = [Block; MAX_HEADER / BLOCK];

/// A payload and its tag, with room behind them.
pub type Text = [Block; (MAX_PAYLOAD + TAG) / BLOCK + 1];

/// What a payload is crossed with.
pub type PadStream = [Block; MAX_PAYLOAD / BLOCK];

/// A payload on its way from one ciphertext to another.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'t> {
    /// The hash of everything so far.
    pub hash: Ghash<'t>,
    /// The one's complement sum of the payload so far (see [`crate::checksum`]).
    pub sum: u64,
}

impl<'t> Crossing<'t> {
    /// Goes on from the hash of the header.
    #[inline(always)]
    #[must_use]
    pub const fn new(header: Ghash<'t>) -> Self {
        Self { hash: header, sum: 0 }
    }

    /// Crosses blocks with the pad as long as they are whole ones.
    #[inline(always)]
    pub fn whole(&mut self, text: &mut Text, pad: &PadStream, is_whole: impl Fn(usize) -> bool) {
        let mut block = 0;
        while block < pad.len() && is_whole(block) {
            self.block(text, pad, block, [u64::MAX; 2]);
            block += 1;
        }
    }

    /// Crosses what it has behind its whole blocks. Bytes behind the payload are zero afterwards, up to a whole block.
    #[inline(always)]
    pub fn rest(&mut self, text: &mut Text, pad: &PadStream, len: usize) {
        let (block, rest) = (len / BLOCK, len % BLOCK);
        if rest > 0 && block < pad.len() {
            self.block(text, pad, block, first_bytes(rest));
        }
    }

    #[inline(always)]
    fn block(&mut self, text: &mut Text, pad: &PadStream, block: usize, keep: Block) {
        let crossed = [
            (text[block][0] ^ pad[block][0]) & keep[0],
            (text[block][1] ^ pad[block][1]) & keep[1],
        ];
        text[block] = crossed;
        self.sum += halves(crossed);
        self.hash.absorb(crossed);
    }
}

/// The four halves of two words, added: no sum of a packet overflows.
#[inline(always)]
const fn halves(words: Block) -> u64 {
    (words[0] & 0xffff_ffff) + (words[0] >> 32) + (words[1] & 0xffff_ffff) + (words[1] >> 32)
}

/// The tag behind a payload.
#[inline(always)]
#[must_use]
pub fn tag_of(text: &Text, payload_len: usize) -> Block {
    let (text, at) = (text.as_flattened(), payload_len / 8);
    if at >= text.len() - 2 {
        return [0; 2];
    }
    let shift = 8 * (payload_len % 8) as u32;
    // Two shifts: one by 64 bits would be undefined.
    let above = |word: u64| word << 1 << (63 - shift);
    [
        text[at] >> shift | above(text[at + 1]),
        text[at + 1] >> shift | above(text[at + 2]),
    ]
}

/// Puts a tag behind a payload; what follows the tag in its last word is zero. Returns the sum of the words of the tag as it
/// stands there, which continues the sum of the payload.
#[inline(always)]
pub fn put_tag(text: &mut Text, payload_len: usize, tag: Block) -> u64 {
    let (text, at) = (text.as_flattened_mut(), payload_len / 8);
    if at >= text.len() - 2 {
        return 0;
    }
    let bytes = payload_len % 8;
    let shift = 8 * bytes as u32;
    let above = |word: u64| word >> 1 >> (63 - shift);
    let behind = [tag[0] << shift, above(tag[0]) | tag[1] << shift, above(tag[1])];
    text[at] = text[at] & low_bytes(bytes) | behind[0];
    text[at + 1] = behind[1];
    text[at + 2] = behind[2];
    halves([behind[0], behind[1]]) + halves([behind[2], 0])
}

#[cfg(test)]
mod tests {
    use super::{Crossing, Header, PadStream, Text, put_tag, tag_of};
    use crate::checksum;
    use crate::ghash::{Block, Ghash, Table};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn blocks<const N: usize>(bytes: &[u8], filler: u8) -> [Block; N] {
        let mut padded = vec![filler; N * 16];
        padded[..bytes.len()].copy_from_slice(bytes);
        let mut blocks = [[0; 2]; N];
        let words = blocks.as_flattened_mut().iter_mut();
        for (word, bytes) in words.zip(padded.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        blocks
    }

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    proptest! {
        #[test]
        fn crossing_is_xor_hash_and_sum(
            subkey in any::<[u8; 16]>(),
            header in prop::collection::vec(any::<u8>(), 12..96),
            payload in prop::collection::vec(any::<u8>(), 1..1_232),
            seed in any::<u8>(),
        ) {
            let mut table = Box::new(Table::EMPTY);
            table.fill(subkey);
            let pad: Vec<u8> = (0..1_232u32).map(|n| (n * 7) as u8 ^ seed).collect();
            let header_blocks: Header = blocks(&header, seed);
            let mut text: Text = blocks(&payload, seed);
            let pad_blocks: PadStream = blocks(&pad, 0);
            let mut hash = Ghash::new(&table);
            hash.absorb_bytes(&header_blocks, header.len());
            let mut crossing = Crossing::new(hash);
            crossing.whole(&mut text, &pad_blocks, |block| block < payload.len() / 16);
            crossing.rest(&mut text, &pad_blocks, payload.len());
            let digest = crossing.hash.finish(header.len(), payload.len());
            let expected: Vec<u8> = payload.iter().zip(&pad).map(|(a, b)| a ^ b).collect();
            prop_assert_eq!(&bytes(text.as_flattened())[..payload.len()], &expected[..]);
            hash.absorb_bytes(&blocks::<79>(&expected, !seed), expected.len());
            prop_assert_eq!(digest, hash.finish(header.len(), expected.len()));
            let sum = crossing.sum + put_tag(&mut text, payload.len(), digest);
            prop_assert_eq!(tag_of(&text, payload.len()), digest);
            let mut whole = expected;
            whole.extend(bytes(&digest));
            prop_assert_eq!(&bytes(text.as_flattened())[..whole.len()], &whole[..]);
            prop_assert_eq!(checksum::fold(sum), checksum::of_bytes(&whole));
        }
    }
}

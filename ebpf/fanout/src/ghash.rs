//! GHASH (NIST SP 800-38D §6.4), the authentication of AES-GCM, by tables of one key.
//!
//! A block is multiplied by the hash subkey H by adding up the products of its bytes. Those of every `STRIDE`th byte are
//! looked up. The products of the bytes between are looked up in the same place, added up by their distance from it, and moved
//! there by a shift of the sum; what the shifts move beyond the end comes back reduced, all at once. A table for every byte would
//! save the shifts, and cost more than they do as soon as there are more keys than the nearest cache holds.
//!
//! Words are always as they lie in memory, first byte lowest, so nothing is swapped on the way from a packet into the hash
//! and from the hash into a tag.

/// Bytes of a block.
pub const BLOCK: usize = 16;

/// A block as it lies in memory.
pub type Block = [u64; 2];

/// Two bytes of a block have products: 8 KiB, which cost a twentieth more than 16 KiB while they are warm, and a fifth less when not.
const STRIDE: usize = 8;

const BYTES_OF_WORD: usize = 8;

/// The products of one hash subkey with every byte at some places of a block. Those of one byte lie together, so that the place is
/// a constant offset from one address, which is all that has to be kept in a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Table {
    products: [Products; 256],
}

/// The products of one byte at each place that has some.
type Products = [Block; BLOCK / STRIDE];

impl Table {
    /// A table that makes every hash zero; to be filled.
    pub const EMPTY: Self = Self {
        products: [[[0; 2]; BLOCK / STRIDE]; 256],
    };

    /// Makes this the table of the hash subkey E(K, 0).
    pub fn fill(&mut self, hash_subkey: [u8; BLOCK]) {
        let mut power = u128::from_be_bytes(hash_subkey);
        for place in 0..BLOCK / STRIDE {
            // The highest bit of a byte is the lowest power (SP 800-38D §6.3).
            for bit in (0..8).rev() {
                self.add_bit(place, 1 << bit, power);
                power = times_x(power);
            }
            for _ in 8..8 * STRIDE {
                power = times_x(power);
            }
        }
    }

    /// Enters the products of all bytes whose lowest set bit this is. What they have beyond it was entered before, as bits come
    /// from the highest to the lowest.
    fn add_bit(&mut self, place: usize, bit: usize, product: u128) {
        let [low, high] = words(product);
        for byte in (bit..256).step_by(2 * bit) {
            let [rest_low, rest_high] = self.products[byte ^ bit][place];
            self.products[byte][place] = [rest_low ^ low, rest_high ^ high];
        }
    }
}

/// SP 800-38D §6.3: multiplication by x, the field's bits in reverse.
const fn times_x(value: u128) -> u128 {
    const R: u128 = 0xe1 << 120;
    (value >> 1) ^ if value & 1 == 1 { R } else { 0 }
}

/// What was moved beyond the end of a block, the nearest byte first, is worth this at its start: it times 1 + x + x^2 + x^7,
/// which is x^128 (SP 800-38D §6.3). Less than eight bytes; what they become ends within the first word.
#[inline(always)]
const fn reduced(beyond: u64) -> u64 {
    // In the order of the field, x is one bit to the right.
    let bits = beyond.swap_bytes();
    (bits ^ bits >> 1 ^ bits >> 2 ^ bits >> 7).swap_bytes()
}

/// A block as two words in memory order.
const fn words(block: u128) -> Block {
    let block = block.swap_bytes();
    [block as u64, (block >> 64) as u64]
}

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub struct Ghash<'t> {
    table: &'t Table,
    state: Block,
}

impl<'t> Ghash<'t> {
    /// The hash of nothing.
    #[must_use]
    pub const fn new(table: &'t Table) -> Self {
        Self { table, state: [0; 2] }
    }

    /// Adds one block.
    #[inline(always)]
    pub fn absorb(&mut self, block: Block) {
        let sum = [self.state[0] ^ block[0], self.state[1] ^ block[1]];
        let mut product = self.products(sum, 0);
        let mut beyond = 0;
        let mut offset = 1;
        while offset < STRIDE {
            let more = self.products(sum, offset);
            let bits = 8 * offset;
            product[0] ^= more[0] << bits;
            product[1] ^= more[1] << bits | more[0] >> (64 - bits);
            beyond ^= more[1] >> (64 - bits);
            offset += 1;
        }
        self.state = [product[0] ^ reduced(beyond), product[1]];
    }

    /// The products of every [`STRIDE`]th byte from `offset` on, added up as if each lay at the start of its stride.
    #[inline(always)]
    fn products(&self, block: Block, offset: usize) -> Block {
        let mut sum = [0; 2];
        let mut place = 0;
        while place < BLOCK / STRIDE {
            let at = place * STRIDE + offset;
            let byte = (block[at / BYTES_OF_WORD] >> (8 * (at % BYTES_OF_WORD))) as usize & 0xff;
            let entry = self.table.products[byte][place];
            sum = [sum[0] ^ entry[0], sum[1] ^ entry[1]];
            place += 1;
        }
        sum
    }

    /// Adds the first `len` bytes of `blocks`, and zeros up to a whole block.
    pub fn absorb_bytes<const BLOCKS: usize>(&mut self, blocks: &[Block; BLOCKS], len: usize) {
        self.absorb_whole(blocks, |block| block < len / BLOCK);
        self.absorb_rest(blocks, len);
    }

    /// Adds blocks as long as they are whole ones. (The kernel's verifier wants to see both bounds of this loop, and the
    /// compiler to make one of them; whoever asks can keep them apart.)
    #[inline(always)]
    pub fn absorb_whole<const BLOCKS: usize>(
        &mut self,
        blocks: &[Block; BLOCKS],
        is_whole: impl Fn(usize) -> bool,
    ) {
        let mut block = 0;
        while block < BLOCKS && is_whole(block) {
            self.absorb(blocks[block]);
            block += 1;
        }
    }

    /// Adds what the first `len` bytes have behind their whole blocks, and zeros.
    #[inline(always)]
    pub fn absorb_rest<const BLOCKS: usize>(&mut self, blocks: &[Block; BLOCKS], len: usize) {
        let (block, rest) = (len / BLOCK, len % BLOCK);
        if rest > 0 && block < BLOCKS {
            let keep = first_bytes(rest);
            self.absorb([blocks[block][0] & keep[0], blocks[block][1] & keep[1]]);
        }
    }

    /// Adds the lengths of header and payload, which end every hash of GCM (SP 800-38D §7.1), and gives it out.
    #[inline(always)]
    #[must_use]
    pub fn finish(mut self, header_len: usize, payload_len: usize) -> Block {
        let bits = |len: usize| (len as u64 * 8).to_be();
        self.absorb([bits(header_len), bits(payload_len)]);
        self.state
    }
}

/// The mask of the first `count` of 16 bytes.
#[inline(always)]
pub(crate) const fn first_bytes(count: usize) -> Block {
    if count >= BYTES_OF_WORD {
        [u64::MAX, low_bytes(count - BYTES_OF_WORD)]
    } else {
        [low_bytes(count), 0]
    }
}

/// The mask of the first `count` bytes, at most 7 of them, of a word in memory.
#[inline(always)]
pub(crate) const fn low_bytes(count: usize) -> u64 {
    (1 << (8 * (count & 7))) - 1
}

#[cfg(test)]
mod tests {
    use super::{Block, Ghash, Table};
    use ghash::GHash;
    use ghash::universal_hash::{KeyInit, UniversalHash};
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn table(subkey: [u8; 16]) -> Box<Table> {
        let mut table = Box::new(Table::EMPTY);
        table.fill(subkey);
        table
    }

    fn blocks(bytes: &[u8]) -> Box<[Block; 80]> {
        let mut blocks = Box::new([[0xa5a5_a5a5_a5a5_a5a5; 2]; 80]);
        let mut padded = [0xa5; 1_280];
        padded[..bytes.len()].copy_from_slice(bytes);
        let words = blocks.as_flattened_mut().iter_mut();
        for (word, bytes) in words.zip(padded.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        blocks
    }

    fn ours(subkey: [u8; 16], header: &[u8], payload: &[u8]) -> [u8; 16] {
        let table = table(subkey);
        let mut hash = Ghash::new(&table);
        hash.absorb_bytes(&blocks(header), header.len());
        hash.absorb_bytes(&blocks(payload), payload.len());
        let [first, second] = hash.finish(header.len(), payload.len());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    fn theirs(subkey: [u8; 16], header: &[u8], payload: &[u8]) -> [u8; 16] {
        let mut hash = GHash::new(&subkey.into());
        hash.update_padded(header);
        hash.update_padded(payload);
        let bits = |len: usize| u64::try_from(8 * len).expect("short").to_be_bytes();
        let lengths: Vec<u8> = [bits(header.len()), bits(payload.len())].concat();
        hash.update_padded(&lengths);
        hash.finalize().into()
    }

    /// McGrew and Viega, The Galois/Counter Mode of Operation, test case 4 of appendix B.
    #[test]
    fn the_hash_of_test_case_4() {
        let subkey = 0xb83b_5337_08bf_535d_0aa6_e529_80d5_3b78_u128.to_be_bytes();
        let header = [
            0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef,
            0xab, 0xad, 0xda, 0xd2,
        ];
        let payload = [
            0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77, 0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7, 0x84, 0xd0, 0xd4, 0x9c,
            0xe3, 0xaa, 0x21, 0x2f, 0x2c, 0x02, 0xa4, 0xe0, 0x35, 0xc1, 0x7e, 0x23, 0x29, 0xac, 0xa1, 0x2e,
            0x21, 0xd5, 0x14, 0xb2, 0x54, 0x66, 0x93, 0x1c, 0x7d, 0x8f, 0x6a, 0x5a, 0xac, 0x84, 0xaa, 0x05,
            0x1b, 0xa3, 0x0b, 0x39, 0x6a, 0x0a, 0xac, 0x97, 0x3d, 0x58, 0xe0, 0x91,
        ];
        let expected = 0x698e_57f7_0e6e_cc7f_d946_3b72_60a9_ae5f_u128.to_be_bytes();
        assert_eq!(ours(subkey, &header, &payload), expected);
    }

    proptest! {
        #[test]
        fn it_is_the_hash_of_another_implementation(
            subkey in any::<[u8; 16]>(),
            header in prop::collection::vec(any::<u8>(), 0..96),
            payload in prop::collection::vec(any::<u8>(), 0..1_232),
        ) {
            prop_assert_eq!(ours(subkey, &header, &payload), theirs(subkey, &header, &payload));
        }
    }
}

//! The maps, and their records as pointers.

use aya_ebpf::btf_maps::{Array, ArrayOfMaps, DevMap, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::btf_map;
use core::ffi::c_void;
use core::ptr::read_volatile;
use lianmai_fanout::ghash::Table;
use lianmai_fanout::records::{
    Copy, LEG_RECORDS, Leg, MAX_FRAME_HEADER, MAX_PAD_RINGS, MAX_PEERS, MAX_STREAMS, MAX_TABLES, Outcome,
    Pad, Peer, Stream, StreamKey, Token,
};
use lianmai_fanout::seal::{Header, Text};

/// The daemon writes such maps through a mapping of its own.
const MMAPABLE: usize = 1 << 10;
/// Maps inside a map may have other lengths than the one that was declared.
const INNER: usize = 1 << 12;

/// Bytes of the ring buffer: 16 ms of 2 Gbit/s.
const COPIES_LEN: usize = 4 << 20;

#[btf_map]
static STREAMS: HashMap<StreamKey, u32, { MAX_STREAMS as usize }> = HashMap::new();
#[btf_map]
static STREAM_RECORDS: Array<Stream, { MAX_STREAMS as usize }, MMAPABLE> = Array::new();
#[btf_map]
static TOKENS: ArrayOfMaps<Array<Token, 1, { MMAPABLE | INNER }>, { MAX_STREAMS as usize }> =
    ArrayOfMaps::new();
#[btf_map]
static PADS: ArrayOfMaps<Array<Pad, 1, { MMAPABLE | INNER }>, { MAX_PAD_RINGS as usize }> =
    ArrayOfMaps::new();
#[btf_map]
static TABLES: ArrayOfMaps<Array<Table, 1>, { MAX_TABLES as usize }> = ArrayOfMaps::new();
#[btf_map]
static LEGS: Array<Leg, { LEG_RECORDS as usize }, MMAPABLE> = Array::new();
#[btf_map]
static PEERS: Array<Peer, { MAX_PEERS as usize }, MMAPABLE> = Array::new();
#[btf_map]
static COPIES: RingBuf<Copy, COPIES_LEN> = RingBuf::new();
#[btf_map]
static COUNTERS: PerCpuArray<u64, { Outcome::ALL.len() }> = PerCpuArray::new();
#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();
#[btf_map]
static REPLICA: PerCpuArray<Replica, 1> = PerCpuArray::new();

/// Bytes that a processor fetches at a time.
const LINE: usize = 64;

/// Room for the state of a header's rewriting, in bytes.
pub const STEPS_LEN: usize = 96;

/// A packet being worked on. It is too long for the stack, and a CPU works on one at a time.
#[repr(C)]
pub struct Scratch {
    /// What goes before header and text into the ring buffer.
    pub copy: Copy,
    pub header: Header,
    pub text: Text,
    pub frame_header: [u8; MAX_FRAME_HEADER],
    /// The header's rewriting.
    pub steps: [u64; STEPS_LEN / 8],
    /// Of the last packet that was replicated.
    pub cookie: u32,
    pub reserved: u32,
}

/// Which copy of which packet the last one was.
#[repr(C)]
pub struct Replica {
    pub cookie: u32,
    pub next: u32,
}

pub fn stream_of(key: &StreamKey) -> Option<u32> {
    // SAFETY: the number is copied out at once; at worst it is that of a stream that replaced this one a moment ago, whose
    // key then does not verify the packet.
    unsafe { STREAMS.get(key) }.copied()
}

pub fn stream(number: u32) -> Option<*mut Stream> {
    STREAM_RECORDS.get_ptr_mut(number)
}

pub fn token(ring: u32, slot: u32) -> Option<*mut Token> {
    TOKENS.get_value_ptr_mut(ring, &slot)
}

pub fn pad(ring: u32, slot: u32) -> Option<*mut Pad> {
    PADS.get_value_ptr_mut(ring, &slot)
}

/// The table of a key, on its way into the nearest cache.
#[inline(always)]
pub fn table(number: u32) -> Option<&'static Table> {
    let table = TABLES.get_value(number, &0)?;
    bring_near(table);
    Some(table)
}

/// Touches each line of a table. The hash would wait for them nearly one after the other, as the lookups for a block depend on
/// those for the last one; nothing depends on these, so that many are under way at a time.
#[inline(always)]
fn bring_near(table: &Table) {
    let mut at = 0;
    while at < size_of::<Table>() {
        // SAFETY: it lies within the table; volatile because nobody looks at what is read.
        unsafe { read_volatile((&raw const *table).cast::<u64>().byte_add(at)) };
        at += LINE;
    }
}

pub fn leg(number: u32) -> Option<&'static Leg> {
    LEGS.get(number)
}

pub fn peer(number: u32) -> Option<*mut Peer> {
    PEERS.get_ptr_mut(number)
}

pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: the slot is this CPU's alone, and no program of ours interrupts another on the same CPU.
    SCRATCH.get_ptr_mut(0).map(|scratch| unsafe { &mut *scratch })
}

pub fn replica() -> Option<&'static mut Replica> {
    // SAFETY: as above.
    REPLICA.get_ptr_mut(0).map(|replica| unsafe { &mut *replica })
}

pub fn counter(number: u32) -> Option<*mut u64> {
    COUNTERS.get_ptr_mut(number)
}

/// For helpers that take a map.
pub fn copies() -> *mut c_void {
    (&raw const COPIES).cast_mut().cast()
}

macro_rules! fans {
    ($($name:ident: $legs:literal,)*) => {
        $(
            #[btf_map]
            static $name: DevMap<$legs> = DevMap::new();
        )*

        /// The device map with as many entries as there are legs.
        #[inline(always)]
        pub fn fan(legs: u32) -> Option<*mut c_void> {
            match legs {
                $($legs => Some((&raw const $name).cast_mut().cast()),)*
                _ => None,
            }
        }
    };
}

fans! {
    FAN_1: 1, FAN_2: 2, FAN_3: 3, FAN_4: 4, FAN_5: 5, FAN_6: 6, FAN_7: 7, FAN_8: 8,
    FAN_9: 9, FAN_10: 10, FAN_11: 11, FAN_12: 12, FAN_13: 13, FAN_14: 14, FAN_15: 15,
}

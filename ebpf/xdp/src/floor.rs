//! The floor of the benchmark, an object of its own: replication as in the fan-out, and nothing else. Of a media packet it
//! makes as many copies as there are legs, and gives each the headers of its leg.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![no_builtins]

#[expect(dead_code, reason = "the floor moves no bytes of a payload")]
mod frame;

use aya_ebpf::bindings::BPF_F_BROADCAST;
use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::btf_maps::{Array, DevMap, PerCpuArray};
use aya_ebpf::helpers::generated::{bpf_redirect_map, bpf_xdp_adjust_meta};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use core::ptr::read_volatile;
use lianmai_fanout::demux::{Protocol, classify};
use lianmai_fanout::frame::{ETHERNET, IPV4, Network, UDP, ipv4, network};
use lianmai_fanout::plain::{PlainLeg, WORDS, address_to};
use lianmai_fanout::records::MAX_LEGS;

/// The media port as on the wire; the loader sets it.
#[unsafe(no_mangle)]
static MEDIA_PORT: u16 = 0;

/// The loader makes it as long as there are legs.
#[btf_map]
static FLOOR_FAN: DevMap<{ MAX_LEGS as usize }> = DevMap::new();
#[btf_map]
static FLOOR_LEGS: Array<PlainLeg, { MAX_LEGS as usize }> = Array::new();
#[btf_map]
static FLOOR_STATE: PerCpuArray<State, 1> = PerCpuArray::new();

/// Of the packets on this CPU, and of the copies of the last one.
#[repr(C)]
struct State {
    last: u32,
    cookie: u32,
    next: u32,
}

/// On the interface: replicates every media packet.
#[xdp]
pub fn floor_ingress(ctx: XdpContext) -> u32 {
    replicate(&ctx).unwrap_or(XDP_PASS)
}

/// On the entries of the device map: sends a copy to its leg.
#[xdp(map = "devmap")]
pub fn floor_egress(ctx: XdpContext) -> u32 {
    readdressed(&ctx).map_or(XDP_DROP, |()| XDP_PASS)
}

/// The same, to be run by hand: the kernel's test run refuses programs of device maps.
#[xdp]
pub fn floor_egress_by_hand(ctx: XdpContext) -> u32 {
    readdressed(&ctx).map_or(XDP_DROP, |()| XDP_PASS)
}

#[inline(always)]
fn replicate(ctx: &XdpContext) -> Option<u32> {
    if !is_media(ctx)? {
        return None;
    }
    let state = state()?;
    state.last = state.last.wrapping_add(1);
    // SAFETY: the helper makes room before the frame, and the bounds are checked before it is written.
    unsafe {
        if bpf_xdp_adjust_meta(ctx.ctx, -(size_of::<u32>() as i32)) != 0 {
            return None;
        }
        let room = ctx.metadata();
        if room + size_of::<u32>() > ctx.data() {
            return None;
        }
        *(room as *mut u32) = state.last;
        let fan = (&raw const FLOOR_FAN).cast_mut().cast();
        Some(bpf_redirect_map(fan, 0, u64::from(BPF_F_BROADCAST)) as u32)
    }
}

#[inline(always)]
fn is_media(ctx: &XdpContext) -> Option<bool> {
    let Network::V4 = network(frame::at::<ETHERNET>(ctx, 0)?) else {
        return None;
    };
    let udp = ipv4(frame::at(ctx, ETHERNET)?, frame::len(ctx).wrapping_sub(ETHERNET)).ok()?;
    // SAFETY: a global that nobody writes after loading; volatile because the compiler would take the zero above.
    let port = unsafe { read_volatile(&raw const MEDIA_PORT) };
    let first = frame::at::<2>(ctx, ETHERNET + IPV4 + UDP)?;
    Some(u16::from_ne_bytes(udp.destination_port) == port && classify(first) == Protocol::Rtp)
}

/// Copies of one packet come one after the other; which one this is was counted on this CPU.
#[inline(always)]
fn readdressed(ctx: &XdpContext) -> Option<()> {
    let room = ctx.metadata();
    if room + size_of::<u32>() > ctx.data() {
        return None;
    }
    // SAFETY: it lies within the metadata.
    let cookie = unsafe { *(room as *const u32) };
    let state = state()?;
    if state.cookie != cookie {
        state.cookie = cookie;
        state.next = 0;
    }
    let copy = state.next;
    state.next = copy + 1;
    let leg = FLOOR_LEGS.get(copy)?;
    let start = ctx.data();
    if start + size_of::<[u16; WORDS]>() > ctx.data_end() {
        return None;
    }
    // SAFETY: the words lie within the frame, which starts at an even address, and the frame is this program's alone.
    address_to(unsafe { &mut *(start as *mut [u16; WORDS]) }, leg);
    Some(())
}

#[inline(always)]
fn state() -> Option<&'static mut State> {
    // SAFETY: the slot is this CPU's alone, and no program of ours interrupts another on the same CPU.
    FLOOR_STATE.get_ptr_mut(0).map(|state| unsafe { &mut *state })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

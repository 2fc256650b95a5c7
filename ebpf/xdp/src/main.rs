//! The kernel programs of Lianmai. `ingress` verifies a publisher's packet and replicates it, `egress` seals each copy for
//! its leg; what they cannot do goes up to the daemon. Records and arithmetic are those of `lianmai-fanout`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "`core` has no compare-exchange for this target")]
#![no_builtins]

mod atomic;
mod egress;
mod frame;
mod ingress;
mod maps;
mod outcome;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use lianmai_fanout::records::Outcome;

/// On the interface: takes packets of published streams.
#[xdp]
pub fn ingress(ctx: XdpContext) -> u32 {
    match ingress::run(&ctx) {
        Ok(action) => action,
        Err(outcome) => {
            outcome::count(outcome);
            match outcome {
                Outcome::Forged | Outcome::Replayed | Outcome::NoHeadroom => XDP_DROP,
                _ => XDP_PASS,
            }
        }
    }
}

/// On every entry of the device maps: makes a copy the packet of its leg.
#[xdp(map = "devmap")]
pub fn egress(ctx: XdpContext) -> u32 {
    seal(&ctx)
}

/// The same, to be run by hand: the kernel's test run refuses programs of device maps.
#[xdp]
pub fn egress_by_hand(ctx: XdpContext) -> u32 {
    seal(&ctx)
}

#[inline(always)]
fn seal(ctx: &XdpContext) -> u32 {
    match egress::run(ctx) {
        Ok(()) => XDP_PASS,
        Err(outcome) => {
            outcome::count(outcome);
            XDP_DROP
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

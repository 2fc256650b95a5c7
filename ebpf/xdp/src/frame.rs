//! Bytes of a frame, every access within its bounds.

use aya_ebpf::helpers::generated::{bpf_xdp_load_bytes, bpf_xdp_store_bytes};
use aya_ebpf::programs::XdpContext;
use lianmai_fanout::ghash::BLOCK;

/// The same length, of which the compiler knows nothing. A check of it then stands before the verifier as it is written, on the
/// register that is used; and what the verifier learns of it in one loop does not follow it into the next.
#[inline(always)]
pub fn unknown(mut len: usize) -> usize {
    // SAFETY: a move of a register to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) len, options(nomem, nostack, preserves_flags)) };
    len
}

/// Whether a block is a whole one of so many bytes.
#[inline(always)]
pub fn whole(len: usize) -> impl Fn(usize) -> bool {
    let whole = unknown(len) / BLOCK;
    move |block| block < unknown(whole)
}

/// Length of the frame.
#[inline(always)]
pub fn len(ctx: &XdpContext) -> usize {
    ctx.data_end() - ctx.data()
}

/// `N` bytes of the frame at a fixed place.
#[inline(always)]
pub fn at<const N: usize>(ctx: &XdpContext, offset: usize) -> Option<&[u8; N]> {
    let start = ctx.data() + offset;
    if start + N > ctx.data_end() {
        return None;
    }
    // SAFETY: the bytes lie within the frame, as was just seen; bytes have no alignment.
    Some(unsafe { &*(start as *const [u8; N]) })
}

/// Copies `len` bytes out of the frame.
///
/// # Safety
/// `to` has room for them.
#[inline(always)]
pub unsafe fn load<T>(ctx: &XdpContext, offset: usize, to: &mut T, len: usize) -> Option<()> {
    // SAFETY: the helper checks the frame's side, the verifier the other.
    let error = unsafe { bpf_xdp_load_bytes(ctx.ctx, offset as u32, (&raw mut *to).cast(), len as u32) };
    (error == 0).then_some(())
}

/// Copies `len` bytes into the frame.
///
/// # Safety
/// `from` has as many.
#[inline(always)]
pub unsafe fn store<T>(ctx: &XdpContext, offset: usize, from: &T, len: usize) -> Option<()> {
    let from = (&raw const *from).cast_mut().cast();
    // SAFETY: as above.
    let error = unsafe { bpf_xdp_store_bytes(ctx.ctx, offset as u32, from, len as u32) };
    (error == 0).then_some(())
}

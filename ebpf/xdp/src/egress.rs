//! A copy on its way to a leg: claimed, rewritten, sealed, addressed.

use crate::frame::{unknown, whole};
use crate::maps::{self, STEPS_LEN, Scratch};
use crate::{atomic, frame, outcome};
use aya_ebpf::helpers::generated::{bpf_csum_diff, bpf_ktime_get_ns, bpf_loop, bpf_xdp_adjust_head};
use aya_ebpf::programs::XdpContext;
use core::ffi::c_void;
use core::ptr::{read_volatile, write_volatile};
use lianmai_fanout::frame::complete;
use lianmai_fanout::ghash::Ghash;
use lianmai_fanout::records::{
    CLAIMED, Leg, MAX_FRAME_HEADER, MAX_HEADER, MAX_PAYLOAD, Meta, Outcome, Pad, Sealed, TAG,
};
use lianmai_fanout::seal::{Crossing, Header, put_tag};
use lianmai_fanout::{AbsSendTime, LegHeader, Rewriting, RtpHeader, Stamps};

/// Steps that rewrite any extension of the longest header.
const MAX_STEPS: u32 = 2 * MAX_HEADER as u32;

#[inline(always)]
pub fn run(ctx: &XdpContext) -> Result<(), Outcome> {
    let meta = meta_of(ctx)?;
    let (header_len, payload_len) = (
        unknown(usize::from(meta.header_len)),
        unknown(usize::from(meta.payload_len)),
    );
    if header_len > MAX_HEADER || header_len < 12 || payload_len > MAX_PAYLOAD || payload_len == 0 {
        return Err(Outcome::Refused);
    }
    let leg = maps::leg(leg_of(&meta)?).ok_or(Outcome::Refused)?;
    let pad = claim(leg, meta.index, payload_len)?;
    let scratch = maps::scratch().ok_or(Outcome::Refused)?;
    // SAFETY: both lengths were just seen to be within their rooms.
    unsafe {
        frame::load(ctx, usize::from(meta.rtp_at), &mut scratch.header, header_len)
            .ok_or(Outcome::Refused)?;
        let payload_at = usize::from(meta.rtp_at) + header_len;
        frame::load(ctx, payload_at, &mut scratch.text, payload_len).ok_or(Outcome::Refused)?;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let transport_sequence = rewrite(scratch, leg, now)?;
    let sum = seal(scratch, leg, pad, header_len, payload_len)?;
    let len = header_len + payload_len + TAG;
    send(ctx, scratch, leg, &meta, (header_len, payload_len), sum)?;
    let sealed = Sealed {
        transport_sequence,
        len: len as u16,
    };
    // SAFETY: the pad is in a map, and claimed for us; the time is written last, as it says that the rest is there.
    unsafe {
        write_volatile(&raw mut (*pad).sealed, sealed.to_word());
        write_volatile(&raw mut (*pad).sealed_at, now);
    }
    outcome::count(Outcome::Sealed);
    Ok(())
}

/// What ingress said of this packet.
#[inline(always)]
fn meta_of(ctx: &XdpContext) -> Result<Meta, Outcome> {
    let room = ctx.metadata();
    if room + size_of::<Meta>() > ctx.data() {
        return Err(Outcome::Refused);
    }
    // SAFETY: it lies within the metadata; a `Meta` is words, of any value.
    Ok(unsafe { *(room as *const Meta) })
}

/// Copies of one packet come one after the other; which one this is was counted on this CPU.
#[inline(always)]
fn leg_of(meta: &Meta) -> Result<u32, Outcome> {
    let replica = maps::replica().ok_or(Outcome::Refused)?;
    if replica.cookie != meta.cookie {
        replica.cookie = meta.cookie;
        replica.next = 0;
    }
    let copy = replica.next;
    replica.next = copy + 1;
    if copy >= u32::from(meta.legs) {
        return Err(Outcome::Refused);
    }
    Ok(meta.first_leg + copy)
}

/// Takes the permission to seal this index for this leg.
#[inline(always)]
fn claim(leg: &Leg, index: u64, payload_len: usize) -> Result<*mut Pad, Outcome> {
    let pad = maps::pad(leg.pads, index as u32 & leg.pad_mask).ok_or(Outcome::PadTaken)?;
    // SAFETY: the pad is in a map.
    unsafe {
        if (read_volatile(&raw const (*pad).len) as usize) < payload_len {
            return Err(Outcome::PadTaken);
        }
        if !atomic::replace(&raw mut (*pad).state, index, index | CLAIMED) {
            return Err(Outcome::PadTaken);
        }
    }
    Ok(pad)
}

/// What a step of the rewriting needs. It waits in the scratch space and not on the stack: of what comes from a map the
/// verifier knows nothing, so that to it every step is like the one before.
#[repr(C)]
struct Steps {
    rewriting: Rewriting,
    header: LegHeader,
}

const _: () = assert!(size_of::<Steps>() <= STEPS_LEN && align_of::<Steps>() <= 8);

/// Makes the header the leg's. Returns the transport-wide sequence number, if it carries one.
#[inline(always)]
fn rewrite(scratch: &mut Scratch, leg: &Leg, now: u64) -> Result<u16, Outcome> {
    let header = LegHeader {
        payload_type: leg.payload_type,
        extensions: leg.extensions,
    };
    let bytes = bytes_of(&mut scratch.header);
    let parsed = RtpHeader::parse(bytes).map_err(|_| Outcome::Refused)?;
    let rewriting = Rewriting::begin(bytes, &parsed, &header);
    // SAFETY: the space is as long and aligned as was asserted, and this CPU's alone.
    unsafe { steps_of(&mut scratch.steps).write(Steps { rewriting, header }) };
    // SAFETY: the callback takes nothing of this stack.
    unsafe { bpf_loop(MAX_STEPS, step as *mut c_void, core::ptr::null_mut(), 0) };
    // SAFETY: written above, and changed by steps.
    let rewriting = unsafe { &(*steps_of(&mut scratch.steps)).rewriting };
    let mut stamps = Stamps {
        transport_sequence: 0,
        send_time: AbsSendTime::from_nanos(now),
    };
    if rewriting.wants_transport_sequence() {
        let peer = maps::peer(leg.peer).ok_or(Outcome::Refused)?;
        // SAFETY: the peer is in a map.
        stamps.transport_sequence = unsafe { atomic::add(&raw mut (*peer).transport_sequence, 1) } as u16;
    }
    rewriting.stamp(bytes_of(&mut scratch.header), &stamps);
    Ok(stamps.transport_sequence)
}

extern "C" fn step(_: u32, _: *mut c_void) -> i64 {
    let Some(scratch) = maps::scratch() else { return 1 };
    // SAFETY: `rewrite` has written it, and waits.
    let steps = unsafe { &mut *steps_of(&mut scratch.steps) };
    let more = steps.rewriting.step(bytes_of(&mut scratch.header), &steps.header);
    i64::from(!more)
}

#[inline(always)]
fn steps_of(room: &mut [u64; STEPS_LEN / 8]) -> *mut Steps {
    (&raw mut *room).cast()
}

#[inline(always)]
fn bytes_of(header: &mut Header) -> &mut [u8; MAX_HEADER] {
    // SAFETY: the same bytes, looked at one by one.
    unsafe { &mut *(&raw mut *header).cast() }
}

/// Crosses the payload with the pad and puts the tag behind it. Returns the sum of both.
#[inline(always)]
fn seal(
    scratch: &mut Scratch,
    leg: &Leg,
    pad: *mut Pad,
    header_len: usize,
    payload_len: usize,
) -> Result<u64, Outcome> {
    let table = maps::table(leg.table).ok_or(Outcome::Refused)?;
    // SAFETY: the pad is in a map, and claimed for us: nobody writes it.
    let (stream, mask) = unsafe { (&(*pad).stream, (*pad).mask) };
    let mut header = Ghash::new(table);
    header.absorb_whole(&scratch.header, whole(header_len));
    header.absorb_rest(&scratch.header, unknown(header_len));
    let mut crossing = Crossing::new(header);
    crossing.whole(&mut scratch.text, stream, whole(payload_len));
    crossing.rest(&mut scratch.text, stream, unknown(payload_len));
    let hashed = crossing.hash.finish(header_len, payload_len);
    let tag = [hashed[0] ^ mask[0], hashed[1] ^ mask[1]];
    Ok(crossing.sum + put_tag(&mut scratch.text, unknown(payload_len), tag))
}

/// The one's complement sum of the header, whose length is a multiple of four.
#[inline(always)]
fn header_sum(scratch: &mut Scratch, header_len: usize) -> Result<u64, Outcome> {
    let header = (&raw mut scratch.header).cast();
    // SAFETY: the header is as long.
    let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, header, header_len as u32, 0) };
    u64::try_from(sum).map_err(|_| Outcome::Refused)
}

/// Puts the packet and the leg's headers into the frame.
#[inline(always)]
fn send(
    ctx: &XdpContext,
    scratch: &mut Scratch,
    leg: &Leg,
    meta: &Meta,
    (header_len, payload_len): (usize, usize),
    text_sum: u64,
) -> Result<(), Outcome> {
    let frame_header_len = unknown(usize::from(leg.frame_header_len));
    if frame_header_len > MAX_FRAME_HEADER || frame_header_len == 0 {
        return Err(Outcome::Refused);
    }
    let sum = text_sum + header_sum(scratch, unknown(header_len) & !3)?;
    scratch.frame_header = leg.frame_header;
    complete(
        &mut scratch.frame_header,
        leg.ip_version,
        leg.sums,
        header_len + payload_len + TAG,
        sum,
    );
    let longer = frame_header_len as i32 - i32::from(meta.rtp_at);
    // SAFETY: the helper moves the start of the frame; pointers into it are not kept. All lengths are within their rooms.
    unsafe {
        if longer != 0 && bpf_xdp_adjust_head(ctx.ctx, -longer) != 0 {
            return Err(Outcome::Refused);
        }
        frame::store(ctx, 0, &scratch.frame_header, frame_header_len).ok_or(Outcome::Refused)?;
        frame::store(ctx, frame_header_len, &scratch.header, header_len).ok_or(Outcome::Refused)?;
        frame::store(
            ctx,
            frame_header_len + header_len,
            &scratch.text,
            payload_len + TAG,
        )
        .ok_or(Outcome::Refused)
    }
}

//! A publisher's packet: found, verified, claimed, shown to the daemon and replicated.

use crate::frame::{unknown, whole};
use crate::maps::{self, Scratch};
use crate::{atomic, frame, outcome};
use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::bindings::{BPF_F_BROADCAST, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_redirect_map, bpf_ringbuf_output, bpf_ringbuf_query, bpf_xdp_adjust_meta,
};
use aya_ebpf::programs::XdpContext;
use core::ptr::read_volatile;
use lianmai_fanout::RtpHeader;
use lianmai_fanout::demux::{Protocol, classify};
use lianmai_fanout::frame::{ETHERNET, IPV4, IPV6, Network, NotPlain, UDP, Udp, ipv4, ipv6, network};
use lianmai_fanout::ghash::Ghash;
use lianmai_fanout::records::{
    CLAIMED, Copy, Fan, MAX_HEADER, MAX_PAYLOAD, Meta, Outcome, Stream, StreamKey, TAG, Token, UNREADY,
};
use lianmai_fanout::seal::tag_of;

/// The media port as on the wire; the loader sets it.
#[unsafe(no_mangle)]
static MEDIA_PORT: u16 = 0;

/// The shortest packet of SRTP: a fixed header, one byte, a tag.
const SHORTEST: usize = 12 + 1 + TAG;

/// The daemon looks for copies every few milliseconds; it is woken before when so many bytes wait, and again each time that it are
/// as many more. Not for each packet: to wake is to send an interrupt, which costs as much as to verify one.
const WAKE_EVERY: u64 = 1 << 20;

/// Where a packet lies in its frame.
struct Place {
    rtp_at: usize,
    header_len: usize,
    payload_len: usize,
}

#[inline(always)]
pub fn run(ctx: &XdpContext) -> Result<u32, Outcome> {
    let (udp, rtp_at) = media(ctx)?;
    let (number, stream) = stream_of(ctx, &udp, rtp_at)?;
    // SAFETY: the record is in a map; each of its words is meaningful alone.
    let (expires, until, fan) = unsafe {
        (
            read_volatile(&raw const (*stream).expires),
            read_volatile(&raw const (*stream).ready_until),
            Fan::from_word(read_volatile(&raw const (*stream).fan)),
        )
    };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if now >= expires {
        return Err(Outcome::Expired);
    }
    let scratch = maps::scratch().ok_or(Outcome::Unusual)?;
    let (place, sequence) = load(ctx, scratch, rtp_at, udp.payload_len)?;
    let (token, index) = token_of(stream, sequence, until)?;
    verify(scratch, &place, stream, token)?;
    // SAFETY: the token is in a map.
    if !unsafe { atomic::replace(&raw mut (*token).state, index, index | CLAIMED) } {
        return Err(Outcome::Replayed);
    }
    outcome::count(Outcome::Accepted);
    // SAFETY: the record is in a map.
    unsafe {
        atomic::add(&raw mut (*stream).packets, 1);
        atomic::add(
            &raw mut (*stream).bytes,
            (place.header_len + place.payload_len + TAG) as u64,
        );
    }
    scratch.copy = Copy {
        arrival: now,
        index,
        fan: fan.to_word(),
        stream: number,
        header_len: place.header_len as u16,
        payload_len: place.payload_len as u16,
    };
    show(scratch, place.payload_len);
    replicate(ctx, scratch, &place, index, fan)
}

/// UDP for the media port that looks like RTP, and where that starts.
#[inline(always)]
fn media(ctx: &XdpContext) -> Result<(Udp, usize), Outcome> {
    let after = frame::len(ctx).wrapping_sub(ETHERNET);
    let ethernet = frame::at::<ETHERNET>(ctx, 0).ok_or(Outcome::NotOurs)?;
    let (udp, rtp_at) = match network(ethernet) {
        Network::V4 => (
            ipv4(frame::at(ctx, ETHERNET).ok_or(Outcome::NotOurs)?, after),
            ETHERNET + IPV4 + UDP,
        ),
        Network::V6 => (
            ipv6(frame::at(ctx, ETHERNET).ok_or(Outcome::NotOurs)?, after),
            ETHERNET + IPV6 + UDP,
        ),
        Network::Vlan => return Err(Outcome::Unusual),
        Network::Other => return Err(Outcome::NotOurs),
    };
    let udp = udp.map_err(|reason| match reason {
        NotPlain::OtherProtocol => Outcome::NotOurs,
        NotPlain::Unusual => Outcome::Unusual,
    })?;
    // SAFETY: a global that nobody writes after loading; volatile because the compiler would take the zero above.
    if u16::from_ne_bytes(udp.destination_port) != unsafe { read_volatile(&raw const MEDIA_PORT) } {
        return Err(Outcome::NotOurs);
    }
    let first = frame::at::<2>(ctx, rtp_at).ok_or(Outcome::Control)?;
    match classify(first) {
        Protocol::Rtp if udp.payload_len >= SHORTEST => Ok((udp, rtp_at)),
        Protocol::Rtp => Err(Outcome::Oversized),
        _ => Err(Outcome::Control),
    }
}

#[inline(always)]
fn stream_of(ctx: &XdpContext, udp: &Udp, rtp_at: usize) -> Result<(u32, *mut Stream), Outcome> {
    let fixed = frame::at::<12>(ctx, rtp_at).ok_or(Outcome::Unusual)?;
    let key = StreamKey {
        address: udp.source,
        ssrc: [fixed[8], fixed[9], fixed[10], fixed[11]],
        port: udp.source_port,
        reserved: [0; 2],
    };
    let number = maps::stream_of(&key).ok_or(Outcome::UnknownStream)?;
    let stream = maps::stream(number).ok_or(Outcome::UnknownStream)?;
    Ok((number, stream))
}

/// Copies header, payload and tag to where they can be worked on.
#[inline(always)]
fn load(ctx: &XdpContext, scratch: &mut Scratch, rtp_at: usize, len: usize) -> Result<(Place, u16), Outcome> {
    let before_tag = len - TAG;
    let head_len = if before_tag < MAX_HEADER {
        before_tag
    } else {
        MAX_HEADER
    };
    // SAFETY: at most the length of the header's room.
    unsafe { frame::load(ctx, rtp_at, &mut scratch.header, head_len) }.ok_or(Outcome::Unusual)?;
    // SAFETY: the same bytes, looked at one by one.
    let bytes = unsafe { &*(&raw const scratch.header).cast::<[u8; MAX_HEADER]>() };
    let header = RtpHeader::parse(bytes).map_err(|_| Outcome::Oversized)?;
    let header_len = header.len;
    if header_len > MAX_HEADER || header_len >= before_tag {
        return Err(Outcome::Oversized);
    }
    let payload_len = before_tag - header_len;
    if payload_len > MAX_PAYLOAD {
        return Err(Outcome::Oversized);
    }
    // SAFETY: at most the length of the longest payload and a tag.
    unsafe { frame::load(ctx, rtp_at + header_len, &mut scratch.text, payload_len + TAG) }
        .ok_or(Outcome::Unusual)?;
    Ok((
        Place {
            rtp_at,
            header_len,
            payload_len,
        },
        header.sequence.0,
    ))
}

/// The token of a sequence number, if it is there to be claimed.
#[inline(always)]
fn token_of(stream: *mut Stream, sequence: u16, ready_until: u64) -> Result<(*mut Token, u64), Outcome> {
    // SAFETY: the record is in a map.
    let (ring, mask) = unsafe {
        (
            read_volatile(&raw const (*stream).tokens),
            read_volatile(&raw const (*stream).token_mask),
        )
    };
    let token = maps::token(ring, u32::from(sequence) & mask).ok_or(Outcome::NoPad)?;
    // SAFETY: the token is in a map.
    let state = unsafe { read_volatile(&raw const (*token).state) };
    let index = state & !CLAIMED;
    if state & UNREADY != 0 || index as u16 != sequence {
        return Err(Outcome::NoPad);
    }
    if state & CLAIMED != 0 {
        return Err(Outcome::Replayed);
    }
    if index >= ready_until {
        return Err(Outcome::NoPad);
    }
    Ok((token, index))
}

#[inline(always)]
fn verify(scratch: &Scratch, place: &Place, stream: *mut Stream, token: *mut Token) -> Result<(), Outcome> {
    // SAFETY: the record is in a map.
    let table = maps::table(unsafe { read_volatile(&raw const (*stream).table) }).ok_or(Outcome::NoPad)?;
    let (header_len, payload_len) = (place.header_len, place.payload_len);
    let mut hash = Ghash::new(table);
    hash.absorb_whole(&scratch.header, whole(header_len));
    hash.absorb_rest(&scratch.header, unknown(header_len));
    hash.absorb_whole(&scratch.text, whole(payload_len));
    hash.absorb_rest(&scratch.text, unknown(payload_len));
    let hashed = hash.finish(header_len, payload_len);
    let tag = tag_of(&scratch.text, unknown(payload_len));
    // SAFETY: the token is in a map.
    let mask = unsafe { (*token).mask };
    let wrong = (hashed[0] ^ mask[0] ^ tag[0]) | (hashed[1] ^ mask[1] ^ tag[1]);
    if wrong == 0 { Ok(()) } else { Err(Outcome::Forged) }
}

/// Gives the daemon its copy.
#[inline(always)]
fn show(scratch: &mut Scratch, payload_len: usize) {
    let len = size_of::<Copy>() + MAX_HEADER + payload_len;
    // SAFETY: copy, header and text lie behind one another, and the payload is no longer than the text.
    let error = unsafe {
        let waiting = bpf_ringbuf_query(maps::copies(), u64::from(BPF_RB_AVAIL_DATA));
        // Behind a header of 8 bytes, and up to a whole word.
        let with_it = waiting + (len as u64 + 15 & !7);
        let flags = if with_it / WAKE_EVERY > waiting / WAKE_EVERY {
            BPF_RB_FORCE_WAKEUP
        } else {
            BPF_RB_NO_WAKEUP
        };
        bpf_ringbuf_output(
            maps::copies(),
            (&raw mut *scratch).cast(),
            len as u64,
            u64::from(flags),
        )
    };
    if error != 0 {
        outcome::count(Outcome::CopyLost);
    }
}

#[inline(always)]
fn replicate(
    ctx: &XdpContext,
    scratch: &mut Scratch,
    place: &Place,
    index: u64,
    fan: Fan,
) -> Result<u32, Outcome> {
    let Some(map) = maps::fan(fan.legs) else {
        return Ok(XDP_DROP);
    };
    scratch.cookie = scratch.cookie.wrapping_add(1);
    let meta = Meta {
        index,
        cookie: scratch.cookie,
        first_leg: fan.first,
        rtp_at: place.rtp_at as u16,
        header_len: place.header_len as u16,
        payload_len: place.payload_len as u16,
        legs: fan.legs as u16,
    };
    // SAFETY: the helper makes room before the frame, and the bounds are checked before it is written.
    unsafe {
        if bpf_xdp_adjust_meta(ctx.ctx, -(size_of::<Meta>() as i32)) != 0 {
            return Err(Outcome::NoHeadroom);
        }
        let room = ctx.metadata();
        if room + size_of::<Meta>() > ctx.data() {
            return Err(Outcome::NoHeadroom);
        }
        *(room as *mut Meta) = meta;
        Ok(bpf_redirect_map(map, 0, u64::from(BPF_F_BROADCAST)) as u32)
    }
}

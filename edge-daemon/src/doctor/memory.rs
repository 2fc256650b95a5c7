//! How much memory of maps a room takes.

use super::cgroup::memory_limit;
use super::report::Check;
use lianmai_fanout::ghash::Table;
use lianmai_fanout::records::{LEG_RECORDS, Leg, MAX_PEERS, MAX_STREAMS, Pad, Peer, Stream, Token};

/// What the daemon takes for itself.
const DAEMON: usize = 64 << 20;

/// What a room of four may take.
const LIMIT: usize = 32 << 20;

/// Seconds that a stream goes on without its daemon, with a tenth to spare: three quarters of a ring are ahead.
const AHEAD_TENTHS: usize = 22;

/// A picture of a host and its sound, in packets per second.
const VIDEO: usize = 300;
const AUDIO: usize = 50;

/// A picture has as many tokens as the longest ring from the beginning on.
const VIDEO_TOKENS: usize = 8_192;

/// Depths are powers of two from here.
const LEAST_DEPTH: usize = 256;

const PAGE: usize = 4_096;

pub(super) fn checks() -> Vec<Check> {
    let room = room(4);
    let says = format!(
        "{} for a room of four at {VIDEO} packets/s of video and {AUDIO} of audio each, {} is the limit",
        mebibytes(room),
        mebibytes(LIMIT)
    );
    let check = if room <= LIMIT { Check::ok } else { Check::fail };
    vec![
        check("room memory", says),
        Check::ok(
            "fixed memory",
            format!("{} for streams, legs and peers of all rooms", mebibytes(fixed())),
        ),
        limited(memory_limit()),
    ]
}

/// Maps count towards the control group of who makes them, and not towards RLIMIT_MEMLOCK, since Linux 5.11.
fn limited(limit: Option<u64>) -> Check {
    const ABOUT: &str = "memory limit";
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
        return Check::ok(ABOUT, "none by the control group; RLIMIT_MEMLOCK does not matter");
    };
    let needed = DAEMON + fixed() + room(4);
    let says = format!("{} by the control group", mebibytes(limit));
    if limit >= needed {
        return Check::ok(ABOUT, says);
    }
    Check::warn(
        ABOUT,
        format!(
            "{says}, and an edge with one room takes about {}",
            mebibytes(needed)
        ),
    )
    .by(format!(
        "MemoryMax={}M in the unit, or more",
        needed.div_ceil(1 << 20)
    ))
}

/// Each host publishes one picture and one sound over one connection, and every other one gets them over another.
fn room(hosts: usize) -> usize {
    let legs = hosts - 1;
    let stream = |tokens, pads| array::<Token>(tokens) + legs * array::<Pad>(pads);
    let tables = (1 + legs) * array::<Table>(1);
    let audio = depth(AUDIO);
    hosts * (stream(VIDEO_TOKENS, depth(VIDEO)) + stream(audio, audio) + tables)
}

fn fixed() -> usize {
    array::<Stream>(MAX_STREAMS as usize)
        + array::<Leg>(LEG_RECORDS as usize)
        + array::<Peer>(MAX_PEERS as usize)
}

fn depth(rate: usize) -> usize {
    let ahead = (rate * AHEAD_TENTHS).div_ceil(10);
    (ahead * 4).div_ceil(3).next_power_of_two().max(LEAST_DEPTH)
}

/// An array that can be mapped is whole pages, and has one more for itself.
fn array<Record>(len: usize) -> usize {
    (size_of::<Record>() * len).next_multiple_of(PAGE) + PAGE
}

fn mebibytes(bytes: usize) -> String {
    // A figure for people; tenths are enough.
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::{LIMIT, depth, limited, mebibytes, room};

    #[test]
    fn three_quarters_of_a_ring_carry_two_seconds() {
        for rate in [1, 50, 87, 88, 300, 349, 350, 2_000] {
            assert!(depth(rate) * 3 / 4 >= rate * 2, "{rate}");
            assert!(depth(rate).is_power_of_two());
        }
        assert_eq!([50, 300].map(depth), [256, 1_024]);
    }

    #[test]
    fn a_room_of_four_stays_within_its_limit() {
        assert!(room(4) <= LIMIT, "{}", mebibytes(room(4)));
    }

    #[test]
    fn figures_are_cut_after_tenths() {
        assert_eq!(mebibytes(32 << 20), "32.0 MiB");
        assert_eq!(mebibytes((1 << 20) + (1 << 19)), "1.5 MiB");
    }

    #[test]
    fn a_limit_that_one_room_exceeds_is_told() {
        assert_eq!(
            [None, Some(1 << 30), Some(64 << 20)].map(|limit| limited(limit).verdict),
            [Verdict::Ok, Verdict::Ok, Verdict::Warn]
        );
    }
}

//! Records, keys and legs, without a kernel.

use super::{GRACE, NO_PADS, NotAnnounced, StreamSlot, stream_key};
use crate::Maps;
use lianmai_fanout::records::{Fan, LEG_BLOCK, Leg, MAX_FRAME_HEADER, MAX_LEGS, Stream, StreamKey};
use lianmai_fanout::{ExtensionMap, PayloadType, Ssrc};
use std::mem::offset_of;
use std::sync::atomic::Ordering::Relaxed;

fn leg(pads: u32, table: u32) -> Leg {
    Leg {
        pads,
        pad_mask: 1_023,
        table,
        peer: 3,
        payload_type: PayloadType(96),
        ip_version: 4,
        frame_header_len: 42,
        sums: [1, 2],
        extensions: ExtensionMap::default(),
        reserved: [0; 7],
        frame_header: [0x5a; MAX_FRAME_HEADER],
    }
}

fn key(port: u16) -> StreamKey {
    stream_key(([192, 0, 2, 1], port).into(), Ssrc(0xdead_beef))
}

fn pads_of_leg(stream: &StreamSlot, record: u32) -> u32 {
    let at = record as usize * size_of::<Leg>() + offset_of!(Leg, pads);
    stream.shared.legs.half(at).load(Relaxed)
}

fn expires(stream: &StreamSlot) -> u64 {
    stream.word(offset_of!(Stream, expires)).load(Relaxed)
}

#[test]
fn a_key_is_what_the_program_reads_from_the_packet() {
    let key = key(5_000);
    assert_eq!(
        key.address,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]
    );
    assert_eq!((key.port, key.ssrc), ([0x13, 0x88], [0xde, 0xad, 0xbe, 0xef]));
    let mapped = stream_key(
        "[::ffff:192.0.2.1]:5000".parse().expect("an address"),
        Ssrc(0xdead_beef),
    );
    assert_eq!(mapped, key);
}

#[test]
fn only_a_described_stream_is_announced_and_no_two_with_one_key() {
    let mut maps = Maps::in_memory().expect("memory");
    let (tokens, table) = (
        maps.tokens(256).expect("room"),
        maps.table([1; 16]).expect("room"),
    );
    let (mut first, mut second) = (maps.stream().expect("room"), maps.stream().expect("room"));
    assert!(matches!(first.announce(key(1)), Err(NotAnnounced::Undescribed)));
    first.describe(&tokens, &table);
    second.describe(&tokens, &table);
    assert!(first.announce(key(1)).is_ok() && first.announce(key(1)).is_ok());
    assert!(matches!(second.announce(key(1)), Err(NotAnnounced::Taken(taken)) if taken == key(1)));
    assert!(second.announce(key(2)).is_ok());
}

#[test]
fn a_withdrawn_or_dropped_stream_leaves_its_key_to_others() {
    let mut maps = Maps::in_memory().expect("memory");
    let (tokens, table) = (
        maps.tokens(256).expect("room"),
        maps.table([1; 16]).expect("room"),
    );
    let (mut first, mut second) = (maps.stream().expect("room"), maps.stream().expect("room"));
    first.describe(&tokens, &table);
    second.describe(&tokens, &table);
    first.announce(key(1)).expect("free");
    first.renew(77);
    assert_eq!(expires(&first), 77);
    first.withdraw();
    assert_eq!(expires(&first), 0);
    second.announce(key(1)).expect("free again");
    second.announce(key(2)).expect("moves on");
    first.announce(key(1)).expect("left by the second");
    drop((first, second));
    let mut third = maps.stream().expect("room");
    third.describe(&tokens, &table);
    third.announce(key(1)).expect("free again");
}

#[test]
fn a_record_says_where_tokens_and_table_are() {
    let mut maps = Maps::in_memory().expect("memory");
    let _other = (maps.tokens(4), maps.table([1; 16]), maps.table([1; 16]));
    let (tokens, table) = (
        maps.tokens(256).expect("room"),
        maps.table([1; 16]).expect("room"),
    );
    let mut stream = maps.stream().expect("room");
    stream.describe(&tokens, &table);
    let half = |offset: usize| stream.half(offset).load(Relaxed);
    assert_eq!(half(offset_of!(Stream, tokens)), 1);
    assert_eq!(half(offset_of!(Stream, token_mask)), 255);
    assert_eq!(half(offset_of!(Stream, table)), 2);
    stream.set_ready_until(99);
    assert_eq!(stream.word(offset_of!(Stream, ready_until)).load(Relaxed), 99);
}

#[test]
fn legs_change_blocks_and_the_old_one_stays_as_it_was() {
    let mut maps = Maps::in_memory().expect("memory");
    let _number_0 = maps.stream().expect("room");
    let (pads, table) = (maps.pads(4).expect("room"), maps.table([1; 16]).expect("room"));
    let mut stream = maps.stream().expect("room");
    let leg = leg(pads.id(), table.id());
    let first = stream.set_legs(&[leg; 2]);
    assert_eq!(
        first,
        Fan {
            first: 3 * LEG_BLOCK,
            legs: 2
        }
    );
    assert_eq!(
        stream.word(offset_of!(Stream, fan)).load(Relaxed),
        first.to_word()
    );
    let second = stream.set_legs(&[leg, Leg { pads: 9, ..leg }]);
    assert_eq!(
        second,
        Fan {
            first: 2 * LEG_BLOCK,
            legs: 2
        }
    );
    assert_eq!(
        [first.first, first.first + 1].map(|record| pads_of_leg(&stream, record)),
        [pads.id(); 2]
    );
    assert_eq!(pads_of_leg(&stream, second.first), pads.id());
    assert_eq!(
        stream.set_legs(&[]),
        Fan {
            first: 3 * LEG_BLOCK,
            legs: 0
        }
    );
}

#[test]
fn a_leg_whose_ring_table_or_peer_is_not_there_is_left_to_the_daemon() {
    let mut maps = Maps::in_memory().expect("memory");
    let (pads, table) = (maps.pads(4).expect("room"), maps.table([1; 16]).expect("room"));
    let mut stream = maps.stream().expect("room");
    let fan = stream.set_legs(&[
        leg(pads.id(), table.id()),
        leg(pads.id() + 1, table.id()),
        leg(pads.id(), table.id() + 1),
        Leg {
            peer: crate::PeerSlot::local().id(),
            ..leg(pads.id(), table.id())
        },
    ]);
    let written: Vec<u32> = (fan.first..)
        .take(4)
        .map(|record| pads_of_leg(&stream, record))
        .collect();
    assert_eq!(written, [pads.id(), NO_PADS, NO_PADS, NO_PADS]);
}

#[test]
fn no_fan_has_more_legs_than_a_block() {
    let mut maps = Maps::in_memory().expect("memory");
    let mut stream = maps.stream().expect("room");
    assert_eq!(stream.set_legs(&[leg(0, 0); 40]).legs, MAX_LEGS);
}

#[test]
fn legs_that_may_be_in_use_are_not_written_over_for_a_grace() {
    let mut maps = Maps::in_memory().expect("memory");
    let mut stream = maps.stream().expect("room");
    assert!(stream.legs_are_settled());
    stream.set_legs(&[]);
    let set = stream.legs_set.expect("just now");
    stream.set_legs(&[]);
    assert!(stream.legs_set.expect("just now") - set >= GRACE);
}

#[test]
fn a_stream_starts_without_the_traces_of_another() {
    let mut maps = Maps::in_memory().expect("memory");
    let stream = maps.stream().expect("room");
    for offset in [
        offset_of!(Stream, packets),
        offset_of!(Stream, bytes),
        offset_of!(Stream, expires),
    ] {
        stream.word(offset).store(5, Relaxed);
    }
    assert_eq!((stream.packets(), stream.bytes()), (5, 5));
    let number = stream.number();
    drop(stream);
    let again = std::iter::from_fn(|| maps.stream().ok())
        .find(|stream| stream.number() == number)
        .expect("it came back");
    assert_eq!(
        (again.packets(), again.bytes(), expires(&again), again.fan().legs),
        (0, 0, 0, 0)
    );
}

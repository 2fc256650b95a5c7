use super::{BadLedger, Kind, Ledger, Owner, Window};
use std::os::fd::{AsFd, OwnedFd};

const OWNER: Owner = Owner {
    endpoint: 7,
    keys: [1, 2],
};

/// As when the process is killed: nothing is dropped.
fn kill(ledger: Ledger, records: Vec<super::Record>) {
    std::mem::forget((ledger, records));
}

fn copy(file: &OwnedFd) -> OwnedFd {
    file.as_fd().try_clone_to_owned().expect("a descriptor")
}

#[test]
fn what_was_used_is_known_to_the_next_process() {
    let (ledger, file) = Ledger::create().expect("memory");
    let link = ledger.record(Kind::Link, OWNER, 0).expect("room");
    let stream = ledger.record(Kind::Outbound, OWNER, 0xcafe).expect("room");
    stream.set_highest(Window::Rtp, 0);
    stream.set_bits(Window::Rtp, 0, 1);
    stream.set_highest(Window::Rtcp, 99);
    stream.set_notes([5, 6, 7]);
    kill(ledger, vec![link, stream]);
    let ledger = Ledger::adopt(&copy(&file)).expect("ours");
    let left = ledger.take(OWNER).expect("it was there");
    let [(Kind::Outbound, 0xcafe, stream)] = &left.streams[..] else {
        panic!("{:?}", left.streams);
    };
    assert_eq!(
        (stream.highest(Window::Rtp), stream.bits(Window::Rtp, 0)),
        (Some(0), 1)
    );
    assert_eq!(
        (stream.highest(Window::Rtcp), stream.notes()),
        (Some(99), [5, 6, 7])
    );
    assert!(ledger.take(OWNER).is_none(), "it has an owner");
}

#[test]
fn other_keys_of_the_same_endpoint_find_nothing() {
    let (ledger, file) = Ledger::create().expect("memory");
    let link = ledger.record(Kind::Link, OWNER, 0).expect("room");
    kill(ledger, vec![link]);
    let ledger = Ledger::adopt(&file).expect("ours");
    assert!(
        ledger
            .take(Owner {
                keys: [1, 3],
                ..OWNER
            })
            .is_none()
    );
}

#[test]
fn keys_whose_use_had_ended_or_not_begun_are_not_known() {
    let (ledger, file) = Ledger::create().expect("memory");
    drop(ledger.record(Kind::Link, OWNER, 0));
    let other = Owner { endpoint: 8, ..OWNER };
    let stream = ledger.record(Kind::Outbound, other, 1).expect("room");
    kill(ledger, vec![stream]);
    let ledger = Ledger::adopt(&file).expect("ours");
    assert!(ledger.take(OWNER).is_none());
    assert!(ledger.take(other).is_none(), "no link");
}

#[test]
fn records_that_nobody_takes_are_free_again_and_empty() {
    let (ledger, file) = Ledger::create().expect("memory");
    let records: Vec<_> = (0..5)
        .map(|ssrc| {
            let record = ledger.record(Kind::Inbound, OWNER, ssrc).expect("room");
            record.set_highest(Window::Rtp, 9);
            record
        })
        .collect();
    kill(ledger, records);
    let ledger = Ledger::adopt(&file).expect("ours");
    assert_eq!(ledger.used(), 5);
    ledger.forget_the_rest();
    assert_eq!(ledger.used(), 0);
    let record = ledger.record(Kind::Outbound, OWNER, 3).expect("room");
    assert_eq!((record.highest(Window::Rtp), record.notes()), (None, [0; 3]));
}

#[test]
fn there_are_so_many_and_no_more() {
    let ledger = Ledger::in_memory(2).expect("memory");
    let first = ledger.record(Kind::Link, OWNER, 0);
    let second = ledger.record(Kind::Link, OWNER, 0);
    assert!(first.is_some() && second.is_some() && ledger.record(Kind::Link, OWNER, 0).is_none());
    drop(first);
    assert!(ledger.record(Kind::Link, OWNER, 0).is_some());
}

#[test]
fn a_file_that_can_shrink_or_is_another_is_refused() {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let file = memfd_create(c"other", MFdFlags::MFD_CLOEXEC).expect("memory");
    assert!(matches!(Ledger::adopt(&file), Err(BadLedger::NotSealed)));
    let (ledger, file) = Ledger::create().expect("memory");
    ledger
        .inner
        .memory
        .word(0)
        .store(1, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(Ledger::adopt(&file), Err(BadLedger::Version)));
}

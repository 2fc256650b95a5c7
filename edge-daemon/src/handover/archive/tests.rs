use super::{Archive, ArchiveError, DESCRIPTION, FIRST_SLOT, LAYOUT, MAX_STATE, SIZE, description, slot};
use nix::sys::memfd::{MFdFlags, memfd_create};
use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert, prop_assert_eq};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

fn duplicate(archive: &Archive) -> OwnedFd {
    archive.as_fd().try_clone_to_owned().expect("a duplicate")
}

fn reopened(archive: &Archive) -> Option<Vec<u8>> {
    Archive::open(duplicate(archive)).expect("an archive").1
}

fn with(states: &[&[u8]]) -> Archive {
    let mut archive = Archive::create().expect("memory");
    for state in states {
        archive.write(state).expect("room");
    }
    archive
}

#[test]
fn the_last_state_is_found_again_and_the_next_process_goes_on_writing() {
    let archive = with(&[b"one", b"two"]);
    let (mut next, state) = Archive::open(duplicate(&archive)).expect("an archive");
    assert_eq!(state.as_deref(), Some(&b"two"[..]));
    next.write(b"three").expect("room");
    assert_eq!(reopened(&archive).as_deref(), Some(&b"three"[..]));
}

#[test]
fn one_without_a_state_has_none() {
    assert_eq!(reopened(&with(&[])), None);
}

#[test]
fn a_state_that_is_too_long_is_refused_and_the_last_one_stays() {
    let mut archive = with(&[b"one"]);
    let error = archive.write(&vec![0; MAX_STATE + 1]).expect_err("refused");
    assert!(matches!(error, ArchiveError::TooLong { bytes } if bytes == MAX_STATE + 1));
    assert_eq!(reopened(&archive).as_deref(), Some(&b"one"[..]));
    archive.write(&vec![7; MAX_STATE]).expect("the longest has room");
}

#[test]
fn a_file_of_another_size_is_foreign() {
    let other = memfd_create("other", MFdFlags::MFD_CLOEXEC).expect("memory");
    assert!(matches!(Archive::open(other), Err(ArchiveError::Foreign)));
}

#[test]
fn another_layout_is_named() {
    let archive = with(&[b"one"]);
    let file = File::from(duplicate(&archive));
    file.write_all_at(&(LAYOUT + 1).to_le_bytes(), 8)
        .expect("written");
    let error = Archive::open(file.into()).expect_err("refused");
    assert!(matches!(error, ArchiveError::Layout { found } if found == LAYOUT + 1));
}

#[test]
fn its_size_cannot_be_changed() {
    let file = File::from(duplicate(&with(&[])));
    assert!(file.set_len(0).is_err());
    assert!(file.set_len(SIZE + 1).is_err());
}

proptest! {
    /// The process is killed after any number of bytes of a save, in the order in which it writes them.
    #[test]
    fn a_save_that_breaks_off_leaves_the_older_or_the_newer_state(
        states in collection::vec(collection::vec(any::<u8>(), 0..200), 1..4),
        next in collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..220,
    ) {
        let states: Vec<&[u8]> = states.iter().map(Vec::as_slice).collect();
        let archive = with(&states);
        let file = File::from(duplicate(&archive));
        let (at, generation) = (slot(archive.generation + 1), archive.generation + 1);
        let written = cut.min(next.len() + DESCRIPTION);
        let body = written.min(next.len());
        file.write_all_at(&next[..body], at + DESCRIPTION as u64).expect("written");
        file.write_all_at(&description(generation, &next)[..written - body], at).expect("written");
        let found = reopened(&archive);
        if written == next.len() + DESCRIPTION {
            prop_assert_eq!(found.as_deref(), Some(next.as_slice()));
        } else {
            // Where the last bytes of the description happen to be those of before, it is whole a little sooner.
            prop_assert!(found.as_deref() == states.last().copied() || found.as_ref() == Some(&next));
        }
    }

    #[test]
    fn no_bytes_in_it_do_harm(noise in collection::vec(any::<u8>(), 0..100), place in 0_u64..2, shift in 0_u64..40) {
        let archive = with(&[b"one", b"two"]);
        let file = File::from(duplicate(&archive));
        file.write_all_at(&noise, slot(place) + shift).expect("written");
        let known = [None, Some(b"one".to_vec()), Some(b"two".to_vec())];
        prop_assert!(known.contains(&reopened(&archive)));
        file.write_all_at(&noise, FIRST_SLOT - 4096 + shift).expect("written");
        let _ = Archive::open(file.into());
    }
}

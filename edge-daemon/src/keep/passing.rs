//! How kept descriptors get to a new daemon, which expects them as 3, 4, 5 .. and `LISTEN_PID` to be its own (sd_listen_fds(3)).
//!
//! Giving a descriptor a number, and knowing one's number before one exists, is not safe in a parent. So the child does both
//! before it becomes the daemon: it starts with nothing open but the standard streams, and receives the descriptors from
//! its standard input. The kernel gives each the lowest free number.

use super::held::MOST;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

/// The argument that makes this program receive descriptors and then start anew without it.
pub(super) const RECEIVE: &str = "kept";

/// The number of the first descriptor.
const FIRST: RawFd = 3;

/// A standard input for a child that [`receive`]s these.
pub(super) fn input(descriptors: &[BorrowedFd<'_>]) -> io::Result<Stdio> {
    let (ours, input) = UnixStream::pair()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other(
            "there are more descriptors than one message takes",
        ));
    }
    sendmsg(&ours, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(Stdio::from(OwnedFd::from(input)))
}

/// Receives descriptors and becomes the program with them; returns only when that fails.
pub(super) fn receive(program: &OsString, flags: impl Iterator<Item = OsString>) -> ExitCode {
    let become_program = |_stay_open: Vec<OwnedFd>| {
        Command::new(program)
            .args(flags)
            .env("LISTEN_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .exec()
    };
    let error = received(io::stdin().as_fd()).map_or_else(|error| error, become_program);
    crate::failed(&format_args!("cannot pass on what was kept: {error}"))
}

fn received(input: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(
        input,
        &mut [IoSliceMut::new(&mut [0])],
        &mut control,
        RecvFlags::empty(),
    )?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = part {
            descriptors.extend(some);
        }
    }
    let numbers = descriptors.iter().map(AsRawFd::as_raw_fd);
    if numbers.eq((FIRST..).take(descriptors.len())) {
        return Ok(descriptors);
    }
    Err(io::Error::other("something else is open"))
}

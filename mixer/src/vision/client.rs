//! The program at the other end of the socket.

use super::wire::{MAX_LINE, Refused, ToProgram};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Read at a time.
const CHUNK: usize = 16 * 1024;

/// A connection that never blocks.
#[derive(Debug)]
pub(super) struct Client {
    socket: UnixStream,
    line: Vec<u8>,
    /// The rest of a line that was too long is not read.
    skipping: bool,
}

impl Client {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            line: Vec::new(),
            skipping: false,
        })
    }

    /// Says something, with a descriptor if one is given. A program that has read nothing for hundreds of lines is as good as
    /// gone: that its socket is full is an error.
    pub(super) fn say(
        &mut self,
        message: &ToProgram<'_>,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let Some(descriptor) = descriptor else {
            return self.socket.write_all(&line);
        };
        let rights = [descriptor.as_raw_fd()];
        let sent = sendmsg::<()>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&line)],
            &[ControlMessage::ScmRights(&rights)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )
        .map_err(io::Error::from)?;
        self.socket.write_all(&line[sent..])
    }

    /// Hands over the lines that have come; false when there will be no more.
    pub(super) fn read(&mut self, mut take: impl FnMut(Result<&[u8], Refused>)) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let len = match self.socket.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) => {
                let later = matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                );
                return if later { Ok(true) } else { Err(error) };
            }
        };
        for part in chunk[..len].split_inclusive(|byte| *byte == b'\n') {
            self.push(part, &mut take);
        }
        Ok(true)
    }

    fn push(&mut self, part: &[u8], take: &mut impl FnMut(Result<&[u8], Refused>)) {
        let (text, ends) = match part {
            [text @ .., b'\n'] => (text, true),
            text => (text, false),
        };
        if !self.skipping && self.line.len() + text.len() > MAX_LINE {
            self.skipping = true;
            self.line.clear();
            take(Err(Refused::TooLong));
        }
        if !self.skipping {
            self.line.extend_from_slice(text);
        }
        if ends {
            if !std::mem::take(&mut self.skipping) {
                take(Ok(&self.line));
            }
            self.line.clear();
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, MAX_LINE};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    /// The lengths of lines that come out; none for one that is refused.
    fn heard(pieces: &[&[u8]]) -> Vec<Option<usize>> {
        let (mut program, ours) = UnixStream::pair().expect("a pair");
        let mut client = Client::new(ours).expect("a client");
        let mut lines = Vec::new();
        for piece in pieces {
            for part in piece.chunks(1000) {
                program.write_all(part).expect("room");
                let alive = client.read(|line| lines.push(line.ok().map(<[u8]>::len)));
                assert!(alive.expect("read"));
            }
        }
        drop(program);
        assert!(!client.read(|_| panic!("nothing is left")).expect("read"));
        lines
    }

    #[test]
    fn lines_are_put_together_whatever_pieces_they_come_in() {
        assert_eq!(
            heard(&[b"on", b"e\ntwo2\n\nth", b"ree", b"\nrest"]),
            [Some(3), Some(4), Some(0), Some(5)]
        );
    }

    #[test]
    fn a_line_without_end_is_refused_once_and_the_next_one_is_heard() {
        let endless = vec![b'x'; 10 * MAX_LINE];
        assert_eq!(heard(&[&endless, b"\nnext\n"]), [None, Some(4)]);
        let longest = vec![b'x'; MAX_LINE];
        assert_eq!(heard(&[&longest, b"\n"]), [Some(MAX_LINE)]);
    }
}

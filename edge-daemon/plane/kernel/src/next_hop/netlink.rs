//! Questions to the kernel's tables over rtnetlink, and news of their changes.

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt,
    socket,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Answers are there when a question has been sent; this only keeps a bug from standing still.
const PATIENCE: TimeVal = TimeVal::new(1, 0);

/// The description of one interface takes a few kilobytes.
const LONGEST_ANSWER: usize = 65_536;

/// What routes and neighbours depend on.
const NEWS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_NEIGH
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE;

/// Asks, and waits for the answer.
#[derive(Debug)]
pub(super) struct Questions {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Questions {
    pub(super) fn open() -> io::Result<Self> {
        let socket = open(SockFlag::empty(), 0)?;
        setsockopt(&socket, ReceiveTimeout, &PATIENCE)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; LONGEST_ANSWER],
        })
    }

    /// One question, one answer; what the kernel refuses is an error with its number.
    pub(super) fn ask(&mut self, question: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(question);
        message.header.flags = NLM_F_REQUEST;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
        loop {
            let answer = self.receive()?;
            // What is left of a question that was given up.
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                NetlinkPayload::InnerMessage(answer) => Ok(answer),
                NetlinkPayload::Error(error) => Err(error.to_io()),
                other => Err(unexpected(&other)),
            };
        }
    }

    fn receive(&mut self) -> io::Result<NetlinkMessage<RouteNetlinkMessage>> {
        // With MSG_TRUNC the length is that of the whole message.
        let len = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC)?;
        let bytes = self.buffer.get(..len);
        let bytes = bytes.ok_or_else(|| io::Error::other(format!("an answer of {len} bytes")))?;
        NetlinkMessage::deserialize(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
    }
}

/// Hears of changes.
#[derive(Debug)]
pub(super) struct News {
    socket: OwnedFd,
}

impl News {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            socket: open(SockFlag::SOCK_NONBLOCK, NEWS.cast_unsigned())?,
        })
    }

    /// Whether anything has changed since it was asked last.
    pub(super) fn any(&mut self) -> io::Result<bool> {
        let mut any = false;
        // What it says does not matter, so it may be cut off.
        let mut message = [0; 16];
        loop {
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
                // There was more news than there is room for.
                Ok(_) | Err(Errno::ENOBUFS) => any = true,
                Err(Errno::EAGAIN) => return Ok(any),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(super) fn unexpected(answer: &impl std::fmt::Debug) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("an unexpected answer: {answer:?}"),
    )
}

fn open(flags: SockFlag, groups: u32) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags | SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

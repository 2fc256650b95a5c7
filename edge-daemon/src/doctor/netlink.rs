//! Questions to the kernel over netlink, one answer each (RFC 3549 §2.3).

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::io;
use std::os::fd::AsRawFd;

/// Lengths of the headers in front of attributes.
const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
pub(super) const LINK_HEADER: usize = 16;
pub(super) const GENERIC_HEADER: usize = 4;

/// NLMSG_ERROR and NLM_F_REQUEST of linux/netlink.h.
const ERROR: u16 = 2;
const REQUEST: u16 = 1;

/// Two flags share the type of an attribute: nested, and network byte order.
const TYPE: u16 = 0x3fff;

/// The generic family that knows the others, its question, and what it answers (linux/genetlink.h).
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// RTM_GETLINK of linux/rtnetlink.h.
const GET_LINK: u16 = 18;

/// An answer that still has its header.
pub(super) struct Answer {
    bytes: Vec<u8>,
    attributes: usize,
}

impl Answer {
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes(self.bytes.get(self.attributes..).unwrap_or_default())
    }
}

/// Attributes one after the other; one that is cut short ends them.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [u8]);

impl<'a> Attributes<'a> {
    pub(super) fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(found, value)| (found == kind).then_some(value))
    }

    pub(super) fn nested(self, kind: u16) -> Attributes<'a> {
        Attributes(self.find(kind).unwrap_or_default())
    }

    pub(super) fn text(self, kind: u16) -> Option<String> {
        let value = self.find(kind)?;
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned())
    }

    pub(super) fn word(self, kind: u16) -> Option<u32> {
        self.find(kind)?.try_into().ok().map(u32::from_ne_bytes)
    }

    pub(super) fn long(self, kind: u16) -> Option<u64> {
        self.find(kind)?.try_into().ok().map(u64::from_ne_bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, kind) = (half(self.0, 0)?, half(self.0, 2)?);
        let value = self.0.get(ATTRIBUTE_HEADER..usize::from(len))?;
        self.0 = self.0.get(padded(usize::from(len))..).unwrap_or_default();
        Some((kind & TYPE, value))
    }
}

/// One attribute of a question.
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // Questions have names and numbers in them, far from 64 KiB.
    let len = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or_default();
    let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(padded(bytes.len()), 0);
    bytes
}

/// What the kernel knows of the interface with this name.
pub(super) fn link_by_name(name: &str) -> io::Result<Answer> {
    const IFLA_IFNAME: u16 = 3;
    let mut body = vec![0; LINK_HEADER];
    body.extend(attribute(IFLA_IFNAME, &zero_ended(name)));
    ask(SockProtocol::NetlinkRoute, GET_LINK, &body, LINK_HEADER)
}

/// What it knows of the interface with this index.
pub(super) fn link_by_index(index: u32) -> io::Result<Answer> {
    let mut body = vec![0; LINK_HEADER];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    ask(SockProtocol::NetlinkRoute, GET_LINK, &body, LINK_HEADER)
}

/// The index in the header of an answer about a link.
pub(super) fn index_of(answer: &Answer) -> Option<u32> {
    whole(&answer.bytes, MESSAGE_HEADER + 4)
}

/// Its flags (linux/if.h).
pub(super) fn flags_of(answer: &Answer) -> Option<u32> {
    whole(&answer.bytes, MESSAGE_HEADER + 8)
}

/// Asks a generic family by its name; an error of kind `NotFound` also means that this kernel has no such family.
pub(super) fn ask_generic(family: &str, command: u8, attributes: &[u8]) -> io::Result<Answer> {
    let id = generic(CONTROL, GET_FAMILY, &attribute(FAMILY_NAME, &zero_ended(family)))?;
    let id = id.attributes().find(FAMILY_ID).and_then(|id| half(id, 0));
    generic(id.ok_or(io::ErrorKind::InvalidData)?, command, attributes)
}

pub(super) fn zero_ended(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn generic(family: u16, command: u8, attributes: &[u8]) -> io::Result<Answer> {
    let version = 1;
    let body = [&[command, version, 0, 0], attributes].concat();
    ask(SockProtocol::NetlinkGeneric, family, &body, GENERIC_HEADER)
}

fn ask(protocol: SockProtocol, kind: u16, body: &[u8], header: usize) -> io::Result<Answer> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?;
    let len = u32::try_from(MESSAGE_HEADER + body.len()).unwrap_or_default();
    let mut question = Vec::from(len.to_ne_bytes());
    question.extend(kind.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    // The kernel fills in the port; one question at a time needs no sequence number.
    question.extend([0; 8]);
    question.extend_from_slice(body);
    send(socket.as_raw_fd(), &question, MsgFlags::empty())?;
    let mut bytes = vec![0; 1 << 16];
    let len = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
    bytes.truncate(len);
    checked(bytes, header)
}

fn checked(bytes: Vec<u8>, header: usize) -> io::Result<Answer> {
    let kind = half(&bytes, 4).ok_or(io::ErrorKind::UnexpectedEof)?;
    if kind != ERROR {
        let attributes = MESSAGE_HEADER + header;
        return Ok(Answer { bytes, attributes });
    }
    let number = whole(&bytes, MESSAGE_HEADER).unwrap_or_default().cast_signed();
    Err(io::Error::from_raw_os_error(number.saturating_neg()))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn whole(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::{Attributes, attribute, checked, index_of, link_by_index, link_by_name};
    use std::io::ErrorKind;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let inner = [attribute(1, b"veth\0"), attribute(2, &7u32.to_ne_bytes())].concat();
        let bytes = [attribute(18 | 0x8000, &inner), attribute(3, &9u64.to_ne_bytes())].concat();
        let attributes = Attributes(&bytes);
        assert_eq!(attributes.nested(18).text(1).as_deref(), Some("veth"));
        assert_eq!(attributes.nested(18).word(2), Some(7));
        assert_eq!(attributes.long(3), Some(9));
        assert_eq!((attributes.word(3), attributes.find(4)), (None, None));
    }

    #[test]
    fn attributes_cut_at_any_length_end_early_and_without_harm() {
        let bytes = [attribute(1, b"eth0\0"), attribute(2, &[1; 40])].concat();
        for len in 0..bytes.len() {
            assert!(Attributes(&bytes[..len]).count() < 2, "{len}");
        }
        // A length that does not even cover its own header.
        assert_eq!(Attributes(&[0; 64]).count(), 0);
    }

    #[test]
    fn answers_cut_at_any_length_are_errors_or_empty() {
        for len in 0..36 {
            match checked(vec![0; len], 16) {
                Ok(answer) => assert_eq!(
                    (answer.attributes().count(), index_of(&answer).is_some()),
                    (0, len >= 24)
                ),
                Err(error) => assert_eq!((error.kind(), len < 6), (ErrorKind::UnexpectedEof, true)),
            }
        }
    }

    #[test]
    fn the_loopback_interface_has_the_same_index_by_its_name_and_its_name_by_its_index() {
        let index = index_of(&link_by_name("lo").expect("there is a loopback interface")).expect("an index");
        let link = link_by_index(index).expect("found again");
        assert_eq!(link.attributes().text(3).as_deref(), Some("lo"));
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        let error = link_by_name("nosuchlink0").err().expect("refused");
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
    }
}

//! The kernel's programs, played by hand over memory: what they look up, claim and write.

use crate::clock::Stamp;
use crate::flows::View;
use crate::srtp::SessionKey;
use lianmai_fanout::ghash::{Block, Ghash, Table};
use lianmai_fanout::records::{self, Sealed};
use lianmai_fanout::{AbsSendTime, LegHeader, RtpHeader, SequenceNumber, Stamps, rewrite};
use lianmai_kernel::{Claim, Fate, Slot};
use lianmai_webrtc::EndpointId;
use std::collections::BTreeMap;

const TAG: usize = records::TAG;

/// The tables of all keys, by hash subkey.
#[derive(Default)]
pub(crate) struct Tables {
    filled: BTreeMap<[u8; 16], Box<Table>>,
}

impl Tables {
    fn of(&mut self, session: &SessionKey) -> &Table {
        let subkey = session.hash_subkey();
        self.filled.entry(subkey).or_insert_with(|| {
            let mut table = Box::new(Table::EMPTY);
            table.fill(subkey);
            table
        })
    }
}

/// What ingress made of a packet.
pub(crate) enum Verdict {
    /// Left to the daemon's socket.
    Passed,
    Dropped,
    Taken(Taken),
}

/// A packet between ingress and egress.
#[derive(Clone)]
pub(crate) struct Taken {
    pub(crate) copy: records::Copy,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    view: View,
}

/// A leg's packet on the wire.
pub(crate) struct Sent {
    pub(crate) to: EndpointId,
    pub(crate) bytes: Vec<u8>,
}

/// Looks up the token, checks the tag, claims the token.
pub(crate) fn ingress(now: Stamp, view: View, packet: &[u8], tables: &mut Tables) -> Verdict {
    let header = RtpHeader::parse(packet).expect("RTP");
    let payload_len = packet.len() - header.len - TAG;
    let newest = SequenceNumber(view.highest as u16);
    let index = view
        .highest
        .saturating_add_signed(i64::from(header.sequence.since(newest)));
    match view.tokens.tokens().slot(index) {
        _ if index >= view.ready_until => return Verdict::Passed,
        _ if header.len > records::MAX_HEADER || !(1..=records::MAX_PAYLOAD).contains(&payload_len) => {
            return Verdict::Passed;
        }
        Slot::NoSlot => return Verdict::Passed,
        Slot::Claimed => return Verdict::Dropped,
        Slot::Free => {}
    }
    let (clear, sealed) = packet.split_at(header.len);
    let (payload, tag) = sealed.split_at(payload_len);
    let mask = view.session.tag_mask(header.ssrc, index);
    if tag_of(tables.of(&view.session), mask, clear, payload) != tag {
        return Verdict::Dropped;
    }
    if view.tokens.tokens().claim(index) != Claim::Granted {
        return Verdict::Dropped;
    }
    let copy = records::Copy {
        arrival: now.nanos,
        index,
        fan: view.fan,
        stream: view.number,
        header_len: header.len as u16,
        payload_len: payload_len as u16,
    };
    Verdict::Taken(Taken {
        copy,
        header: clear.to_vec(),
        payload: payload.to_vec(),
        view,
    })
}

impl Taken {
    pub(crate) fn legs(&self) -> usize {
        self.view.legs.len()
    }

    /// The first half of egress: the program is interrupted behind it.
    pub(crate) fn claim_pad(&self, place: usize) -> bool {
        let pads = self.view.legs[place].leg.ring.pads();
        pads.claim(self.copy.index) == Claim::Granted
    }

    /// Claims the pad of one leg and crosses the packet with it; `None` if the pad is not there.
    pub(crate) fn egress(&self, now: Stamp, place: usize, tables: &mut Tables) -> Option<Sent> {
        let leg = &self.view.legs[place];
        let pads = leg.leg.ring.pads();
        if pads.fate(self.copy.index) != Fate::Free {
            return None;
        }
        let (mask, stream) = pads.read_like_the_kernel(self.copy.index);
        let mut header = self.header.clone();
        let carries = carries_transport_sequence(&header, leg.record.extensions);
        let what = Sealed {
            transport_sequence: if carries {
                leg.peer.next_transport_sequence()
            } else {
                0
            },
            len: (self.header.len() + self.payload.len() + TAG) as u16,
        };
        if pads.seal_like_the_kernel(self.copy.index, now.nanos, what) != Claim::Granted {
            return None;
        }
        assert!(stream.len() >= self.payload.len());
        let stamps = Stamps {
            transport_sequence: what.transport_sequence,
            send_time: AbsSendTime::from_nanos(now.nanos),
        };
        let rewriting = LegHeader {
            payload_type: leg.record.payload_type,
            extensions: leg.record.extensions,
        };
        rewrite(&mut header, &rewriting, &stamps).expect("RTP");
        let payload: Vec<u8> = self
            .payload
            .iter()
            .zip(&stream)
            .map(|(byte, pad)| byte ^ pad)
            .collect();
        let tag = tag_of(tables.of(&leg.leg.session), mask, &header, &payload);
        Some(Sent {
            to: leg.leg.id,
            bytes: [header, payload, tag].concat(),
        })
    }
}

fn carries_transport_sequence(header: &[u8], extensions: lianmai_fanout::ExtensionMap) -> bool {
    let leg = LegHeader {
        payload_type: lianmai_fanout::PayloadType(0),
        extensions,
    };
    let stamps = Stamps {
        transport_sequence: 0,
        send_time: AbsSendTime::from_nanos(0),
    };
    rewrite(&mut header.to_vec(), &leg, &stamps)
        .expect("RTP")
        .transport_sequence
}

/// The masked hash of NIST SP 800-38D §7.1.
fn tag_of(table: &Table, mask: [u8; 16], header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut hash = Ghash::new(table);
    for block in [header, payload].into_iter().flat_map(blocks) {
        hash.absorb(block);
    }
    let hash = hash.finish(header.len(), payload.len());
    let hash = hash.into_iter().flat_map(u64::to_ne_bytes);
    hash.zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(16), 0);
    let words = padded.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    words.collect::<Vec<_>>().as_chunks().0.to_vec()
}

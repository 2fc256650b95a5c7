//! What stands between the network and the handshake of the `dtls` crate, as a machine without I/O.
//!
//! The crate buffers fragments without a bound and follows them recursively, reads a fragment's extent from the wrong
//! length when messages share a record, and stops listening for retransmissions once its own part is done. So
//! handshake messages are reassembled here, within bounds, and handed over whole; what follows the handshake is kept
//! from it but for alerts.

use super::record::{Content, Fragment, Record, plain_record, whole_message};
use std::collections::BTreeMap;

/// The longest handshake message: a chain of certificates. Ours to bound; the crate reads datagrams of 8 kB.
const MAX_MESSAGE: usize = 7 * 1024;
/// The messages of two flights and their retransmissions every 50 ms at worst, for ten seconds.
const MAX_RECORDS: u32 = 400;
/// Messages under reassembly: a flight of a client has five.
const MAX_PARTIAL: usize = 12;
/// `ClientHello` (RFC 5246 §7.4).
const CLIENT_HELLO: u8 = 1;

/// What a datagram amounts to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Datagrams of one record each, for the crate.
    pub(super) records: Vec<Vec<u8>>,
    /// The body of a ClientHello that became whole.
    pub(super) client_hello: Option<Vec<u8>>,
    /// The peer repeats its last flight: it has not seen ours.
    pub(super) repeats: bool,
    /// How many records, or remains of a datagram, were refused.
    pub(super) refused: u32,
}

/// The inflow of one association.
#[derive(Debug, Default)]
pub(super) struct Inflow {
    partial: BTreeMap<u16, Partial>,
    /// Records of epoch 0 are renumbered: one of theirs may become many or none.
    next_record: u64,
    records: u32,
    established: bool,
}

/// A handshake message under reassembly.
#[derive(Debug)]
struct Partial {
    kind: u8,
    body: Vec<u8>,
    received: Vec<bool>,
}

impl Inflow {
    /// From now on only alerts are wanted.
    pub(super) fn set_established(&mut self) {
        self.established = true;
        self.partial.clear();
    }

    /// Takes a datagram apart.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Admitted {
        let mut admitted = Admitted::default();
        let mut rest = datagram;
        while !rest.is_empty() {
            let Some((record, following)) = Record::split(rest) else {
                admitted.refused += 1;
                break;
            };
            self.push_record(record, &mut admitted);
            rest = following;
        }
        admitted
    }

    fn push_record(&mut self, record: Record<'_>, admitted: &mut Admitted) {
        if self.established {
            return Self::push_late(record, admitted);
        }
        self.records += 1;
        if self.records > MAX_RECORDS {
            self.records = MAX_RECORDS;
            admitted.refused += 1;
            return;
        }
        match (record.epoch, record.content) {
            (0, Content::Handshake) => self.push_handshake(record.payload(), admitted),
            (0, Content::Alert) => admitted.records.push(self.renumbered(21, record.payload())),
            (0, Content::ChangeCipherSpec) => admitted.records.push(self.renumbered(20, record.payload())),
            (0, Content::ApplicationData) => admitted.refused += 1,
            (_, _) => admitted.records.push(record.bytes.to_vec()),
        }
    }

    /// After the handshake: alerts under its protection, and signs that our last flight was lost (RFC 6347 §4.2.4).
    fn push_late(record: Record<'_>, admitted: &mut Admitted) {
        match (record.epoch, record.content) {
            (1.., Content::Alert) => admitted.records.push(record.bytes.to_vec()),
            (_, Content::Handshake) => admitted.repeats = true,
            (_, Content::ChangeCipherSpec) => {}
            (_, Content::Alert | Content::ApplicationData) => admitted.refused += 1,
        }
    }

    fn push_handshake(&mut self, payload: &[u8], admitted: &mut Admitted) {
        let mut rest = payload;
        while !rest.is_empty() {
            let Some((fragment, following)) = Fragment::split(rest) else {
                admitted.refused += 1;
                return;
            };
            match self.reassemble(&fragment) {
                Ok(Some(message)) => self.deliver(fragment.sequence, message, admitted),
                Ok(None) => {}
                Err(Refused) => admitted.refused += 1,
            }
            rest = following;
        }
    }

    fn reassemble(&mut self, fragment: &Fragment<'_>) -> Result<Option<Partial>, Refused> {
        let is_new = !self.partial.contains_key(&fragment.sequence);
        if fragment.message_len > MAX_MESSAGE || (is_new && self.partial.len() >= MAX_PARTIAL) {
            return Err(Refused);
        }
        let partial = self
            .partial
            .entry(fragment.sequence)
            .or_insert_with(|| Partial::new(fragment));
        partial.take(fragment)?;
        if !partial.is_whole() {
            return Ok(None);
        }
        Ok(self.partial.remove(&fragment.sequence))
    }

    fn deliver(&mut self, sequence: u16, message: Partial, admitted: &mut Admitted) {
        let number = self.next_number();
        admitted
            .records
            .push(whole_message(message.kind, sequence, &message.body, number));
        if message.kind == CLIENT_HELLO {
            admitted.client_hello = Some(message.body);
        }
    }

    fn renumbered(&mut self, content: u8, payload: &[u8]) -> Vec<u8> {
        let number = self.next_number();
        plain_record(content, payload, number)
    }

    fn next_number(&mut self) -> u64 {
        let number = self.next_record;
        self.next_record += 1;
        number
    }
}

/// A fragment that does not fit its message, or one message too many.
struct Refused;

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        let len = fragment.message_len;
        Self {
            kind: fragment.kind,
            body: vec![0; len],
            received: vec![false; len],
        }
    }

    fn take(&mut self, fragment: &Fragment<'_>) -> Result<(), Refused> {
        if (self.kind, self.body.len()) != (fragment.kind, fragment.message_len) {
            return Err(Refused);
        }
        let range = fragment.offset..fragment.offset + fragment.body.len();
        let (Some(body), Some(received)) = (self.body.get_mut(range.clone()), self.received.get_mut(range))
        else {
            return Err(Refused);
        };
        body.copy_from_slice(fragment.body);
        received.fill(true);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.received.iter().all(|received| *received)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{plain_record, whole_message};
    use super::{Inflow, MAX_MESSAGE, MAX_RECORDS};

    /// A record with fragments `(message length, sequence, offset, body)` of messages of type 11.
    fn fragments(parts: &[(usize, u16, usize, &[u8])]) -> Vec<u8> {
        let mut payload = Vec::new();
        for (len, sequence, offset, body) in parts {
            let u24 = |value: usize| u32::try_from(value).expect("small").to_be_bytes()[1..].to_vec();
            payload.push(11);
            payload.extend(u24(*len));
            payload.extend(sequence.to_be_bytes());
            payload.extend(u24(*offset));
            payload.extend(u24(body.len()));
            payload.extend(*body);
        }
        plain_record(22, &payload, 77)
    }

    #[test]
    fn fragments_in_any_order_become_one_message() {
        let mut inflow = Inflow::default();
        assert!(inflow.push(&fragments(&[(6, 3, 4, b"ef")])).records.is_empty());
        assert!(inflow.push(&fragments(&[(6, 3, 0, b"ab")])).records.is_empty());
        let whole = inflow.push(&fragments(&[(6, 3, 1, b"bcd")]));
        assert_eq!(whole.records, [whole_message(11, 3, b"abcdef", 0)]);
    }

    #[test]
    fn a_fragment_and_a_message_that_share_a_record_are_told_apart() {
        let mut inflow = Inflow::default();
        inflow.push(&fragments(&[(4, 1, 0, b"ab")]));
        let rest = inflow.push(&fragments(&[(4, 1, 2, b"cd"), (2, 2, 0, b"xy")]));
        assert_eq!(
            rest.records,
            [whole_message(11, 1, b"abcd", 0), whole_message(11, 2, b"xy", 1)]
        );
    }

    #[test]
    fn a_repeated_message_is_delivered_again() {
        let mut inflow = Inflow::default();
        for number in 0..3 {
            assert_eq!(
                inflow.push(&fragments(&[(2, 0, 0, b"ab")])).records,
                [whole_message(11, 0, b"ab", number)]
            );
        }
    }

    #[test]
    fn a_fragment_outside_its_message_is_refused() {
        for part in [
            (2, 0, 1, &b"ab"[..]),
            (0, 0, 0, b"a"),
            (MAX_MESSAGE + 1, 0, 0, b"a"),
            (usize::from(u16::MAX) << 8, 0, 0, b""),
        ] {
            let admitted = Inflow::default().push(&fragments(&[part]));
            assert_eq!((admitted.records.len(), admitted.refused), (0, 1), "{part:?}");
        }
    }

    #[test]
    fn a_message_that_changes_its_length_or_type_is_refused() {
        let mut inflow = Inflow::default();
        inflow.push(&fragments(&[(4, 0, 0, b"ab")]));
        assert_eq!(inflow.push(&fragments(&[(3, 0, 2, b"c")])).refused, 1);
    }

    #[test]
    fn a_chain_of_one_byte_fragments_costs_no_more_than_its_message() {
        let mut inflow = Inflow::default();
        let parts: Vec<(usize, u16, usize, &[u8])> =
            (0..90).map(|offset| (90, 0, offset, &b"a"[..])).collect();
        assert_eq!(inflow.push(&fragments(&parts)).records.len(), 1);
    }

    #[test]
    fn a_flood_of_messages_under_reassembly_is_refused() {
        let mut inflow = Inflow::default();
        let refused: u32 = (0..100)
            .map(|sequence| inflow.push(&fragments(&[(9, sequence, 0, b"a")])).refused)
            .sum();
        assert_eq!(refused, 88);
    }

    #[test]
    fn a_flood_of_records_is_refused() {
        let mut inflow = Inflow::default();
        let refused: u32 = (0..2 * MAX_RECORDS)
            .map(|_| inflow.push(&fragments(&[(2, 0, 0, b"ab")])).refused)
            .sum();
        assert_eq!(refused, MAX_RECORDS);
    }

    #[test]
    fn after_the_handshake_only_protected_alerts_pass() {
        let mut inflow = Inflow::default();
        inflow.set_established();
        let protected = |content: u8| {
            let mut record = plain_record(content, b"ciphertext", 5);
            record[4] = 1;
            record
        };
        assert_eq!(inflow.push(&protected(21)).records, [protected(21)]);
        assert_eq!(
            inflow.push(&plain_record(21, &[2, 40], 6)).records,
            [[0u8; 0]; 0],
            "anyone could send a plain alert"
        );
        assert_eq!(inflow.push(&protected(23)).records, [[0u8; 0]; 0]);
        assert!(inflow.push(&protected(22)).repeats);
        assert!(inflow.push(&fragments(&[(2, 4, 0, b"ab")])).repeats);
    }

    #[test]
    fn every_truncation_is_survived() {
        let datagram = [fragments(&[(6, 3, 0, b"abcdef")]), plain_record(20, &[1], 9)].concat();
        for len in 0..datagram.len() {
            Inflow::default().push(&datagram[..len]);
        }
        assert_eq!(Inflow::default().push(&datagram).records.len(), 2);
    }
}

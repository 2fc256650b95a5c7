//! DTLS 1.2 records and handshake fragments (RFC 6347 §4.1, §4.2.2), as far as [`super::inflow`] has to look.

/// Length of a record header.
pub(super) const RECORD_HEADER: usize = 13;
/// Length of a handshake message header.
pub(super) const HANDSHAKE_HEADER: usize = 12;

/// `ContentType` of RFC 5246 §6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

/// One record of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) content: Content,
    pub(super) epoch: u16,
    /// Header included.
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record, and what follows it.
    pub(super) fn split(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header = datagram.first_chunk::<RECORD_HEADER>()?;
        let content = match header[0] {
            20 => Content::ChangeCipherSpec,
            21 => Content::Alert,
            22 => Content::Handshake,
            23 => Content::ApplicationData,
            _ => return None,
        };
        // RFC 6347 §4.1: {254, 253} is DTLS 1.2; a ClientHello may still say {254, 255}.
        if header[1] != 254 || !matches!(header[2], 253 | 255) {
            return None;
        }
        let epoch = u16::from_be_bytes([header[3], header[4]]);
        let len = RECORD_HEADER + usize::from(u16::from_be_bytes([header[11], header[12]]));
        let (bytes, rest) = datagram.split_at_checked(len)?;
        Some((
            Self {
                content,
                epoch,
                bytes,
            },
            rest,
        ))
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        self.bytes.get(RECORD_HEADER..).unwrap_or_default()
    }
}

/// One fragment of a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) kind: u8,
    pub(super) message_len: usize,
    pub(super) sequence: u16,
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The first fragment of a record's payload, and what follows it. `None` when it lies outside its message.
    pub(super) fn split(payload: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header = payload.first_chunk::<HANDSHAKE_HEADER>()?;
        let [kind, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = *header;
        let (message_len, offset) = (u24(l0, l1, l2), u24(o0, o1, o2));
        let (body, rest) = payload
            .get(HANDSHAKE_HEADER..)?
            .split_at_checked(u24(f0, f1, f2))?;
        let fits = offset + body.len() <= message_len;
        fits.then_some((
            Self {
                kind,
                message_len,
                sequence: u16::from_be_bytes([s0, s1]),
                offset,
                body,
            },
            rest,
        ))
    }
}

/// Writes a whole handshake message as one record of epoch 0.
pub(super) fn whole_message(kind: u8, sequence: u16, body: &[u8], record_number: u64) -> Vec<u8> {
    let [_, l0, l1, l2] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut payload = vec![kind, l0, l1, l2];
    payload.extend(sequence.to_be_bytes());
    payload.extend([0, 0, 0, l0, l1, l2]);
    payload.extend(body);
    plain_record(22, &payload, record_number)
}

/// Writes a record of epoch 0.
pub(super) fn plain_record(content: u8, payload: &[u8], record_number: u64) -> Vec<u8> {
    let [_, _, number @ ..] = record_number.to_be_bytes();
    let mut record = vec![content, 254, 253, 0, 0];
    record.extend(number);
    record.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    record.extend(payload);
    record
}

fn u24(high: u8, middle: u8, low: u8) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

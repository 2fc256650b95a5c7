//! Windows over records of the ledger, which outlives this process.

use crate::replay::{ReplayWindow, Seen};
use lianmai_fanout::Ssrc;
use lianmai_kernel::{Kind, Ledger, Owner, RTCP_WORDS, RTP_WORDS, Record, Window};
use lianmai_webrtc::{EndpointId, MasterKey, SrtpKeys};
use sha2::{Digest, Sha256};
use std::rc::Rc;

/// What was seen of one SSRC, as the ledger has it.
#[derive(Debug)]
pub(crate) struct Kept<const WINDOW: usize> {
    record: Rc<Record>,
}

const RTP: usize = 0;
const RTCP: usize = 1;

pub(super) type RtpWindow = ReplayWindow<Kept<RTP>>;
pub(super) type RtcpWindow = ReplayWindow<Kept<RTCP>>;

impl<const WINDOW: usize> Kept<WINDOW> {
    const WHICH: Window = if WINDOW == RTP { Window::Rtp } else { Window::Rtcp };
}

impl<const WINDOW: usize> Seen for Kept<WINDOW> {
    const WORDS: usize = if WINDOW == RTP { RTP_WORDS } else { RTCP_WORDS };

    fn highest(&self) -> Option<u64> {
        self.record.highest(Self::WHICH)
    }

    fn set_highest(&mut self, index: u64) {
        self.record.set_highest(Self::WHICH, index);
    }

    fn bits(&self, word: usize) -> u64 {
        self.record.bits(Self::WHICH, word)
    }

    fn set_bits(&mut self, word: usize, bits: u64) {
        self.record.set_bits(Self::WHICH, word, bits);
    }
}

pub(super) fn rtp_window(record: &Rc<Record>) -> RtpWindow {
    let record = Rc::clone(record);
    ReplayWindow::over(Kept { record })
}

pub(super) fn rtcp_window(record: &Rc<Record>) -> RtcpWindow {
    let record = Rc::clone(record);
    ReplayWindow::over(Kept { record })
}

/// Where the streams of one link under its keys are recorded.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    ledger: Ledger,
    owner: Owner,
}

impl Book {
    pub(crate) fn new(ledger: &Ledger, endpoint: EndpointId, keys: &SrtpKeys) -> Self {
        let owner = Owner {
            endpoint: endpoint.0,
            keys: fingerprint(keys),
        };
        Self {
            ledger: ledger.clone(),
            owner,
        }
    }

    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }

    /// A page for an SSRC that was not used yet; none while the ledger is full.
    pub(super) fn page(&self, kind: Kind, ssrc: Ssrc) -> Option<Rc<Record>> {
        self.ledger.record(kind, self.owner, ssrc.0).map(Rc::new)
    }
}

#[cfg(test)]
impl Book {
    /// One of its own, that goes with the test.
    pub(crate) fn of_nobody() -> Self {
        Self {
            ledger: Ledger::in_memory(1_024).expect("memory"),
            owner: Owner {
                endpoint: 0,
                keys: [0; 2],
            },
        }
    }
}

/// The first half of SHA-256 over both keys.
fn fingerprint(keys: &SrtpKeys) -> [u64; 2] {
    let mut hash = Sha256::new();
    for MasterKey { key, salt } in [&keys.inbound, &keys.outbound] {
        hash.update(key);
        hash.update(salt);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (words, _) = hash.as_chunks::<8>();
    [words[0], words[1]].map(u64::from_be_bytes)
}

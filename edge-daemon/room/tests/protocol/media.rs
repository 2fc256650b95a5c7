//! The media side of these conversations: it answers every offer but `bad` and `full`, and insists on the contract.

use lianmai_room::{Candidate, IcePatch, MediaError, Negotiated, Negotiator};
use lianmai_webrtc::EndpointId;
use std::collections::{BTreeMap, BTreeSet};

/// What the machine asked for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Publish {
        endpoint: u64,
        offer: String,
        loopback: bool,
    },
    Subscribe {
        endpoint: u64,
        source: u64,
        offer: String,
    },
    Candidate {
        endpoint: u64,
        candidate: String,
    },
    Patch {
        endpoint: u64,
    },
    Release {
        endpoint: u64,
    },
}

/// A negotiator that writes everything down.
#[derive(Debug, Default)]
pub(crate) struct Media {
    pub(crate) asked: Vec<Asked>,
    /// What every answer comes with.
    pub(crate) candidates: Vec<Candidate>,
    used: BTreeSet<EndpointId>,
    /// Open endpoints and what they receive from.
    open: BTreeMap<EndpointId, Option<EndpointId>>,
}

impl Media {
    pub(crate) fn open(&self) -> Vec<u64> {
        self.open.keys().map(|endpoint| endpoint.0).collect()
    }

    fn answer(
        &mut self,
        endpoint: EndpointId,
        source: Option<EndpointId>,
        offer: &str,
    ) -> Result<Negotiated, MediaError> {
        assert!(self.used.insert(endpoint), "{endpoint} is used twice");
        match offer {
            "bad" => Err(MediaError::Sdp("no audio section".into())),
            "full" => Err(MediaError::Endpoint("no ports".into())),
            _ => {
                self.open.insert(endpoint, source);
                let answer = format!("answer of {endpoint} to {offer}");
                Ok(Negotiated {
                    answer,
                    candidates: self.candidates.clone(),
                })
            }
        }
    }
}

impl Negotiator for Media {
    fn publish(
        &mut self,
        endpoint: EndpointId,
        offer: &str,
        loopback: bool,
    ) -> Result<Negotiated, MediaError> {
        self.asked.push(Asked::Publish {
            endpoint: endpoint.0,
            offer: offer.into(),
            loopback,
        });
        self.answer(endpoint, None, offer)
    }

    fn subscribe(
        &mut self,
        endpoint: EndpointId,
        source: EndpointId,
        offer: &str,
    ) -> Result<Negotiated, MediaError> {
        assert_eq!(self.open.get(&source), Some(&None), "{source} is no publisher");
        self.asked.push(Asked::Subscribe {
            endpoint: endpoint.0,
            source: source.0,
            offer: offer.into(),
        });
        self.answer(endpoint, Some(source), offer)
    }

    fn candidate(&mut self, endpoint: EndpointId, candidate: Candidate) {
        assert!(self.open.contains_key(&endpoint), "{endpoint} is not open");
        self.asked.push(Asked::Candidate {
            endpoint: endpoint.0,
            candidate: candidate.candidate,
        });
    }

    fn patch(&mut self, endpoint: EndpointId, fragment: &str) -> Result<IcePatch, MediaError> {
        self.asked.push(Asked::Patch { endpoint: endpoint.0 });
        match fragment {
            "bad" => Err(MediaError::Sdp("no ice-ufrag".into())),
            "restart" => Ok(IcePatch::Restarted {
                fragment: format!("fragment of {endpoint}"),
            }),
            _ => Ok(IcePatch::Trickled),
        }
    }

    fn release(&mut self, endpoint: EndpointId) {
        assert!(self.open.remove(&endpoint).is_some(), "{endpoint} is not open");
        assert!(
            !self.open.values().any(|source| *source == Some(endpoint)),
            "{endpoint} is still received"
        );
        self.asked.push(Asked::Release { endpoint: endpoint.0 });
    }
}

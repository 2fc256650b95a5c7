//! What the rooms need of the media side.

use lianmai_webrtc::EndpointId;

/// The media side as the rooms see it. Answers are computed, not awaited.
///
/// The rooms choose every endpoint's id and never use one twice. A call that returns an error leaves no endpoint behind.
pub trait Negotiator {
    /// A new publisher with this offer. With `loopback` the answer sends the client's own media back to it.
    fn publish(
        &mut self,
        endpoint: EndpointId,
        offer: &str,
        loopback: bool,
    ) -> Result<Negotiated, MediaError>;

    /// A new receiver of what `source` publishes.
    fn subscribe(
        &mut self,
        endpoint: EndpointId,
        source: EndpointId,
        offer: &str,
    ) -> Result<Negotiated, MediaError>;

    /// A candidate that the client trickled. An ICE-lite agent may ignore it.
    fn candidate(&mut self, endpoint: EndpointId, candidate: Candidate);

    /// An SDP fragment (RFC 8840) of a WHIP or WHEP PATCH: candidates of the current ICE session, or the credentials
    /// of a new one.
    fn patch(&mut self, endpoint: EndpointId, fragment: &str) -> Result<IcePatch, MediaError>;

    /// The endpoint ends. Legs that receive from it were released before.
    fn release(&mut self, endpoint: EndpointId);
}

/// An answer to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The SDP answer.
    pub answer: String,
    /// Our candidates, to be repeated as `iceCandidate` notifications; may be empty when the answer holds them.
    pub candidates: Vec<Candidate>,
}

/// What a PATCH was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IcePatch {
    /// Candidates (or their end) for the current ICE session.
    Trickled,
    /// A new ICE session.
    Restarted {
        /// Our side of it: an `application/trickle-ice-sdpfrag` body.
        fragment: String,
    },
}

/// One ICE candidate as browsers name its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The candidate attribute (RFC 8839 §5.1) without `a=`.
    pub candidate: String,
    /// `a=mid` of its media section.
    pub sdp_mid: String,
    /// Index of its media section.
    pub sdp_m_line_index: u16,
}

/// Why the media side refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// No answer to this offer or fragment.
    #[error("no SDP answer could be generated: {0}")]
    Sdp(String),
    /// No resources for another endpoint.
    #[error("no media endpoint could be created: {0}")]
    Endpoint(String),
    /// The endpoint is gone.
    #[error("the WebRTC endpoint does not exist (any more)")]
    Missing,
}

//! What a negotiation settled, as data: the tracks of a stream and how one leg numbers them.

use lianmai_fanout::{PayloadType, Ssrc};
use serde::{Deserialize, Serialize};

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// An `m=audio` section.
    Audio,
    /// An `m=video` section.
    Video,
}

/// The codecs that the edge forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// RFC 7587, 48 kHz, two channels.
    Opus,
    /// RFC 6184, constrained baseline, `packetization-mode=1`.
    H264,
    /// RFC 7741.
    Vp8,
}

impl Codec {
    /// The RTP clock rate in Hz.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::H264 | Self::Vp8 => 90_000,
        }
    }
}

/// Ids of the header extensions (RFC 8285) that both sides agreed on; `None` is not negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143).
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    pub audio_level: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    pub abs_send_time: Option<u8>,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    pub transport_cc: Option<u8>,
    /// `urn:3gpp:video-orientation`.
    pub video_orientation: Option<u8>,
}

/// The RTCP feedback (RFC 4585, RFC 5104) that both sides agreed on for a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Generic NACK.
    pub nack: bool,
    /// Picture loss indication.
    pub pli: bool,
    /// Full intra request.
    pub fir: bool,
    /// Transport-wide congestion control.
    pub transport_cc: bool,
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb).
    pub remb: bool,
}

/// One audio or video track of an endpoint, as its SDP offer and our answer settled it.
///
/// For a publisher it says what arrives; for a subscriber, what its leg must look like. A leg keeps the
/// publisher's SSRCs and sequence numbers, so that the publisher's sender reports hold unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Audio or video.
    pub kind: Kind,
    /// `a=mid` of the media section.
    pub mid: String,
    /// The one codec that was chosen.
    pub codec: Codec,
    /// Its payload type at this endpoint.
    pub payload_type: PayloadType,
    /// The payload type of its retransmissions (RFC 4588) at this endpoint.
    pub rtx_payload_type: Option<PayloadType>,
    /// The SSRC that the offer announced; `None` means the first packet with this payload type or mid tells it.
    pub ssrc: Option<Ssrc>,
    /// The SSRC of retransmissions. For a leg it is ours to choose; for a publisher, what the offer announced.
    pub rtx_ssrc: Option<Ssrc>,
    /// Header extension ids at this endpoint.
    pub extensions: ExtensionIds,
    /// RTCP feedback at this endpoint.
    pub feedback: Feedback,
}

//! One media section of an offer.

use super::attributes::{clip, first, has, is_token_char, values};
use super::error::SdpError;
use super::payload::Payload;
use super::{extensions, payload};
use crate::media::{ExtensionIds, Kind};
use lianmai_fanout::Ssrc;
use sdp_types::{Attribute, Media};

/// Which way media flows, seen from the one who wrote it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// RFC 8866 §6.7: without an attribute, sendrecv; a section's own overrides the session's.
    fn read(section: &[Attribute], session: &[Attribute]) -> Self {
        let known = [
            ("sendrecv", Self::SendRecv),
            ("sendonly", Self::SendOnly),
            ("recvonly", Self::RecvOnly),
            ("inactive", Self::Inactive),
        ];
        let find = |attributes: &[Attribute]| {
            known
                .iter()
                .find(|(name, _)| has(attributes, name))
                .map(|(_, direction)| *direction)
        };
        find(section).or_else(|| find(session)).unwrap_or(Self::SendRecv)
    }

    pub(super) const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    pub(super) const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// A media section as offered.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// The first word of the `m=` line.
    pub(super) media: String,
    pub(super) protocol: String,
    pub(super) formats: String,
    /// Empty only in a section that is not taken.
    pub(super) mid: String,
    /// What can be taken of it; `None` is answered with port 0.
    pub(super) rtp: Option<RtpSection>,
}

/// What an audio or video section offers.
#[derive(Clone, Debug)]
pub(super) struct RtpSection {
    pub(super) kind: Kind,
    pub(super) direction: Direction,
    pub(super) reduced_size_rtcp: bool,
    pub(super) payloads: Vec<Payload>,
    pub(super) extensions: ExtensionIds,
    pub(super) ssrc: Option<Ssrc>,
    pub(super) rtx_ssrc: Option<Ssrc>,
}

impl Section {
    /// A section that is refused whatever it holds.
    pub(super) fn refused(media: &Media) -> Self {
        let mid = first(&media.attributes, "mid")
            .filter(|mid| is_mid(mid))
            .unwrap_or("");
        Self {
            media: media.media.clone(),
            protocol: media.proto.clone(),
            formats: media.fmt.clone(),
            mid: mid.to_owned(),
            rtp: None,
        }
    }

    /// A section that is taken if it keeps the rules.
    pub(super) fn read(
        index: usize,
        kind: Kind,
        media: &Media,
        session: &[Attribute],
    ) -> Result<Self, SdpError> {
        let refused = Self::refused(media);
        if refused.mid.is_empty() {
            let mid = clip(first(&media.attributes, "mid").unwrap_or(""));
            return Err(SdpError::BadMid { index, mid });
        }
        if !has(&media.attributes, "rtcp-mux") {
            return Err(SdpError::NoRtcpMux(refused.mid));
        }
        Ok(Self {
            rtp: Some(RtpSection::read(kind, media, session)),
            ..refused
        })
    }
}

impl RtpSection {
    fn read(kind: Kind, media: &Media, session: &[Attribute]) -> Self {
        let attributes = &media.attributes;
        let (ssrc, rtx_ssrc) = ssrcs(attributes);
        Self {
            kind,
            direction: Direction::read(attributes, session),
            reduced_size_rtcp: has(attributes, "rtcp-rsize"),
            payloads: payload::read(&media.fmt, attributes, kind),
            extensions: extensions::read(attributes, kind),
            ssrc,
            rtx_ssrc,
        }
    }
}

/// The kind of a section that the edge could take. The profiles of DTLS-SRTP with feedback, also under their older
/// names (RFC 8829 §5.1.2).
pub(super) fn kind_of(media: &Media) -> Option<Kind> {
    let savpf = ["UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "TCP/TLS/RTP/SAVPF"];
    if !savpf.contains(&media.proto.as_str()) || is_disabled(media) {
        return None;
    }
    match media.media.as_str() {
        "audio" => Some(Kind::Audio),
        "video" => Some(Kind::Video),
        _ => None,
    }
}

/// Port 0 disables a section (RFC 8866 §5.14), unless it waits for the BUNDLE transport (RFC 9143 §6).
fn is_disabled(media: &Media) -> bool {
    media.port == 0 && !has(&media.attributes, "bundle-only")
}

/// The media and the retransmission SSRC: those of a FID group (RFC 5576 §4.2), or the first `a=ssrc`.
fn ssrcs(attributes: &[Attribute]) -> (Option<Ssrc>, Option<Ssrc>) {
    let group = values(attributes, "ssrc-group").find_map(|value| {
        let mut words = value.split_ascii_whitespace();
        let members = (words.next()? == "FID").then_some(words)?;
        let mut members = members.filter_map(|word| word.parse().ok().map(Ssrc));
        Some((members.next()?, members.next()?))
    });
    if let Some((media, rtx)) = group {
        return (Some(media), Some(rtx));
    }
    let announced =
        values(attributes, "ssrc").find_map(|value| value.split_ascii_whitespace().next()?.parse().ok());
    (announced.map(Ssrc), None)
}

fn is_mid(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.chars().all(is_token_char)
}

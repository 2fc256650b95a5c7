//! Deciding on an answer: which codec, which direction, which SSRCs.

use super::attributes::is_token_char;
use super::error::SdpError;
use super::offer::Offer;
use super::payload::{Fit, H264Profile, Payload};
use super::section::{Direction, RtpSection, Section};
use super::write;
use crate::Fingerprint;
use crate::media::{Codec, Kind, Track};
use crate::parameters::{Credentials, RemoteParameters};
use lianmai_fanout::Ssrc;
use std::net::SocketAddr;

/// Our side of the session.
#[derive(Clone, Debug)]
pub struct Local {
    /// The number of the `o=` line; different for every session.
    pub session_id: u64,
    /// Our ICE credentials.
    pub ice: Credentials,
    /// The fingerprint of our certificate.
    pub fingerprint: Fingerprint,
    /// Where the one UDP port can be reached.
    pub candidates: Vec<SocketAddr>,
    /// The SSRC of the retransmissions that we send on this session; random.
    pub rtx_ssrc: Ssrc,
}

/// An answer, and what it settled.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text for the client.
    pub sdp: String,
    /// What the transport has to know of the client.
    pub remote: RemoteParameters,
    /// What the client sends (to a publisher), or what its leg is sent (to a subscriber).
    pub tracks: Vec<Track>,
    /// What a publisher's own leg is sent; empty without loopback.
    pub loopback: Vec<Track>,
}

/// What becomes of one section.
pub(super) enum Verdict<'a> {
    /// Port 0 (RFC 3264 §6).
    Refused,
    /// Kept on the transport, but nothing flows.
    Idle(&'a RtpSection, &'a Payload),
    /// Media flows.
    Active {
        rtp: &'a RtpSection,
        payload: &'a Payload,
        direction: Direction,
        sends: Option<Track>,
    },
}

/// Answers a client that publishes: Opus, and H.264 constrained baseline or else VP8. With `loopback`, what the
/// client sends comes back to it.
///
/// # Errors
/// When the client would send nothing that can be forwarded.
pub fn answer_publish(offer: &Offer, local: &Local, loopback: bool) -> Result<Answer, SdpError> {
    let name = format!("loopback-{}", local.session_id);
    let mut tracks = Vec::new();
    let mut returned = Vec::new();
    let mut verdicts = Vec::new();
    for section in &offer.sections {
        let verdict = publish_verdict(section, local, loopback);
        if let Verdict::Active {
            rtp, payload, sends, ..
        } = &verdict
        {
            tracks.push(track(section, rtp, payload, rtp.ssrc, rtp.rtx_ssrc));
            returned.extend(sends.clone());
        }
        verdicts.push(verdict);
    }
    if tracks.is_empty() {
        return Err(SdpError::NothingToPublish(
            "send Opus, or H.264 baseline with packetization-mode=1, or VP8, in a sendonly or sendrecv section".into(),
        ));
    }
    let sdp = write::answer(offer, local, &verdicts, &name);
    Ok(Answer {
        sdp,
        remote: offer.remote.clone(),
        tracks,
        loopback: returned,
    })
}

/// Answers a client that receives the stream made of `source`, under the name `stream`. Each section gets the codec
/// of the source's track; a section for which there is none stays idle.
///
/// # Errors
/// When the client can take neither audio nor video of the stream.
pub fn answer_subscribe(
    offer: &Offer,
    local: &Local,
    source: &[Track],
    stream: &str,
) -> Result<Answer, SdpError> {
    let verdicts: Vec<_> = offer
        .sections
        .iter()
        .map(|section| subscribe_verdict(section, local, source))
        .collect();
    let sends = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Active { sends, .. } => sends.clone(),
        Verdict::Refused | Verdict::Idle(..) => None,
    });
    let tracks: Vec<Track> = sends.collect();
    if tracks.is_empty() {
        let codecs: Vec<_> = source.iter().map(|track| format!("{:?}", track.codec)).collect();
        let message = format!(
            "the stream has {}; offer one of them in a recvonly or sendrecv section",
            codecs.join(" and ")
        );
        return Err(SdpError::NothingToReceive(message));
    }
    let sdp = write::answer(offer, local, &verdicts, &token(stream));
    Ok(Answer {
        sdp,
        remote: offer.remote.clone(),
        tracks,
        loopback: Vec::new(),
    })
}

fn publish_verdict<'a>(section: &'a Section, local: &Local, loopback: bool) -> Verdict<'a> {
    let Some(rtp) = &section.rtp else {
        return Verdict::Refused;
    };
    let chosen = publishable(rtp).filter(|_| rtp.direction.sends());
    let Some(payload) = chosen else { return idle(rtp) };
    let returns = loopback && rtp.direction.receives();
    let (rtx_ssrc, direction) = match returns {
        true => (leg_rtx_ssrc(payload, rtp.ssrc, local), Direction::SendRecv),
        false => (None, Direction::RecvOnly),
    };
    let sends = returns.then(|| track(section, rtp, payload, rtp.ssrc, rtx_ssrc));
    Verdict::Active {
        rtp,
        payload,
        direction,
        sends,
    }
}

fn subscribe_verdict<'a>(section: &'a Section, local: &Local, source: &[Track]) -> Verdict<'a> {
    let Some(rtp) = &section.rtp else {
        return Verdict::Refused;
    };
    let wanted = source
        .iter()
        .find(|track| track.kind == rtp.kind)
        .filter(|_| rtp.direction.receives());
    let Some((source, payload)) = wanted.and_then(|source| Some((source, receivable(rtp, source.codec)?)))
    else {
        return idle(rtp);
    };
    let rtx_ssrc = leg_rtx_ssrc(payload, source.ssrc, local);
    let sends = Some(track(section, rtp, payload, source.ssrc, rtx_ssrc));
    Verdict::Active {
        rtp,
        payload,
        direction: Direction::SendOnly,
        sends,
    }
}

/// An idle section keeps its place in the BUNDLE group, but its `m=` line must name a format.
fn idle(rtp: &RtpSection) -> Verdict<'_> {
    rtp.payloads
        .first()
        .map_or(Verdict::Refused, |payload| Verdict::Idle(rtp, payload))
}

/// The codec that we ask a publisher for. The first of equals wins, so that the client's order counts.
fn publishable(rtp: &RtpSection) -> Option<&Payload> {
    let rank = |payload: &Payload| match (payload.codec, payload.profile.map(H264Profile::fit)) {
        (Codec::Opus, _) | (Codec::H264, Some(Fit::ConstrainedBaseline)) => Some(0),
        (Codec::H264, Some(Fit::Baseline)) => Some(1),
        (Codec::Vp8, _) => Some(2),
        // Main or High may hold B-frames and CABAC that another peer cannot decode.
        (Codec::H264, Some(Fit::Wider) | None) => None,
    };
    rtp.payloads
        .iter()
        .filter_map(|payload| Some((rank(payload)?, payload)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, payload)| payload)
}

/// The payload type under which a subscriber takes a codec. Any H.264 profile decodes constrained baseline.
fn receivable(rtp: &RtpSection, codec: Codec) -> Option<&Payload> {
    let rank = |payload: &&Payload| payload.profile.map(H264Profile::fit);
    rtp.payloads
        .iter()
        .filter(|payload| payload.codec == codec)
        .min_by_key(rank)
}

/// RFC 4588 §5.3: retransmissions have an SSRC of their own. It can be announced only together with the SSRC that it
/// repairs; without that there are no retransmissions.
fn leg_rtx_ssrc(payload: &Payload, media: Option<Ssrc>, local: &Local) -> Option<Ssrc> {
    let media = media.filter(|_| payload.rtx.is_some() && payload.feedback.nack)?;
    let ours = local.rtx_ssrc;
    Some(if ours == media {
        Ssrc(ours.0.wrapping_add(1))
    } else {
        ours
    })
}

fn track(
    section: &Section,
    rtp: &RtpSection,
    payload: &Payload,
    ssrc: Option<Ssrc>,
    rtx_ssrc: Option<Ssrc>,
) -> Track {
    Track {
        kind: rtp.kind,
        mid: section.mid.clone(),
        codec: payload.codec,
        payload_type: payload.number,
        rtx_payload_type: payload.rtx,
        ssrc,
        rtx_ssrc: rtx_ssrc.filter(|_| payload.rtx.is_some()),
        extensions: rtp.extensions,
        feedback: payload.feedback,
    }
}

/// RFC 8830 §2: an msid is 1 to 64 token characters; user names may be anything.
fn token(name: &str) -> String {
    let token: String = name
        .chars()
        .map(|c| if is_token_char(c) { c } else { '-' })
        .take(58)
        .collect();
    if token.is_empty() { "stream".into() } else { token }
}

/// The id of the track of a kind within its stream.
pub(super) const fn track_suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

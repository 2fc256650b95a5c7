//! Writing an answer (RFC 8829 §5.3).

use super::answer::{Local, Verdict, track_suffix};
use super::extensions;
use super::offer::Offer;
use super::payload::Payload;
use super::section::{Direction, RtpSection, Section};
use crate::media::Track;
use crate::parameters::DtlsRole;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Lines of SDP, each ended as RFC 8866 §5 wants it.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn push(&mut self, line: fmt::Arguments<'_>) {
        use fmt::Write as _;
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "{line}\r\n");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// The text of an answer with one verdict per section of the offer.
pub(super) fn answer(offer: &Offer, local: &Local, verdicts: &[Verdict<'_>], stream: &str) -> String {
    let mut lines = Lines::default();
    session(&mut lines, offer, local, verdicts);
    for (section, verdict) in offer.sections.iter().zip(verdicts) {
        match verdict {
            Verdict::Refused => refused(&mut lines, section),
            Verdict::Idle(rtp, payload) => {
                opening(&mut lines, section, local, offer.remote.role, payload);
                media(&mut lines, rtp, payload, Direction::Inactive);
            }
            Verdict::Active {
                rtp,
                payload,
                direction,
                sends,
            } => {
                opening(&mut lines, section, local, offer.remote.role, payload);
                media(&mut lines, rtp, payload, *direction);
                sends.iter().for_each(|track| sources(&mut lines, track, stream));
            }
        }
    }
    lines.into_text()
}

fn session(lines: &mut Lines, offer: &Offer, local: &Local, verdicts: &[Verdict<'_>]) {
    let kept = offer
        .sections
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| !matches!(verdict, Verdict::Refused));
    let mids: Vec<_> = kept.map(|(section, _)| section.mid.as_str()).collect();
    lines.push(format_args!("v=0"));
    // RFC 8866 §5.2: the number must fit a signed 64-bit integer for some readers.
    lines.push(format_args!("o=- {} 1 IN IP4 127.0.0.1", local.session_id >> 1));
    lines.push(format_args!("s=-"));
    lines.push(format_args!("t=0 0"));
    lines.push(format_args!("a=ice-lite"));
    lines.push(format_args!("a=ice-options:trickle"));
    lines.push(format_args!("a=group:BUNDLE {}", mids.join(" ")));
    lines.push(format_args!("a=msid-semantic: WMS *"));
}

fn refused(lines: &mut Lines, section: &Section) {
    lines.push(format_args!(
        "m={} 0 {} {}",
        section.media, section.protocol, section.formats
    ));
    lines.push(format_args!("c=IN IP4 0.0.0.0"));
    if !section.mid.is_empty() {
        lines.push(format_args!("a=mid:{}", section.mid));
    }
    lines.push(format_args!("a=inactive"));
}

/// The `m=` line and the transport, the same in every section since all are bundled.
fn opening(lines: &mut Lines, section: &Section, local: &Local, role: DtlsRole, payload: &Payload) {
    let default = local.candidates.first().copied();
    let default = default.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9));
    let formats = match payload.rtx {
        Some(rtx) => format!("{} {}", payload.number.0, rtx.0),
        None => payload.number.0.to_string(),
    };
    lines.push(format_args!(
        "m={} {} {} {formats}",
        section.media,
        default.port(),
        section.protocol
    ));
    lines.push(format_args!("c=IN {}", address(default.ip())));
    lines.push(format_args!("a=mid:{}", section.mid));
    lines.push(format_args!("a=ice-ufrag:{}", local.ice.ufrag));
    lines.push(format_args!("a=ice-pwd:{}", local.ice.pwd));
    lines.push(format_args!("a=fingerprint:{}", local.fingerprint));
    lines.push(format_args!("a=setup:{}", setup(role)));
    candidates(lines, &local.candidates);
}

/// RFC 8839 §5.1 and RFC 8445 §5.1.2: host candidates of component 1, in falling preference.
pub(super) fn candidates(lines: &mut Lines, candidates: &[SocketAddr]) {
    for (candidate, index) in candidates.iter().zip(0u32..) {
        let local_preference = 65_535u32.saturating_sub(index);
        let priority = (126 << 24) | (local_preference << 8) | 255;
        let (ip, port) = (candidate.ip(), candidate.port());
        lines.push(format_args!(
            "a=candidate:{} 1 udp {priority} {ip} {port} typ host",
            index + 1
        ));
    }
    lines.push(format_args!("a=end-of-candidates"));
}

fn media(lines: &mut Lines, rtp: &RtpSection, payload: &Payload, direction: Direction) {
    lines.push(format_args!("a={}", direction.name()));
    lines.push(format_args!("a=rtcp-mux"));
    if rtp.reduced_size_rtcp {
        lines.push(format_args!("a=rtcp-rsize"));
    }
    for (id, uri) in extensions::lines(&rtp.extensions) {
        lines.push(format_args!("a=extmap:{id} {uri}"));
    }
    let number = payload.number.0;
    lines.push(format_args!("a=rtpmap:{number} {}", payload.encoding()));
    for feedback in payload.feedback_lines() {
        lines.push(format_args!("a=rtcp-fb:{number} {feedback}"));
    }
    if let Some(parameters) = payload.parameters() {
        lines.push(format_args!("a=fmtp:{number} {parameters}"));
    }
    if let Some(rtx) = payload.rtx {
        lines.push(format_args!(
            "a=rtpmap:{} rtx/{}",
            rtx.0,
            payload.codec.clock_rate()
        ));
        lines.push(format_args!("a=fmtp:{} apt={number}", rtx.0));
    }
}

/// What we send: `a=msid` (RFC 8830) for today's browsers, `a=ssrc` (RFC 5576) for those that came before.
fn sources(lines: &mut Lines, track: &Track, stream: &str) {
    let id = format!("{stream}-{}", track_suffix(track.kind));
    lines.push(format_args!("a=msid:{stream} {id}"));
    let Some(media) = track.ssrc else { return };
    if let Some(rtx) = track.rtx_ssrc {
        lines.push(format_args!("a=ssrc-group:FID {} {}", media.0, rtx.0));
    }
    for ssrc in [Some(media), track.rtx_ssrc].into_iter().flatten() {
        lines.push(format_args!("a=ssrc:{} cname:{stream}", ssrc.0));
        lines.push(format_args!("a=ssrc:{} msid:{stream} {id}", ssrc.0));
    }
}

fn address(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("IP4 {ip}"),
        IpAddr::V6(ip) => format!("IP6 {ip}"),
    }
}

const fn setup(role: DtlsRole) -> &'static str {
    match role {
        DtlsRole::Server => "passive",
        DtlsRole::Client => "active",
    }
}

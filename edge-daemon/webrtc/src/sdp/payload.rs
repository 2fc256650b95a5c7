//! Payload types: which of the offered codecs the edge can forward, and with what feedback.

use super::attributes::{numbered, parameter, values};
use crate::media::{Codec, Feedback, Kind};
use lianmai_fanout::PayloadType;
use sdp_types::Attribute;

/// One offered payload type of a codec that the edge forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) number: PayloadType,
    pub(super) codec: Codec,
    /// The payload type of its retransmissions (RFC 4588 §8.1 `apt`).
    pub(super) rtx: Option<PayloadType>,
    pub(super) feedback: Feedback,
    /// Only for H.264.
    pub(super) profile: Option<H264Profile>,
    /// Only for Opus: `stereo=1` was offered.
    pub(super) stereo: bool,
}

/// `profile-level-id` of RFC 6184 §8.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct H264Profile {
    profile: u8,
    constraints: u8,
    level: u8,
}

/// How well a decoder of this profile takes constrained baseline; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    ConstrainedBaseline,
    Baseline,
    /// Main and High: they decode constrained baseline, but may send what other peers cannot decode.
    Wider,
}

impl H264Profile {
    /// RFC 6184 §8.1: without the parameter, Baseline at level 1 is meant.
    const DEFAULT: Self = Self {
        profile: 66,
        constraints: 0,
        level: 10,
    };

    fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let [_, profile, constraints, level] = u32::from_str_radix(text, 16)
            .ok()
            .filter(|_| well_formed)?
            .to_be_bytes();
        Some(Self {
            profile,
            constraints,
            level,
        })
    }

    /// RFC 6184 §8.1, table 5: which `profile_idc` and constraint bits make which profile.
    pub(super) const fn fit(self) -> Fit {
        match (self.profile, self.constraints) {
            (66, bits) if bits & 0x40 != 0 => Fit::ConstrainedBaseline,
            (77, bits) if bits & 0x80 != 0 => Fit::ConstrainedBaseline,
            (88, bits) if bits & 0xc0 == 0xc0 => Fit::ConstrainedBaseline,
            (66, _) => Fit::Baseline,
            _ => Fit::Wider,
        }
    }

    fn to_hex(self) -> String {
        format!("{:02x}{:02x}{:02x}", self.profile, self.constraints, self.level)
    }
}

impl Payload {
    /// What `a=rtpmap` says of it.
    pub(super) const fn encoding(&self) -> &'static str {
        match self.codec {
            Codec::Opus => "opus/48000/2",
            Codec::H264 => "H264/90000",
            Codec::Vp8 => "VP8/90000",
        }
    }

    /// What `a=fmtp` says of it in our answer.
    pub(super) fn parameters(&self) -> Option<String> {
        match self.codec {
            // RFC 7587 §6.1; `stereo` tells what we take, `sprop-stereo` what we send.
            Codec::Opus if self.stereo => Some("minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1".into()),
            Codec::Opus => Some("minptime=10;useinbandfec=1".into()),
            Codec::H264 => self.profile.map(|profile| {
                format!(
                    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={}",
                    profile.to_hex()
                )
            }),
            Codec::Vp8 => None,
        }
    }

    /// The values of its `a=rtcp-fb` lines.
    pub(super) fn feedback_lines(&self) -> Vec<&'static str> {
        let agreed = self.feedback;
        [
            (agreed.remb, "goog-remb"),
            (agreed.transport_cc, "transport-cc"),
            (agreed.fir, "ccm fir"),
            (agreed.nack, "nack"),
            (agreed.pli, "nack pli"),
        ]
        .into_iter()
        .filter_map(|(agreed, line)| agreed.then_some(line))
        .collect()
    }
}

/// Every payload type of the section that the edge could forward, in the offerer's order.
pub(super) fn read(formats: &str, attributes: &[Attribute], kind: Kind) -> Vec<Payload> {
    formats
        .split_ascii_whitespace()
        .filter_map(|format| format.parse().ok().filter(|number| *number < 128))
        .filter_map(|number| read_one(number, attributes, kind))
        .collect()
}

fn read_one(number: u8, attributes: &[Attribute], kind: Kind) -> Option<Payload> {
    let codec = codec_of(lookup(attributes, "rtpmap", number)?, kind)?;
    let fmtp = lookup(attributes, "fmtp", number).unwrap_or("");
    let profile = match codec {
        Codec::H264 => Some(packetized_profile(fmtp)?),
        Codec::Opus | Codec::Vp8 => None,
    };
    Some(Payload {
        number: PayloadType(number),
        codec,
        rtx: rtx_of(number, attributes),
        feedback: feedback_of(number, attributes),
        profile,
        stereo: codec == Codec::Opus && parameter(fmtp, "stereo") == Some("1"),
    })
}

fn codec_of(rtpmap: &str, kind: Kind) -> Option<Codec> {
    let is = |name: &str| rtpmap.eq_ignore_ascii_case(name);
    match kind {
        Kind::Audio if is("opus/48000/2") => Some(Codec::Opus),
        Kind::Video if is("H264/90000") => Some(Codec::H264),
        Kind::Video if is("VP8/90000") => Some(Codec::Vp8),
        Kind::Audio | Kind::Video => None,
    }
}

/// Only `packetization-mode=1` (RFC 6184 §5.4): a browser's slices do not fit single packets.
fn packetized_profile(fmtp: &str) -> Option<H264Profile> {
    let mode = parameter(fmtp, "packetization-mode")?;
    if mode != "1" {
        return None;
    }
    parameter(fmtp, "profile-level-id").map_or(Some(H264Profile::DEFAULT), H264Profile::parse)
}

fn rtx_of(number: u8, attributes: &[Attribute]) -> Option<PayloadType> {
    let apt = number.to_string();
    values(attributes, "fmtp")
        .filter_map(numbered)
        .find(|(rtx, fmtp)| *rtx < 128 && parameter(fmtp, "apt") == Some(&apt) && is_rtx(*rtx, attributes))
        .map(|(rtx, _)| PayloadType(rtx))
}

fn is_rtx(number: u8, attributes: &[Attribute]) -> bool {
    lookup(attributes, "rtpmap", number).is_some_and(|rtpmap| rtpmap.to_ascii_lowercase().starts_with("rtx/"))
}

fn feedback_of(number: u8, attributes: &[Attribute]) -> Feedback {
    let mut feedback = Feedback::default();
    for value in values(attributes, "rtcp-fb") {
        let Some((whose, what)) = value.split_once(' ') else {
            continue;
        };
        if whose != "*" && whose.parse() != Ok(number) {
            continue;
        }
        match what.trim() {
            "nack" => feedback.nack = true,
            "nack pli" => feedback.pli = true,
            "ccm fir" => feedback.fir = true,
            "transport-cc" => feedback.transport_cc = true,
            "goog-remb" => feedback.remb = true,
            _ => {}
        }
    }
    feedback
}

fn lookup<'a>(attributes: &'a [Attribute], name: &'a str, number: u8) -> Option<&'a str> {
    values(attributes, name)
        .filter_map(numbered)
        .find(|(of, _)| *of == number)
        .map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::{Fit, H264Profile};

    #[test]
    fn profiles_are_told_apart_by_their_constraint_bits() {
        for (text, fit) in [
            ("42e01f", Fit::ConstrainedBaseline),
            ("42c02a", Fit::ConstrainedBaseline),
            ("4d801f", Fit::ConstrainedBaseline),
            ("42001f", Fit::Baseline),
            ("4d001f", Fit::Wider),
            ("640c1f", Fit::Wider),
        ] {
            assert_eq!(H264Profile::parse(text).expect("a profile").fit(), fit, "{text}");
        }
    }

    #[test]
    fn a_profile_that_is_no_number_is_no_profile() {
        for text in ["", "42e0", "42e01f00", "+2e01f", "42e01g"] {
            assert_eq!(H264Profile::parse(text), None, "{text:?}");
        }
    }
}

//! Reading an offer.

use super::attributes::values;
use super::error::SdpError;
use super::section::{RtpSection, Section, kind_of};
use super::transport;
use crate::media::Kind;
use crate::parameters::RemoteParameters;
use sdp_types::Session;
use std::collections::BTreeSet;

/// The longest offers of browsers have about 10 kB.
const MAX_LEN: usize = 64 * 1024;
/// One audio, one video, one data channel, and some slack for sections that are refused.
const MAX_SECTIONS: usize = 16;

/// An offer that keeps the rules: it can be answered, if its codecs allow it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(super) sections: Vec<Section>,
    pub(super) remote: RemoteParameters,
}

impl Offer {
    /// Reads an offer: one audio and one video section at most are taken, bundled on one transport, with RTCP
    /// multiplexed; all others will be refused by the answer.
    ///
    /// # Errors
    /// When it is no SDP or breaks one of these rules; the error names the rule.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_LEN {
            return Err(SdpError::TooLong {
                len: text.len(),
                max: MAX_LEN,
            });
        }
        let session =
            Session::parse(text.as_bytes()).map_err(|error| SdpError::Grammar(error.to_string()))?;
        if session.medias.len() > MAX_SECTIONS {
            return Err(SdpError::TooManySections {
                count: session.medias.len(),
                max: MAX_SECTIONS,
            });
        }
        let sections = read_sections(&session)?;
        check_names(&sections)?;
        check_bundle(&session, &sections)?;
        let remote = transport::read(&session, tagged(&session, &sections))?;
        Ok(Self { sections, remote })
    }

    /// What the transport has to know of the one who offers.
    #[must_use]
    pub fn remote(&self) -> &RemoteParameters {
        &self.remote
    }

    /// Whether a section of this kind can be taken.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.rtp_sections().any(|rtp| rtp.kind == kind)
    }

    fn rtp_sections(&self) -> impl Iterator<Item = &RtpSection> {
        self.sections.iter().filter_map(|section| section.rtp.as_ref())
    }
}

/// The first audio and the first video section are taken; what follows them is refused.
fn read_sections(session: &Session) -> Result<Vec<Section>, SdpError> {
    let mut taken = BTreeSet::new();
    let sections = session
        .medias
        .iter()
        .enumerate()
        .map(|(index, media)| match kind_of(media) {
            Some(kind) if taken.insert(kind) => Section::read(index, kind, media, &session.attributes),
            Some(_) | None => Ok(Section::refused(media)),
        });
    let sections = sections.collect::<Result<Vec<_>, _>>()?;
    if sections.iter().all(|section| section.rtp.is_none()) {
        return Err(SdpError::NoMedia);
    }
    Ok(sections)
}

/// RFC 5888 §4: a mid names one section.
fn check_names(sections: &[Section]) -> Result<(), SdpError> {
    let mut seen = BTreeSet::new();
    let named = sections
        .iter()
        .map(|section| &section.mid)
        .filter(|mid| !mid.is_empty());
    match named.into_iter().find(|mid| !seen.insert(mid.as_str())) {
        Some(mid) => Err(SdpError::DuplicateMid(mid.clone())),
        None => Ok(()),
    }
}

/// One transport for all that is taken (RFC 9143). A single section needs no group.
fn check_bundle(session: &Session, sections: &[Section]) -> Result<(), SdpError> {
    let group = bundle(session);
    let mut taken = sections
        .iter()
        .filter(|section| section.rtp.is_some())
        .map(|section| section.mid.as_str());
    let alone = taken.clone().count() == 1 && group.is_empty();
    match taken.find(|mid| !alone && !group.contains(mid)) {
        Some(mid) => Err(SdpError::NotBundled(mid.to_owned())),
        None => Ok(()),
    }
}

/// RFC 9143 §7.3.1: the first section of the group that the answer takes decides on the transport.
fn tagged(session: &Session, sections: &[Section]) -> usize {
    let taken = |mid: &str| {
        sections
            .iter()
            .position(|section| section.rtp.is_some() && section.mid == mid)
    };
    let first_taken = || sections.iter().position(|section| section.rtp.is_some());
    bundle(session)
        .into_iter()
        .find_map(taken)
        .or_else(first_taken)
        .unwrap_or(0)
}

/// The mids of the `a=group:BUNDLE` line.
fn bundle(session: &Session) -> Vec<&str> {
    let groups = values(&session.attributes, "group").filter_map(|group| group.split_once(' '));
    let mids = groups
        .filter(|(semantics, _)| *semantics == "BUNDLE")
        .map(|(_, mids)| mids)
        .next();
    mids.map(|mids| mids.split_ascii_whitespace().collect())
        .unwrap_or_default()
}

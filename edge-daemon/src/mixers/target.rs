//! One place that a room's mix is published to, as the daemon knows it.

use crate::view::TargetView;
use lianmai_mixer_control::{TargetId, TargetOptions, TargetState, TargetStats, TargetUrl, ToMixer};
use lianmai_rtmp::RtmpUrl;
use serde::{Deserialize, Serialize};

/// Where, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetSpec {
    /// Never given twice in the life of a room.
    pub(crate) id: TargetId,
    /// With the stream's name in it.
    pub(crate) url: TargetUrl,
    /// How.
    pub(crate) options: TargetOptions,
}

impl TargetSpec {
    pub(super) fn message(&self) -> ToMixer {
        ToMixer::AddTarget {
            id: self.id,
            url: self.url.clone(),
            options: self.options,
        }
    }

    /// The URL as people may see it: the stream is a secret with most CDNs.
    pub(super) fn shown(&self) -> String {
        RtmpUrl::parse(&self.url.0).map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    /// As it is shown before a mixer has said anything of it.
    pub(crate) fn untried(&self, mixing: bool) -> TargetView {
        self.view(if mixing { "connecting" } else { "waiting" }, None, None)
    }

    fn view(&self, state: &str, reason: Option<&str>, stats: Option<&TargetStats>) -> TargetView {
        TargetView {
            id: self.id.0,
            url: self.shown(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            options: self.options,
            stats: stats.cloned(),
        }
    }
}

/// One that a mixer has been told of, and what is known of it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) spec: TargetSpec,
    pub(super) state: TargetState,
    pub(super) stats: Option<TargetStats>,
}

impl Target {
    pub(super) const fn new(spec: TargetSpec) -> Self {
        Self {
            spec,
            state: TargetState::Connecting,
            stats: None,
        }
    }

    /// Its state in a word, and why.
    pub(super) fn state(&self) -> (&'static str, Option<&str>) {
        match &self.state {
            TargetState::Connecting => ("connecting", None),
            TargetState::Publishing => ("publishing", None),
            TargetState::Retrying { reason, .. } => ("retrying", Some(reason)),
            TargetState::GivenUp { reason } => ("given_up", Some(reason)),
        }
    }

    pub(super) fn view(&self) -> TargetView {
        let (state, reason) = self.state();
        self.spec.view(state, reason, self.stats.as_ref())
    }
}

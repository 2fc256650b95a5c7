//! What one machine leaves to the next, when the process that runs it ends without warning.

use crate::ids::{ResourceId, SavedIds};
use crate::kurento::SavedSession;
use crate::rooms::SavedRoom;
use crate::signalling::Resource;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Everything that clients rely on, with times as spans before the save. [`Signalling::save`](crate::Signalling::save) makes
/// it; it holds session ids, which grant their sessions to whoever knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    pub(crate) ids: SavedIds,
    pub(crate) rooms: Vec<SavedRoom>,
    pub(crate) sessions: Vec<SavedSession>,
    pub(crate) resources: BTreeMap<ResourceId, Resource>,
}

pub(crate) fn age(now: Instant, since: Instant) -> Duration {
    now.saturating_duration_since(since)
}

/// The clock of a machine that was started since does not reach back so far: then it began with the clock.
pub(crate) fn ago(now: Instant, age: Duration) -> Instant {
    now.checked_sub(age).unwrap_or(now)
}

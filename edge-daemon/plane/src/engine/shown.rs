//! Publishers that only a mixer sees: they need not send more than it shows.

use super::Engine;
use crate::clock::Stamp;
use crate::outbox::Outbox;
use crate::shown::Shown;
use lianmai_webrtc::EndpointId;
use std::time::Instant;

impl Engine {
    pub(super) fn set_shown(&mut self, now: Stamp, id: EndpointId, shown: Shown, out: &mut Outbox) {
        let is_watched = self.legs.contains_key(&id);
        let endpoint = self.endpoints.get_mut(&id);
        let Some(source) = endpoint.and_then(|endpoint| endpoint.source.as_mut()) else {
            return;
        };
        // What an earlier mixer says after its tap has ended is of no matter.
        if source.tap.is_some() {
            source.shown = Some(shown);
            source.allow(now.at, is_watched);
        }
        self.drain_source(now, id, out);
    }

    /// Holds every publisher without a leg to what its mixer shows.
    pub(super) fn hold_unwatched(&mut self, now: Instant) {
        let legs = &self.legs;
        let unwatched = self
            .endpoints
            .iter_mut()
            .filter(|(id, _)| !legs.contains_key(*id));
        for source in unwatched.filter_map(|(_, endpoint)| endpoint.source.as_mut()) {
            source.allow(now, false);
        }
    }
}

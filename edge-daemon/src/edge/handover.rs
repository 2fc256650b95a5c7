//! From one process to the next.

use super::Edge;
use crate::handover::{Saver, Snapshot};
use lianmai_room::{EndpointLoss, Limits, Signalling};
use lianmai_webrtc::EndpointId;
use std::time::Instant;

impl Edge {
    /// Goes on as an earlier process left it. Transport and plane must have been told of its PeerConnections.
    pub(crate) fn restore(&mut self, earlier: Snapshot, seed: [u8; 32]) {
        let now = Instant::now();
        self.media.restore(earlier.peers);
        self.mixes.restore(
            earlier.muted,
            earlier.volumes,
            earlier.targets,
            earlier.recordings,
            earlier.filters,
        );
        self.mixes.restore_forwards(earlier.forwards);
        self.signalling = Signalling::restore(earlier.rooms, now, Limits::default(), seed);
        self.signalling.set_scene_rules(self.mixes.scene_rules());
        self.end_earlier_cohosts(earlier.cohosts);
    }

    /// PeerConnections of an earlier process with which the plane could not go on.
    pub(super) fn lost_at_restart(&mut self, endpoint: EndpointId) {
        tracing::warn!(%endpoint, "endpoint lost at the restart");
        self.signalling
            .endpoint_lost(endpoint, EndpointLoss::Restart, &mut self.media);
    }

    /// Leaves the state to a later process from now on, whenever it changes.
    pub(crate) fn save_to(&mut self, saver: Saver) {
        self.saver = Some(saver);
    }

    /// Whether the rooms have something new.
    pub(super) fn look_for_changes(&mut self) {
        let revision = self.signalling.revision();
        if std::mem::replace(&mut self.seen, revision) != revision {
            self.changed();
        }
    }

    /// There is something that is not the rooms' and is written down.
    pub(super) fn changed(&mut self) {
        if let Some(saver) = &mut self.saver {
            saver.changed();
        }
    }

    /// There is something that only the next process can need.
    pub(super) fn urgent(&mut self) {
        if let Some(saver) = &mut self.saver {
            saver.urgent();
        }
    }

    /// Writes the state down if it is time.
    pub(super) fn save(&mut self) {
        self.look_for_changes();
        let Some(saver) = &mut self.saver else { return };
        let now = Instant::now();
        if saver.next(now).is_none_or(|due| due > now) {
            return;
        }
        let state = Snapshot {
            rooms: self.signalling.save(now),
            peers: self.media.save(),
            muted: self.mixes.muted().clone(),
            volumes: self.mixes.volumes().clone(),
            targets: self.mixes.saved_targets(),
            recordings: self.mixes.saved_recordings(),
            forwards: self.mixes.saved_forwards(),
            cohosts: self.cohosts.save(),
            certificate: saver.certificate.clone(),
            https: saver.https.clone(),
            filters: self.mixes.saved_filters(),
        };
        saver.save(now, &state);
    }
}

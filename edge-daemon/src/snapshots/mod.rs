//! What becomes of snapshots: files, webhooks for moderation, answers to those who asked.

mod disk;

pub(crate) use disk::Disk;

use crate::webhooks::{Event, Webhooks};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lianmai_mixer_control::{NoSnapshot, SnapshotHeader, SnapshotSettings};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// One snapshot as a mixer made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Of whom, and when.
    pub(crate) header: SnapshotHeader,
    /// The file.
    pub(crate) jpeg: Vec<u8>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// Nothing decodes the room's pictures.
    #[error(
        "nobody mixes room {0:?}, so nothing decodes its pictures: somebody has to publish in it, and the mix has to be wanted, by a \
         target (POST /api/v1/rooms/ROOM/targets), a forward, --record or --snapshot-interval"
    )]
    NotMixed(String),
    /// The process that would make it is about to start.
    #[error("the room's mixer is being started: ask again in a second")]
    Starting,
    /// As many wait for theirs as may.
    #[error("as many wait for a snapshot of this room as may: ask again in a second")]
    Waiting,
    /// The mixer has none.
    #[error(transparent)]
    None(#[from] NoSnapshot),
}

type Label = [(&'static str, &'static str); 1];

/// What `/metrics` shows of snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    snapshots: Family<Label, Counter>,
    files: Family<Label, Counter>,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("snapshots", "Snapshots, by outcome", metrics.snapshots.clone());
        registry.register(
            "snapshot_files",
            "Files of snapshots, by outcome",
            metrics.files.clone(),
        );
        metrics
    }

    /// A snapshot was made at its time (`taken`) or on demand (`answered`), or it was not (`failed`, `refused`).
    pub(crate) fn count(&self, outcome: &'static str) {
        self.snapshots.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A file was `written`, `failed`, or `dropped` because the disk is slow.
    fn count_file(&self, outcome: &'static str) {
        self.files.get_or_create(&[("outcome", outcome)]).inc();
    }
}

/// Where the snapshots of all rooms go. Clones go to the same places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots {
    /// How mixers make them.
    pub(crate) settings: SnapshotSettings,
    /// Where they are written, if anywhere.
    pub(crate) disk: Option<Disk>,
    /// Who is told, if anybody.
    pub(crate) webhooks: Webhooks,
    /// Counts them.
    pub(crate) metrics: Metrics,
}

impl Snapshots {
    /// Whether rooms have some that nobody asks for.
    pub(crate) const fn at_interval(&self) -> bool {
        self.settings.interval_ms.is_some()
    }

    /// One that was made because its time had come: of a user, or of the mix. Never waits.
    pub(crate) fn keep(&self, room: &str, user: Option<&str>, snapshot: Snapshot) {
        self.metrics.count("taken");
        let name = disk::name(room, user, snapshot.header.taken_ms);
        let file = self.disk.is_some().then_some(name.as_str());
        if self.webhooks.are_there() {
            let SnapshotHeader {
                width,
                height,
                taken_ms,
                ..
            } = snapshot.header;
            let jpeg = STANDARD.encode(&snapshot.jpeg);
            self.webhooks.say(&Event::Snapshot {
                room,
                user,
                taken_ms,
                width,
                height,
                file,
                jpeg: &jpeg,
            });
        }
        if let Some(disk) = &self.disk {
            disk.write(name, snapshot.jpeg);
        }
    }
}

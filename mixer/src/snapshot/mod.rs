//! Snapshots of hosts and of the mix, as JPEG: at an interval and on demand.
//!
//! ```text
//!  decoding thread ─ pictures ─┐
//!  mixing thread ─── a copy ───┴─► ingest thread: desk ─ jobs ─► this module's thread: JPEG ─► the daemon
//! ```

mod courier;
mod desk;
mod jpeg;
mod worker;

pub(crate) use desk::Seen;

use crate::daemon::Daemon;
use crossbeam_channel::{Receiver, Sender, bounded};
use desk::{Desk, Errand};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{FromMixer, NoSnapshot, SnapshotId, SnapshotSettings};
use lianmai_timeline::{EdgeTime, Span};
use std::io;
use std::path::Path;
use worker::Job;

/// Pictures between two looks of the ingest thread, which are 5 ms apart.
const SEEN: usize = 64;

/// The desk with what it needs: pictures come in, jobs go out.
pub(crate) struct Snapshots {
    desk: Desk,
    settings: SnapshotSettings,
    seen: Receiver<Seen>,
    jobs: Sender<Job>,
    daemon: Daemon,
}

impl Snapshots {
    /// Starts the thread that makes them. Pictures are shown to the other end; who finds it full need not care.
    pub(crate) fn spawn(directory: &Path, daemon: Daemon) -> io::Result<(Self, Sender<Seen>)> {
        let (show, seen) = bounded(SEEN);
        let snapshots = Self {
            desk: Desk::default(),
            settings: SnapshotSettings::default(),
            seen,
            jobs: worker::spawn(directory, daemon.clone())?,
            daemon,
        };
        Ok((snapshots, show))
    }

    /// How they are made from now on, and how often.
    pub(crate) fn configure(&mut self, now: EdgeTime, settings: SnapshotSettings) {
        self.settings = settings;
        let interval = settings
            .interval_ms
            .map(|millis| Span::from_millis(i64::from(millis)));
        self.desk.set_interval(now, interval);
    }

    /// A host joined, or its tracks changed; whether it has video that is decoded.
    pub(crate) fn add(&mut self, now: EdgeTime, host: HostId, shown: bool) {
        if shown {
            self.desk.add(now, host);
        } else {
            self.desk.remove(host);
        }
    }

    /// A host left.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.desk.remove(host);
    }

    /// Somebody asks for one.
    pub(crate) fn take(&mut self, now: EdgeTime, host: Option<HostId>, request: SnapshotId) {
        self.desk.want(now, host, request);
    }

    /// Looks at pictures and time. `copy_mix` has the next picture of the mix copied.
    pub(crate) fn handle_timeout(&mut self, now: EdgeTime, mut copy_mix: impl FnMut()) {
        while let Ok(seen) = self.seen.try_recv() {
            self.desk.seen(now, &seen);
        }
        self.desk.handle_timeout(now);
        while let Some(errand) = self.desk.poll() {
            match errand {
                Errand::AskKeyFrame(host) => self.daemon.say(FromMixer::KeyFrameNeeded { host }),
                Errand::CopyMix => copy_mix(),
                Errand::Refuse(request, reason) => self.refuse(Some(request), reason),
                Errand::Encode {
                    subject,
                    request,
                    frame,
                    at,
                } => {
                    let settings = self.settings;
                    let job = Job {
                        subject,
                        request,
                        frame,
                        at,
                        settings,
                    };
                    if self.jobs.try_send(job).is_err() {
                        self.refuse(request, NoSnapshot::Busy);
                    }
                }
            }
        }
    }

    fn refuse(&self, request: Option<SnapshotId>, reason: NoSnapshot) {
        self.daemon.say(FromMixer::NoSnapshot { request, reason });
    }
}

//! The thread that makes JPEGs and hands them to the daemon. Who finds its queue full drops the picture and says so.

use super::courier::Courier;
use super::desk::Subject;
use super::jpeg::{self, JpegError};
use crate::clock;
use crate::daemon::Daemon;
use crossbeam_channel::{Receiver, Sender, bounded};
use lianmai_compositor::Frame;
use lianmai_mixer_control::{FromMixer, NoSnapshot, SnapshotHeader, SnapshotId, SnapshotSettings};
use lianmai_timeline::EdgeTime;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pictures that wait: those of all nine hosts that are shown, and some that were asked for.
const QUEUE: usize = 16;

/// One snapshot to make.
pub(super) struct Job {
    pub(super) subject: Subject,
    pub(super) request: Option<SnapshotId>,
    pub(super) frame: Arc<Frame>,
    pub(super) at: EdgeTime,
    pub(super) settings: SnapshotSettings,
}

/// Starts the thread. It ends with the last handle to its queue.
pub(super) fn spawn(directory: &Path, daemon: Daemon) -> io::Result<Sender<Job>> {
    let (sender, jobs) = bounded(QUEUE);
    let courier = Courier::new(directory);
    thread::Builder::new()
        .name("snapshots".to_owned())
        .spawn(move || work(&jobs, courier, &daemon))?;
    Ok(sender)
}

fn work(jobs: &Receiver<Job>, mut courier: Courier, daemon: &Daemon) {
    let mut lost = 0_u64;
    for job in jobs {
        if let Err(error) = make(&job, &mut courier) {
            lost += 1;
            if lost.is_power_of_two() {
                tracing::warn!(host = ?job.subject, %error, lost, "a snapshot is lost");
            }
            daemon.say(FromMixer::NoSnapshot {
                request: job.request,
                reason: NoSnapshot::Failed,
            });
        }
    }
}

/// Why a snapshot is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("it cannot be encoded: {0}")]
    Jpeg(#[from] JpegError),
    #[error("the daemon does not take it: {0}")]
    Courier(#[from] io::Error),
}

fn make(job: &Job, courier: &mut Courier) -> Result<(), Lost> {
    let largest = usize::try_from(job.settings.largest_side).unwrap_or(usize::MAX);
    let (jpeg, size) = jpeg::encode(&job.frame, job.settings.quality, largest)?;
    let header = SnapshotHeader {
        host: job.subject,
        request: job.request,
        width: number(size.width),
        height: number(size.height),
        taken_ms: since_1970(job.at),
        bytes: number(jpeg.len()),
    };
    Ok(courier.send(&header, &jpeg)?)
}

/// Sides end at 8192, and JPEGs at 1 MiB.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// An instant of the mixer's clock in milliseconds of the world's.
fn since_1970(at: EdgeTime) -> u64 {
    let age = Duration::from_nanos(u64::try_from((clock::now() - at).0).unwrap_or(0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(age).as_millis()).unwrap_or(u64::MAX)
}

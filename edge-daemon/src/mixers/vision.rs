//! The vision program of one mixer: started when the mixer runs, started again when it ends, ended with the mixer.
//!
//! It speaks with the mixer alone. The daemon hears nothing of it but that it ended, so it has no say in anything.

use super::VisionMetrics;
use crate::handover;
use crate::webhooks::SECRET_VARIABLE;
use lianmai_mixer_control::VISION_SOCKET;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A program that lived this long failed by accident; one that did not will likely fail again.
const STEADY: Duration = Duration::from_secs(10);

/// Between two starts.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// A program that the mixer does not see for so long, although it runs, hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the variables of this program begin with: stream keys may be in them.
const OURS: &str = "LIANMAI_";

/// What to run, for every mixer.
#[derive(Clone, Debug, Default)]
pub(crate) struct VisionSpec {
    /// The program and its arguments; `--socket PATH` comes after them. Nothing, if there is none.
    pub(crate) command: Vec<String>,
    /// Counts every start after an end, and what mixers say.
    pub(crate) metrics: VisionMetrics,
}

/// One mixer's program. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Vision {
    keeper: JoinHandle<()>,
    shared: Arc<Shared>,
    absence: Absence,
}

#[derive(Debug, Default)]
struct Shared {
    /// 0 while none runs.
    pid: AtomicU32,
    hangs: Notify,
}

/// Since when the mixer does not see it.
#[derive(Debug, Default)]
struct Absence(Option<Instant>);

impl VisionSpec {
    /// Whether there is one.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.command.is_empty()
    }
}

impl Vision {
    /// Runs the program beside a mixer that has its sockets in `directory`.
    pub(super) fn start(spec: &VisionSpec, directory: &Path, room: &str) -> Option<Self> {
        if !spec.is_wanted() {
            return None;
        }
        let shared = Arc::<Shared>::default();
        let keeper = Keeper {
            spec: spec.clone(),
            socket: directory.join(VISION_SOCKET),
            room: room.to_owned(),
            shared: Arc::clone(&shared),
        };
        Some(Self {
            keeper: tokio::spawn(keeper.run()),
            shared,
            absence: Absence::default(),
        })
    }

    /// The process, if one runs.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Whether the mixer sees it. One that runs and is not seen for long is replaced.
    pub(super) fn seen(&mut self, connected: bool) {
        if self.absence.is_long(Instant::now(), connected) {
            self.shared.hangs.notify_waiters();
        }
    }
}

impl Drop for Vision {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Absence {
    /// True once for every [`PATIENCE`] in which it was never seen.
    fn is_long(&mut self, now: Instant, seen: bool) -> bool {
        if seen {
            self.0 = None;
            return false;
        }
        let is_long = now.duration_since(*self.0.get_or_insert(now)) >= PATIENCE;
        if is_long {
            self.0 = Some(now);
        }
        is_long
    }
}

struct Keeper {
    spec: VisionSpec,
    socket: PathBuf,
    room: String,
    shared: Arc<Shared>,
}

impl Keeper {
    async fn run(self) {
        let mut wait = Duration::ZERO;
        loop {
            let started = Instant::now();
            let reason = match self.spawn() {
                Ok(child) => self.watch(child).await,
                Err(error) => format!("cannot start {:?}: {error}", self.spec.command[0]),
            };
            wait = if started.elapsed() > STEADY {
                Duration::ZERO
            } else {
                (wait * 2).clamp(WAIT.0, WAIT.1)
            };
            tracing::warn!(
                room = self.room,
                reason,
                ?wait,
                "no vision program; starting it again"
            );
            self.spec.metrics.restarts.inc();
            sleep(wait).await;
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let [program, arguments @ ..] = self.spec.command.as_slice() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let mut command = Command::new(program);
        let ours = std::env::vars_os().map(|(name, _)| name);
        let ours = ours.filter(|name| name.to_string_lossy().starts_with(OURS));
        let others = handover::VARIABLES.into_iter().chain([SECRET_VARIABLE]);
        for variable in ours.chain(others.map(OsString::from)) {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .arg("--socket")
            .arg(&self.socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    /// Until it ends, or is made to.
    async fn watch(&self, mut child: Child) -> String {
        self.shared.pid.store(child.id().unwrap_or(0), Ordering::Relaxed);
        let reason = tokio::select! {
            ended = child.wait() => match ended {
                Ok(status) => format!("it ended: {status}"),
                Err(error) => error.to_string(),
            },
            () = self.shared.hangs.notified() => {
                // One that is gone already needs no end.
                let _ = child.kill().await;
                format!("it runs, and the mixer has not seen it for {PATIENCE:?}")
            }
        };
        self.shared.pid.store(0, Ordering::Relaxed);
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::{Absence, PATIENCE, Vision, VisionSpec};
    use std::path::Path;
    use std::time::Duration;
    use tokio::time::{Instant, sleep, timeout};

    #[test]
    fn only_one_that_is_never_seen_for_long_hangs() {
        let (mut absence, start) = (Absence::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let long = PATIENCE.as_secs();
        assert!(!absence.is_long(at(0), false));
        assert!(!absence.is_long(at(long - 1), false));
        assert!(!absence.is_long(at(long), true));
        assert!(!absence.is_long(at(long + 1), false));
        assert!(!absence.is_long(at(2 * long), false));
        assert!(absence.is_long(at(2 * long + 1), false));
        assert!(
            !absence.is_long(at(2 * long + 2), false),
            "the next one has its time too"
        );
    }

    fn spec(command: &[&str]) -> VisionSpec {
        VisionSpec {
            command: command.iter().map(|&part| part.to_owned()).collect(),
            ..VisionSpec::default()
        }
    }

    #[test]
    fn without_a_command_there_is_none() {
        assert!(Vision::start(&spec(&[]), Path::new("/"), "show").is_none());
    }

    /// Waits for something that a process does.
    async fn until(mut there: impl FnMut() -> bool) {
        let look = async {
            while !there() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), look).await.expect("in time");
    }

    #[tokio::test]
    async fn one_that_ends_is_started_again_and_is_told_the_socket() {
        let directory = tempfile::tempdir().expect("a directory");
        let told = directory.path().join("told");
        let script = format!("echo $@ $LIANMAI_VISION_TEST >> {}", told.display());
        let spec = spec(&["sh", "-c", &script, "sh"]);
        let vision = Vision::start(&spec, directory.path(), "show").expect("wanted");
        until(|| spec.metrics.restarts.get() >= 2).await;
        drop(vision);
        let told = std::fs::read_to_string(told).expect("it ran");
        let socket = directory.path().join("vision.sock");
        let line = format!("--socket {}", socket.display());
        assert!(
            told.lines().count() >= 2 && told.lines().all(|said| said == line),
            "{told}"
        );
    }

    #[tokio::test]
    async fn one_that_is_not_there_is_tried_again_and_does_no_harm() {
        let spec = spec(&["/nowhere/to/be/found"]);
        let vision = Vision::start(&spec, Path::new("/"), "show").expect("wanted");
        until(|| spec.metrics.restarts.get() >= 2).await;
        assert_eq!(vision.pid(), None);
    }

    #[tokio::test]
    async fn it_ends_with_its_mixer() {
        let spec = spec(&["sh", "-c", "exec sleep 1000", "sh"]);
        let vision = Vision::start(&spec, Path::new("/"), "show").expect("wanted");
        until(|| vision.pid().is_some()).await;
        let arguments = format!("/proc/{}/cmdline", vision.pid().expect("it runs"));
        drop(vision);
        // Of a process that has ended there are none, whether somebody has asked for its status or not.
        until(|| std::fs::read(&arguments).unwrap_or_default().is_empty()).await;
    }
}

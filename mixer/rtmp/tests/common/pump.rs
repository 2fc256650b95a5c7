//! A stream in real time.

use super::{PATIENCE, sample};
use lianmai_rtmp::publisher::{PublisherEvent, PublisherState};
use lianmai_rtmp::{Publisher, Rebase, Tag};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pushes a sample over and over, at its own speed, on one timeline that starts at `start`.
pub(crate) struct Pump {
    running: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    pub(crate) fn start(publisher: &Arc<Publisher>, start: i64) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let (publisher, going) = (Arc::clone(publisher), Arc::clone(&running));
        let tags = sample(4);
        let thread = std::thread::spawn(move || pump(&publisher, &tags, start, &going));
        Self {
            running,
            thread: Some(thread),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pump(publisher: &Publisher, tags: &[Tag], mut start: i64, going: &AtomicBool) {
    loop {
        let began = Instant::now();
        let mut rebase = Rebase::starting_at(start);
        for tag in tags {
            if !going.load(Ordering::Relaxed) {
                return;
            }
            let due = Duration::from_millis(u64::from(tag.timestamp_ms));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            publisher.push(rebase.apply(tag));
        }
        start = rebase.latest() + 20;
    }
}

pub(crate) fn await_publishing(events: &Receiver<PublisherEvent>) {
    let publishing = PublisherEvent::State(PublisherState::Publishing);
    let deadline = Instant::now() + PATIENCE;
    while events
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .expect("publishing")
        != publishing
    {}
}

//! A viewer that stays: every tag of a live HTTP-FLV stream with the moment it came.

use crate::http::agent;
use crate::wait::until;
use anyhow::{Context, Result};
use lianmai_rtmp::flv::FlvReader;
use lianmai_rtmp::{Tag, TagKind};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One tag and when it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its last byte came.
    pub at: Instant,
    /// The tag.
    pub tag: Tag,
}

/// A viewer on a thread of its own; the thread ends with the stream.
#[derive(Debug)]
pub struct Viewer {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Viewer {
    /// Waits until a room's mix is there, and watches it from then on.
    pub fn watch(edge_url: &str, room: &str) -> Result<Self> {
        let url = format!("{edge_url}/live/{room}.flv");
        let mut body = until(Duration::from_secs(30), &format!("{url} to be live"), || {
            open(&url)
        })?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut reader = FlvReader::new();
            let mut buffer = [0; 16 * 1024];
            while let Ok(len @ 1..) = body.read(&mut buffer) {
                reader.push(&buffer[..len]);
                while let Ok(Some(tag)) = reader.next_tag() {
                    log.lock().expect("no panic under the lock").push(Seen {
                        at: Instant::now(),
                        tag,
                    });
                }
            }
        });
        Ok(Self { seen })
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic under the lock").clone()
    }

    /// The video frames that came so far.
    pub fn frames(&self) -> Vec<Seen> {
        self.of(TagKind::Video)
    }

    /// The audio frames that came so far.
    pub fn sounds(&self) -> Vec<Seen> {
        self.of(TagKind::Audio)
    }

    fn of(&self, kind: TagKind) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.tag.kind == kind && seen.tag.is_frame())
            .collect()
    }

    /// Waits for a video frame that comes after now.
    pub fn next_frame(&self, patience: Duration) -> Result<Seen> {
        self.next_frame_after(Instant::now(), patience)
    }

    /// Waits for the first video frame that comes after `moment`.
    pub fn next_frame_after(&self, moment: Instant, patience: Duration) -> Result<Seen> {
        until(patience, "another frame of the mix", || {
            Ok(self.frames().into_iter().find(|seen| seen.at > moment))
        })
    }
}

fn open(url: &str) -> Result<Option<impl Read + Send + 'static>> {
    let agent = agent();
    let request = agent.get(url).config().timeout_global(None).build();
    let response = request.call().with_context(|| url.to_owned())?;
    Ok(response
        .status()
        .is_success()
        .then(|| response.into_body().into_reader()))
}

/// The longest time between two frames as they came, and as their timestamps say, both in seconds.
pub fn longest_gap(seen: &[Seen]) -> (f64, f64) {
    let pairs = seen.windows(2);
    pairs.fold((0.0, 0.0), |(arrival, stamp): (f64, f64), pair| {
        let came = pair[1].at.duration_since(pair[0].at).as_secs_f64();
        let stamped = f64::from(pair[1].tag.timestamp_ms) - f64::from(pair[0].tag.timestamp_ms);
        (arrival.max(came), stamp.max(stamped / 1000.0))
    })
}

/// Whether every timestamp is later than the one before.
pub fn strictly_rising(seen: &[Seen]) -> bool {
    seen.windows(2)
        .all(|pair| pair[1].tag.timestamp_ms > pair[0].tag.timestamp_ms)
}

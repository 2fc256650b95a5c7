//! The decoding thread: one decoder a host.

use super::Task;
use super::decoder::{Counters, HostDecoder};
use super::filters::FilterBoard;
use crate::clock;
use crate::vision::Eye;
use crossbeam_channel::Receiver;
use lianmai_compositor::Frame;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::EdgeTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the decoding thread has to do.
#[derive(Debug)]
pub(crate) enum VideoTask {
    /// Decode a picture.
    Decode(HostId, Task),
    /// The host's encoder started anew.
    Restart(HostId),
    /// The host left.
    Remove(HostId),
}

/// What the decoding thread has to say.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A coded picture was worked on.
    Picture(DecodedPicture),
    /// The decoder of this host cannot go on without a key frame.
    KeyFrameNeeded(HostId),
}

/// What became of a coded picture.
#[derive(Debug)]
pub(crate) struct DecodedPicture {
    /// Whose it is.
    pub host: HostId,
    /// When it was captured.
    pub captured: EdgeTime,
    /// Whether decoding may start with it.
    pub key: bool,
    /// The picture, if it could be decoded.
    pub frame: Option<Arc<Frame>>,
    /// What this host's decoder counted so far.
    pub counters: Counters,
}

/// All decoders. They decode on the thread that calls them; OpenH264's own threads are unsafe.
pub(crate) struct Worker {
    decoders: BTreeMap<HostId, HostDecoder>,
    filters: FilterBoard,
    eye: Option<Eye>,
}

impl Worker {
    /// No decoders yet; pictures are filtered as `filters` says, and shown to `eye`.
    pub(crate) fn new(filters: FilterBoard, eye: Option<Eye>) -> Self {
        Self {
            decoders: BTreeMap::new(),
            filters,
            eye,
        }
    }

    /// Works until `tasks` is closed. `say` must not block.
    pub(crate) fn run(mut self, tasks: &Receiver<VideoTask>, mut say: impl FnMut(Decoded)) {
        for task in tasks {
            match task {
                VideoTask::Decode(host, task) => self.decode(host, &task, &mut say),
                VideoTask::Restart(host) => self.decoders.entry(host).or_default().restart(),
                VideoTask::Remove(host) => {
                    self.decoders.remove(&host);
                }
            }
        }
    }

    fn decode(&mut self, host: HostId, task: &Task, say: &mut impl FnMut(Decoded)) {
        let decoder = self.decoders.entry(host).or_default();
        decoder.follow(&self.filters, host);
        let outcome = decoder.decode(clock::now(), task);
        let (counters, captured) = (decoder.counters(), task.captured);
        if let (Some(eye), Some(frame)) = (&self.eye, &outcome.frame) {
            eye.offer(host, frame);
        }
        say(Decoded::Picture(DecodedPicture {
            host,
            captured,
            key: task.key,
            frame: outcome.frame,
            counters,
        }));
        if outcome.key_frame_needed {
            say(Decoded::KeyFrameNeeded(host));
        }
    }
}

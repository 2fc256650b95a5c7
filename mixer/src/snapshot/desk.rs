//! Which picture becomes which snapshot, and when. No I/O and no clock in here.

use crate::video::DecodedPicture;
use lianmai_compositor::Frame;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{NoSnapshot, SnapshotId};
use lianmai_timeline::{EdgeTime, Span};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How long a snapshot waits for a key frame before it takes any picture.
const KEY_PATIENCE: Span = Span::from_secs(2);

/// An older picture does not show what the host shows.
const FRESH: Span = Span::from_secs(5);

/// A host of which nothing was decoded for so long is asked for a key frame.
const RECENT: Span = Span::from_secs(1);

/// Snapshots that are asked for at a time, of one host or of the mix.
const MAX_WANTS: usize = 8;

/// As many as the ingest takes.
const MAX_HOSTS: usize = 64;

/// Of whom; of the mix if of nobody.
pub(crate) type Subject = Option<HostId>;

/// A picture that may become a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Of whom.
    pub subject: Subject,
    /// Whether it was coded without reference to others.
    pub key: bool,
    /// The picture, upright.
    pub frame: Arc<Frame>,
}

impl Seen {
    /// A picture of a host, if one came out.
    pub(crate) fn decoded(picture: &DecodedPicture) -> Option<Self> {
        Some(Self {
            subject: Some(picture.host),
            key: picture.key,
            frame: Arc::clone(picture.frame.as_ref()?),
        })
    }

    /// A picture of the mix.
    pub(crate) fn mixed(frame: Frame) -> Self {
        Self {
            subject: None,
            key: true,
            frame: Arc::new(frame),
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Errand {
    /// Ask this host for a key frame.
    AskKeyFrame(HostId),
    /// Copy the next picture of the mix.
    CopyMix,
    /// Make a JPEG of a picture that was seen `at`.
    Encode {
        subject: Subject,
        request: Option<SnapshotId>,
        frame: Arc<Frame>,
        at: EdgeTime,
    },
    /// There will be no snapshot.
    Refuse(SnapshotId, NoSnapshot),
}

/// Snapshots of all hosts and of the mix: what is wanted, and what there is.
#[derive(Debug)]
pub(super) struct Desk {
    interval: Option<Span>,
    watches: BTreeMap<Subject, Watch>,
    errands: VecDeque<Errand>,
}

#[derive(Debug, Default)]
struct Watch {
    /// When one is wanted that nobody asked for.
    due: Option<EdgeTime>,
    wants: Vec<Want>,
    latest: Option<(EdgeTime, Arc<Frame>)>,
}

#[derive(Clone, Copy, Debug)]
struct Want {
    /// Without one its time had come.
    request: Option<SnapshotId>,
    /// From then on any picture will do.
    deadline: EdgeTime,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            interval: None,
            watches: BTreeMap::from([(None, Watch::default())]),
            errands: VecDeque::new(),
        }
    }
}

impl Desk {
    /// From now on each host, and the mix, has a snapshot this often; a host its first as soon as it is seen.
    pub(super) fn set_interval(&mut self, now: EdgeTime, interval: Option<Span>) {
        self.interval = interval;
        for (subject, watch) in &mut self.watches {
            watch.due = interval.map(|interval| if subject.is_some() { now } else { now + interval });
        }
    }

    /// A host with video that is decoded.
    pub(super) fn add(&mut self, now: EdgeTime, host: HostId) {
        if self.watches.len() > MAX_HOSTS {
            return;
        }
        let due = self.interval.map(|_| now);
        self.watches.entry(Some(host)).or_insert_with(|| Watch {
            due,
            ..Watch::default()
        });
    }

    /// A host that left, or has no such video any more.
    pub(super) fn remove(&mut self, host: HostId) {
        let Some(watch) = self.watches.remove(&Some(host)) else {
            return;
        };
        let requests = watch.wants.iter().filter_map(|want| want.request);
        self.errands
            .extend(requests.map(|request| Errand::Refuse(request, NoSnapshot::NoVideo)));
    }

    /// Somebody asks for a snapshot.
    pub(super) fn want(&mut self, now: EdgeTime, subject: Subject, request: SnapshotId) {
        let Some(watch) = self.watches.get_mut(&subject) else {
            return self
                .errands
                .push_back(Errand::Refuse(request, NoSnapshot::NoVideo));
        };
        if watch.wants.len() >= MAX_WANTS {
            return self.errands.push_back(Errand::Refuse(request, NoSnapshot::Busy));
        }
        watch.wants.push(Want {
            request: Some(request),
            deadline: now + KEY_PATIENCE,
        });
        self.errands.push_back(how_to_get(subject));
    }

    /// A picture was decoded, or the mix copied.
    pub(super) fn seen(&mut self, now: EdgeTime, seen: &Seen) {
        let Some(watch) = self.watches.get_mut(&seen.subject) else {
            return;
        };
        watch.latest = seen.subject.map(|_| (now, Arc::clone(&seen.frame)));
        let wants = watch
            .wants
            .extract_if(.., |want| seen.key || want.deadline <= now);
        self.errands.extend(wants.map(|want| Errand::Encode {
            subject: seen.subject,
            request: want.request,
            frame: Arc::clone(&seen.frame),
            at: now,
        }));
    }

    /// Looks after what is due. Call every few milliseconds.
    pub(super) fn handle_timeout(&mut self, now: EdgeTime) {
        for (subject, watch) in &mut self.watches {
            if watch.begin(now, self.interval) {
                let is_seen = watch.latest.as_ref().is_some_and(|(at, _)| now - *at <= RECENT);
                self.errands.extend((!is_seen).then(|| how_to_get(*subject)));
            }
            watch.give_up(now, *subject, &mut self.errands);
        }
    }

    /// What is to be done next.
    pub(super) fn poll(&mut self) -> Option<Errand> {
        self.errands.pop_front()
    }
}

impl Watch {
    /// Wants a snapshot if its time has come; true if it did. One that still waits for a picture is enough.
    fn begin(&mut self, now: EdgeTime, interval: Option<Span>) -> bool {
        let Some((due, interval)) = self.due.filter(|due| *due <= now).zip(interval) else {
            return false;
        };
        self.due = Some((due + interval).max(now));
        if self.wants.iter().any(|want| want.request.is_none()) {
            return false;
        }
        let deadline = now + KEY_PATIENCE.min(interval);
        self.wants.push(Want {
            request: None,
            deadline,
        });
        true
    }

    /// Ends what has waited long enough for a key frame: with the last picture if it is fresh. Without one, who asked is told, and
    /// what nobody asked for waits for the next picture.
    fn give_up(&mut self, now: EdgeTime, subject: Subject, errands: &mut VecDeque<Errand>) {
        let fresh = self.latest.as_ref().filter(|(at, _)| now - *at <= FRESH);
        let is_over = |want: &mut Want| {
            want.deadline <= now && (fresh.is_some() || want.request.is_some() || subject.is_none())
        };
        errands.extend(
            self.wants
                .extract_if(.., is_over)
                .filter_map(|want| match (fresh, want.request) {
                    (Some((at, frame)), request) => Some(Errand::Encode {
                        subject,
                        request,
                        frame: Arc::clone(frame),
                        at: *at,
                    }),
                    (None, Some(request)) => Some(Errand::Refuse(request, NoSnapshot::NoPicture)),
                    // The mix is there at every tick: it did not hear of this one, and hears of the next.
                    (None, None) => None,
                }),
        );
    }
}

fn how_to_get(subject: Subject) -> Errand {
    subject.map_or(Errand::CopyMix, Errand::AskKeyFrame)
}

#[cfg(test)]
mod tests;

//! From datagrams of the media socket to sound and coded pictures on the room's clock. No I/O and no clock in here.

mod audio;
mod h264;
mod host;
mod picture;
mod reports;
mod track;
mod video;
mod vp8;

use crate::audio::Pcm;
use crate::video::Task;
use host::{Came, Host};
use lianmai_mixer_control::media::{self, HostId, MAX_LEN, Message};
use lianmai_mixer_control::{AudioSource, VideoSource};
use lianmai_timeline::{EdgeTime, Kind, Span, Timeline};
use std::collections::BTreeMap;

pub(crate) use host::HostCounters;
pub(crate) use reports::parts;

/// More hosts than any room has: nine are shown.
const MAX_HOSTS: usize = 64;

/// An arrival further from now than this is not believed.
const MAX_AGE: Span = Span::from_secs(5);

/// A round trip beyond this is none.
const MAX_ROUND_TRIP: u64 = 10_000_000_000;

/// Where the ingest puts what it made.
pub(crate) trait Sink {
    /// Decoded sound whose first frame was captured at `captured`.
    fn sound(&mut self, host: HostId, pcm: Pcm, captured: EdgeTime);
    /// An Opus packet as it came, before it is decoded; its first sample was captured at `captured`.
    fn packet(&mut self, host: HostId, packet: &[u8], captured: EdgeTime);
    /// A coded picture; false if there is no room for it.
    fn picture(&mut self, host: HostId, task: Task) -> bool;
    /// The host's encoder started anew, or another one took its place: what is left of the old one is void.
    fn restarted(&mut self, host: HostId, kind: Kind);
}

/// All hosts' packets.
#[derive(Default)]
pub(crate) struct Ingest {
    hosts: BTreeMap<HostId, Host>,
    timeline: Timeline<HostId>,
    rejected: u64,
}

impl Ingest {
    /// Adds a host, or changes its tracks; a track that stays as it was goes on undisturbed.
    pub(crate) fn add_host(
        &mut self,
        id: HostId,
        audio: Option<AudioSource>,
        video: Option<VideoSource>,
        sink: &mut impl Sink,
    ) {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&id) {
            tracing::warn!(host = id.0, "more than {MAX_HOSTS} hosts: this one is not mixed");
            return;
        }
        let host = self.hosts.entry(id).or_insert_with(|| {
            self.timeline.add_host(id);
            Host::default()
        });
        for kind in host.set_tracks(audio, video) {
            self.timeline.reset_track(id, kind);
            sink.restarted(id, kind);
        }
    }

    /// Drops a host.
    pub(crate) fn remove_host(&mut self, id: HostId) {
        self.hosts.remove(&id);
        self.timeline.remove_host(id);
    }

    /// Takes one datagram of the media socket.
    pub(crate) fn handle_input(&mut self, now: EdgeTime, datagram: &[u8], sink: &mut impl Sink) {
        if let Err(reason) = self.message(now, datagram, sink) {
            self.rejected += 1;
            tracing::debug!(%reason, bytes = datagram.len(), "a media message is dropped");
        }
    }

    /// Hands over what is due by `now`. Call after input, and every few milliseconds.
    pub(crate) fn handle_timeout(&mut self, now: EdgeTime, sink: &mut impl Sink) {
        let room = self.timeline.room_delay(now);
        for (id, host) in &mut self.hosts {
            let delay = self.timeline.host_delay(*id, now);
            host.drain(*id, now, &self.timeline, room, delay, sink);
        }
    }

    /// How long after its capture everything is shown.
    pub(crate) fn room_delay(&mut self, now: EdgeTime) -> Span {
        self.timeline.room_delay(now)
    }

    /// Messages that did not parse.
    #[must_use]
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// What is counted of each host.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (HostId, HostCounters)> {
        self.hosts.iter().map(|(id, host)| {
            let jitter = self.timeline.stats(*id).map_or(Span::ZERO, |stats| stats.jitter);
            (
                *id,
                HostCounters {
                    jitter,
                    ..host.counters()
                },
            )
        })
    }

    fn message(&mut self, now: EdgeTime, datagram: &[u8], sink: &mut impl Sink) -> Result<(), Rejected> {
        if datagram.len() > MAX_LEN {
            return Err(Rejected::Long(MAX_LEN));
        }
        let message = Message::parse(datagram)?;
        let Some(host) = self.hosts.get_mut(&message.host) else {
            return Err(Rejected::Host(message.host.0));
        };
        let arrival = arrival(now, message.arrival_ns)?;
        match message.kind {
            media::Kind::Rtp | media::Kind::Repair => {
                let came = Came {
                    arrival,
                    is_repair: message.kind == media::Kind::Repair,
                };
                host.rtp(message.host, came, message.body, &mut self.timeline, sink)
            }
            media::Kind::Rtcp => {
                host.rtcp(message.host, arrival, message.body, &mut self.timeline);
                Ok(())
            }
            media::Kind::RoundTrip => {
                let round_trip = round_trip(message.body)?;
                self.timeline.set_round_trip(message.host, round_trip, arrival);
                Ok(())
            }
        }
    }
}

/// Why a media message is dropped.
#[derive(Debug, thiserror::Error)]
enum Rejected {
    #[error(transparent)]
    Message(#[from] lianmai_mixer_control::media::MessageError),
    #[error("longer than {0} bytes")]
    Long(usize),
    #[error("host {0} is not in the mix")]
    Host(u32),
    #[error("it arrived at {0} ns, which is not now")]
    Arrival(u64),
    #[error(transparent)]
    Rtp(#[from] lianmai_fanout::Malformed),
    #[error("payload type {0} belongs to no track of its host")]
    PayloadType(u8),
    #[error("a round trip of {0} bytes, or of more than 10 s")]
    RoundTrip(usize),
    #[error("no Opus decoder: {0}")]
    Opus(#[from] opus::Error),
}

fn arrival(now: EdgeTime, nanos: u64) -> Result<EdgeTime, Rejected> {
    let arrival = i64::try_from(nanos)
        .map(EdgeTime)
        .map_err(|_| Rejected::Arrival(nanos))?;
    if (now - arrival).abs() > MAX_AGE {
        return Err(Rejected::Arrival(nanos));
    }
    Ok(arrival.min(now))
}

fn round_trip(body: &[u8]) -> Result<Span, Rejected> {
    let bytes: [u8; 8] = body.try_into().map_err(|_| Rejected::RoundTrip(body.len()))?;
    let nanos = u64::from_be_bytes(bytes);
    if nanos > MAX_ROUND_TRIP {
        return Err(Rejected::RoundTrip(body.len()));
    }
    i64::try_from(nanos)
        .map(Span)
        .map_err(|_| Rejected::RoundTrip(body.len()))
}

#[cfg(test)]
mod tests;

//! Hosts' RTP in the clear, as it came, to UDP addresses: for recorders, transcoders and whatever else reads SDP.

mod outlet;
mod rtcp;

use lianmai_fanout::{RtpPacket, Ssrc};
use lianmai_mixer_control::media::{self, HostId, Message};
use lianmai_mixer_control::{AudioSource, Forward, ForwardId, ForwardStats, VideoSource};
use lianmai_timeline::{EdgeTime, Kind, Span};
use outlet::Outlet;
use std::collections::BTreeMap;

/// Each has up to four sockets.
const MAX_FORWARDS: usize = 16;

/// More hosts than any room has.
const MAX_HOSTS: usize = 64;

/// All forwards of a room.
#[derive(Default)]
pub(crate) struct Forwards {
    hosts: BTreeMap<HostId, Host>,
    forwards: BTreeMap<ForwardId, Running>,
}

/// A host and its tracks.
struct Host {
    name: String,
    tracks: [Option<Track>; 2],
}

/// A payload type, and who was last heard with it.
struct Track {
    kind: Kind,
    payload_type: u8,
    ssrc: Option<Ssrc>,
}

struct Running {
    forward: Forward,
    outlet: Outlet,
    /// When the host is to be asked for a key frame.
    key_frame_due: Option<EdgeTime>,
}

impl Forwards {
    /// A host joined, or its tracks changed.
    pub(crate) fn add_host(
        &mut self,
        now: EdgeTime,
        id: HostId,
        name: &str,
        audio: Option<&AudioSource>,
        video: Option<&VideoSource>,
    ) {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&id) {
            return;
        }
        let track = |kind, payload_type| Track {
            kind,
            payload_type,
            ssrc: None,
        };
        let host = Host {
            name: name.to_owned(),
            tracks: [
                audio.map(|source| track(Kind::Audio, source.payload_type)),
                video.map(|source| track(Kind::Video, source.payload_type)),
            ],
        };
        self.hosts.insert(id, host);
        for running in self
            .forwards
            .values_mut()
            .filter(|running| running.forward.user == name)
        {
            running.key_frame_due = Some(now);
        }
    }

    /// A host left. Its forwards wait for one of the same name.
    pub(crate) fn remove_host(&mut self, id: HostId) {
        self.hosts.remove(&id);
    }

    /// One more place.
    pub(crate) fn add(&mut self, now: EdgeTime, forward: Forward) {
        self.remove(forward.id);
        if self.forwards.len() >= MAX_FORWARDS {
            return tracing::error!(
                forward = forward.id.0,
                "there are {MAX_FORWARDS} forwards already"
            );
        }
        match Outlet::open(&forward) {
            Ok(outlet) => {
                tracing::info!(forward = forward.id.0, user = forward.user, to = %forward.address, "forwarding RTP");
                let running = Running {
                    forward,
                    outlet,
                    key_frame_due: Some(now),
                };
                self.forwards.insert(running.forward.id, running);
            }
            Err(error) => {
                tracing::error!(forward = forward.id.0, to = %forward.address, %error, "RTP cannot be forwarded there");
            }
        }
    }

    /// One place less.
    pub(crate) fn remove(&mut self, id: ForwardId) {
        if self.forwards.remove(&id).is_some() {
            tracing::info!(forward = id.0, "no longer forwarding RTP");
        }
    }

    /// Takes one datagram of the media socket. What is not understood is the ingest's to count.
    pub(crate) fn handle_input(&mut self, datagram: &[u8]) {
        if self.forwards.is_empty() {
            return;
        }
        let Ok(message) = Message::parse(datagram) else {
            return;
        };
        let Some(host) = self.hosts.get_mut(&message.host) else {
            return;
        };
        match message.kind {
            media::Kind::Rtp | media::Kind::Repair => {
                if let Some(kind) = host.hear(message.body) {
                    outlets(&mut self.forwards, &host.name).for_each(|outlet| outlet.rtp(kind, message.body));
                }
            }
            media::Kind::Rtcp => {
                for (kind, compound) in host.reports(message.body) {
                    outlets(&mut self.forwards, &host.name).for_each(|outlet| outlet.rtcp(kind, &compound));
                }
            }
            media::Kind::RoundTrip => {}
        }
    }

    /// Hosts that are to be asked for a key frame now. Call every few milliseconds.
    pub(crate) fn handle_timeout(&mut self, now: EdgeTime) -> Vec<HostId> {
        let due = |running: &mut Running| running.take_due(now).then(|| running.forward.user.clone());
        let names: Vec<String> = self.forwards.values_mut().filter_map(due).collect();
        let hosts = self.hosts.iter().filter(|(_, host)| names.contains(&host.name));
        hosts.map(|(id, _)| *id).collect()
    }

    /// What was counted of each.
    pub(crate) fn stats(&self) -> Vec<ForwardStats> {
        self.forwards
            .values()
            .map(|running| running.outlet.stats)
            .collect()
    }
}

fn outlets<'a>(
    forwards: &'a mut BTreeMap<ForwardId, Running>,
    user: &'a str,
) -> impl Iterator<Item = &'a mut Outlet> {
    let of_user = forwards
        .values_mut()
        .filter(move |running| running.forward.user == user);
    of_user.map(|running| &mut running.outlet)
}

impl Host {
    /// Which track a packet belongs to.
    fn hear(&mut self, packet: &[u8]) -> Option<Kind> {
        let header = RtpPacket::parse(packet).ok()?.header;
        let mut tracks = self.tracks.iter_mut().flatten();
        let track = tracks.find(|track| track.payload_type == header.payload_type.0)?;
        track.ssrc = Some(header.ssrc);
        Some(track.kind)
    }

    /// The parts of a compound packet by track.
    fn reports(&self, compound: &[u8]) -> Vec<(Kind, Vec<u8>)> {
        let of = |track: &Track| Some((track.kind, rtcp::of_stream(compound, track.ssrc?)?));
        self.tracks.iter().flatten().filter_map(of).collect()
    }
}

impl Running {
    /// Whether a key frame is due; the next one is a while after it. Audio has none.
    fn take_due(&mut self, now: EdgeTime) -> bool {
        if self.forward.video_port.is_none() || self.key_frame_due.is_none_or(|due| due > now) {
            return false;
        }
        let seconds = i64::from(self.forward.key_frame_seconds);
        self.key_frame_due = (seconds > 0).then(|| now + Span::from_secs(seconds));
        true
    }
}

#[cfg(test)]
mod tests;

//! All hosts of a room on one clock.

use crate::clock::SenderReport;
use crate::host::{Host, TrackStats};
use crate::room::RoomDelay;
use crate::time::{EdgeTime, Kind, RtpTimestamp, Span};
use std::collections::BTreeMap;

/// Says when the content of any packet was captured, on the edge's monotonic clock, and when it is shown.
///
/// `H` names a host. Packets and reports of hosts that were not added are ignored.
#[derive(Clone, Debug)]
pub struct Timeline<H> {
    hosts: BTreeMap<H, Host>,
    delay: RoomDelay<H>,
}

/// What is known of one host's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostStats {
    /// The shortest recent round trip.
    pub round_trip: Option<Span>,
    /// From capture to arrival: 99 percent of the packets stay within it.
    pub lateness: Span,
    /// The same above the fastest packet: what the network adds at its worst.
    pub jitter: Span,
    /// How much later than the room the host is shown, because it is too far away to be waited for.
    pub excess: Span,
    /// Whether the sender reports of the tracks contradict each other and are set aside.
    pub reports_set_aside: bool,
    /// Its audio track, once it sent a packet.
    pub audio: Option<TrackStats>,
    /// Its video track, once it sent a packet.
    pub video: Option<TrackStats>,
}

impl<H: Ord + Copy> Default for Timeline<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Ord + Copy> Timeline<H> {
    /// A timeline without hosts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hosts: BTreeMap::new(),
            delay: RoomDelay::default(),
        }
    }

    /// A host joins. One that is there already starts anew.
    pub fn add_host(&mut self, host: H) {
        self.remove_host(host);
        self.hosts.insert(host, Host::default());
    }

    /// A host leaves.
    pub fn remove_host(&mut self, host: H) {
        self.hosts.remove(&host);
        self.delay.remove(host);
    }

    /// A track of the host was replaced, or was taken away: what was known of its clock no longer holds.
    pub fn reset_track(&mut self, host: H, kind: Kind) {
        if let Some(host) = self.hosts.get_mut(&host) {
            host.reset_track(kind);
        }
    }

    /// An RTP packet arrived. Call it for every packet, in order of arrival, but for retransmissions that are known as such.
    pub fn on_packet(&mut self, host: H, kind: Kind, timestamp: RtpTimestamp, arrival: EdgeTime) {
        let Some(state) = self.hosts.get_mut(&host) else {
            return;
        };
        for lateness in state.on_packet(kind, timestamp, arrival) {
            self.delay.observe(host, lateness, arrival);
        }
        if kind == Kind::Video {
            self.delay.observe_mendable(host, arrival);
        }
    }

    /// An RTP packet that had been lost arrived at last. It says nothing of the host's clock.
    pub fn on_repair(&mut self, host: H, kind: Kind, timestamp: RtpTimestamp, arrival: EdgeTime) {
        if let Some(captured) = self.presentation_time(host, kind, timestamp) {
            self.delay.observe_repair(host, arrival - captured, arrival);
        }
    }

    /// Whether lost packets of the host come again, if one waits for them.
    #[must_use]
    pub fn is_mended(&self, host: H) -> bool {
        self.delay.is_mended(host)
    }

    /// A sender report arrived.
    pub fn on_sender_report(&mut self, host: H, kind: Kind, report: SenderReport, arrival: EdgeTime) {
        if let Some(host) = self.hosts.get_mut(&host) {
            host.on_sender_report(kind, report, arrival);
        }
    }

    /// The round trip to the host was measured.
    pub fn set_round_trip(&mut self, host: H, round_trip: Span, now: EdgeTime) {
        if let Some(host) = self.hosts.get_mut(&host) {
            host.set_round_trip(round_trip, now);
        }
    }

    /// When the content at `timestamp` was captured. The caller shows it [`Self::room_delay`] later. `None` before
    /// the track's first packet.
    #[must_use]
    pub fn presentation_time(&self, host: H, kind: Kind, timestamp: RtpTimestamp) -> Option<EdgeTime> {
        self.hosts.get(&host)?.capture_time(kind, timestamp)
    }

    /// How long after its capture everything is shown at `now`.
    pub fn room_delay(&mut self, now: EdgeTime) -> Span {
        self.delay.update(now)
    }

    /// The delay of one host: the room's, or more for a host that is too far away to be waited for.
    pub fn host_delay(&mut self, host: H, now: EdgeTime) -> Span {
        self.delay.update(now) + self.delay.excess(host)
    }

    /// What is known of the host's time.
    #[must_use]
    pub fn stats(&self, host: H) -> Option<HostStats> {
        let state = self.hosts.get(&host)?;
        let one_way = state.clock().one_way();
        let lateness = self.delay.lateness(host).unwrap_or(one_way);
        Some(HostStats {
            round_trip: state.clock().round_trip(),
            lateness,
            jitter: (lateness - one_way).max(Span::ZERO),
            excess: self.delay.excess(host),
            reports_set_aside: state.clock().tracks_disagree(),
            audio: state.track_stats(Kind::Audio),
            video: state.track_stats(Kind::Video),
        })
    }
}

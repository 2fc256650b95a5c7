//! Counters of a plane.

use crate::transit::Transit;
use lianmai_kernel::Outcomes;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::Ordering;

/// A set of names, each with its own counter, found by position and not by hashing.
pub(crate) trait Name: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// All of them, in the order of their declaration.
    const ALL: &'static [Self];
    /// The name of the label.
    const LABEL: &'static str;
    /// As the label has it.
    fn as_str(self) -> &'static str;
    /// Its place in `ALL`.
    fn place(self) -> usize;
}

macro_rules! names {
    ($(#[$meta:meta])* $visibility:vis enum $type:ident as $label:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visibility enum $type { $($(#[$doc])* $variant,)* }

        impl Name for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),*];
            const LABEL: &'static str = $label;
            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

names! {
    /// What went in or out.
    pub enum PacketKind as "kind" {
        /// STUN.
        Stun = "stun",
        /// DTLS.
        Dtls = "dtls",
        /// RTP.
        Rtp = "rtp",
        /// RTCP.
        Rtcp = "rtcp",
        /// Retransmissions (RFC 4588).
        Rtx = "rtx",
    }
}

names! {
    /// Why a packet went no further.
    pub enum DropReason as "reason" {
        /// Of none of the protocols that are served here.
        NotServed = "not_served",
        /// Longer than a receive buffer.
        Oversized = "oversized",
        /// STUN or DTLS, and signalling does not keep up.
        SignallingBusy = "signalling_busy",
        /// From an address that no endpoint has.
        UnknownAddress = "unknown_address",
        /// Not RTP or RTCP, though it looked like it.
        Malformed = "malformed",
        /// The SRTP or SRTCP tag is wrong.
        Forged = "forged",
        /// Seen before, or too old to tell.
        Replayed = "replayed",
        /// SRTCP that is not encrypted.
        Unencrypted = "unencrypted",
        /// The peer sends under too many SSRCs.
        TooManyStreams = "too_many_streams",
        /// The endpoint publishes nothing.
        NotPublishing = "not_publishing",
        /// A payload type that was not negotiated.
        UnknownPayloadType = "unknown_payload_type",
        /// A retransmission of what was there already, or the late original of a retransmission.
        Duplicate = "duplicate",
        /// A retransmission that says of which stream it is before that stream sent anything, or padding.
        RtxProbe = "rtx_probe",
        /// Was sealed for this leg before.
        AlreadySealed = "already_sealed",
        /// The SRTP context refused to seal it.
        SealRefused = "seal_refused",
        /// The send buffer of the socket stayed full.
        SendBufferFull = "send_buffer_full",
        /// The kernel refused to send it there.
        SendRefused = "send_refused",
        /// The tap's socket is full.
        TapFull = "tap_full",
        /// The tap's socket is closed.
        TapClosed = "tap_closed",
        /// Longer than a tap's message may be.
        TapOversized = "tap_oversized",
        /// An event for policy, which does not keep up.
        EventQueueFull = "event_queue_full",
        /// A copy of a packet whose stream is no longer in the kernel.
        StaleCopy = "stale_copy",
        /// A program of the kernel claimed it for a leg, and then failed to seal it.
        LostInKernel = "lost_in_kernel",
    }
}

names! {
    /// Who dealt with a packet.
    pub enum Path as "by" {
        /// The programs in the kernel.
        Kernel = "kernel",
        /// The media thread.
        Daemon = "daemon",
    }
}

names! {
    /// How a receiver's request for a retransmission ended.
    pub enum Retransmission as "outcome" {
        /// Sent on the leg's RTX stream.
        Answered = "answered",
        /// The history no longer has the packet, or never had it.
        Missed = "missed",
        /// The leg did not negotiate RTX; the packet may not be sealed a second time.
        NotNegotiated = "not_negotiated",
        /// The leg asks for more than its share.
        OverBudget = "over_budget",
    }
}

/// One counter for each name.
#[derive(Clone, Debug)]
pub(crate) struct Counters<N: Name> {
    family: Family<Label<N>, Counter>,
    counters: Vec<Counter>,
}

impl<N: Name> Default for Counters<N> {
    fn default() -> Self {
        let family = Family::<Label<N>, Counter>::default();
        let counters = N::ALL
            .iter()
            .map(|&name| family.get_or_create_owned(&Label(name)))
            .collect();
        Self { family, counters }
    }
}

impl<N: Name> Counters<N> {
    pub(crate) fn inc(&self, name: N) {
        self.add(name, 1);
    }

    pub(crate) fn add(&self, name: N, count: u64) {
        if let Some(counter) = self.counters.get(name.place()) {
            counter.inc_by(count);
        }
    }

    pub(crate) fn get(&self, name: N) -> u64 {
        self.counters.get(name.place()).map_or(0, Counter::get)
    }

    fn total(&self) -> u64 {
        self.counters.iter().map(Counter::get).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Label<N: Name>(N);

impl<N: Name> EncodeLabelSet for Label<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        (N::LABEL, self.0.as_str()).encode(encoder.encode_label())
    }
}

/// Everything that a plane counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) received: Counters<PacketKind>,
    pub(crate) sent: Counters<PacketKind>,
    pub(crate) dropped: Counters<DropReason>,
    pub(crate) retransmissions: Counters<Retransmission>,
    pub(crate) key_frames_wanted: Counter,
    pub(crate) key_frames_requested: Counter,
    pub(crate) tapped: Counter,
    pub(crate) transit: Transit,
    /// Authentic RTP packets.
    pub(crate) taken: Counters<Path>,
    /// RTP packets sealed for legs, retransmissions not among them.
    pub(crate) forwarded: Counters<Path>,
    pub(crate) left_behind: Counter,
    pub(crate) flows: Gauge,
    pub(crate) feeder_backlog: Gauge,
    pub(crate) kernel_memory: Gauge,
    pub(crate) copy_age: CopyAge,
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
}

/// How old copies are when the media thread looks at them.
#[derive(Clone, Debug)]
pub(crate) struct CopyAge(Histogram);

impl Default for CopyAge {
    /// From 0.1 ms to 0.2 s.
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.000_1, 2.0, 12)))
    }
}

impl CopyAge {
    pub(crate) fn observe(&self, nanos: u64) {
        self.0.observe(nanos as f64 / 1e9);
    }
}

impl Metrics {
    /// Adds all of it to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("plane");
        registry.register(
            "packets_received",
            "Datagrams received",
            self.received.family.clone(),
        );
        registry.register("packets_sent", "Datagrams sent", self.sent.family.clone());
        registry.register(
            "packets_dropped",
            "Packets that went no further",
            self.dropped.family.clone(),
        );
        registry.register(
            "retransmissions",
            "Packets that receivers asked for again",
            self.retransmissions.family.clone(),
        );
        registry.register(
            "key_frames_wanted",
            "Key frames that somebody asked for",
            self.key_frames_wanted.clone(),
        );
        registry.register(
            "key_frames_requested",
            "PLI and FIR sent",
            self.key_frames_requested.clone(),
        );
        registry.register("packets_tapped", "Packets copied to mixers", self.tapped.clone());
        registry.register_collector(Box::new(self.transit.clone()));
        self.register_kernel(registry);
    }

    fn register_kernel(&self, registry: &mut Registry) {
        registry.register(
            "packets_taken",
            "Authentic RTP packets, by who verified them",
            self.taken.family.clone(),
        );
        registry.register(
            "packets_forwarded",
            "RTP packets sealed for legs, by who sealed them",
            self.forwarded.family.clone(),
        );
        registry.register(
            "legs_left_behind",
            "Packets that the kernel took, and that the daemon sealed for one of its legs",
            self.left_behind.clone(),
        );
        registry.register("flows", "Streams in the kernel", self.flows.clone());
        registry.register(
            "feeder_backlog",
            "Pads that the kernel should have and does not have yet",
            self.feeder_backlog.clone(),
        );
        registry.register(
            "kernel_memory_bytes",
            "Rings and tables of the kernel",
            self.kernel_memory.clone(),
        );
        let CopyAge(copy_age) = &self.copy_age;
        registry.register(
            "copy_age_seconds",
            "Time from a packet's arrival in the kernel to the daemon's look at its copy",
            copy_age.clone(),
        );
        registry.register(
            "kernel_outcomes",
            "What became of the packets that the kernel's programs saw",
            self.outcomes.clone(),
        );
    }

    /// Shows what the programs counted.
    pub(crate) fn show_outcomes(&self, outcomes: &Outcomes) {
        for (outcome, count) in outcomes.iter() {
            let counter = self.outcomes.get_or_create(&[("outcome", outcome.as_str())]);
            // The programs count; this only shows.
            counter.inner().store(count, Ordering::Relaxed);
        }
    }

    /// Authentic RTP packets that this side verified.
    #[must_use]
    pub fn taken(&self, by: Path) -> u64 {
        self.taken.get(by)
    }

    /// RTP packets that this side sealed for legs.
    #[must_use]
    pub fn forwarded(&self, by: Path) -> u64 {
        self.forwarded.get(by)
    }

    /// Packets that the kernel took, and that the daemon sealed for one of its legs.
    #[must_use]
    pub fn left_behind(&self) -> u64 {
        self.left_behind.get()
    }

    /// Streams in the kernel.
    #[must_use]
    pub fn flows(&self) -> i64 {
        self.flows.get()
    }

    /// Datagrams received of this kind.
    #[must_use]
    pub fn received(&self, kind: PacketKind) -> u64 {
        self.received.get(kind)
    }

    /// Datagrams sent of this kind.
    #[must_use]
    pub fn sent(&self, kind: PacketKind) -> u64 {
        self.sent.get(kind)
    }

    /// All datagrams received and all sent.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.received.total(), self.sent.total())
    }

    /// Packets dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason)
    }

    /// Requests for retransmissions that ended so.
    #[must_use]
    pub fn retransmissions(&self, outcome: Retransmission) -> u64 {
        self.retransmissions.get(outcome)
    }

    /// The time that media packets take through the plane.
    #[must_use]
    pub const fn transit(&self) -> &Transit {
        &self.transit
    }
}

#[cfg(test)]
mod tests {
    use super::{DropReason, Metrics, Name};
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn every_reason_is_shown_from_the_start_under_its_own_name() {
        let metrics = Metrics::default();
        metrics.dropped.add(DropReason::Forged, 7);
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        for (place, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(reason.place(), place);
            let count = if *reason == DropReason::Forged { 7 } else { 0 };
            let line = format!(
                "plane_packets_dropped_total{{reason=\"{}\"}} {count}\n",
                reason.as_str()
            );
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(
            text.contains("\nplane_transit_seconds{quantile=\"0.999\"} 0"),
            "{text}"
        );
    }
}

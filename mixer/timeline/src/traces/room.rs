//! Several hosts in one room.

use super::sim::{SimHost, at, millis, play};
use crate::room::{DECODE_MARGIN, MAX_DELAY, MIN_DELAY};
use crate::{EdgeTime, Kind, RtpTimestamp, Span, Timeline};
use proptest::prelude::{any, prop, proptest};

#[test]
fn hosts_whose_wallclocks_disagree_are_shown_together() {
    let hosts = [
        SimHost::good(),
        SimHost::good().with(|host| host.wallclock = Span::from_secs(-7200)),
        SimHost::good().with(|host| host.wallclock = millis(350)),
    ];
    let outcome = play(&hosts, 60);
    for other in [1, 2] {
        let skew = outcome.skew((0, Kind::Video), (other, Kind::Video), at(10));
        assert!(skew <= millis(5), "{skew:?}");
    }
}

#[test]
fn a_host_300_ms_further_away_is_shown_together_with_the_others() {
    let far = SimHost::good().with(|host| host.delay = millis(320));
    let outcome = play(&[SimHost::good(), far], 60);
    for (a, b) in [
        (Kind::Video, Kind::Video),
        (Kind::Audio, Kind::Video),
        (Kind::Audio, Kind::Audio),
    ] {
        let skew = outcome.skew((0, a), (1, b), at(10));
        assert!(skew <= millis(20), "{a:?} {b:?}: {skew:?}");
    }
}

#[test]
fn a_round_trip_that_is_learned_late_is_used_within_seconds() {
    let far = SimHost::good().with(|host| {
        host.delay = millis(320);
        host.round_trip_from = at(12);
    });
    let outcome = play(&[SimHost::good(), far], 30);
    let skew = outcome.skew((0, Kind::Video), (1, Kind::Video), at(16));
    assert!(skew <= millis(20), "{skew:?}");
}

/// Half of the round trip is all that can be known: a path that is slower one way than the other shifts its host by
/// half of the difference.
#[test]
fn without_a_round_trip_a_host_is_shown_later_by_its_path() {
    let far = SimHost::good().with(|host| {
        host.delay = millis(120);
        host.round_trip_from = at(1000);
    });
    let outcome = play(&[SimHost::good(), far], 30);
    let skew = outcome.skew((0, Kind::Video), (1, Kind::Video), at(10));
    assert!(skew >= millis(115) && skew <= millis(125), "{skew:?}");
}

#[test]
fn a_host_that_is_beyond_the_limit_for_a_while_comes_back() {
    let mut timeline = Timeline::new();
    timeline.add_host('a');
    for frame in 0..3600u32 {
        let captured = at(0) + Span(i64::from(frame) * 33_333_333);
        let late = if (300..400).contains(&frame) {
            millis(2500)
        } else {
            millis(10)
        };
        timeline.on_packet('a', Kind::Video, RtpTimestamp(frame * 3000), captured + late);
    }
    assert!(
        timeline.host_delay('a', at(121)) <= millis(100),
        "{:?}",
        timeline.host_delay('a', at(121))
    );
}

#[test]
fn with_jitter_loss_and_drift_the_skew_stays_within_20_ms() {
    let hosts = [
        SimHost::good(),
        SimHost::good().with(|host| {
            host.jitter = millis(30);
            host.loss_percent = 2;
            host.drift_ppm = 100;
            host.wallclock = Span::from_secs(12);
        }),
        SimHost::good().with(|host| {
            host.delay = millis(320);
            host.jitter = millis(10);
            host.drift_ppm = -100;
            host.track(Kind::Audio).has_dtx = true;
        }),
    ];
    let outcome = play(&hosts, 600);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        for kind in [Kind::Audio, Kind::Video] {
            let skew = outcome.skew((a, kind), (b, kind), at(15));
            assert!(skew <= millis(20), "{a} {b} {kind:?}: {skew:?}");
        }
    }
}

/// A far host that loses two packets in a hundred.
fn lossy(is_mended: bool) -> SimHost {
    SimHost::good().with(|host| {
        host.delay = millis(300);
        host.jitter = millis(30);
        host.loss_percent = 2;
        host.is_mended = is_mended;
    })
}

#[test]
fn the_room_waits_for_what_is_lost_and_for_what_is_lost_twice() {
    let outcome = play(&[SimHost::good(), lossy(true)], 600);
    let settled = |sample: &&super::sim::Sample| sample.captured >= at(30);
    let missed = outcome.samples(1, Kind::Video).iter().filter(settled);
    let missed = missed.filter(|sample| sample.arrival > sample.shown + sample.host_delay - DECODE_MARGIN);
    let missed: Vec<_> = missed.collect();
    assert!(missed.len() <= 2, "{} of 17,000: {missed:?}", missed.len());
    let mut delays = outcome.samples(1, Kind::Video).iter().filter(settled);
    assert!(delays.all(|sample| sample.room_delay <= MAX_DELAY && sample.host_delay == sample.room_delay));
    let skew = outcome.skew((0, Kind::Video), (1, Kind::Video), at(15));
    assert!(skew <= millis(20), "{skew:?}");
}

#[test]
fn the_room_does_not_wait_for_what_never_comes_again() {
    let outcome = play(&[SimHost::good(), lossy(false)], 60);
    let samples = outcome.samples(1, Kind::Video);
    assert!(samples.iter().all(|sample| sample.room_delay <= millis(400)));
}

#[test]
fn a_near_host_that_loses_packets_costs_the_room_little() {
    let near = lossy(true).with(|host| (host.delay, host.jitter) = (millis(15), millis(5)));
    let outcome = play(&[SimHost::good(), near], 60);
    let samples = outcome.samples(1, Kind::Video);
    assert!(samples.iter().all(|sample| sample.room_delay <= millis(250)));
}

#[test]
fn the_room_waits_for_the_host_that_is_worst_connected() {
    let far = SimHost::good().with(|host| host.delay = millis(320));
    let outcome = play(&[SimHost::good(), far], 30);
    for sample in outcome
        .samples(1, Kind::Video)
        .iter()
        .filter(|sample| sample.captured >= at(2))
    {
        assert!(sample.arrival <= sample.shown + sample.room_delay, "{sample:?}");
        assert!(sample.room_delay <= millis(420), "{sample:?}");
    }
}

#[test]
fn a_host_beyond_the_limit_is_not_waited_for_and_shown_later() {
    let moon = SimHost::good().with(|host| host.delay = millis(2600));
    let outcome = play(&[SimHost::good(), moon], 30);
    for sample in outcome
        .samples(1, Kind::Video)
        .iter()
        .filter(|sample| sample.captured >= at(6))
    {
        assert!(sample.room_delay <= millis(100), "{sample:?}");
        assert!(sample.arrival <= sample.shown + sample.host_delay, "{sample:?}");
    }
}

#[test]
fn the_room_recovers_slowly_once_its_worst_host_left() {
    let mut timeline = Timeline::new();
    timeline.add_host('a');
    timeline.set_round_trip('a', millis(800), at(0));
    for frame in 0..100 {
        let arrival = at(0) + Span(i64::from(frame) * 33_333_333);
        timeline.on_packet('a', Kind::Video, RtpTimestamp(frame * 3000), arrival);
    }
    let grown = timeline.room_delay(at(4));
    assert!(grown > millis(400) && grown < millis(460), "{grown:?}");
    timeline.remove_host('a');
    assert_eq!(timeline.room_delay(at(5)), grown, "it is held at first");
    let mut last = grown;
    for second in 6..400 {
        let delay = timeline.room_delay(at(second));
        assert!(last - delay <= millis(2) && delay <= last);
        last = delay;
    }
    assert_eq!(last, MIN_DELAY);
}

#[test]
fn unknown_hosts_and_tracks_have_no_time() {
    let mut timeline = Timeline::new();
    timeline.on_packet(7, Kind::Audio, RtpTimestamp(1), at(0));
    assert_eq!(timeline.presentation_time(7, Kind::Audio, RtpTimestamp(1)), None);
    assert_eq!(timeline.stats(7), None);
    timeline.add_host(7);
    assert_eq!(timeline.presentation_time(7, Kind::Audio, RtpTimestamp(1)), None);
    assert_eq!(timeline.room_delay(at(0)), MIN_DELAY);
}

#[test]
fn a_replaced_track_starts_anew() {
    let mut timeline = Timeline::new();
    timeline.add_host(7);
    timeline.on_packet(7, Kind::Audio, RtpTimestamp(1), at(0));
    timeline.reset_track(7, Kind::Audio);
    timeline.on_packet(7, Kind::Audio, RtpTimestamp(4_000_000_000), at(1));
    assert_eq!(
        timeline.presentation_time(7, Kind::Audio, RtpTimestamp(4_000_000_000)),
        Some(at(1))
    );
}

proptest! {
    /// Whatever the network does to them, frames are shown in the order in which they were captured, and the delay
    /// stays within its limits.
    #[test]
    fn presentation_is_monotone_and_delay_is_bounded(
        jitter in 0i64..200, delay in 0i64..400, encode in 0i64..200, loss in 0u64..40, drift in -200i64..200,
    ) {
        let host = SimHost::good().with(|host| {
            host.jitter = millis(jitter);
            host.delay = millis(delay);
            host.loss_percent = loss;
            host.drift_ppm = drift;
            host.track(Kind::Video).encode = millis(encode);
        });
        let outcome = play(&[host], 20);
        for kind in [Kind::Audio, Kind::Video] {
            let mut samples = outcome.samples(0, kind).to_vec();
            samples.sort_by_key(|sample| sample.captured);
            for pair in samples.windows(2) {
                // Packets that overtook each other were measured at different moments of the slewing.
                if pair[1].arrival >= pair[0].arrival {
                    assert!(pair[1].shown > pair[0].shown, "{pair:?}");
                }
                assert!(pair[1].room_delay >= MIN_DELAY && pair[1].room_delay <= MAX_DELAY);
            }
        }
    }

    /// No sequence of timestamps, arrivals and reports panics or gives a time beyond reach.
    #[test]
    fn nothing_that_a_host_sends_breaks_the_timeline(
        events in prop::collection::vec((any::<u32>(), any::<u64>(), 0i64..5_000_000_000, any::<(bool, bool)>()), 1..300),
    ) {
        let mut timeline = Timeline::new();
        timeline.add_host(());
        let mut now = EdgeTime(0);
        for (timestamp, ntp, pause, (is_report, is_audio)) in events {
            now = now + Span(pause);
            let kind = if is_audio { Kind::Audio } else { Kind::Video };
            let rtp = RtpTimestamp(timestamp);
            if is_report {
                let report = crate::SenderReport { ntp: crate::NtpTime::from_wire(ntp), rtp };
                timeline.on_sender_report((), kind, report, now);
            } else {
                timeline.on_packet((), kind, rtp, now);
            }
            let delay = timeline.host_delay((), now);
            assert!(delay >= MIN_DELAY && delay <= millis(4100));
            let _ = timeline.presentation_time((), kind, rtp);
            assert!(timeline.stats(()).is_some());
        }
    }
}

//! What goes wrong with the clocks of real senders, one test each.

use super::sim::{Outcome, SimHost, at, millis, play};
use crate::{Kind, Span};

const FORTY_FIVE_MINUTES: i64 = 45 * 60;

/// Audio and video of one host must be shown together this well, always.
const LIP_SYNC: Span = Span::from_millis(20);

fn alone(change: impl FnOnce(&mut SimHost), seconds: i64) -> Outcome {
    play(&[SimHost::good().with(change)], seconds)
}

#[test]
fn a_good_host_is_in_sync_from_its_first_seconds_on() {
    let outcome = alone(|_| {}, 60);
    assert!(
        outcome.lip_sync(0, at(10)) <= millis(3),
        "{:?}",
        outcome.lip_sync(0, at(10))
    );
    // The encoder's delay cannot be seen from the edge; it is the only error.
    let (least, most) = outcome.errors(0, Kind::Audio, at(10));
    assert!(least >= Span::ZERO && most <= millis(5), "{least:?} {most:?}");
}

#[test]
fn gaps_of_dtx_do_not_drift_in_forty_five_minutes() {
    let outcome = alone(|host| host.track(Kind::Audio).has_dtx = true, FORTY_FIVE_MINUTES);
    assert!(
        outcome.samples(0, Kind::Audio).len() < FORTY_FIVE_MINUTES as usize * 15,
        "there were gaps"
    );
    let sync = outcome.lip_sync(0, at(10));
    assert!(sync <= LIP_SYNC, "{sync:?}");
}

#[test]
fn a_crystal_off_by_100_ppm_is_followed_for_forty_five_minutes() {
    for drift_ppm in [-100, 100] {
        let outcome = alone(|host| host.drift_ppm = drift_ppm, FORTY_FIVE_MINUTES);
        for kind in [Kind::Audio, Kind::Video] {
            let (least, most) = outcome.errors(0, kind, at(10));
            assert!(
                least >= -millis(10) && most <= millis(15),
                "{drift_ppm} {kind:?}: {least:?} {most:?}"
            );
        }
        assert!(outcome.lip_sync(0, at(10)) <= LIP_SYNC);
        assert_eq!(
            outcome
                .timeline
                .stats(0)
                .and_then(|stats| stats.audio)
                .map(|audio| audio.snaps),
            Some(0)
        );
    }
}

#[test]
fn one_sender_report_with_a_wrong_offset_moves_nothing() {
    let outcome = alone(
        |host| {
            let wrong = |number| if number % 7 == 3 { millis(190) } else { Span::ZERO };
            host.track(Kind::Audio).report_error = wrong;
            host.track(Kind::Video).report_error = wrong;
        },
        120,
    );
    assert!(
        outcome.lip_sync(0, at(10)) <= LIP_SYNC,
        "{:?}",
        outcome.lip_sync(0, at(10))
    );
}

#[test]
fn sender_reports_that_are_all_wrong_by_a_constant_are_set_aside() {
    for wrong in [|_| millis(1500), |_| millis(-1500), |_| millis(300)] {
        let outcome = alone(|host| host.track(Kind::Audio).report_error = wrong, 120);
        assert!(
            outcome.lip_sync(0, at(12)) <= LIP_SYNC,
            "{:?}",
            outcome.lip_sync(0, at(12))
        );
        assert!(
            outcome
                .timeline
                .stats(0)
                .is_some_and(|stats| stats.reports_set_aside)
        );
    }
}

#[test]
fn a_report_that_contradicts_the_packets_by_an_hour_is_refused() {
    let outcome = alone(
        |host| host.track(Kind::Video).report_error = |_| Span::from_secs(3600),
        60,
    );
    assert!(outcome.lip_sync(0, at(10)) <= LIP_SYNC);
    let video = outcome.timeline.stats(0).and_then(|stats| stats.video);
    assert!(video.is_some_and(|video| video.reports_refused > 50 && !video.has_reports));
}

#[test]
fn hosts_without_any_or_some_sender_reports_are_in_sync_by_arrival() {
    for missing in [&[Kind::Audio][..], &[Kind::Video], &[Kind::Audio, Kind::Video]] {
        let silence = |host: &mut SimHost| {
            for kind in missing {
                host.track(*kind).reports_every = None;
            }
        };
        let outcome = alone(silence, 60);
        assert!(outcome.lip_sync(0, at(5)) <= LIP_SYNC, "{missing:?}");
    }
}

#[test]
fn a_slow_encoder_is_put_right_by_the_first_reports_and_without_a_jump() {
    // By arrival the video is 120 ms late; by the sender's reports it is not.
    let outcome = alone(|host| host.track(Kind::Video).encode = millis(120), 60);
    assert!(
        outcome.lip_sync(0, at(15)) <= LIP_SYNC,
        "{:?}",
        outcome.lip_sync(0, at(15))
    );
    for pair in outcome.samples(0, Kind::Video).windows(2) {
        let step = (pair[1].shown - pair[0].shown) - (pair[1].captured - pair[0].captured);
        assert!(step.abs() <= millis(4), "{step:?} at {:?}", pair[1].arrival);
    }
}

#[test]
fn video_that_is_muted_and_unmuted_comes_back_in_sync() {
    let outcome = alone(
        |host| host.track(Kind::Video).mute = Some((at(20), at(80), false)),
        120,
    );
    assert!(
        outcome.lip_sync(0, at(10)) <= LIP_SYNC,
        "{:?}",
        outcome.lip_sync(0, at(10))
    );
}

#[test]
fn a_clock_that_stands_still_while_muted_is_noticed_within_a_second() {
    for (from, to) in [(20, 23), (20, 24), (20, 80)] {
        let outcome = alone(
            |host| host.track(Kind::Audio).mute = Some((at(from), at(to), true)),
            120,
        );
        assert!(
            outcome.lip_sync(0, at(to + 1)) <= LIP_SYNC,
            "{:?}",
            outcome.lip_sync(0, at(to + 1))
        );
        let restarts = outcome
            .timeline
            .stats(0)
            .and_then(|stats| stats.audio)
            .map(|audio| audio.restarts);
        assert_eq!(restarts, Some(1));
        // What looked late was not: the room must not have learned from it.
        for sample in outcome
            .samples(0, Kind::Video)
            .iter()
            .filter(|sample| sample.captured >= at(to + 2))
        {
            assert!(sample.host_delay <= millis(100), "{sample:?}");
        }
    }
}

#[test]
fn tracks_that_start_apart_meet() {
    for late in [Kind::Audio, Kind::Video] {
        let outcome = alone(|host| host.track(late).from = at(8), 60);
        assert!(
            outcome.lip_sync(0, at(18)) <= millis(5),
            "{late:?} {:?}",
            outcome.lip_sync(0, at(18))
        );
        assert!(
            outcome.lip_sync(0, at(8)) <= LIP_SYNC,
            "{late:?} {:?}",
            outcome.lip_sync(0, at(8))
        );
    }
}

#[test]
fn jitter_and_loss_do_not_move_the_picture_against_the_sound() {
    let outcome = alone(
        |host| {
            host.jitter = millis(30);
            host.loss_percent = 2;
        },
        300,
    );
    assert!(
        outcome.lip_sync(0, at(10)) <= millis(10),
        "{:?}",
        outcome.lip_sync(0, at(10))
    );
}

#[test]
fn a_wallclock_that_is_set_moves_nothing() {
    for by in [
        Span::from_secs(3600),
        Span::from_secs(-86_400),
        millis(170),
        millis(400),
    ] {
        let outcome = alone(|host| host.step = Some((at(62), by)), 180);
        assert!(
            outcome.lip_sync(0, at(10)) <= LIP_SYNC,
            "{by:?}: {:?}",
            outcome.lip_sync(0, at(10))
        );
        let (least, most) = outcome.errors(0, Kind::Video, at(10));
        assert!(
            least >= -millis(10) && most <= millis(20),
            "{by:?}: {least:?} {most:?}"
        );
    }
}

#[test]
fn while_only_one_track_knows_of_a_new_wallclock_both_stay_where_they_are() {
    let outcome = alone(
        |host| {
            host.step = Some((at(62), Span::from_secs(3600)));
            host.track(Kind::Video).encode = millis(200);
        },
        120,
    );
    assert!(
        outcome.lip_sync(0, at(15)) <= LIP_SYNC,
        "{:?}",
        outcome.lip_sync(0, at(15))
    );
}

#[test]
fn rtp_timestamps_that_wrap_move_nothing() {
    let near_wrap = |seconds: u32, rate: u32| u32::MAX - seconds * rate;
    let outcome = alone(
        |host| {
            host.track(Kind::Audio).rtp_base = near_wrap(20, 48_000);
            host.track(Kind::Video).rtp_base = near_wrap(30, 90_000);
        },
        60,
    );
    assert!(outcome.lip_sync(0, at(10)) <= millis(3));
    let stats = outcome.timeline.stats(0).expect("the host is there");
    assert_eq!(
        (
            stats.audio.map(|track| track.restarts),
            stats.video.map(|track| track.snaps)
        ),
        (Some(0), Some(0))
    );
}

#[test]
fn reports_that_come_seconds_late_are_as_good_as_others() {
    let outcome = alone(
        |host| {
            host.track(Kind::Audio).report_delay = Span::from_secs(3);
            host.track(Kind::Video).encode = millis(60);
        },
        60,
    );
    assert!(
        outcome.lip_sync(0, at(15)) <= millis(5),
        "{:?}",
        outcome.lip_sync(0, at(15))
    );
}

#[test]
fn a_day_of_audio_that_was_muted_for_eight_hours_still_unwraps() {
    let eight_hours = 8 * 3600;
    let outcome = alone(
        |host| {
            host.tracks.retain(|track| track.kind == Kind::Video);
            host.track(Kind::Video).mute = Some((at(10), at(10 + eight_hours), false));
        },
        eight_hours + 60,
    );
    let (least, most) = outcome.errors(0, Kind::Video, at(eight_hours));
    assert!(least >= Span::ZERO && most <= millis(20), "{least:?} {most:?}");
}

use super::{Desk, Errand, MAX_WANTS, Seen, Subject};
use lianmai_compositor::{Frame, Size};
use lianmai_mixer_control::SnapshotId;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

const ANN: Subject = Some(HostId(1));
const MIX: Subject = None;

fn at(millis: i64) -> EdgeTime {
    EdgeTime(0) + Span::from_millis(millis)
}

/// What is to be done, in short: `ask 1`, `copy`, `1 for 7 from 30`, `mix for - from 30`, `7: NoPicture`.
fn errands(desk: &mut Desk) -> Vec<String> {
    let name = |subject: Subject| subject.map_or("mix".to_owned(), |host| host.0.to_string());
    std::iter::from_fn(|| desk.poll())
        .map(|errand| match errand {
            Errand::AskKeyFrame(host) => format!("ask {}", host.0),
            Errand::CopyMix => "copy".to_owned(),
            Errand::Refuse(request, why) => format!("{}: {why:?}", request.0),
            Errand::Encode {
                subject, request, at, ..
            } => format!(
                "{} for {} from {}",
                name(subject),
                request.map_or("-".to_owned(), |request| request.0.to_string()),
                at.0 / 1_000_000
            ),
        })
        .collect()
}

fn picture(subject: Subject, key: bool) -> Seen {
    Seen {
        subject,
        key,
        frame: Arc::new(Frame::new(Size::new(16, 16)).expect("a size")),
    }
}

/// A desk with one host.
fn desk(interval: Option<Span>) -> Desk {
    let mut desk = Desk::default();
    desk.set_interval(at(0), interval);
    desk.add(at(0), HostId(1));
    desk
}

#[test]
fn who_asks_gets_the_key_frame_that_the_host_is_asked_for() {
    let mut desk = desk(None);
    desk.seen(at(5), &picture(ANN, true));
    desk.want(at(10), ANN, SnapshotId(7));
    assert_eq!(errands(&mut desk), ["ask 1"]);
    desk.seen(at(20), &picture(ANN, false));
    assert_eq!(errands(&mut desk), [""; 0], "not yet");
    desk.seen(at(30), &picture(ANN, true));
    desk.seen(at(40), &picture(ANN, true));
    assert_eq!(errands(&mut desk), ["1 for 7 from 30"], "once");
}

#[test]
fn without_a_key_frame_the_last_picture_will_do_if_it_is_fresh() {
    let mut desk = desk(None);
    desk.want(at(0), ANN, SnapshotId(7));
    desk.seen(at(1500), &picture(ANN, false));
    desk.handle_timeout(at(1999));
    assert_eq!(errands(&mut desk), ["ask 1"]);
    desk.handle_timeout(at(2000));
    assert_eq!(errands(&mut desk), ["1 for 7 from 1500"]);
    desk.want(at(5000), ANN, SnapshotId(8));
    desk.handle_timeout(at(7000));
    assert_eq!(errands(&mut desk), ["ask 1", "8: NoPicture"], "5.5 s old");
}

#[test]
fn the_mix_is_copied_for_all_who_asked() {
    let mut desk = desk(None);
    desk.want(at(0), MIX, SnapshotId(1));
    desk.want(at(1), MIX, SnapshotId(2));
    desk.seen(at(33), &picture(MIX, true));
    desk.seen(at(34), &picture(MIX, true));
    assert_eq!(
        errands(&mut desk),
        ["copy", "copy", "mix for 1 from 33", "mix for 2 from 33"]
    );
}

#[test]
fn at_an_interval_each_host_is_taken_from_its_first_key_frame_on_and_not_asked_while_it_is_seen() {
    let mut desk = desk(Some(Span::from_secs(10)));
    let mut taken = Vec::new();
    for millis in (0..35_000).step_by(10) {
        desk.handle_timeout(at(millis));
        if millis >= 300 && millis % 40 == 20 {
            desk.seen(at(millis), &picture(ANN, millis == 300 || millis == 11_020));
        }
        taken.extend(errands(&mut desk));
    }
    // The first picture of all; a key frame that comes a second after the time; twice none within 2 s.
    assert_eq!(
        taken,
        [
            "ask 1",
            "1 for - from 300",
            "copy",
            "1 for - from 11020",
            "copy",
            "1 for - from 21980",
            "copy",
            "1 for - from 31980"
        ]
    );
}

#[test]
fn a_host_that_shows_nothing_has_one_snapshot_waiting_and_it_is_taken_when_it_shows_something() {
    let mut desk = desk(Some(Span::from_secs(1)));
    for millis in (0..60_000).step_by(100) {
        desk.handle_timeout(at(millis));
    }
    let asked = errands(&mut desk);
    assert_eq!(asked.iter().filter(|errand| *errand == "ask 1").count(), 1);
    desk.seen(at(60_000), &picture(ANN, false));
    assert_eq!(errands(&mut desk), ["1 for - from 60000"]);
}

#[test]
fn a_mix_that_does_not_hear_of_a_copy_is_told_again() {
    let mut desk = Desk::default();
    desk.set_interval(at(0), Some(Span::from_secs(5)));
    for millis in (0..16_000).step_by(100) {
        desk.handle_timeout(at(millis));
    }
    assert_eq!(errands(&mut desk), ["copy", "copy", "copy"]);
}

#[test]
fn nobody_waits_for_a_host_that_is_not_there_or_leaves() {
    let mut desk = desk(None);
    desk.want(at(0), Some(HostId(9)), SnapshotId(1));
    desk.want(at(0), ANN, SnapshotId(2));
    desk.remove(HostId(1));
    assert_eq!(errands(&mut desk), ["1: NoVideo", "ask 1", "2: NoVideo"]);
    desk.seen(at(10), &picture(ANN, true));
    assert_eq!(errands(&mut desk), [""; 0]);
}

#[test]
fn so_many_may_ask_and_no_more() {
    let mut desk = desk(None);
    for request in 0..=MAX_WANTS as u32 {
        desk.want(at(0), ANN, SnapshotId(request));
    }
    assert_eq!(
        errands(&mut desk).last().map(String::as_str),
        Some("8: Busy"),
        "the ninth"
    );
    desk.seen(at(1), &picture(ANN, true));
    assert_eq!(errands(&mut desk).len(), MAX_WANTS);
}

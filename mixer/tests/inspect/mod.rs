//! Looking into a room from outside: snapshots and forwards of a mixer process.

use crate::common::daemon::{Daemon, settings};
use crate::common::host::Host;
use crate::common::media;
use crate::common::streams;
use crate::play;
use lianmai_mixer::clock;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{
    Forward, ForwardId, FromMixer, NoSnapshot, SnapshotHeader, SnapshotId, SnapshotSettings, ToMixer,
};
use lianmai_timeline::Span;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::Duration;

/// Four quarters of known colours, by their corners: red, green, blue and grey.
const QUARTERS: &str = "color=0x2020C0:size=320x180:rate=30,\
    drawbox=x=0:y=0:w=160:h=90:color=0xC02020:t=fill,\
    drawbox=x=160:y=0:w=160:h=90:color=0x20A020:t=fill,\
    drawbox=x=160:y=90:w=160:h=90:color=0x808080:t=fill,\
    scale=out_color_matrix=bt601:out_range=tv";

/// The middle of each quarter, in fractions of the picture, and its colour.
const SEEN: [([f64; 2], [u8; 3]); 4] = [
    ([0.25, 0.25], [0xc0, 0x20, 0x20]),
    ([0.75, 0.25], [0x20, 0xa0, 0x20]),
    ([0.25, 0.75], [0x20, 0x20, 0xc0]),
    ([0.75, 0.75], [0x80, 0x80, 0x80]),
];

/// What ffmpeg makes of a JPEG: red, green, blue for each pixel.
fn decoded(jpeg: &[u8], header: &SnapshotHeader) -> Vec<u8> {
    let file = tempfile::Builder::new()
        .suffix(".jpg")
        .tempfile()
        .expect("a file");
    std::fs::write(file.path(), jpeg).expect("written");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file.path())
        .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.stdout.len(), (header.width * header.height * 3) as usize);
    output.stdout
}

/// How far the colours of the quarters are from what the host shows.
fn off(header: &SnapshotHeader, jpeg: &[u8]) -> u8 {
    let rgb = decoded(jpeg, header);
    let pixel = |[x, y]: [f64; 2]| {
        let (x, y) = (x * f64::from(header.width), y * f64::from(header.height));
        let at = (y as usize * header.width as usize + x as usize) * 3;
        &rgb[at..at + 3]
    };
    SEEN.iter()
        .flat_map(|(place, colour)| pixel(*place).iter().zip(colour))
        .map(|(seen, meant)| seen.abs_diff(*meant))
        .max()
        .expect("twelve")
}

fn host(id: u32, seconds: f64) -> Host {
    Host::new(
        id,
        "ann",
        streams::h264(QUARTERS, seconds, 30),
        media::tone(440.0, seconds, |_| true),
    )
}

#[test]
fn snapshots_of_a_host_and_of_the_mix_have_the_colours_that_the_host_shows() {
    let mut ann = host(1, 5.0);
    let mut daemon = Daemon::start(settings());
    let start = clock::now() + Span::from_millis(200);
    ann.join(&mut daemon, start);
    play(&daemon, &mut [&mut ann], start + Span::from_millis(1_500));
    for (request, host) in [(7, Some(HostId(1))), (8, None), (9, Some(HostId(66)))] {
        let request = SnapshotId(request);
        daemon.say(&ToMixer::TakeSnapshot { request, host });
    }
    play(&daemon, &mut [&mut ann], start + Span::from_millis(4_000));
    daemon.wait_for("that it was asked for a key frame", |said| {
        *said == FromMixer::KeyFrameNeeded { host: HostId(1) }
    });
    let refused = FromMixer::NoSnapshot {
        request: Some(SnapshotId(9)),
        reason: NoSnapshot::NoVideo,
    };
    daemon.wait_for("that there is no such host", |said| *said == refused);
    let pictures = daemon.pictures();
    for (request, host) in [(7, Some(HostId(1))), (8, None)] {
        let (header, jpeg) = pictures
            .iter()
            .find(|(header, _)| header.request == Some(SnapshotId(request)))
            .expect("an answer");
        assert_eq!((header.host, header.width, header.height), (host, 320, 180));
        let off = off(header, jpeg);
        assert!(off <= 8, "{host:?} is {off} off");
    }
}

#[test]
fn at_an_interval_there_are_snapshots_of_everybody_and_of_the_mix_no_larger_than_wanted() {
    let (mut ann, mut bob) = (host(1, 5.0), host(2, 5.0));
    let mut daemon = Daemon::start(settings());
    daemon.say(&ToMixer::Snapshots(SnapshotSettings {
        interval_ms: Some(1_000),
        quality: 90,
        largest_side: 160,
    }));
    let start = clock::now() + Span::from_millis(200);
    ann.join(&mut daemon, start);
    bob.join(&mut daemon, start);
    play(
        &daemon,
        &mut [&mut ann, &mut bob],
        start + Span::from_millis(4_500),
    );
    let pictures = daemon.pictures();
    for host in [Some(HostId(1)), Some(HostId(2)), None] {
        let of_it = pictures.iter().filter(|(header, _)| header.host == host);
        assert!((3..=6).contains(&of_it.count()), "{host:?}");
    }
    assert!(
        pictures
            .iter()
            .all(|(header, _)| (header.width, header.height) == (160, 90))
    );
    let (header, jpeg) = pictures
        .iter()
        .find(|(header, _)| header.host == Some(HostId(2)))
        .expect("one of bob");
    assert!(off(header, jpeg) <= 12, "{} off", off(header, jpeg));
}

#[test]
fn a_daemon_that_takes_no_pictures_does_not_disturb_the_mix() {
    let mut ann = host(1, 4.0);
    let mut daemon = Daemon::start(settings());
    daemon.refuse_pictures();
    daemon.say(&ToMixer::Snapshots(SnapshotSettings {
        interval_ms: Some(100),
        ..SnapshotSettings::default()
    }));
    let start = clock::now() + Span::from_millis(200);
    ann.join(&mut daemon, start);
    play(&daemon, &mut [&mut ann], start + Span::from_millis(3_500));
    let failed = FromMixer::NoSnapshot {
        request: None,
        reason: NoSnapshot::Failed,
    };
    daemon.wait_for("that one failed", |said| *said == failed);
    let FromMixer::Stats(stats) = daemon.wait_for("statistics", |said| matches!(said, FromMixer::Stats(_)))
    else {
        unreachable!("waited for statistics");
    };
    assert!(stats.frames_encoded > 60, "{stats:?}");
}

/// Everything that came to a port so far.
fn heard(socket: &UdpSocket) -> BTreeSet<Vec<u8>> {
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a timeout");
    let mut packet = [0; 2000];
    std::iter::from_fn(|| {
        let len = socket.recv(&mut packet).ok()?;
        Some(packet[..len].to_vec())
    })
    .collect()
}

#[test]
fn a_forwarded_host_arrives_as_it_was_sent_and_its_reports_beside_it() {
    let mut ann = host(1, 4.0);
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let even = std::iter::repeat_with(bind).find(|socket| port(socket).is_multiple_of(2));
    let rtp = even.expect("an even port");
    let rtcp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port(&rtp) + 1)).expect("the next port");
    let mut daemon = Daemon::start(settings());
    daemon.say(&ToMixer::AddForward(Forward {
        id: ForwardId(4),
        user: "ann".to_owned(),
        address: Ipv4Addr::LOCALHOST.into(),
        audio_port: None,
        video_port: Some(port(&rtp)),
        key_frame_seconds: 1,
    }));
    let start = clock::now() + Span::from_millis(200);
    ann.join(&mut daemon, start);
    let sent = ann.video();
    play(&daemon, &mut [&mut ann], start + Span::from_millis(1_000));
    let (packets, reports) = (heard(&rtp), heard(&rtcp));
    assert!(packets.len() > 25, "{} packets", packets.len());
    assert!(packets.iter().all(|packet| sent.contains(packet)), "unchanged");
    assert!(
        !reports.is_empty() && reports.iter().all(|report| report.len() == 28),
        "{reports:?}"
    );
    let asked = || {
        let is_asked = |said: &&FromMixer| **said == FromMixer::KeyFrameNeeded { host: HostId(1) };
        daemon.said().iter().filter(is_asked).count()
    };
    assert!(asked() >= 1);
    let counted = daemon.wait_for("what was forwarded", |said| match said {
        FromMixer::Stats(stats) => stats.forwards.first().is_some_and(|stats| stats.packets > 0),
        _ => false,
    });
    let FromMixer::Stats(stats) = counted else {
        unreachable!("waited for statistics");
    };
    assert_eq!(
        (stats.forwards[0].id, stats.forwards[0].errors),
        (ForwardId(4), 0)
    );
    daemon.say(&ToMixer::RemoveForward { id: ForwardId(4) });
    play(&daemon, &mut [&mut ann], clock::now() + Span::from_millis(300));
    heard(&rtp);
    play(&daemon, &mut [&mut ann], clock::now() + Span::from_millis(300));
    assert!(heard(&rtp).is_empty(), "no longer");
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().expect("bound").port()
}

//! The publisher against nginx with its RTMP module, read back by ffprobe and ffmpeg.

mod common;

use common::{PATIENCE, Process, Scratch, await_port, free_port, program, sample};
use lianmai_rtmp::publisher::{PublishError, PublisherEvent, PublisherState};
use lianmai_rtmp::{Publisher, PublisherConfig, Rebase, RtmpUrl, Tag};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

struct Nginx {
    scratch: Scratch,
    port: u16,
}

impl Nginx {
    fn new() -> Self {
        assert!(
            std::path::Path::new(MODULE).exists(),
            "this test needs {MODULE}: apt-get install libnginx-mod-rtmp"
        );
        let nginx = Self {
            scratch: Scratch::new(),
            port: free_port(),
        };
        let directory = nginx.scratch.0.display();
        let config = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\npid {directory}/nginx.pid;\n\
             error_log {directory}/error.log info;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{}; application live {{ live on; }} }} }}\n",
            nginx.port
        );
        std::fs::write(nginx.scratch.0.join("nginx.conf"), config).expect("written");
        nginx
    }

    fn start(&self) -> Process {
        let child = program("nginx", "nginx")
            .arg("-p")
            .arg(&self.scratch.0)
            .arg("-c")
            .arg(self.scratch.0.join("nginx.conf"))
            .arg("-e")
            .arg(self.scratch.0.join("error.log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        await_port(self.port);
        Process(child)
    }

    fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }

    fn publisher(&self, stream: &str) -> (Arc<Publisher>, Receiver<PublisherEvent>) {
        let target = RtmpUrl::parse(&self.url(stream)).expect("valid");
        let (sender, events) = channel();
        let publisher = Publisher::spawn(PublisherConfig::new(target), move |event| {
            let _ = sender.send(event);
        });
        (Arc::new(publisher.expect("a thread")), events)
    }
}

/// Pushes a sample over and over, at its own speed, on one timeline that starts at `start`.
struct Pump {
    running: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    fn start(publisher: &Arc<Publisher>, start: i64) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let (publisher, going) = (Arc::clone(publisher), Arc::clone(&running));
        let tags = sample(4);
        let thread = std::thread::spawn(move || pump(&publisher, &tags, start, &going));
        Self {
            running,
            thread: Some(thread),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pump(publisher: &Publisher, tags: &[Tag], mut start: i64, going: &AtomicBool) {
    loop {
        let began = Instant::now();
        let mut rebase = Rebase::starting_at(start);
        for tag in tags {
            if !going.load(Ordering::Relaxed) {
                return;
            }
            let due = Duration::from_millis(u64::from(tag.timestamp_ms));
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            publisher.push(rebase.apply(tag));
        }
        start = rebase.latest() + 20;
    }
}

fn await_publishing(events: &Receiver<PublisherEvent>) {
    let publishing = PublisherEvent::State(PublisherState::Publishing);
    let deadline = Instant::now() + PATIENCE;
    while events
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .expect("publishing")
        != publishing
    {}
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The DTS of each packet of the next seconds, by kind.
fn probe(url: &str) -> (Vec<f64>, Vec<f64>) {
    let text = output(
        program("ffprobe", "ffmpeg")
            .args([
                "-v",
                "error",
                "-rw_timeout",
                "15000000",
                "-read_intervals",
                "%+3",
                "-show_packets",
            ])
            .args([
                "-show_entries",
                "packet=codec_type,dts_time",
                "-of",
                "csv=p=0",
                url,
            ]),
    );
    let times = |kind: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.split_once(','))
            .filter(|(found, _)| *found == kind);
        lines
            .filter_map(|(_, time)| time.trim_end_matches(',').parse().ok())
            .collect()
    };
    (times("video"), times("audio"))
}

fn assert_steady(times: &[f64], least: usize) {
    assert!(times.len() >= least, "{} packets", times.len());
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "{times:?}");
}

#[test]
fn nginx_takes_the_stream_and_ffmpeg_decodes_it() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let (publisher, events) = nginx.publisher("key?token=a/b");
    let _pump = Pump::start(&publisher, 0);
    await_publishing(&events);
    let (video, audio) = probe(&nginx.url("key"));
    assert_steady(&video, 50);
    assert_steady(&audio, 90);
    let decoded = program("ffmpeg", "ffmpeg")
        .args([
            "-v",
            "error",
            "-xerror",
            "-rw_timeout",
            "15000000",
            "-i",
            &nginx.url("key"),
            "-t",
            "2",
            "-f",
            "null",
            "-",
        ])
        .output()
        .expect("ffmpeg runs");
    assert!(
        decoded.status.success() && decoded.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&decoded.stderr)
    );
}

#[test]
fn a_second_publisher_of_the_name_is_told_what_nginx_says() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let (_first, events) = nginx.publisher("key");
    await_publishing(&events);
    let (_second, events) = nginx.publisher("key");
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if let PublisherEvent::State(PublisherState::Retrying { reason, .. }) = event {
            assert!(matches!(reason, PublishError::Protocol(_)), "{reason}");
            assert!(
                reason.to_string().contains("NetStream.Publish.BadName"),
                "{reason}"
            );
            return;
        }
    }
}

#[test]
fn the_stream_is_back_after_nginx_was_killed_and_started_again() {
    let nginx = Nginx::new();
    let server = nginx.start();
    let (publisher, events) = nginx.publisher("key");
    let _pump = Pump::start(&publisher, 0);
    await_publishing(&events);
    assert_steady(&probe(&nginx.url("key")).0, 50);
    drop(server);
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if matches!(event, PublisherEvent::State(PublisherState::Retrying { .. })) {
            break;
        }
    }
    let _server = nginx.start();
    await_publishing(&events);
    assert_eq!(events.recv_timeout(PATIENCE), Ok(PublisherEvent::KeyFrameWanted));
    let (video, audio) = probe(&nginx.url("key"));
    assert_steady(&video, 50);
    assert_steady(&audio, 90);
    assert!(
        video[0] < 10.0,
        "times start again with the connection: {}",
        video[0]
    );
}

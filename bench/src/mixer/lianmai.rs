//! Our mixer between a daemon that feeds it in real time and an RTMP server, as in production.

use super::material::{Host, Material};
use super::{FPS, Output, SIZE, Task, usage};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use lianmai_mixer_control::media::{HostId, Kind, Message};
use lianmai_mixer_control::{
    AudioSource, CONTROL_SOCKET, Canvas, Codec, Coding, MEDIA_SOCKET, SeiKind, Settings, TargetId,
    TargetOptions, TargetUrl, ToMixer, VideoSource, encode,
};
use lianmai_rtmp::flv::file_header;
use lianmai_rtmp::{Limits, Server, ServerEvent, Tag, TagKind};
use lianmai_tests::edge::programs;
use lianmai_tests::process::Running;
use nix::time::{ClockId, clock_gettime};
use rtp::header::Header;
use rtp::packet::Packet;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use webrtc_util::marshal::Marshal;

/// Seconds of the hosts' material before anything is measured: everybody is seen, and delays have settled.
pub(super) const LEAD: u32 = 4;

const AUDIO: u8 = 111;
const VIDEO: u8 = 102;
const SECOND: u64 = 1_000_000_000;
/// From a host to the edge, in nanoseconds.
const WAY: u64 = 5_000_000;

/// When things happened, in nanoseconds of the monotonic clock.
pub(super) struct Times {
    /// When the first pictures of the hosts were captured.
    start: u64,
    /// When the tag of each picture of the output came.
    tags: Vec<u64>,
}

impl Times {
    /// Milliseconds from the last packet of a host's picture to the first tag that shows it, sorted. `shown` has for each picture of
    /// the output the number of the first host's picture in it.
    pub(super) fn latency(&self, shown: &[usize]) -> Vec<f64> {
        let firsts = shown.iter().zip(&self.tags).scan(None, |last, (number, tag)| {
            let is_first = *last != Some(*number);
            *last = Some(*number);
            Some(is_first.then_some((*number, *tag)))
        });
        let mut millis: Vec<f64> = firsts
            .flatten()
            .map(|(number, tag)| {
                let sent = self.start + WAY + number as u64 * SECOND / u64::from(FPS);
                (tag as f64 - sent as f64) / 1e6
            })
            .collect();
        millis.sort_by(f64::total_cmp);
        millis
    }
}

pub(super) fn mix(task: &Task, material: &Material, work: &Path) -> Result<Output> {
    let hosts = &material.hosts[..task.cells.len()];
    let sockets = tempfile::tempdir()?;
    let control = UnixListener::bind(sockets.path().join(CONTROL_SOCKET))?;
    let media = media_socket(sockets.path())?;
    let mut command = Command::new(programs().join("lianmai-mixer"));
    command
        .arg("--socket-dir")
        .arg(sockets.path())
        .env("LIANMAI_LOG", "warn");
    let mixer = Running::start(&mut command, &work.join("mixer.log"))?;
    let pid = u32::try_from(mixer.pid().as_raw())?;
    let (mut control, _) = control.accept()?;
    let (media, _) = media.accept()?;
    // What it says is read, so that it can go on saying it.
    let mut said = control.try_clone()?;
    thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let sink = Sink::start()?;
    let mut say = |message: &ToMixer| -> Result<()> { Ok(control.write_all(encode(message)?.as_bytes())?) };
    say(&ToMixer::Configure(settings(task)))?;
    say(&ToMixer::AddTarget {
        id: TargetId(1),
        url: TargetUrl(format!("rtmp://127.0.0.1:{}/live/mix", sink.port)),
        options: TargetOptions::default(),
    })?;
    for number in 0..hosts.len() {
        say(&joins(number))?;
    }
    let start = now()? + SECOND / 2;
    let packets = packets(hosts, start, task.seconds + LEAD)?;
    let (from, until) = (
        start + u64::from(LEAD) * SECOND,
        start + u64::from(LEAD + task.seconds) * SECOND,
    );
    let mut used = Vec::new();
    for (at, message) in packets {
        while now()? < at {
            thread::sleep(Duration::from_nanos(at.saturating_sub(now()?)));
        }
        if used.is_empty() && at >= from {
            used.push(usage::cpu_of(pid)?);
        }
        media.send(&message).context("the mixer does not take media")?;
    }
    let cpu = (usage::cpu_of(pid)? - used.first().context("nothing was sent")?) / f64::from(task.seconds);
    let memory = usage::memory_of(pid).context("the mixer is gone")?;
    say(&ToMixer::Shutdown)?;
    drop(mixer);
    let file = work.join("lianmai.flv");
    let times = Times {
        start,
        tags: sink.write(&file, from, until)?,
    };
    Ok(Output {
        file,
        cpu,
        memory,
        times: Some(times),
    })
}

fn settings(task: &Task) -> Settings {
    Settings {
        room: "bench".to_owned(),
        canvas: Canvas {
            width: SIZE.width as u32,
            height: SIZE.height as u32,
            fps: FPS,
        },
        video_bitrate: task.bitrate,
        audio_bitrate: 128_000,
        gop_seconds: 2,
        record: None,
        images: None,
        font: None,
        rtmps_ca: None,
        sei: SeiKind::Off,
        loudness: None,
        vision: false,
        coding: Coding::default(),
    }
}

fn joins(number: usize) -> ToMixer {
    ToMixer::AddHost {
        host: HostId(number as u32),
        name: format!("host {number}"),
        audio: Some(AudioSource { payload_type: AUDIO }),
        video: Some(VideoSource {
            payload_type: VIDEO,
            codec: Codec::H264,
            orientation_extension: None,
        }),
    }
}

/// Everything that the hosts send, each message with its time, in order.
fn packets(hosts: &[Host], start: u64, seconds: u32) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut all = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let mut put = |sent: u64, kind, body: &[u8]| {
            let arrival_ns = sent + WAY;
            let message = Message {
                kind,
                host: HostId(number as u32),
                arrival_ns,
                body,
            };
            all.push((arrival_ns, [message.header().as_slice(), body].concat()));
        };
        let mut sequence = 0_u16;
        for (index, payloads) in host.pictures.iter().enumerate() {
            let captured = start + index as u64 * SECOND / u64::from(FPS);
            for (part, payload) in payloads.iter().enumerate() {
                sequence = sequence.wrapping_add(1);
                let marker = part + 1 == payloads.len();
                put(
                    captured,
                    Kind::Rtp,
                    &packet(number, VIDEO, sequence, captured, marker, payload)?,
                );
            }
        }
        for (index, payload) in host.sounds.iter().enumerate() {
            let captured = start + index as u64 * SECOND / 50;
            let bytes = packet(number, AUDIO, index as u16, captured, false, payload)?;
            put(captured + SECOND / 50, Kind::Rtp, &bytes);
        }
        for report in 0..u64::from(seconds) * 2 {
            let at = start + SECOND / 10 + report * SECOND / 2;
            put(
                at,
                Kind::Rtcp,
                &[sender_report(number, at, VIDEO), sender_report(number, at, AUDIO)].concat(),
            );
            put(at, Kind::RoundTrip, &(2 * WAY).to_be_bytes());
        }
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(all)
}

fn packet(
    host: usize,
    kind: u8,
    sequence: u16,
    captured: u64,
    marker: bool,
    payload: &Bytes,
) -> Result<Vec<u8>> {
    let header = Header {
        version: 2,
        marker,
        payload_type: kind,
        sequence_number: sequence,
        timestamp: rtp_time(captured, kind),
        ssrc: ssrc(host, kind),
        ..Header::default()
    };
    let packet = Packet {
        header,
        payload: payload.clone(),
    };
    Ok(packet.marshal()?.to_vec())
}

/// RFC 3550 §6.4.1, without report blocks.
fn sender_report(host: usize, at: u64, kind: u8) -> Vec<u8> {
    let wallclock = at + 3_900_000_000 * SECOND;
    let fraction = ((wallclock % SECOND) << 32) / SECOND;
    let words = [
        0x80c8_0006,
        ssrc(host, kind),
        (wallclock / SECOND) as u32,
        fraction as u32,
        rtp_time(at, kind),
        0,
        0,
    ];
    words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
}

fn rtp_time(at: u64, kind: u8) -> u32 {
    let rate = if kind == VIDEO { 90_000 } else { 48_000 };
    (u128::from(at) * rate / u128::from(SECOND)) as u32
}

fn ssrc(host: usize, kind: u8) -> u32 {
    (host as u32 + 1) << 8 | u32::from(kind)
}

fn now() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec())? * SECOND + u64::try_from(now.tv_nsec())?)
}

fn media_socket(folder: &Path) -> Result<Socket> {
    let media = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    media.bind(&SockAddr::unix(folder.join(MEDIA_SOCKET))?)?;
    media.listen(1)?;
    Ok(media)
}

/// An RTMP server that keeps what is published to it, with the time.
struct Sink {
    port: u16,
    tags: Arc<Mutex<Vec<(u64, Tag)>>>,
}

impl Sink {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let tags = Arc::<Mutex<Vec<_>>>::default();
        let keep = Arc::clone(&tags);
        thread::spawn(move || {
            let served = listener
                .accept()
                .map_err(Into::into)
                .and_then(|(stream, _)| serve(stream, &keep));
            if let Err(error) = served {
                eprintln!("bench: the RTMP server: {error:#}");
            }
        });
        Ok(Self { port, tags })
    }

    /// Writes what came between two times to a file, from the first key frame on. Returns when its pictures came.
    fn write(&self, file: &Path, from: u64, until: u64) -> Result<Vec<u64>> {
        let tags = self.tags.lock().expect("not poisoned");
        let within = |at: u64| at >= from && at < until;
        let is_key = |tag: &Tag| tag.kind == TagKind::Video && tag.is_frame() && tag.is_key_frame();
        let first = tags
            .iter()
            .position(|(at, tag)| within(*at) && is_key(tag))
            .context("no key frame")?;
        let headers = tags.iter().take(first).filter(|(_, tag)| !tag.is_frame());
        let frames = tags
            .iter()
            .skip(first)
            .filter(|(at, tag)| within(*at) && tag.is_frame());
        let mut bytes = file_header(true, true).to_vec();
        for (_, tag) in headers.chain(frames.clone()) {
            bytes.extend_from_slice(&tag.to_flv());
        }
        std::fs::write(file, bytes)?;
        Ok(frames
            .filter(|(_, tag)| tag.kind == TagKind::Video)
            .map(|(at, _)| *at)
            .collect())
    }
}

fn serve(mut stream: TcpStream, tags: &Mutex<Vec<(u64, Tag)>>) -> Result<()> {
    let mut server = Server::new(Limits::default());
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        server.handle_input(&buffer[..length])?;
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Publish(_) => server.accept()?,
                ServerEvent::Tag(tag) => tags.lock().expect("not poisoned").push((now()?, tag)),
                ServerEvent::Play(_) => bail!("somebody wants to play"),
                ServerEvent::Finished => {}
            }
        }
        while let Some(bytes) = server.poll_output() {
            stream.write_all(&bytes)?;
        }
    }
}

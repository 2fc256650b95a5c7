//! How much one media thread forwards: `cargo run --release -p lianmai-plane --example fanout_rate -- [LEGS] [SECONDS]`.
//!
//! One publisher sends packets of 1150 bytes over loopback; every leg is a socket that nobody reads. Once for each SRTP
//! profile, and for each as fast as the plane keeps up, which shows the processor time of the media thread for each
//! packet sealed, and at 500 packets a second, which shows the time from socket to socket. Before that, what the SRTP
//! context alone takes.

use lianmai_fanout::PayloadType;
use lianmai_plane::{Command, PacketKind, PlaneConfig, spawn_userspace};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::{EndpointId, MasterKey, SrtpKeys, SrtpProfile, Validated};
use std::error::Error;
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

const PAYLOAD: usize = 1_150 - 12;
const PUBLISHER: EndpointId = EndpointId(0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let legs: u64 = arguments.next().map_or(Ok(3), |legs| legs.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |seconds| seconds.parse())?;
    for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80] {
        context_alone(profile)?;
        measure(profile, legs, Duration::from_secs(seconds), None)?;
        measure(
            profile,
            legs,
            Duration::from_secs(seconds),
            Some(Duration::from_millis(2)),
        )?;
    }
    Ok(())
}

fn context_alone(profile: SrtpProfile) -> Result<(), Box<dyn Error>> {
    const PACKETS: u16 = 50_000;
    let mut sealer = sealer(profile)?;
    let started = Instant::now();
    for sequence in 0..PACKETS {
        std::hint::black_box(sealer.encrypt_rtp(&packet(sequence))?);
    }
    let micros = started.elapsed().as_secs_f64() * 1e6 / f64::from(PACKETS);
    println!("{profile:?}: {micros:.2} us to make and seal a packet");
    Ok(())
}

fn measure(
    profile: SrtpProfile,
    legs: u64,
    time: Duration,
    pace: Option<Duration>,
) -> Result<(), Box<dyn Error>> {
    let (plane, _outputs) = spawn_userspace(&mut PlaneConfig::new("127.0.0.1:0".parse()?))?;
    let publisher = UdpSocket::bind("127.0.0.1:0")?;
    let remote = Validated::vouched_by_test(publisher.local_addr()?);
    plane.apply(Command::Connect {
        endpoint: PUBLISHER,
        remote,
        keys: keys(profile),
    })?;
    plane.apply(Command::Publish {
        endpoint: PUBLISHER,
        tracks: vec![track()],
    })?;
    let mut sockets = Vec::new();
    for leg in 1..=legs {
        let (endpoint, socket) = (EndpointId(leg), UdpSocket::bind("127.0.0.1:0")?);
        let remote = Validated::vouched_by_test(socket.local_addr()?);
        plane.apply(Command::Connect {
            endpoint,
            remote,
            keys: keys(profile),
        })?;
        plane.apply(Command::Subscribe {
            endpoint,
            source: PUBLISHER,
            tracks: vec![track()],
        })?;
        sockets.push(socket);
    }
    let mut sealer = sealer(profile)?;
    let started = Instant::now();
    let mut sent = 0u64;
    while started.elapsed() < time {
        publisher.send_to(&sealer.encrypt_rtp(&packet(sent as u16))?, plane.local_addr())?;
        sent += 1;
        if let Some(pace) = pace {
            std::thread::sleep(pace);
        }
        // Never more on the way than a few batches.
        while sent > plane.metrics().received(PacketKind::Rtp) + 128 {
            std::thread::yield_now();
        }
    }
    let (elapsed, cpu) = (started.elapsed().as_secs_f64(), media_thread_cpu()?.as_secs_f64());
    plane.shutdown();
    let sealed = plane.metrics().sent(PacketKind::Rtp) as f64;
    let times = plane.metrics().transit().times();
    println!(
        "{profile:?}, {}: {:.0} leg-packets/s; {:.0} a second of the media thread ({:.2} us each); \
         transit p50 {} us, p99 {} us, p99.9 {} us",
        if pace.is_some() { "paced" } else { "unpaced" },
        sealed / elapsed,
        sealed / cpu,
        cpu * 1e6 / sealed,
        times.p50 / 1_000,
        times.p99 / 1_000,
        times.p999 / 1_000,
    );
    Ok(())
}

/// User and system time of the thread called `media`, in ticks of 10 ms.
fn media_thread_cpu() -> Result<Duration, Box<dyn Error>> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let Some((_, rest)) = stat.split_once("(media) ") else {
            continue;
        };
        let ticks: u64 = rest
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        return Ok(Duration::from_millis(ticks * 10));
    }
    Err("the media thread is not running".into())
}

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 102];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 9]);
    packet.resize(12 + PAYLOAD, 0x41);
    packet
}

fn keys(profile: SrtpProfile) -> SrtpKeys {
    let (key_len, salt_len) = profile.key_and_salt_len();
    let master = MasterKey {
        key: vec![1; key_len],
        salt: vec![2; salt_len],
    };
    SrtpKeys {
        profile,
        inbound: master.clone(),
        outbound: master,
    }
}

fn sealer(profile: SrtpProfile) -> Result<Context, webrtc_srtp::Error> {
    let keys = keys(profile).inbound;
    let profile = match profile {
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    Context::new(&keys.key, &keys.salt, profile, None, None)
}

fn track() -> Track {
    Track {
        kind: Kind::Video,
        mid: "0".to_owned(),
        codec: Codec::H264,
        payload_type: PayloadType(102),
        rtx_payload_type: None,
        ssrc: None,
        rtx_ssrc: None,
        extensions: ExtensionIds::default(),
        feedback: Feedback::default(),
    }
}

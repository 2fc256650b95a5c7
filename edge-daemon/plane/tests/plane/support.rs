//! A plane, peers and packets.

use lianmai_fanout::{PayloadType, RtpPacket, SequenceNumber, Ssrc};
use lianmai_plane::{
    Command, Event, Metrics, Outputs, PlaneConfig, PlaneHandle, Resumption, Snapshot, spawn_kernel,
    spawn_userspace,
};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::{EndpointId, MasterKey, SrtpKeys, SrtpProfile, Validated};
use std::collections::VecDeque;
use std::future::Future;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

pub(crate) const GCM: SrtpProfile = SrtpProfile::AeadAes128Gcm;
pub(crate) const SHA1: SrtpProfile = SrtpProfile::Aes128CmHmacSha1_80;

/// SSRCs of the publisher of most tests.
pub(crate) const AUDIO: u32 = 0xa0a0;
pub(crate) const VIDEO: u32 = 0xb0b0;
pub(crate) const VIDEO_RTX: u32 = 0xb1b1;

/// A test that has not seen what it waits for after this long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Plane {
    pub(crate) handle: PlaneHandle,
    pub(crate) outputs: Outputs,
}

impl Plane {
    pub(crate) fn start() -> Self {
        let mut config = PlaneConfig::new("127.0.0.1:0".parse().expect("an address"));
        let (handle, outputs) = spawn_userspace(&mut config).expect("a free port");
        Self { handle, outputs }
    }

    /// `None` where the programs were not built, or may not be loaded.
    pub(crate) fn start_in_kernel(bind: &str, interface: &str) -> Option<Self> {
        let mut config = PlaneConfig::new(bind.parse().expect("an address"));
        match spawn_kernel(&mut config, interface) {
            Ok((handle, outputs)) => Some(Self { handle, outputs }),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    /// The same with pins, from what an earlier one left.
    pub(crate) fn start_pinned(
        bind: SocketAddr,
        interface: &str,
        pins: &Path,
        left: Resumption,
    ) -> Option<Self> {
        let mut config = PlaneConfig::new(bind);
        config.pins = Some(pins.to_owned());
        config.resumption = left;
        match spawn_kernel(&mut config, interface) {
            Ok((handle, outputs)) => Some(Self { handle, outputs }),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    /// Kills it. What a keeper would have kept is what remains, and the commands that the edge would give again.
    pub(crate) fn kill(self, commands: Vec<Command>) -> Resumption {
        let copy = |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().expect("a descriptor");
        let left = Resumption {
            socket: Some(copy(self.handle.socket()).into()),
            ledger: Some(copy(self.handle.ledger())),
            commands,
        };
        self.handle.abandon();
        left
    }

    /// Applies a command and waits until it is applied: packets take another way to the plane than commands.
    pub(crate) fn apply(&self, command: Command) {
        self.handle.apply(command).expect("a running plane");
        self.snapshot();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.handle.metrics()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        wait(self.handle.snapshot()).expect("a running plane")
    }

    pub(crate) fn event_within(&mut self, patience: Duration) -> Option<Event> {
        wait(async { tokio::time::timeout(patience, self.outputs.events.recv()).await })
            .ok()
            .flatten()
    }

    /// A peer with keys and an address that the plane knows.
    pub(crate) fn connect(&self, id: u64, profile: SrtpProfile) -> Peer {
        self.connect_over(socket(), id, profile)
    }

    pub(crate) fn connect_over(&self, socket: UdpSocket, id: u64, profile: SrtpProfile) -> Peer {
        let peer = Peer::over(socket, id, profile, self.address());
        self.apply(peer.connect());
        peer
    }

    pub(crate) fn publish(&self, peer: &Peer, tracks: Vec<Track>) {
        self.apply(Command::Publish {
            endpoint: peer.id,
            tracks,
        });
    }

    pub(crate) fn subscribe(&self, peer: &Peer, source: &Peer, tracks: Vec<Track>) {
        self.apply(Command::Subscribe {
            endpoint: peer.id,
            source: source.id,
            tracks,
        });
    }

    /// Asks again until `condition` holds.
    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut(&Snapshot, &Metrics) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.snapshot(), self.metrics()) {
            assert!(
                Instant::now() < deadline,
                "never: {what}; last seen {:#?}",
                self.snapshot()
            );
        }
    }
}

pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A browser's transport, without the browser.
pub(crate) struct Peer {
    pub(crate) id: EndpointId,
    pub(crate) socket: UdpSocket,
    pub(crate) plane: SocketAddr,
    keys: SrtpKeys,
    sealer: Context,
    opener: Context,
    rtp: VecDeque<Vec<u8>>,
    rtcp: VecDeque<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(id: u64, profile: SrtpProfile, plane: SocketAddr) -> Self {
        Self::over(socket(), id, profile, plane)
    }

    pub(crate) fn over(socket: UdpSocket, id: u64, profile: SrtpProfile, plane: SocketAddr) -> Self {
        let keys = keys(id as u8, profile);
        Self {
            id: EndpointId(id),
            socket,
            plane,
            sealer: context(profile, &keys.inbound),
            opener: context(profile, &keys.outbound),
            keys,
            rtp: VecDeque::new(),
            rtcp: VecDeque::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    pub(crate) fn vouched(&self) -> Validated<SocketAddr> {
        Validated::vouched_by_test(self.address())
    }

    pub(crate) fn connect(&self) -> Command {
        Command::Connect {
            endpoint: self.id,
            remote: self.vouched(),
            keys: self.keys.clone(),
        }
    }

    /// As the edge says it again after a crash.
    pub(crate) fn resume(&self) -> Command {
        Command::Resume {
            endpoint: self.id,
            remote: self.vouched(),
            keys: self.keys.clone(),
        }
    }

    pub(crate) fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        self.sealer.encrypt_rtp(packet).expect("sealed").to_vec()
    }

    pub(crate) fn send_raw(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.plane).expect("sent");
    }

    pub(crate) fn send(&mut self, packet: &[u8]) {
        let sealed = self.seal(packet);
        self.send_raw(&sealed);
    }

    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.sealer.encrypt_rtcp(packet).expect("sealed").to_vec()
    }

    pub(crate) fn send_rtcp(&mut self, packet: &[u8]) {
        let sealed = self.seal_rtcp(packet);
        self.send_raw(&sealed);
    }

    /// The next RTP packet, opened under this peer's own key.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        loop {
            if let Some(packet) = self.rtp.pop_front() {
                return packet;
            }
            self.receive_any();
        }
    }

    /// The next RTCP packet for which `take` has something.
    pub(crate) fn receive_rtcp<T>(&mut self, mut take: impl FnMut(&[u8]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(packet) = self.rtcp.pop_front() {
                if let Some(found) = take(&packet) {
                    return found;
                }
            }
            assert!(Instant::now() < deadline, "RTCP came, but not the one");
            self.receive_any();
        }
    }

    /// Asserts that the next RTP packet has this sequence number: none came before it.
    pub(crate) fn expect_next(&mut self, sequence: u16) {
        let packet = self.receive();
        let header = RtpPacket::parse(&packet).expect("RTP").header;
        assert_eq!(header.sequence, SequenceNumber(sequence), "of {}", header.ssrc);
    }

    fn receive_any(&mut self) {
        let mut buffer = [0; 2_048];
        let len = loop {
            match self.socket.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.expect("a datagram within the time limit"),
            }
        };
        let datagram = &buffer[..len];
        if (192..=223).contains(&datagram[1]) {
            self.rtcp.push_back(
                self.opener
                    .decrypt_rtcp(datagram)
                    .expect("for this peer")
                    .to_vec(),
            );
        } else {
            self.rtp
                .push_back(self.opener.decrypt_rtp(datagram).expect("for this peer").to_vec());
        }
    }
}

pub(crate) fn socket() -> UdpSocket {
    bound("127.0.0.1:0")
}

pub(crate) fn bound(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("an address of ours");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

fn keys(seed: u8, profile: SrtpProfile) -> SrtpKeys {
    let (key_len, salt_len) = profile.key_and_salt_len();
    let master = |direction| MasterKey {
        key: vec![seed ^ direction; key_len],
        salt: vec![seed; salt_len],
    };
    SrtpKeys {
        profile,
        inbound: master(0x40),
        outbound: master(0x80),
    }
}

fn context(profile: SrtpProfile, master: &MasterKey) -> Context {
    let profile = match profile {
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    Context::new(&master.key, &master.salt, profile, None, None).expect("keys")
}

pub(crate) fn audio_track() -> Track {
    Track {
        kind: Kind::Audio,
        mid: "0".to_owned(),
        codec: Codec::Opus,
        payload_type: PayloadType(111),
        rtx_payload_type: None,
        ssrc: Some(Ssrc(AUDIO)),
        rtx_ssrc: None,
        extensions: ExtensionIds {
            mid: Some(4),
            audio_level: Some(1),
            transport_cc: Some(3),
            ..ExtensionIds::default()
        },
        feedback: Feedback {
            transport_cc: true,
            ..Feedback::default()
        },
    }
}

pub(crate) fn video_track() -> Track {
    Track {
        kind: Kind::Video,
        mid: "1".to_owned(),
        codec: Codec::H264,
        payload_type: PayloadType(102),
        rtx_payload_type: Some(PayloadType(103)),
        ssrc: Some(Ssrc(VIDEO)),
        rtx_ssrc: Some(Ssrc(VIDEO_RTX)),
        extensions: ExtensionIds {
            mid: Some(4),
            abs_send_time: Some(2),
            transport_cc: Some(3),
            video_orientation: Some(13),
            ..ExtensionIds::default()
        },
        feedback: Feedback {
            nack: true,
            pli: true,
            fir: true,
            transport_cc: true,
            remb: true,
        },
    }
}

/// The video track as a leg with other numbers has it.
pub(crate) fn video_leg(payload_type: u8, rtx: Option<(u8, u32)>) -> Track {
    Track {
        payload_type: PayloadType(payload_type),
        rtx_payload_type: rtx.map(|(payload_type, _)| PayloadType(payload_type)),
        ssrc: None,
        rtx_ssrc: rtx.map(|(_, ssrc)| Ssrc(ssrc)),
        extensions: ExtensionIds {
            transport_cc: Some(5),
            abs_send_time: Some(7),
            ..ExtensionIds::default()
        },
        ..video_track()
    }
}

/// A packet with these one-byte header extensions.
pub(crate) fn packet(
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    extensions: &[(u8, &[u8])],
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![if extensions.is_empty() { 0x80 } else { 0x90 }, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 3_000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    if !extensions.is_empty() {
        let mut elements = Vec::new();
        for (id, data) in extensions {
            elements.push(id << 4 | (data.len() - 1) as u8);
            elements.extend(*data);
        }
        elements.resize(elements.len().next_multiple_of(4), 0);
        packet.extend([0xbe, 0xde]);
        packet.extend(((elements.len() / 4) as u16).to_be_bytes());
        packet.extend(elements);
    }
    packet.extend(payload);
    packet
}

/// A video packet that is not a key frame.
pub(crate) fn video(sequence: u16) -> Vec<u8> {
    packet(
        102,
        VIDEO,
        sequence,
        &[],
        &[&[0x41], sequence.to_be_bytes().as_slice(), &[7; 900]].concat(),
    )
}

pub(crate) fn audio(sequence: u16) -> Vec<u8> {
    packet(111, AUDIO, sequence, &[(1, &[0x80 | 30])], &[9; 80])
}

//! A peer whose SRTP contexts are those of `webrtc-srtp`.

use super::VIDEO;
use crate::command::Command;
use lianmai_fanout::{PayloadType, Ssrc};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::{EndpointId, MasterKey, SrtpKeys, SrtpProfile, Validated};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

pub(crate) struct Peer {
    id: EndpointId,
    profile: SrtpProfile,
    pub(crate) address: SocketAddr,
    /// How often it had another handshake.
    handshake: u8,
    sealer: Context,
    opener: Context,
    /// The sequence number of its next packet.
    pub(crate) next: u16,
    /// What came, opened.
    pub(crate) received: Vec<Vec<u8>>,
    /// What came under the key of now, by SSRC and number from the first one on.
    sealed: BTreeMap<(u32, i64), Vec<u8>>,
    newest: BTreeMap<u32, i64>,
}

impl Peer {
    pub(crate) fn new(id: EndpointId, profile: SrtpProfile) -> Self {
        let keys = keys(id, profile, 0);
        Self {
            id,
            profile,
            address: SocketAddr::from(([192, 0, 2, 1], 10_000 + id.0 as u16)),
            handshake: 0,
            sealer: context(profile, &keys.inbound),
            opener: context(profile, &keys.outbound),
            next: 0,
            received: Vec::new(),
            sealed: BTreeMap::new(),
            newest: BTreeMap::new(),
        }
    }

    pub(crate) fn rekey(&mut self) {
        self.handshake += 1;
        let keys = keys(self.id, self.profile, self.handshake);
        self.sealer = context(self.profile, &keys.inbound);
        self.opener = context(self.profile, &keys.outbound);
        self.sealed.clear();
        self.newest.clear();
    }

    pub(crate) fn connect(&self) -> Command {
        Command::Connect {
            endpoint: self.id,
            remote: Validated::vouched_by_test(self.address),
            keys: keys(self.id, self.profile, self.handshake),
        }
    }

    /// As the edge says it after a crash.
    pub(crate) fn resume(&self) -> Command {
        Command::Resume {
            endpoint: self.id,
            remote: Validated::vouched_by_test(self.address),
            keys: keys(self.id, self.profile, self.handshake),
        }
    }

    pub(crate) fn move_to(&mut self, address: SocketAddr) -> Command {
        self.address = address;
        Command::Move {
            endpoint: self.id,
            remote: Validated::vouched_by_test(address),
        }
    }

    pub(crate) fn next_packet(&mut self) -> Vec<u8> {
        let packet = video(self.next);
        self.next = self.next.wrapping_add(1);
        packet
    }

    pub(crate) fn seal_next(&mut self) -> Vec<u8> {
        let packet = self.next_packet();
        self.seal(&packet)
    }

    pub(crate) fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        self.sealer.encrypt_rtp(packet).expect("sealed").to_vec()
    }

    /// Opens a packet, and remembers it: no index is ever sealed twice.
    pub(crate) fn receive(&mut self, sealed: &[u8]) {
        let opened = self
            .opener
            .decrypt_rtp(sealed)
            .expect("for this peer, under its key");
        let [_, _, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] = *opened else {
            panic!("RTP");
        };
        let (sequence, ssrc) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([c0, c1, c2, c3]));
        let newest = self.newest.entry(ssrc).or_insert(i64::from(sequence));
        let index = *newest + i64::from(sequence.wrapping_sub(*newest as u16).cast_signed());
        *newest = index.max(*newest);
        let before = self.sealed.insert((ssrc, index), sealed.to_vec());
        assert!(before.is_none(), "{} got {sequence} twice", self.id);
        self.received.push(opened.to_vec());
    }
}

fn keys(id: EndpointId, profile: SrtpProfile, handshake: u8) -> SrtpKeys {
    let (key_len, salt_len) = profile.key_and_salt_len();
    let master = |direction| MasterKey {
        key: vec![id.0 as u8 ^ direction; key_len],
        salt: vec![handshake; salt_len],
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

/// A packet of video with a transport-wide sequence number.
fn video(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 102];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 3_000).to_be_bytes());
    packet.extend(VIDEO.to_be_bytes());
    packet.extend([0xbe, 0xde, 0, 1, 0x31, 0, 0, 0]);
    packet.push(0x41);
    packet.extend(sequence.to_be_bytes().repeat(20 + usize::from(sequence % 100)));
    packet
}

pub(crate) fn video_track() -> Track {
    Track {
        kind: Kind::Video,
        mid: "1".to_owned(),
        codec: Codec::H264,
        payload_type: PayloadType(102),
        rtx_payload_type: Some(PayloadType(103)),
        ssrc: Some(Ssrc(VIDEO)),
        rtx_ssrc: Some(Ssrc(VIDEO + 1)),
        extensions: ExtensionIds {
            transport_cc: Some(3),
            ..ExtensionIds::default()
        },
        feedback: Feedback {
            nack: true,
            pli: true,
            transport_cc: true,
            ..Feedback::default()
        },
    }
}

/// The same as a leg with other numbers has it.
pub(crate) fn video_leg(payload_type: u8) -> Track {
    Track {
        payload_type: PayloadType(payload_type),
        rtx_payload_type: None,
        ssrc: None,
        rtx_ssrc: None,
        extensions: ExtensionIds {
            transport_cc: Some(5),
            ..ExtensionIds::default()
        },
        ..video_track()
    }
}

/// The same as sound.
pub(crate) fn sound_track() -> Track {
    Track {
        kind: Kind::Audio,
        codec: Codec::Opus,
        ..video_track()
    }
}

/// RFC 4588 §4 around the packet with this number.
pub(crate) fn retransmission_of(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 103];
    packet.extend((sequence ^ 0x55).to_be_bytes());
    packet.extend([0; 4]);
    packet.extend((VIDEO + 1).to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend([0x41, 1, 2, 3]);
    packet
}

//! Forwards: a host's RTP in the clear (RFC 3550), as it came, to a UDP address.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Names one forward of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForwardId(pub u32);

/// The longest distance of key frames, in seconds.
pub const MAX_KEY_FRAME_SECONDS: u32 = 600;

/// A host's stream, and where it goes. RTCP goes to the ports that follow (RFC 3550 §11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// How later messages name it.
    pub id: ForwardId,
    /// The host, by the name that people see: it may come, go and come back.
    pub user: String,
    /// Where to.
    pub address: IpAddr,
    /// Where its audio goes; it goes nowhere without.
    pub audio_port: Option<u16>,
    /// Where its video goes.
    pub video_port: Option<u16>,
    /// How often the host is asked for a key frame, so that a receiver which begins late or lost packets gets a picture;
    /// 0 asks once.
    pub key_frame_seconds: u32,
}

/// Why a forward is refused. Each message begins with the name of what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Not the address of one machine.
    #[error("host: {0} is {1}; name the address of one machine")]
    Address(IpAddr, &'static str),
    /// Nothing to forward.
    #[error("audio_port, video_port: give one of them at least")]
    NoPort,
    /// A port that RTP cannot use.
    #[error("{0}: {1} is not an even port from 2 to 65534; RTCP goes to the odd one after it")]
    Port(&'static str, u16),
    /// Both streams would go to one port.
    #[error("video_port: {0} is the audio_port too; audio and video need a port each")]
    SamePort(u16),
    /// Too rare to be meant.
    #[error("key_frame_seconds: {0}; {MAX_KEY_FRAME_SECONDS} at most, 0 for none")]
    KeyFrames(u32),
}

impl Forward {
    /// Whether this can be forwarded to.
    pub fn check(&self) -> Result<(), ForwardError> {
        if let Some(kind) = kind_of_many(self.address) {
            return Err(ForwardError::Address(self.address, kind));
        }
        if self.audio_port.is_none() && self.video_port.is_none() {
            return Err(ForwardError::NoPort);
        }
        for (name, port) in [("audio_port", self.audio_port), ("video_port", self.video_port)] {
            if let Some(port) = port.filter(|port| *port == 0 || port % 2 == 1) {
                return Err(ForwardError::Port(name, port));
            }
        }
        if let Some(port) = self.video_port.filter(|port| self.audio_port == Some(*port)) {
            return Err(ForwardError::SamePort(port));
        }
        if self.key_frame_seconds > MAX_KEY_FRAME_SECONDS {
            return Err(ForwardError::KeyFrames(self.key_frame_seconds));
        }
        Ok(())
    }
}

/// What an address is, if not that of one machine. The broadcast address of a subnet cannot be told by itself: the kernel
/// refuses it.
fn kind_of_many(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        ip if ip.is_multicast() => Some("a multicast address"),
        ip if ip.is_unspecified() => Some("no address"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("the broadcast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// What was counted of one forward since the mixer started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardStats {
    /// The forward.
    pub id: ForwardId,
    /// RTP packets sent.
    pub packets: u64,
    /// Bytes of RTP sent, without UDP and IP.
    pub bytes: u64,
    /// RTCP packets sent.
    pub reports: u64,
    /// Packets that could not be sent, and answers that nobody listens.
    pub errors: u64,
}

#[cfg(test)]
mod tests {
    use super::{Forward, ForwardError, ForwardId};

    fn forward(address: &str, audio: Option<u16>, video: Option<u16>) -> Forward {
        Forward {
            id: ForwardId(0),
            user: "ann".to_owned(),
            address: address.parse().expect("an address"),
            audio_port: audio,
            video_port: video,
            key_frame_seconds: 5,
        }
    }

    #[test]
    fn one_machine_and_even_ports_are_good() {
        for address in ["192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"] {
            assert_eq!(forward(address, Some(5004), Some(5006)).check(), Ok(()));
            assert_eq!(forward(address, None, Some(65_534)).check(), Ok(()));
        }
    }

    #[test]
    fn many_machines_and_none_are_refused_by_what_they_are() {
        for (address, kind) in [
            ("224.0.0.1", "multicast"),
            ("239.255.255.250", "multicast"),
            ("ff02::1", "multicast"),
            ("::ffff:224.0.0.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("::ffff:255.255.255.255", "broadcast"),
            ("0.0.0.0", "no address"),
            ("::", "no address"),
        ] {
            let error = forward(address, Some(5004), None).check().expect_err("refused");
            assert!(matches!(error, ForwardError::Address(..)), "{address}: {error}");
            assert!(error.to_string().contains(kind), "{address}: {error}");
        }
    }

    #[test]
    fn ports_that_rtp_cannot_use_are_refused_by_name() {
        for (audio, video, name) in [
            (None, None, "audio_port, video_port"),
            (Some(0), Some(5006), "audio_port"),
            (Some(5004), Some(0), "video_port"),
            (Some(5005), Some(5006), "audio_port"),
            (None, Some(65_535), "video_port"),
            (Some(5004), Some(5004), "video_port"),
        ] {
            let error = forward("192.0.2.1", audio, video).check().expect_err("refused");
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let mut rare = forward("192.0.2.1", Some(5004), None);
        rare.key_frame_seconds = 601;
        assert_eq!(rare.check(), Err(ForwardError::KeyFrames(601)));
    }
}

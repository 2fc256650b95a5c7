//! The SDP file (RFC 8866) of a forward, as players and transcoders read it.

use crate::mixers::Host;
use lianmai_mixer_control::{Codec, Forward};
use std::fmt::Write;
use std::net::IpAddr;

/// Describes what arrives at the ports of a forward; nothing if the host sends none of it.
pub(crate) fn describe(room: &str, host: &Host, forward: &Forward) -> Option<String> {
    let sections: Vec<String> = [audio(host, forward), video(host, forward)]
        .into_iter()
        .flatten()
        .collect();
    if sections.is_empty() {
        return None;
    }
    let (family, here) = match forward.address {
        IpAddr::V4(_) => ("IP4", "127.0.0.1"),
        IpAddr::V6(_) => ("IP6", "::1"),
    };
    let Forward {
        id, user, address, ..
    } = forward;
    // Another stream of the same host is another version of the session (§5.2).
    let mut text = format!(
        "v=0\r\no=- {} {} IN {family} {here}\r\ns={room} / {user}\r\nc=IN {family} {address}\r\nt=0 0\r\na=recvonly\r\n",
        id.0, host.source.0
    );
    sections.iter().for_each(|section| text.push_str(section));
    Some(text)
}

/// RFC 7587 §7: Opus is always declared with 48000 Hz and two channels.
fn audio(host: &Host, forward: &Forward) -> Option<String> {
    let (port, source) = forward.audio_port.zip(host.audio.as_ref())?;
    Some(section("audio", port, source.payload_type, "opus/48000/2", None))
}

fn video(host: &Host, forward: &Forward) -> Option<String> {
    let (port, source) = forward.video_port.zip(host.video.as_ref())?;
    let (mapping, parameters) = match source.codec {
        // RFC 6184 §8.1, as answers to publishers say it; the parameter sets are in the stream.
        Codec::H264 => ("H264/90000", Some("profile-level-id=42e01f;packetization-mode=1")),
        Codec::Vp8 => ("VP8/90000", None),
    };
    Some(section("video", port, source.payload_type, mapping, parameters))
}

fn section(kind: &str, port: u16, payload_type: u8, mapping: &str, parameters: Option<&str>) -> String {
    let mut text = format!("m={kind} {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {mapping}\r\n");
    if let Some(parameters) = parameters {
        // Writing to a string does not fail.
        let _ = write!(text, "a=fmtp:{payload_type} {parameters}\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::mixers::Host;
    use lianmai_mixer_control::{AudioSource, Codec, Forward, ForwardId, VideoSource};
    use lianmai_webrtc::EndpointId;

    fn host(codec: Option<Codec>) -> Host {
        Host {
            source: EndpointId(7),
            name: "ann".to_owned(),
            audio: Some(AudioSource { payload_type: 111 }),
            video: codec.map(|codec| VideoSource {
                payload_type: 102,
                codec,
                orientation_extension: Some(3),
            }),
        }
    }

    fn forward(audio_port: Option<u16>, video_port: Option<u16>) -> Forward {
        Forward {
            id: ForwardId(2),
            user: "ann".to_owned(),
            address: "192.0.2.1".parse().expect("an address"),
            audio_port,
            video_port,
            key_frame_seconds: 5,
        }
    }

    #[test]
    fn both_streams_have_their_ports_and_payload_types() {
        let text = describe("show", &host(Some(Codec::H264)), &forward(Some(5004), Some(5006)));
        let expected = "v=0\r\n\
            o=- 2 7 IN IP4 127.0.0.1\r\n\
            s=show / ann\r\n\
            c=IN IP4 192.0.2.1\r\n\
            t=0 0\r\n\
            a=recvonly\r\n\
            m=audio 5004 RTP/AVP 111\r\n\
            a=rtpmap:111 opus/48000/2\r\n\
            m=video 5006 RTP/AVP 102\r\n\
            a=rtpmap:102 H264/90000\r\n\
            a=fmtp:102 profile-level-id=42e01f;packetization-mode=1\r\n";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn another_parser_reads_it() {
        let mut forward = forward(Some(5004), Some(5006));
        forward.address = "2001:db8::1".parse().expect("an address");
        let text = describe("a / b 连麦", &host(Some(Codec::Vp8)), &forward).expect("both");
        let session = sdp_types::Session::parse(text.as_bytes()).expect("SDP");
        assert_eq!(session.session_name, "a / b 连麦 / ann");
        let connection = session.connection.expect("an address");
        assert_eq!(
            (
                connection.addrtype.as_str(),
                connection.connection_address.as_str()
            ),
            ("IP6", "2001:db8::1")
        );
        let medias: Vec<_> = session
            .medias
            .iter()
            .map(|media| (media.media.as_str(), media.port))
            .collect();
        assert_eq!(medias, [("audio", 5004), ("video", 5006)]);
        let mapping = session.medias[1]
            .get_first_attribute_value("rtpmap")
            .expect("no double");
        assert_eq!(mapping, Some("102 VP8/90000"));
    }

    #[test]
    fn what_is_not_sent_is_not_described() {
        let text = describe("show", &host(None), &forward(Some(5004), Some(5006))).expect("audio");
        assert!(text.contains("m=audio") && !text.contains("m=video"));
        assert_eq!(describe("show", &host(None), &forward(None, Some(5006))), None);
    }
}

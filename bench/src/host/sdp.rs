//! The SDP of a co-host with one section, and what it needs of the server's.

use super::dtls::Identity;
use super::{Local, Media};
use anyhow::{Context, Result, ensure};
use std::net::{IpAddr, SocketAddr};

/// The header extension that browsers use for bandwidth estimation; servers rewrite it for each receiver.
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// Its number in what co-hosts send.
pub(crate) const TRANSPORT_CC_ID: u8 = 3;

impl Media {
    /// The payload type in what co-hosts send.
    pub(crate) const fn payload_type(self) -> u8 {
        match self {
            Self::Audio => 111,
            Self::Video => 102,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    const fn codec(self) -> &'static str {
        match self {
            Self::Audio => "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n",
            Self::Video => {
                "a=rtpmap:102 H264/90000\r\n\
                 a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
                 a=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n"
            }
        }
    }
}

/// What the server's SDP says of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// `sha-256 AB:CD..`
    pub(crate) fingerprint: String,
}

/// The offer of one who publishes.
pub(crate) fn publish_offer(local: &Local, identity: &Identity) -> Result<String> {
    let announced = format!("a=ssrc:{} cname:bench\r\n", local.ssrc);
    Ok(offer(local, identity, "sendonly")? + &announced)
}

/// The offer of one who receives.
pub(crate) fn receive_offer(local: &Local, identity: &Identity) -> Result<String> {
    offer(local, identity, "recvonly")
}

/// The answer of one who receives what was offered, exactly as it was offered.
pub(crate) fn receive_answer(local: &Local, identity: &Identity, offer: &str) -> Result<String> {
    let lines: Vec<&str> = offer.lines().map(str::trim_end).collect();
    let section = lines
        .iter()
        .position(|line| line.starts_with("m="))
        .context("the server's offer has no section")?;
    ensure!(
        lines.iter().filter(|line| line.starts_with("m=")).count() == 1,
        "the server offers more than one section"
    );
    let kept = lines[section + 1..].iter().filter(|line| {
        ["a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:"]
            .iter()
            .any(|wanted| line.starts_with(wanted))
    });
    let mid = value(offer, "mid:")?;
    let mut answer = session(mid) + lines[section] + "\r\nc=IN IP4 0.0.0.0\r\n";
    answer += &transport(local, identity, "active")?;
    answer += "a=recvonly\r\na=rtcp-mux\r\n";
    for line in kept {
        answer += line;
        answer += "\r\n";
    }
    Ok(answer)
}

impl Remote {
    /// Reads an answer or an offer with one candidate that can be reached by UDP.
    pub(crate) fn parse(sdp: &str) -> Result<Self> {
        let read = || {
            anyhow::Ok(Self {
                address: candidate(sdp)?,
                ufrag: value(sdp, "ice-ufrag:")?.to_owned(),
                pwd: value(sdp, "ice-pwd:")?.to_owned(),
                fingerprint: value(sdp, "fingerprint:")?.to_owned(),
            })
        };
        read().with_context(|| format!("in the server's SDP:\n{sdp}"))
    }
}

fn offer(local: &Local, identity: &Identity, direction: &str) -> Result<String> {
    let media = local.media;
    let number = media.payload_type();
    Ok(format!(
        "{}m={} 9 UDP/TLS/RTP/SAVPF {number}\r\nc=IN IP4 0.0.0.0\r\n{}a=mid:0\r\n\
         a=extmap:{TRANSPORT_CC_ID} {TRANSPORT_CC}\r\na={direction}\r\na=rtcp-mux\r\n{}a=rtcp-fb:{number} transport-cc\r\n",
        session("0"),
        media.name(),
        // The co-host is always the DTLS client.
        transport(local, identity, "active")?,
        media.codec(),
    ))
}

fn session(mid: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\na=msid-semantic: WMS *\r\n"
    )
}

fn transport(local: &Local, identity: &Identity, setup: &str) -> Result<String> {
    let address = local.socket.local_addr()?;
    Ok(format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{}\r\na=setup:{setup}\r\n\
         a=candidate:1 1 udp 2130706431 {} {} typ host\r\na=end-of-candidates\r\n",
        local.ufrag,
        local.pwd,
        identity.fingerprint,
        address.ip(),
        address.port()
    ))
}

fn value<'a>(sdp: &'a str, name: &str) -> Result<&'a str> {
    sdp.lines()
        .find_map(|line| line.strip_prefix("a=")?.strip_prefix(name))
        .map(str::trim)
        .with_context(|| format!("no a={name}"))
}

/// RFC 8839 §5.1: foundation, component, transport, priority, address, port.
fn candidate(sdp: &str) -> Result<SocketAddr> {
    sdp.lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"))
        .find_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let udp = words.get(2)?.eq_ignore_ascii_case("udp");
            let address: IpAddr = words.get(4)?.parse().ok()?;
            udp.then_some(SocketAddr::new(address, words.get(5)?.parse().ok()?))
        })
        .context("no candidate with an address and UDP")
}

#[cfg(test)]
mod tests {
    use super::super::dtls::Identity;
    use super::super::{Local, Media};
    use super::{Remote, publish_offer, receive_answer};
    use std::net::UdpSocket;

    const JANUS: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=VideoRoom 1\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-lite\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 10.0.0.1\r\na=sendonly\r\na=mid:0\r\na=rtcp-mux\r\n\
        a=ice-ufrag:abcd\r\na=ice-pwd:secret\r\na=setup:actpass\r\na=fingerprint:sha-256 AA:BB\r\n\
        a=rtpmap:96 H264/90000\r\na=candidate:1 1 tcp 9 10.0.0.1 9 typ host\r\n\
        a=candidate:1 1 udp 2015363327 10.0.0.1 20010 typ host\r\na=end-of-candidates\r\n";

    fn local() -> Local {
        Local::new(UdpSocket::bind("127.0.0.1:0").expect("a socket"), Media::Video)
    }

    #[test]
    fn the_servers_end_is_read_from_its_udp_candidate() {
        let remote = Remote::parse(JANUS).expect("complete");
        assert_eq!(
            remote.address,
            "10.0.0.1:20010"
                .parse::<std::net::SocketAddr>()
                .expect("an address")
        );
        assert_eq!((remote.ufrag.as_str(), remote.pwd.as_str()), ("abcd", "secret"));
        assert_eq!(remote.fingerprint, "sha-256 AA:BB");
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = JANUS.replace("a=ice-pwd:secret\r\n", "");
        let error = format!("{:#}", Remote::parse(&without).expect_err("incomplete"));
        assert!(error.contains("ice-pwd"), "{error}");
    }

    #[test]
    fn an_answer_takes_the_servers_payload_types() {
        let identity = Identity::generate().expect("a certificate");
        let answer = receive_answer(&local(), &identity, JANUS).expect("an answer");
        assert!(
            answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
                && answer.contains("a=rtpmap:96 H264/90000")
        );
        assert!(answer.contains("a=setup:active") && !answer.contains("abcd"));
    }

    #[test]
    fn an_offer_reads_like_the_servers_side() {
        let (local, identity) = (local(), Identity::generate().expect("a certificate"));
        let remote = Remote::parse(&publish_offer(&local, &identity).expect("an offer")).expect("complete");
        assert_eq!(remote.ufrag, local.ufrag);
        assert_eq!(remote.address, local.socket.local_addr().expect("bound"));
    }
}

//! SDP fragments of a WHIP or WHEP PATCH (RFC 8840, RFC 9725 §4.3).

use super::attributes::clip;
use super::error::SdpError;
use super::transport::check_credentials;
use super::write::{Lines, candidates};
use crate::parameters::Credentials;
use std::net::SocketAddr;

/// No client trickles this much.
const MAX_LEN: usize = 16 * 1024;
/// Hosts with many interfaces trickle a few dozen.
const MAX_CANDIDATES: usize = 128;
/// RFC 9725 §4.3.2 shows this line in fragments; clients fill in their first section.
const MEDIA: &str = "audio 9 UDP/TLS/RTP/SAVPF 0";

/// What a client trickles, or with which credentials it restarts ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The ICE session that the fragment belongs to.
    pub ice: Option<Credentials>,
    /// Values of `a=candidate`. A lite agent has no use for them: it waits for checks.
    pub candidates: Vec<String>,
    /// `a=end-of-candidates` was among the lines.
    pub complete: bool,
    /// The value of the first `m=` line, and of its `a=mid`.
    section: Option<(String, Option<String>)>,
}

impl Fragment {
    /// Reads a body of type `application/trickle-ice-sdpfrag`.
    ///
    /// # Errors
    /// When it is too long, names malformed credentials or too many candidates.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > MAX_LEN {
            return Err(SdpError::TooLong {
                len: text.len(),
                max: MAX_LEN,
            });
        }
        let attribute = |name: &'static str| {
            text.lines()
                .filter_map(move |line| line.trim().strip_prefix(name))
        };
        let candidates: Vec<_> = attribute("a=candidate:").map(str::to_owned).collect();
        if candidates.len() > MAX_CANDIDATES {
            return Err(SdpError::TooManyCandidates {
                count: candidates.len(),
                max: MAX_CANDIDATES,
            });
        }
        let ice = match (attribute("a=ice-ufrag:").next(), attribute("a=ice-pwd:").next()) {
            (Some(ufrag), Some(pwd)) => Some(check_credentials(ufrag, pwd)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(SdpError::NoIceCredentials),
        };
        let is_known =
            |line: &str| line.trim().is_empty() || line.starts_with("a=") || line.starts_with("m=");
        if let Some(line) = text.lines().find(|line| !is_known(line)) {
            return Err(SdpError::Grammar(format!(
                "a fragment holds a= and m= lines only, not {:?}",
                clip(line)
            )));
        }
        let mid = attribute("a=mid:")
            .next()
            .filter(|mid| is_plain(mid))
            .map(str::to_owned);
        let section = attribute("m=")
            .next()
            .filter(|media| is_plain(media))
            .map(|media| (media.to_owned(), mid));
        Ok(Self {
            ice,
            candidates,
            complete: attribute("a=end-of-candidates").next().is_some(),
            section,
        })
    }

    /// The credentials of a new ICE session, when the fragment is not about the current one (RFC 9725 §4.3.3).
    #[must_use]
    pub fn restart(&self, current: &Credentials) -> Option<&Credentials> {
        self.ice.as_ref().filter(|ice| *ice != current)
    }
}

/// The body that answers an ICE restart: our new credentials and the same candidates as ever.
#[must_use]
pub fn answer_fragment(request: &Fragment, ours: &Credentials, addresses: &[SocketAddr]) -> String {
    let (media, mid) = match &request.section {
        Some((media, mid)) => (media.as_str(), mid.as_deref()),
        None => (MEDIA, Some("0")),
    };
    let mut lines = Lines::default();
    lines.push(format_args!("a=ice-lite"));
    lines.push(format_args!("a=ice-options:trickle"));
    lines.push(format_args!("a=ice-ufrag:{}", ours.ufrag));
    lines.push(format_args!("a=ice-pwd:{}", ours.pwd));
    lines.push(format_args!("m={media}"));
    if let Some(mid) = mid {
        lines.push(format_args!("a=mid:{mid}"));
    }
    candidates(&mut lines, addresses);
    lines.into_text()
}

fn is_plain(text: &str) -> bool {
    text.len() <= 200 && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{Fragment, answer_fragment};
    use crate::parameters::Credentials;
    use crate::sdp::SdpError;

    const TRICKLE: &str = "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
        a=end-of-candidates\r\n";

    fn credentials(ufrag: &str, pwd: &str) -> Credentials {
        Credentials {
            ufrag: ufrag.into(),
            pwd: pwd.into(),
        }
    }

    #[test]
    fn trickled_candidates_of_the_current_session_are_no_restart() {
        let fragment = Fragment::parse(TRICKLE).expect("a fragment");
        assert_eq!(fragment.candidates.len(), 1);
        assert!(fragment.complete);
        assert_eq!(
            fragment.restart(&credentials("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")),
            None
        );
    }

    #[test]
    fn other_credentials_restart_ice() {
        let fragment = Fragment::parse(TRICKLE).expect("a fragment");
        let restarted = fragment
            .restart(&credentials("abcd", "P2uYro0UCOQ4zxjKXaWCBui1"))
            .expect("a restart");
        assert_eq!(restarted.ufrag, "EsAw");
    }

    #[test]
    fn a_restart_is_answered_with_our_credentials_under_the_clients_section() {
        let request = Fragment::parse(TRICKLE).expect("a fragment");
        let ours = credentials("ours", "0123456789012345678901");
        let body = answer_fragment(
            &request,
            &ours,
            &["198.51.100.7:8444".parse().expect("an address")],
        );
        assert!(body.contains("a=ice-ufrag:ours\r\na=ice-pwd:0123456789012345678901\r\n"));
        assert!(body.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 198.51.100.7 8444 typ host\r\n"));
        assert!(body.ends_with("a=end-of-candidates\r\n"));
        assert_eq!(Fragment::parse(&body).expect("our own body").ice, Some(ours));
    }

    #[test]
    fn half_credentials_and_foreign_lines_are_refused() {
        assert_eq!(
            Fragment::parse("a=ice-ufrag:abcd\r\n"),
            Err(SdpError::NoIceCredentials)
        );
        assert!(matches!(
            Fragment::parse("{\"candidate\":1}"),
            Err(SdpError::Grammar(_))
        ));
    }

    #[test]
    fn a_flood_of_candidates_is_refused() {
        let text = "a=candidate:x\r\n".repeat(200);
        assert!(matches!(
            Fragment::parse(&text),
            Err(SdpError::TooManyCandidates { count: 200, .. })
        ));
    }
}

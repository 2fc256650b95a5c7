//! `rtmp[s]://host[:port]/app[/instance]/stream[?query]`.

use std::fmt;

/// A place to publish to or to play from. `Display` and `Debug` hide the stream, since it is often a secret key.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// Whether TLS lies under it: `rtmps`.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Unless given, 1935, and 443 with TLS.
    pub port: u16,
    /// The application: every path segment but the last.
    pub app: String,
    /// The last path segment with its query, as written: servers want keys and tokens unchanged.
    pub stream: String,
}

/// What is wrong with a URL. No variant repeats the stream key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Something else before `://`.
    #[error("an RTMP URL begins with rtmp:// or rtmps://, this one with {0:?}")]
    Scheme(String),
    /// `user:password@`.
    #[error("credentials before the host are not supported: put the key into the stream or its query")]
    Credentials,
    /// Empty or malformed.
    #[error("no host name in {0:?}: write rtmp://host[:port]/app/stream")]
    Host(String),
    /// Not a number from 1 to 65535.
    #[error("port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// No application or no stream.
    #[error("the path needs an application and a stream: rtmp://{0}/app/stream")]
    Path(String),
    /// Spaces or control characters.
    #[error("character {0:?} has to be percent-encoded in a URL")]
    Character(char),
    /// `{` without the known name.
    #[error("{{{0}}} is not replaced in target URLs; {{room}} is")]
    Placeholder(String),
}

impl RtmpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// Says what is wrong without repeating the stream key.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if let Some(bad) = text
            .chars()
            .find(|character| character.is_control() || *character == ' ')
        {
            return Err(UrlError::Character(bad));
        }
        let (tls, rest) = split_scheme(text)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = split_port(authority, if tls { "443" } else { "1935" })?;
        let (app, stream) = split_path(path).ok_or_else(|| UrlError::Path(authority.to_owned()))?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            stream: stream.to_owned(),
        })
    }

    /// Replaces `{room}` by the percent-encoded room, then parses.
    ///
    /// # Errors
    /// As [`Self::parse`], and for other names in braces.
    pub fn for_room(template: &str, room: &str) -> Result<Self, UrlError> {
        let text = template.replace("{room}", &percent_encode(room));
        if let Some((_, rest)) = text.split_once('{') {
            return Err(UrlError::Placeholder(
                rest.split('}').next().unwrap_or_default().to_owned(),
            ));
        }
        Self::parse(&text)
    }

    /// `tcUrl` of the `connect` command (RTMP 1.0 §7.2.1.1): the URL without the stream.
    #[must_use]
    pub fn tc_url(&self) -> String {
        format!("{}://{}/{}", self.scheme(), self.authority(), self.app)
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "rtmps" } else { "rtmp" }
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.app.split('?').next().unwrap_or_default();
        write!(formatter, "{}://{}/{app}/***", self.scheme(), self.authority())
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3).
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    // A segment of only dots is a step up for whoever maps streams to files.
    if matches!(text, "." | "..") {
        text.replace('.', "%2E")
    } else {
        out
    }
}

/// Undoes [`percent_encode`] (RFC 3986 §2.1). `None` for broken escapes and for what is not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = if first == b'%' {
            decode_escape(tail)?
        } else {
            (first, tail)
        };
        out.push(byte);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

fn decode_escape(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    Some((u8::try_from(high? << 4 | low?).ok()?, rest))
}

/// Whether it says TLS, and what follows.
fn split_scheme(text: &str) -> Result<(bool, &str), UrlError> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| UrlError::Scheme(text.chars().take(8).collect()))?;
    match scheme.to_ascii_lowercase().as_str() {
        "rtmp" => Ok((false, rest)),
        "rtmps" => Ok((true, rest)),
        _ => Err(UrlError::Scheme(scheme.to_owned())),
    }
}

fn split_port<'a>(authority: &'a str, default: &'a str) -> Result<(&'a str, u16), UrlError> {
    let bad_host = || UrlError::Host(authority.to_owned());
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or_else(bad_host)?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad_host());
        }
        (
            host,
            rest.strip_prefix(':')
                .or(rest.is_empty().then_some(default))
                .ok_or_else(bad_host)?,
        )
    } else {
        authority.split_once(':').unwrap_or((authority, default))
    };
    if host.is_empty() || host.contains(['?', '#', '[', ']', '\\']) {
        return Err(bad_host());
    }
    let number = port.parse().ok().filter(|number| *number != 0);
    Ok((host, number.ok_or_else(|| UrlError::Port(port.to_owned()))?))
}

/// The query belongs to the stream (`/app/stream?token=a/b`) unless only the application stands before it
/// (`/app?vhost=x/stream`).
fn split_path(path: &str) -> Option<(&str, &str)> {
    let plain = path.split('?').next().unwrap_or_default();
    let cut = plain.rfind('/').or_else(|| path.rfind('/'))?;
    let (app, stream) = (&path[..cut], &path[cut + 1..]);
    let valid = !app.is_empty() && !app.starts_with('/') && !stream.is_empty() && !stream.starts_with('?');
    valid.then_some((app, stream))
}

#[cfg(test)]
mod tests {
    use super::{RtmpUrl, UrlError, percent_decode, percent_encode};

    fn parts(text: &str) -> (String, u16, String, String) {
        let url = RtmpUrl::parse(text).expect(text);
        (url.host, url.port, url.app, url.stream)
    }

    #[test]
    fn every_shape_that_services_hand_out_is_understood() {
        for (text, host, port, app, stream) in [
            ("rtmp://a.example/live/key", "a.example", 1935, "live", "key"),
            (
                "RTMP://a:1936/live/key?token=x&y=1",
                "a",
                1936,
                "live",
                "key?token=x&y=1",
            ),
            ("rtmp://a/live/key?token=a/b", "a", 1935, "live", "key?token=a/b"),
            ("rtmp://a/app/instance/key", "a", 1935, "app/instance", "key"),
            ("rtmp://a/app?vhost=v/key", "a", 1935, "app?vhost=v", "key"),
            ("rtmp://[::1]:1999/live/key", "::1", 1999, "live", "key"),
            ("rtmp://[::1]/live/key", "::1", 1935, "live", "key"),
            ("rtmps://a/live/key", "a", 443, "live", "key"),
            ("rtmps://[::1]:1936/live/key", "::1", 1936, "live", "key"),
        ] {
            assert_eq!(
                parts(text),
                (host.to_owned(), port, app.to_owned(), stream.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (text, error) in [
            ("http://a/live/key", UrlError::Scheme("http".to_owned())),
            ("a/live/key", UrlError::Scheme("a/live/k".to_owned())),
            ("rtmp:///live/key", UrlError::Host(String::new())),
            ("rtmp://[::g]/live/key", UrlError::Host("[::g]".to_owned())),
            ("rtmp://a:0/live/key", UrlError::Port("0".to_owned())),
            ("rtmp://a:99999/live/key", UrlError::Port("99999".to_owned())),
            ("rtmp://a:/live/key", UrlError::Port(String::new())),
            ("rtmp://user:pw@a/live/key", UrlError::Credentials),
            ("rtmp://a", UrlError::Path("a".to_owned())),
            ("rtmp://a/live", UrlError::Path("a".to_owned())),
            ("rtmp://a/live/", UrlError::Path("a".to_owned())),
            ("rtmp://a/live/?token=x", UrlError::Path("a".to_owned())),
            ("rtmp://a//key", UrlError::Path("a".to_owned())),
            ("rtmp://a/live/k y", UrlError::Character(' ')),
            ("rtmp://a/live/k\ny", UrlError::Character('\n')),
        ] {
            assert_eq!(RtmpUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_room_cannot_leave_its_place_in_the_url() {
        for (room, stream) in [
            ("daily", "daily"),
            ("../admin?x=1", "..%2Fadmin%3Fx%3D1"),
            ("{room}", "%7Broom%7D"),
            ("a b\r\n连", "a%20b%0D%0A%E8%BF%9E"),
            ("..", "%2E%2E"),
        ] {
            let url = RtmpUrl::for_room("rtmp://a/live/{room}", room).expect(room);
            assert_eq!((url.app.as_str(), url.stream.as_str()), ("live", stream));
            assert_eq!(percent_decode(&url.stream).as_deref(), Some(room));
        }
        let error = RtmpUrl::for_room("rtmp://a/live/{user}", "x").expect_err("unknown name");
        assert_eq!(error, UrlError::Placeholder("user".to_owned()));
    }

    #[test]
    fn an_empty_room_leaves_no_stream() {
        assert!(matches!(
            RtmpUrl::for_room("rtmp://a/live/{room}", ""),
            Err(UrlError::Path(_))
        ));
    }

    #[test]
    fn broken_escapes_are_none() {
        for text in ["%", "%4", "%zz", "%ff", "a%"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
        assert_eq!(percent_decode("%41+b").as_deref(), Some("A+b"));
        assert_eq!(percent_encode("A+b~"), "A%2Bb~");
    }

    #[test]
    fn logs_do_not_show_the_key() {
        let url = RtmpUrl::parse("rtmp://a/live?auth=secret/key-secret?token=secret").expect("valid");
        assert!(!format!("{url} {url:?}").contains("secret"), "{url}");
        assert_eq!(url.tc_url(), "rtmp://a:1935/live?auth=secret");
    }

    #[test]
    fn rtmps_says_so_wherever_the_url_is_shown() {
        let url = RtmpUrl::parse("rtmps://a/live/key").expect("valid");
        assert_eq!(
            (url.tls, url.to_string().as_str(), url.tc_url().as_str()),
            (true, "rtmps://a:443/live/***", "rtmps://a:443/live")
        );
    }
}

//! What the operator can set.

use crate::cohost::CohostConfig;
use lianmai_rtmp::{Limits, QueueLimits};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// Settings of an origin.
#[derive(Clone, Debug)]
pub struct OriginConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The one application.
    pub app: String,
    /// Who may publish, by address. Everybody may play.
    pub publish_from: Vec<Network>,
    /// Who may publish into rooms; nobody without.
    pub cohosts: Option<CohostConfig>,
    /// Connections at a time.
    pub max_connections: usize,
    /// Streams at a time.
    pub max_streams: usize,
    /// Players at a time, RTMP and FLV together.
    pub max_players: usize,
    /// Streams at a time that are made into HLS segments.
    pub max_hls_streams: usize,
    /// How long that goes on after somebody last asked: a player asks every two seconds.
    pub hls_idle: Duration,
    /// What one peer may make us hold.
    pub message: Limits,
    /// From the first byte to an accepted `publish` or `play`.
    pub handshake_timeout: Duration,
    /// How long a publisher may say nothing.
    pub idle_timeout: Duration,
    /// How long a player may take nothing.
    pub write_timeout: Duration,
    /// How long players wait for a publisher that vanished.
    pub hold: Duration,
    /// The last group of pictures, kept for new players. A longer one is not kept.
    pub cache: QueueLimits,
    /// What may wait for one player. It has to be larger than `cache`.
    pub queue: QueueLimits,
}

impl Default for OriginConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 1935)),
            app: "live".to_owned(),
            publish_from: Network::loopback(),
            cohosts: None,
            max_connections: 512,
            max_streams: 128,
            max_players: 1024,
            max_hls_streams: 32,
            hls_idle: Duration::from_secs(30),
            message: Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(10),
            hold: Duration::from_secs(10),
            cache: QueueLimits {
                bytes: 8 << 20,
                duration: Duration::from_secs(10),
            },
            queue: QueueLimits {
                bytes: 16 << 20,
                duration: Duration::from_secs(15),
            },
        }
    }
}

/// An address range, written `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address range: write 192.0.2.0/24, 2001:db8::/32 or a single address")]
pub struct NetworkError(String);

impl Network {
    /// `127.0.0.0/8` and `::1`.
    #[must_use]
    pub fn loopback() -> Vec<Self> {
        let v4 = Self {
            address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            prefix: 8,
        };
        vec![
            v4,
            Self {
                address: IpAddr::V6(Ipv6Addr::LOCALHOST),
                prefix: 128,
            },
        ]
    }

    /// Whether `address` is in the range. An IPv4 address inside IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let ((ours, our_width), (theirs, their_width)) = (bits(self.address), bits(address));
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        our_width == their_width && ours & mask == theirs & mask
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NetworkError(text.to_owned());
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| error())?;
        if prefix > width {
            Err(error())
        } else {
            Ok(Self { address, prefix })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn ranges_contain_their_own_and_nothing_else() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let range: Network = range.parse().expect(range);
            assert!(range.contains(inside.parse().expect("an address")), "{inside}");
            assert!(!range.contains(outside.parse().expect("an address")), "{outside}");
        }
        let everybody: Network = "0.0.0.0/0".parse().expect("a range");
        assert!(everybody.contains("203.0.113.9".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_range_is_named() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/-1",
            "localhost",
        ] {
            let error = text.parse::<Network>().expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}

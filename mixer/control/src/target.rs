//! One place that a mix is published to, and how.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A URL whose `Debug` is silent: with most CDNs its last part is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetUrl(pub String);

impl fmt::Debug for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// How one target is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetOptions {
    /// The wait after the first failure; doubled after each further one in a row.
    pub retry_ms: u32,
    /// The longest wait.
    pub retry_max_ms: u32,
    /// Failures in a row after which it is given up; never if absent.
    pub retries: Option<u32>,
    /// How much of the stream waits for a slow target.
    pub cache_ms: u32,
    /// What is done when more would have to wait.
    pub when_full: WhenFull,
    /// How long a target is left alone, at the least, after a stream that it had accepted ended.
    pub restart_delay_ms: u32,
    /// How codecs are named.
    pub tags: TagNames,
}

/// What is done when a target is too slow for its cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Leave out whole groups of pictures, oldest first.
    #[default]
    Drop,
    /// Close the connection and begin again at the newest picture.
    Reconnect,
}

/// How codecs are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagNames {
    /// By number, as every server knows them.
    Legacy,
    /// By FourCC (Enhanced RTMP).
    Enhanced,
    /// By number if all codecs of the mix have one, otherwise by FourCC.
    #[default]
    Auto,
}

/// Why options are refused. The message names the option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetOptionsError {
    /// No such option.
    #[error(
        "{0:?} is no option of a target; there are retry_ms, retry_max_ms, retries, cache_ms, when_full, \
         restart_delay_ms and tags"
    )]
    Unknown(String),
    /// Not what it takes.
    #[error("{name}: {value:?} is not {wanted}")]
    Value {
        /// The option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
}

/// Longest of all waits: an hour.
const MAX_WAIT_MS: u32 = 3_600_000;

/// Longest cache: beyond, a viewer is so late that he has gone.
const MAX_CACHE_MS: u32 = 60_000;

impl Default for TargetOptions {
    fn default() -> Self {
        Self {
            retry_ms: 200,
            retry_max_ms: 10_000,
            retries: None,
            cache_ms: 5_000,
            when_full: WhenFull::default(),
            restart_delay_ms: 0,
            tags: TagNames::default(),
        }
    }
}

impl TargetOptions {
    /// The defaults, but for what `text` says: `name=value` pairs with `&` between them.
    ///
    /// # Errors
    /// Names the pair that is wrong.
    pub fn parse(text: &str) -> Result<Self, TargetOptionsError> {
        let mut options = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.set(name, value)?;
        }
        options.check()?;
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), TargetOptionsError> {
        match name {
            "retry_ms" => self.retry_ms = number("retry_ms", value)?,
            "retry_max_ms" => self.retry_max_ms = number("retry_max_ms", value)?,
            "retries" => self.retries = Some(number("retries", value)?),
            "cache_ms" => self.cache_ms = number("cache_ms", value)?,
            "restart_delay_ms" => self.restart_delay_ms = number("restart_delay_ms", value)?,
            "when_full" => {
                self.when_full = match value {
                    "drop" => WhenFull::Drop,
                    "reconnect" => WhenFull::Reconnect,
                    _ => return Err(wrong("when_full", value, "drop or reconnect")),
                }
            }
            "tags" => {
                self.tags = match value {
                    "legacy" => TagNames::Legacy,
                    "enhanced" => TagNames::Enhanced,
                    "auto" => TagNames::Auto,
                    _ => return Err(wrong("tags", value, "legacy, enhanced or auto")),
                }
            }
            _ => return Err(TargetOptionsError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// Whether a mixer can work with them.
    ///
    /// # Errors
    /// Names the option that is out of its bounds.
    pub fn check(&self) -> Result<(), TargetOptionsError> {
        for (name, value, least, most, wanted) in [
            ("retry_ms", self.retry_ms, 100, MAX_WAIT_MS, "100 to 3600000"),
            (
                "retry_max_ms",
                self.retry_max_ms,
                self.retry_ms,
                MAX_WAIT_MS,
                "retry_ms to 3600000",
            ),
            ("cache_ms", self.cache_ms, 500, MAX_CACHE_MS, "500 to 60000"),
            (
                "restart_delay_ms",
                self.restart_delay_ms,
                0,
                MAX_WAIT_MS,
                "0 to 3600000",
            ),
        ] {
            if !(least..=most).contains(&value) {
                return Err(wrong(name, &value.to_string(), wanted));
            }
        }
        Ok(())
    }
}

fn number(name: &'static str, value: &str) -> Result<u32, TargetOptionsError> {
    value.parse().map_err(|_| wrong(name, value, "a whole number"))
}

fn wrong(name: &'static str, value: &str, wanted: &'static str) -> TargetOptionsError {
    TargetOptionsError::Value {
        name,
        value: value.to_owned(),
        wanted,
    }
}

/// What a mixer counted of one target since it was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStats {
    /// The target.
    pub id: crate::TargetId,
    /// Connections on which the target accepted the stream.
    pub sessions: u64,
    /// Attempts that failed and sessions that ended against our will.
    pub failures: u64,
    /// Bytes handed to the kernel.
    pub sent_bytes: u64,
    /// Frames left out because the target was slow.
    pub dropped_frames: u64,
    /// Frames that came while it was not connected.
    pub unsent_frames: u64,
    /// Bytes that wait now.
    pub queued_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::{TagNames, TargetOptions, TargetUrl, WhenFull};

    #[test]
    fn options_read_as_pairs_and_the_rest_is_the_default() {
        let options = TargetOptions::parse("retries=5&cache_ms=8000&when_full=reconnect&tags=enhanced");
        let expected = TargetOptions {
            retries: Some(5),
            cache_ms: 8_000,
            when_full: WhenFull::Reconnect,
            tags: TagNames::Enhanced,
            ..TargetOptions::default()
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(TargetOptions::parse(""), Ok(TargetOptions::default()));
    }

    #[test]
    fn every_mistake_is_named() {
        for (text, name) in [
            ("retires=5", "retires"),
            ("retries=many", "retries"),
            ("retries", "retries"),
            ("cache_ms=1", "cache_ms"),
            ("cache_ms=600000", "cache_ms"),
            ("retry_ms=0", "retry_ms"),
            ("retry_ms=5000&retry_max_ms=1000", "retry_max_ms"),
            ("restart_delay_ms=99999999", "restart_delay_ms"),
            ("when_full=explode", "when_full"),
            ("tags=flash", "tags"),
        ] {
            let error = TargetOptions::parse(text).expect_err(text).to_string();
            assert!(error.contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn a_url_is_not_shown() {
        assert_eq!(
            format!("{:?}", TargetUrl("rtmp://a/live/secret".to_owned())),
            "***"
        );
    }
}

//! One JSON object per line.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest line either side accepts, in bytes without the line feed.
pub const MAX_LINE: usize = 64 * 1024;

/// Why a line is not a message.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Longer than [`MAX_LINE`].
    #[error("a control line of {0} bytes; {MAX_LINE} are allowed")]
    TooLong(usize),
    /// Not JSON, or not one of the messages.
    #[error("not a control message: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The line of a message, with its line feed.
pub fn encode<M: Serialize>(message: &M) -> Result<String, LineError> {
    let mut line = serde_json::to_string(message)?;
    if line.len() > MAX_LINE {
        return Err(LineError::TooLong(line.len()));
    }
    line.push('\n');
    Ok(line)
}

/// The message of a line, with or without its line feed.
pub fn decode<M: DeserializeOwned>(line: &str) -> Result<M, LineError> {
    let line = line.trim_end_matches('\n');
    if line.len() > MAX_LINE {
        return Err(LineError::TooLong(line.len()));
    }
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::{MAX_LINE, decode, encode};
    use crate::{FromMixer, ToMixer};

    #[test]
    fn a_message_survives_its_line() {
        let message = FromMixer::Hello { version: 1, pid: 7 };
        let line = encode(&message).expect("short");
        assert_eq!(line, "{\"type\":\"hello\",\"version\":1,\"pid\":7}\n");
        assert_eq!(decode::<FromMixer>(&line).expect("ours"), message);
    }

    #[test]
    fn an_unknown_message_is_an_error_that_names_it() {
        let error = decode::<ToMixer>("{\"type\":\"explode\"}")
            .expect_err("unknown")
            .to_string();
        assert!(error.contains("explode"), "{error}");
    }

    #[test]
    fn a_line_over_the_limit_is_refused_unread() {
        let line = format!("{{\"type\":\"{}\"}}", "x".repeat(MAX_LINE));
        assert!(decode::<ToMixer>(&line).is_err());
    }
}

//! Names of streams.

use lianmai_rtmp::percent_decode;
use std::fmt;

/// The longest name, in bytes.
const MAX_LEN: usize = 256;

/// A stream by plain names: the mix of a room, or what one user brings to it. Neither is ever taken for the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    room: String,
    user: Option<String>,
}

/// Why a text names no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("a stream needs a name")]
    Empty,
    /// Beyond the bound.
    #[error("a stream name of {0} bytes; {MAX_LEN} are allowed")]
    TooLong(usize),
    /// Control characters.
    #[error("a stream name with a control character")]
    Control,
    /// A broken percent escape, or bytes that are no text.
    #[error("a stream name with a broken percent escape")]
    Escape,
}

impl StreamName {
    /// The mix of a room, by its plain name.
    ///
    /// # Errors
    /// For empty and overlong names and for control characters.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let room = checked(name.to_owned())?;
        Ok(Self { room, user: None })
    }

    /// The mix of a room as it stands in an RTMP URL: RTMP clients pass escapes on as they are.
    ///
    /// # Errors
    /// As [`Self::new`], and for broken escapes.
    pub fn from_wire(name: &str) -> Result<Self, NameError> {
        let room = plain(name)?;
        Ok(Self { room, user: None })
    }

    /// What a user brings to a room, both as they stand in an RTMP URL.
    ///
    /// # Errors
    /// As [`Self::from_wire`].
    pub fn cohost_from_wire(room: &str, user: &str) -> Result<Self, NameError> {
        let (room, user) = (plain(room)?, Some(plain(user)?));
        Ok(Self { room, user })
    }

    /// The room's plain name.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// The plain name of the user whose stream it is; `None` for a mix.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.room)?;
        match &self.user {
            Some(user) => write!(formatter, "/{user}"),
            None => Ok(()),
        }
    }
}

fn plain(name: &str) -> Result<String, NameError> {
    if name.len() > 3 * MAX_LEN {
        return Err(NameError::TooLong(name.len()));
    }
    checked(percent_decode(name).ok_or(NameError::Escape)?)
}

fn checked(name: String) -> Result<String, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_LEN {
        return Err(NameError::TooLong(name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::{NameError, StreamName};

    #[test]
    fn a_room_is_found_under_its_plain_name_however_it_was_escaped() {
        let plain = StreamName::new("a b/连").expect("a name");
        assert_eq!(StreamName::from_wire("a%20b%2F%E8%BF%9E"), Ok(plain.clone()));
        assert_eq!(StreamName::from_wire("a b/连"), Ok(plain));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(StreamName::new(""), Err(NameError::Empty));
        assert_eq!(StreamName::new(&"x".repeat(257)), Err(NameError::TooLong(257)));
        assert_eq!(StreamName::from_wire("a%0Ab"), Err(NameError::Control));
        assert_eq!(StreamName::from_wire("50%"), Err(NameError::Escape));
        assert_eq!(StreamName::from_wire("%ff"), Err(NameError::Escape));
        assert_eq!(StreamName::cohost_from_wire("show", ""), Err(NameError::Empty));
    }

    #[test]
    fn what_a_user_brings_is_never_the_mix_of_a_room() {
        let cohost = StreamName::cohost_from_wire("a%2Fb", "c d").expect("names");
        assert_eq!((cohost.room(), cohost.user()), ("a/b", Some("c d")));
        assert_ne!(Ok(cohost.clone()), StreamName::new(&cohost.to_string()));
    }
}

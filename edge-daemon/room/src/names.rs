//! Names of rooms and users: text from the network that was checked once.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name in bytes; names travel in every notification and into file names and URLs.
const MAX_BYTES: usize = 128;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters but white space.
    #[error("is empty; give at least one visible character")]
    Empty,
    /// It is too long.
    #[error("has {bytes} bytes; at most {MAX_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character.
    #[error("holds the control character {character:?}; leave it out")]
    Control {
        /// The first one.
        character: char,
    },
}

/// The name of a room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RoomName(String);

/// The name of a user, unique within a room.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserName(String);

impl RoomName {
    /// Checks a room's name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        checked(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserName {
    /// Checks a user's name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        checked(text).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RoomName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl TryFrom<String> for UserName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

fn checked(text: &str) -> Result<String, NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(NameError::TooLong { bytes: text.len() });
    }
    match text.chars().find(|c| c.is_control()) {
        Some(character) => Err(NameError::Control { character }),
        None => Ok(text.to_owned()),
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_BYTES, NameError, UserName};

    #[test]
    fn a_name_is_kept_as_it_was_given() {
        for name in ["alice", "Ms. _ Underscore_", "连麦", " spaced "] {
            assert_eq!(UserName::new(name).map(|n| n.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn a_name_without_visible_characters_is_empty() {
        for name in ["", " ", "\t\n", "\u{3000}"] {
            assert_eq!(UserName::new(name), Err(NameError::Empty));
        }
    }

    #[test]
    fn the_length_counts_bytes_and_the_longest_name_fits() {
        assert!(UserName::new(&"x".repeat(MAX_BYTES)).is_ok());
        assert_eq!(
            UserName::new(&"x".repeat(MAX_BYTES + 1)),
            Err(NameError::TooLong { bytes: 129 })
        );
        assert_eq!(
            UserName::new(&"麦".repeat(43)),
            Err(NameError::TooLong { bytes: 129 })
        );
    }

    #[test]
    fn control_characters_are_refused_wherever_they_stand() {
        for name in ["\0a", "a\nb", "ab\u{7f}", "a\u{85}"] {
            assert!(
                matches!(UserName::new(name), Err(NameError::Control { .. })),
                "{name:?}"
            );
        }
    }
}

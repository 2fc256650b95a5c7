//! What of each room is recorded, as long as nobody says otherwise.

use super::{ConfigError, invalid};
use lianmai_mixer_control::Record;
use serde::Deserialize;
use std::path::Path;
use std::str::FromStr;

/// Written `mix`, `hosts`, `both` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RecordWhat(Record);

impl Default for RecordWhat {
    fn default() -> Self {
        Self(Record {
            mix: true,
            hosts: false,
        })
    }
}

impl FromStr for RecordWhat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mix, hosts) = match text {
            "mix" => (true, false),
            "hosts" => (false, true),
            "both" => (true, true),
            "none" => (false, false),
            _ => return Err(format!("{text:?} is not mix, hosts, both or none")),
        };
        Ok(Self(Record { mix, hosts }))
    }
}

impl TryFrom<String> for RecordWhat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Without a directory nothing can be recorded.
pub(super) fn settle(given: Option<RecordWhat>, directory: Option<&Path>) -> Result<Record, ConfigError> {
    match (given, directory) {
        (Some(RecordWhat(what)), None) if what.is_anything() => Err(invalid(
            "record-what",
            "say into which directory, by --record DIR",
        )),
        (given, _) => Ok(given.unwrap_or_default().0),
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordWhat, settle};
    use std::path::Path;

    #[test]
    fn a_directory_alone_records_mixes_and_what_alone_records_nothing() {
        let directory = Some(Path::new("/recordings"));
        let read = |text: &str| text.parse::<RecordWhat>().expect(text);
        let mixes = settle(None, directory).expect("fine");
        assert!(mixes.mix && !mixes.hosts);
        let both = settle(Some(read("both")), directory).expect("fine");
        assert!(both.mix && both.hosts);
        let error = settle(Some(read("hosts")), None).expect_err("no directory");
        assert!(error.to_string().contains("--record DIR"), "{error}");
        assert!(settle(Some(read("none")), None).is_ok() && settle(None, None).is_ok());
        assert!("everything".parse::<RecordWhat>().is_err());
    }
}

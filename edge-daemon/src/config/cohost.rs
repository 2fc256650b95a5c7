//! Who may come into rooms by RTMP.

use super::{ConfigError, Origin, beside_this_program, invalid};
use lianmai_origin::{Network, NetworkError};
use serde::Deserialize;
use std::path::PathBuf;
use std::str::FromStr;

/// Each is a process.
const MOST: usize = 256;

/// Unless told otherwise.
const DEFAULT: usize = 8;

/// How many may come, from where, and what brings them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CohostChoice {
    /// At a time.
    pub(crate) max: usize,
    /// Their addresses.
    pub(crate) from: Vec<Network>,
    /// The program.
    pub(crate) program: PathBuf,
}

/// An address or a range of them, as it stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CohostNetwork(Network);

impl FromStr for CohostNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse().map_err(|error: NetworkError| error.to_string())?;
        Ok(Self(network))
    }
}

impl TryFrom<String> for CohostNetwork {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// `None` when nobody may.
pub(super) fn settle(
    origin: Origin,
    max: Option<usize>,
    from: Vec<CohostNetwork>,
    program: Option<PathBuf>,
) -> Result<Option<CohostChoice>, ConfigError> {
    let asked = max.is_some_and(|max| max > 0) || !from.is_empty();
    if origin == Origin::Off {
        let why = "there is no origin that they could publish to: leave --origin off out, or this";
        return if asked {
            Err(invalid("cohosts", why))
        } else {
            Ok(None)
        };
    }
    let max = max.unwrap_or(DEFAULT);
    if max > MOST {
        return Err(invalid(
            "cohosts",
            format!("{max}; at most {MOST}, each is a process"),
        ));
    }
    if max == 0 {
        return Ok(None);
    }
    Ok(Some(CohostChoice {
        max,
        from: if from.is_empty() {
            Network::loopback()
        } else {
            from.into_iter().map(|CohostNetwork(network)| network).collect()
        },
        program: program.map_or_else(|| beside_this_program("bridge"), Ok)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, MOST, settle};
    use crate::config::Origin;
    use lianmai_origin::Network;

    #[test]
    fn a_few_from_this_machine_may_come_unless_told_otherwise() {
        let choice = settle(Origin::default(), None, Vec::new(), None)
            .expect("good")
            .expect("some");
        assert_eq!((choice.max, choice.from), (DEFAULT, Network::loopback()));
        assert!(choice.program.ends_with("lianmai-bridge"));
    }

    #[test]
    fn none_may_come_where_there_is_no_origin_or_zero_was_said() {
        assert_eq!(settle(Origin::Off, None, Vec::new(), None).expect("good"), None);
        assert_eq!(
            settle(Origin::default(), Some(0), Vec::new(), None).expect("good"),
            None
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_do() {
        for (origin, max, what) in [
            (Origin::Off, 3, "--origin"),
            (Origin::default(), MOST + 1, "at most"),
        ] {
            let error = settle(origin, Some(max), Vec::new(), None).expect_err("refused");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}

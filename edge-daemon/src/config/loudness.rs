//! What hosts are levelled to.

use serde::Deserialize;
use std::str::FromStr;

/// Quieter is nobody's target; louder leaves no room for peaks.
const SENSIBLE: std::ops::RangeInclusive<f64> = -36.0..=-10.0;

/// In LUFS (EBU R 128), or not at all; written `-18` or `off`, in the file also as a number.
///
/// The default is what AES TD1008 recommends for speech that is streamed: phones reach it without their last step of
/// volume, and a voice has its peaks below full scale.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Loudness(pub(crate) Option<f64>);

/// As it may stand in the file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of LUFS, like -18, or \"off\"")]
enum Written {
    Number(f64),
    Text(String),
}

impl Default for Loudness {
    fn default() -> Self {
        Self(Some(-18.0))
    }
}

impl FromStr for Loudness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let wrong = || format!("{text:?} is not off or LUFS from -36 to -10, like -18");
        let target = text.parse().map_err(|_| wrong())?;
        if SENSIBLE.contains(&target) {
            return Ok(Self(Some(target)));
        }
        Err(wrong())
    }
}

impl TryFrom<Written> for Loudness {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(target) => target.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Loudness;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct File {
        key: Loudness,
    }

    fn in_file(value: &str) -> Result<Loudness, String> {
        let file: Result<File, _> = toml::from_str(&format!("key = {value}"));
        file.map(|file| file.key).map_err(|error| error.to_string())
    }

    #[test]
    fn a_target_or_none() {
        for (text, target) in [("-18", Some(-18.0)), ("-23.5", Some(-23.5)), ("off", None)] {
            assert_eq!(text.parse(), Ok(Loudness(target)), "{text}");
            assert_eq!(in_file(&format!("{text:?}")), Ok(Loudness(target)), "{text}");
        }
        assert_eq!(in_file("-16"), Ok(Loudness(Some(-16.0))));
        assert_eq!(in_file("-16.5"), Ok(Loudness(Some(-16.5))));
    }

    #[test]
    fn what_no_mix_should_have_is_refused_with_the_limits() {
        for text in ["", "18", "0", "-9.9", "-37", "nan", "-inf", "on", "-18 LUFS"] {
            let error = text.parse::<Loudness>().expect_err(text);
            assert!(error.contains("-36 to -10"), "{error}");
        }
        for value in ["5", "-40", "nan", "true"] {
            assert!(in_file(value).is_err(), "{value}");
        }
    }
}

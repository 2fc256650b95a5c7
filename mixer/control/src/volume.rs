//! How loud one host is in the mix.

use serde::{Deserialize, Serialize};

/// In percent of what it would be untouched: 0 is silent, 200 is twice the amplitude (+6 dB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Volume(u16);

/// A volume that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a volume of {0} percent: it goes from 0 to 200")]
pub struct VolumeError(u16);

impl Volume {
    /// The loudest.
    pub const MAX: u16 = 200;

    /// In percent, 0 to 200.
    #[must_use]
    pub const fn percent(self) -> u16 {
        self.0
    }

    /// What samples are multiplied with, 0.0 to 2.0.
    #[must_use]
    pub fn gain(self) -> f32 {
        f32::from(self.0) / 100.0
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u16> for Volume {
    type Error = VolumeError;

    fn try_from(percent: u16) -> Result<Self, VolumeError> {
        if percent > Self::MAX {
            return Err(VolumeError(percent));
        }
        Ok(Self(percent))
    }
}

impl From<Volume> for u16 {
    fn from(volume: Volume) -> Self {
        volume.0
    }
}

#[cfg(test)]
mod tests {
    use super::Volume;

    #[test]
    fn from_silent_to_twice_the_amplitude() {
        for (json, gain) in [("0", 0.0), ("35", 0.35), ("100", 1.0), ("200", 2.0)] {
            let volume: Volume = serde_json::from_str(json).expect("a volume");
            assert!((volume.gain() - gain).abs() < 1e-6);
            assert_eq!(serde_json::to_string(&volume).expect("a number"), json);
        }
    }

    #[test]
    fn whatever_else_is_refused_with_the_limits() {
        for json in ["201", "65535", "-1", "1.5", "\"50\"", "null"] {
            assert!(serde_json::from_str::<Volume>(json).is_err(), "{json}");
        }
        let error = Volume::try_from(250).expect_err("too loud").to_string();
        assert!(error.contains("250") && error.contains("0 to 200"), "{error}");
    }
}

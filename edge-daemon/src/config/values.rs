//! The values that are more than a number or an address. Each reads the same from a flag and from the file.

use crate::http::AdminAccess;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// How the HTTP listener is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Tls {
    /// A certificate made at start: browsers warn once.
    #[default]
    SelfSigned,
    /// Plain HTTP: for loopback, or behind a proxy that speaks TLS.
    Off,
    /// PEM files of a certificate chain and its key.
    Files {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

impl FromStr for Tls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(',')) {
            ("self-signed", _) => Ok(Self::SelfSigned),
            ("off", _) => Ok(Self::Off),
            (_, Some((cert, key))) if !cert.is_empty() && !key.is_empty() => Ok(Self::Files {
                cert: cert.into(),
                key: key.into(),
            }),
            (_, _) => Err(format!("{text:?} is not self-signed, off or CERT,KEY")),
        }
    }
}

/// What rooms look like for which nothing was said: the name of a layout, or a JSON file as the admin API takes it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DefaultScene(pub(crate) Scene);

impl FromStr for DefaultScene {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.ends_with(".json") {
            let json =
                std::fs::read_to_string(text).map_err(|error| format!("cannot read {text}: {error}"))?;
            let scene = serde_json::from_str(&json).map_err(|error| format!("{text}: {error}"))?;
            return Ok(Self(scene));
        }
        let layout = serde_json::from_value(serde_json::json!({ "type": text })).map_err(|_| {
            format!(
                "{text:?} is not grid, host, picture_in_picture, side_by_side, screen or the name of a .json file"
            )
        })?;
        Ok(Self(Scene {
            layout,
            ..Scene::default()
        }))
    }
}

/// What is done to the pictures of hosts for whom nothing was said: a JSON list as the admin API takes it, or a file with one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DefaultFilters(pub(crate) Filters);

impl FromStr for DefaultFilters {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.ends_with(".json") {
            let filters = serde_json::from_str(text).map_err(|error| {
                format!("{text:?} is neither a list of filters nor the name of a .json file: {error}")
            })?;
            return Ok(Self(filters));
        }
        let json = std::fs::read_to_string(text).map_err(|error| format!("cannot read {text}: {error}"))?;
        let filters = serde_json::from_str(&json).map_err(|error| format!("{text}: {error}"))?;
        Ok(Self(filters))
    }
}

/// Which data plane forwards media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum PlaneChoice {
    /// The kernel plane where it can run, otherwise userspace; the start says which and why.
    #[default]
    Auto,
    /// XDP, or refuse to start.
    Kernel,
    /// Sockets.
    Userspace,
}

impl FromStr for PlaneChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "userspace" => Ok(Self::Userspace),
            _ => Err(format!("{text:?} is not auto, kernel or userspace")),
        }
    }
}

/// The embedded RTMP origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Origin {
    /// Listen here.
    Listen(SocketAddr),
    /// None.
    Off,
}

impl Default for Origin {
    fn default() -> Self {
        Self::Listen(SocketAddr::from(([127, 0, 0, 1], 1935)))
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::Listen)
            .map_err(|_| format!("{text:?} is not IP:PORT or off"))
    }
}

/// Size and rate of the mixed picture, written `1280x720@30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Canvas(pub lianmai_mixer_control::Canvas);

impl Default for Canvas {
    fn default() -> Self {
        Self(lianmai_mixer_control::Canvas {
            width: 1280,
            height: 720,
            fps: 30,
        })
    }
}

impl FromStr for Canvas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not like 1280x720@30: even sides from 64x64 to 3840x2160, 1 to 60 frames per second"
            )
        };
        let (size, fps) = text.split_once('@').ok_or_else(wrong)?;
        let (width, height) = size.split_once('x').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (width, height, fps) = (number(width)?, number(height)?, number(fps)?);
        let sides = (64..=3840).contains(&width) && (64..=2160).contains(&height);
        if !sides || width % 2 + height % 2 != 0 || !(1..=60).contains(&fps) {
            return Err(wrong());
        }
        Ok(Self(lianmai_mixer_control::Canvas { width, height, fps }))
    }
}

impl fmt::Display for Canvas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}@{}", self.0.width, self.0.height, self.0.fps)
    }
}

/// The form of the layout in the stream, written `unregistered`, `agora` or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Sei(pub lianmai_mixer_control::SeiKind);

impl FromStr for Sei {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use lianmai_mixer_control::SeiKind;
        match text {
            "unregistered" => Ok(Self(SeiKind::Unregistered)),
            "agora" => Ok(Self(SeiKind::Agora)),
            "off" => Ok(Self(SeiKind::Off)),
            _ => Err(format!("{text:?} is not unregistered, agora or off")),
        }
    }
}

/// Who may use the admin API, written `loopback` or `anyone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Admin(pub AdminAccess);

impl Default for Admin {
    fn default() -> Self {
        Self(AdminAccess::Loopback)
    }
}

impl FromStr for Admin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "loopback" => Ok(Self(AdminAccess::Loopback)),
            "anyone" => Ok(Self(AdminAccess::Anyone)),
            _ => Err(format!("{text:?} is not loopback or anyone")),
        }
    }
}

/// What serde needs to read a value as the flags do.
macro_rules! from_text {
    ($($value:ty),+) => {$(
        impl TryFrom<String> for $value {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )+};
}

from_text!(
    Admin,
    Tls,
    PlaneChoice,
    Origin,
    Canvas,
    DefaultScene,
    Sei,
    DefaultFilters
);

#[cfg(test)]
mod tests {
    use super::{Canvas, Tls};

    #[test]
    fn a_canvas_reads_as_it_prints() {
        let canvas: Canvas = "640x360@15".parse().expect("good");
        assert_eq!(canvas.to_string(), "640x360@15");
    }

    #[test]
    fn a_canvas_that_no_encoder_takes_is_refused() {
        for text in [
            "",
            "640x360",
            "641x360@30",
            "640x360@0",
            "640x360@61",
            "0x0@30",
            "9999x9999@30",
            "axb@c",
        ] {
            assert!(text.parse::<Canvas>().is_err(), "{text}");
        }
    }

    #[test]
    fn tls_files_come_as_a_pair() {
        assert!(matches!("a.pem,b.pem".parse(), Ok(Tls::Files { .. })));
        assert!("a.pem".parse::<Tls>().is_err() && ",b.pem".parse::<Tls>().is_err());
    }
}

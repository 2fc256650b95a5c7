//! Which data plane this edge runs on, and why.

use crate::config::{Config, PlaneChoice};
use anyhow::{Context, Result, anyhow};
use lianmai_kernel::Unavailable;
use lianmai_plane::{
    Outputs, PlaneConfig, PlaneError, PlaneHandle, Resumption, spawn_kernel, spawn_userspace,
};
use nix::ifaddrs::getifaddrs;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::IpAddr;

/// What was taken, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plane {
    /// The interface whose streams the kernel forwards; `None` is the userspace plane.
    pub(crate) interface: Option<String>,
    /// Why this one, in one line.
    pub(crate) reason: String,
    /// What a crash of the daemon does to the talk, in one line.
    pub(crate) crash: String,
}

impl Plane {
    /// `kernel` or `userspace`.
    pub(crate) const fn name(&self) -> &'static str {
        match self.interface {
            Some(_) => "kernel",
            None => "userspace",
        }
    }

    /// Shows it in a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let labels = vec![
            ("plane", self.name().to_owned()),
            ("interface", self.interface.clone().unwrap_or_default()),
            ("reason", self.reason.clone()),
        ];
        registry.register("plane", "The data plane in use, and why", Info::new(labels));
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Some(interface) = &self.interface {
            write!(f, " on {interface}")?;
        }
        write!(f, " ({})", self.reason)
    }
}

/// Starts the plane that was asked for, or the one that can be had, from what the daemon before this one left. `is_kept` says
/// whether anybody keeps things for the one after it.
pub(crate) fn start(
    config: &Config,
    left: Resumption,
    is_kept: bool,
) -> Result<(PlaneHandle, Outputs, Plane)> {
    let mut settings = PlaneConfig::new(config.media);
    settings.resumption = left;
    settings.pins = is_kept.then(|| config.pins.clone());
    let (handle, outputs, mut plane) = choose(config, &mut settings)?;
    if !is_kept {
        plane.crash =
            "ends the talk: start the edge by `lianmai-edge keep` or as a systemd service".to_owned();
    }
    Ok((handle, outputs, plane))
}

fn choose(config: &Config, settings: &mut PlaneConfig) -> Result<(PlaneHandle, Outputs, Plane)> {
    let interface = interface(config);
    match (config.plane, interface) {
        (PlaneChoice::Userspace, _) => userspace(settings, "asked for".to_owned()),
        (PlaneChoice::Kernel, None) => Err(anyhow!(
            "plane: which interface? {} belongs to none alone; name it with --interface",
            config.media.ip()
        )),
        (PlaneChoice::Kernel, Some(interface)) => kernel(settings, interface, "asked for").context("plane"),
        (PlaneChoice::Auto, None) => userspace(settings, "auto: no interface was named".to_owned()),
        (PlaneChoice::Auto, Some(interface)) if is_loopback(config) => {
            let reason = format!("auto: media stay on this machine, by {interface}");
            userspace(settings, reason)
        }
        (PlaneChoice::Auto, Some(interface)) => match kernel(settings, interface, "auto") {
            Ok(started) => Ok(started),
            Err(PlaneError::Kernel { interface, reason }) => {
                tracing::warn!(interface, %reason, "there is no kernel plane");
                userspace(settings, format!("auto: {}", first_line(&reason.to_string())))
            }
            Err(error) => Err(error).context("media"),
        },
    }
}

fn userspace(settings: &mut PlaneConfig, reason: String) -> Result<(PlaneHandle, Outputs, Plane)> {
    let (handle, outputs) = spawn_userspace(settings).context("media")?;
    let plane = Plane {
        interface: None,
        reason,
        crash: "the talk goes on when the daemon is back".to_owned(),
    };
    Ok((handle, outputs, plane))
}

/// Without a place for pins there is a kernel plane all the same.
fn kernel(
    settings: &mut PlaneConfig,
    interface: String,
    reason: &str,
) -> Result<(PlaneHandle, Outputs, Plane), PlaneError> {
    let mut crash = "the talk goes on: the kernel forwards while no daemon runs".to_owned();
    let mut started = spawn_kernel(settings, &interface);
    if let Err(PlaneError::Kernel { reason, .. }) = &started
        && let Unavailable::NotPinned(reason) = &**reason
    {
        tracing::warn!(interface, %reason, "a crash of the daemon ends the talk");
        crash = format!("ends the talk: {reason}");
        settings.pins = None;
        started = spawn_kernel(settings, &interface);
    }
    let (handle, outputs) = started?;
    let plane = Plane {
        interface: Some(interface),
        reason: reason.to_owned(),
        crash,
    };
    Ok((handle, outputs, plane))
}

/// The one that was named, or the one that has the address of the media port.
fn interface(config: &Config) -> Option<String> {
    if config.interface.is_some() {
        return config.interface.clone();
    }
    let media = config.media.ip();
    let mut all = getifaddrs().ok()?;
    let owner = all.find(|entry| entry.address.as_ref().and_then(crate::config::ip_of) == Some(media))?;
    Some(owner.interface_name)
}

/// Nothing comes in from elsewhere, so no program would see it.
fn is_loopback(config: &Config) -> bool {
    let ip: IpAddr = config.media.ip();
    ip.is_loopback()
}

/// What a verifier says goes on for pages.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Plane, Resumption, first_line, start};
    use crate::config::{Config, Layer};
    use clap::Parser;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    fn config(arguments: &[&str]) -> Config {
        let all = ["lianmai-edge", "--media", "127.0.0.1:0"];
        let layer = Layer::try_parse_from(all.iter().chain(arguments)).expect("flags parse");
        Config::from_layers(layer).expect("good")
    }

    fn started(arguments: &[&str]) -> Plane {
        let (handle, _outputs, plane) =
            start(&config(arguments), Resumption::default(), false).expect("a plane");
        handle.shutdown();
        plane
    }

    fn refusal(arguments: &[&str]) -> String {
        let error = start(&config(arguments), Resumption::default(), false).expect_err("must be refused");
        format!("{error:#}")
    }

    #[test]
    fn userspace_is_taken_when_it_is_asked_for() {
        let plane = started(&["--plane", "userspace", "--interface", "lo"]);
        assert_eq!(plane.to_string(), "userspace (asked for)");
    }

    #[test]
    fn auto_does_not_try_the_kernel_for_media_that_stay_on_the_machine() {
        assert_eq!(
            started(&[]).to_string(),
            "userspace (auto: media stay on this machine, by lo)"
        );
    }

    #[test]
    fn auto_without_an_interface_says_so() {
        let plane = started(&["--media", "0.0.0.0:0", "--open", "--advertise", "192.0.2.1"]);
        assert_eq!(plane.to_string(), "userspace (auto: no interface was named)");
    }

    #[test]
    fn auto_falls_back_and_says_why() {
        let arguments = [
            "--media",
            "0.0.0.0:0",
            "--open",
            "--advertise",
            "192.0.2.1",
            "--interface",
            "nowhere7",
        ];
        let plane = started(&arguments);
        assert_eq!(plane.interface, None);
        assert!(
            plane.reason.starts_with("auto: ") && plane.reason.len() > 10,
            "{plane}"
        );
    }

    #[test]
    fn a_kernel_plane_that_cannot_be_had_is_refused_with_the_reason() {
        let error = refusal(&["--plane", "kernel", "--interface", "nowhere7"]);
        assert!(error.contains("nowhere7"), "{error}");
    }

    #[test]
    fn a_kernel_plane_without_an_interface_asks_for_one() {
        let arguments = [
            "--plane",
            "kernel",
            "--media",
            "0.0.0.0:0",
            "--open",
            "--advertise",
            "192.0.2.1",
        ];
        assert!(refusal(&arguments).contains("--interface"));
    }

    #[test]
    fn metrics_say_which_plane_and_why() {
        let mut registry = Registry::default();
        let plane = Plane {
            interface: Some("eth0".to_owned()),
            reason: "auto".to_owned(),
            crash: String::new(),
        };
        plane.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        let line = "plane_info{plane=\"kernel\",interface=\"eth0\",reason=\"auto\"} 1\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn of_a_long_reason_the_first_line_is_shown() {
        assert_eq!((first_line("one\ntwo"), first_line("")), ("one", ""));
    }
}

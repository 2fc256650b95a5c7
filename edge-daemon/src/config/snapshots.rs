//! How snapshots are made, how often, and where they go.

use super::{ConfigError, Layer, invalid, webhook};
use crate::webhooks::WebhookConfig;
use lianmai_mixer_control::SnapshotSettings;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Seconds; an hour is no look-out any more.
const INTERVALS: RangeInclusive<u32> = 1..=3600;

const QUALITIES: RangeInclusive<u8> = 1..=100;

/// Pixels; no larger picture is decoded.
const SIDES: RangeInclusive<u32> = 64..=1920;

/// What was said of snapshots.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotConfig {
    /// For the mixers.
    pub(crate) settings: SnapshotSettings,
    /// Where they are written.
    pub(crate) dir: Option<PathBuf>,
    /// Who gets them.
    pub(crate) webhooks: Option<WebhookConfig>,
}

pub(super) fn settle(layer: &Layer) -> Result<SnapshotConfig, ConfigError> {
    let usual = SnapshotSettings::default();
    let settings = SnapshotSettings {
        interval_ms: layer
            .snapshot_interval
            .map(|seconds| within("snapshot-interval", seconds, INTERVALS, "s"))
            .transpose()?
            .map(|seconds| seconds * 1000),
        quality: within(
            "snapshot-quality",
            layer.snapshot_quality.unwrap_or(usual.quality),
            QUALITIES,
            "",
        )?,
        largest_side: within(
            "snapshot-side",
            layer.snapshot_side.unwrap_or(usual.largest_side),
            SIDES,
            "pixels",
        )?,
    };
    if settings.interval_ms.is_none() {
        for (key, is_said) in [
            ("snapshot-dir", layer.snapshot_dir.is_some()),
            ("snapshot-webhook", !layer.snapshot_webhook.is_empty()),
        ] {
            if is_said {
                return Err(invalid(
                    key,
                    "nothing comes there without --snapshot-interval SECONDS",
                ));
            }
        }
    }
    if let Some(dir) = layer.snapshot_dir.as_ref().filter(|_| !layer.check) {
        std::fs::create_dir_all(dir)
            .map_err(|error| invalid("snapshot-dir", format!("cannot make {}: {error}", dir.display())))?;
    }
    let secret = layer.webhook_secret_file.as_deref();
    Ok(SnapshotConfig {
        settings,
        dir: layer.snapshot_dir.clone(),
        webhooks: webhook::settle("snapshot-webhook", layer.snapshot_webhook.clone(), secret)?,
    })
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(
    key: &'static str,
    value: T,
    sensible: RangeInclusive<T>,
    unit: &str,
) -> Result<T, ConfigError> {
    if sensible.contains(&value) {
        return Ok(value);
    }
    let (least, most) = sensible.into_inner();
    Err(invalid(
        key,
        format!("{value}; from {least} to {most} {unit}").trim_end(),
    ))
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::config::Layer;
    use clap::Parser;

    fn layer(arguments: &[&str]) -> Layer {
        let mut all = vec!["lianmai-edge", "--check"];
        all.extend_from_slice(arguments);
        Layer::try_parse_from(all).expect("flags parse")
    }

    fn refusal(arguments: &[&str]) -> String {
        settle(&layer(arguments))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn nothing_said_means_on_demand_only() {
        let config = settle(&layer(&[])).expect("good");
        let settings = config.settings;
        assert_eq!(
            (settings.interval_ms, settings.quality, settings.largest_side),
            (None, 80, 1280)
        );
        assert!(config.dir.is_none() && config.webhooks.is_none());
    }

    #[test]
    fn an_interval_may_have_a_directory() {
        let config = settle(&layer(&["--snapshot-interval", "10", "--snapshot-dir", "/x"])).expect("good");
        assert_eq!(config.settings.interval_ms, Some(10_000));
        assert!(config.dir.is_some());
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        for (arguments, key) in [
            (&["--snapshot-interval", "0"], "snapshot-interval"),
            (&["--snapshot-interval", "3601"], "snapshot-interval"),
            (&["--snapshot-quality", "0"], "snapshot-quality"),
            (&["--snapshot-quality", "101"], "snapshot-quality"),
            (&["--snapshot-side", "63"], "snapshot-side"),
            (&["--snapshot-side", "4000"], "snapshot-side"),
            (&["--snapshot-dir", "/x"], "snapshot-dir: nothing comes there"),
            (
                &["--snapshot-webhook", "https://a/b"],
                "snapshot-webhook: nothing comes there",
            ),
        ] {
            assert!(refusal(arguments).starts_with(key), "{}", refusal(arguments));
        }
        let webhook = ["--snapshot-interval", "10", "--snapshot-webhook", "ftp://a"];
        assert!(
            refusal(&webhook).starts_with("snapshot-webhook:"),
            "{}",
            refusal(&webhook)
        );
    }
}

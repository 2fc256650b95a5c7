//! One-way latency at a steady pace.

use crate::load::outcome::Outcome;
use crate::load::receiver::Watch;
use crate::load::trial::{Load, Plan, Time};
use crate::scenario::Scenario;
use anyhow::Result;
use std::time::Duration;

/// A packet that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the packets that came, one in so many is opened.
const OPEN_EVERY: usize = 4;

/// Measures at so many packets a second of all publishers together.
pub(crate) fn measure(load: &mut Load, scenario: Scenario, pace: f64, time: Time) -> Result<Outcome> {
    load.settle()?;
    load.trial(Plan {
        packets_per_second: pace,
        time,
        payload: scenario.payload,
        open_every: OPEN_EVERY,
        patience: PATIENCE,
        watch: Watch::Woken,
    })
}

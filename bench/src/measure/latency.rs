//! One-way latency at a steady pace.

use crate::load::receiver::Watch;
use crate::load::trial::{Load, Outcome, Plan};
use crate::scenario::Scenario;
use anyhow::Result;
use std::time::Duration;

/// What the server may take to get used to the pace.
const WARM_UP: f64 = 0.5;
/// A packet that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the packets that came, one in so many is opened.
const OPEN_EVERY: usize = 4;

/// Measures at so many packets a second of all publishers together.
pub(crate) fn measure(load: &mut Load, scenario: Scenario, pace: f64, seconds: f64) -> Result<Outcome> {
    load.settle()?;
    load.trial(Plan {
        packets_per_second: pace,
        seconds,
        warm_up: WARM_UP,
        payload: scenario.payload,
        open_every: OPEN_EVERY,
        patience: PATIENCE,
        watch: Watch::Woken,
    })
}

//! Processor time for each leg-packet, at one rate that every system can do.

use crate::load::receiver::Watch;
use crate::load::trial::{Load, Outcome, Plan};
use crate::scenario::Scenario;
use anyhow::Result;
use std::time::Duration;

/// Until the server is used to the rate, and each of many publishers has sent some packets.
const WARM_UP: f64 = 0.4;
const WARM_UP_EACH: f64 = 0.003;
const PATIENCE: Duration = Duration::from_millis(300);
const OPEN_EVERY: usize = 64;

/// Nanoseconds for each leg-packet.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Cost {
    /// Of the server's processor, whatever it did for it.
    pub(crate) processor: f64,
    /// Of that, user and system time of the server's process.
    pub(crate) process: f64,
    /// Leg-packets that were lost at this rate: with many the cost means little.
    pub(crate) lost: u64,
    /// Leg-packets that were sent for.
    pub(crate) expected: u64,
}

/// Measures at so many leg-packets a second; returns the latency on the way as well.
pub(crate) fn measure(
    load: &mut Load,
    scenario: Scenario,
    rate: f64,
    seconds: f64,
) -> Result<(Cost, Outcome)> {
    load.settle()?;
    let outcome = load.trial(Plan {
        packets_per_second: rate / scenario.legs as f64,
        seconds,
        warm_up: WARM_UP + WARM_UP_EACH * load.publishers.len() as f64,
        payload: scenario.payload,
        open_every: OPEN_EVERY,
        patience: PATIENCE,
        watch: Watch::Rounds,
    })?;
    let each = |nanos: u64| nanos as f64 / outcome.expected.max(1) as f64;
    let cost = Cost {
        processor: each(outcome.usage.server_busy),
        process: each(outcome.usage.process),
        lost: outcome.lost,
        expected: outcome.expected,
    };
    Ok((cost, outcome))
}

//! Processor time for each leg-packet, at one rate that every system can do.

use crate::load::outcome::Outcome;
use crate::load::receiver::Watch;
use crate::load::trial::{Load, Plan, Time};
use crate::scenario::Scenario;
use anyhow::Result;
use std::time::Duration;

/// In addition to the usual time, so that each of many publishers has sent some packets, and a server that takes up many one after
/// the other has done so.
const WARM_UP_EACH: f64 = 0.025;
const PATIENCE: Duration = Duration::from_millis(300);
/// A processor is full that is busy more than this part of the time.
const FULL: f64 = 0.97;
const OPEN_EVERY: usize = 64;

/// Nanoseconds for each leg-packet.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Cost {
    /// Of the server's processor, whatever it did for it.
    pub(crate) processor: f64,
    /// Of that, user and system time of the server's process.
    pub(crate) process: f64,
    /// What part of the time the server's processor was busy, with whatever.
    pub(crate) busy: f64,
    /// Leg-packets that were lost at this rate: with many the cost means little.
    pub(crate) lost: u64,
    /// Leg-packets that were sent for.
    pub(crate) expected: u64,
}

impl Cost {
    /// Whether it tells what a leg-packet costs: a processor without any time left does not tell what for.
    pub(crate) fn is_valid(&self) -> bool {
        self.lost == 0 && self.busy < FULL
    }
}

/// Measures at so many leg-packets a second; returns the latency on the way as well.
pub(crate) fn measure(
    load: &mut Load,
    scenario: Scenario,
    rate: f64,
    mut time: Time,
) -> Result<(Cost, Outcome)> {
    load.settle()?;
    time.warm_up += WARM_UP_EACH * load.publishers.len() as f64;
    let outcome = load.trial(Plan {
        packets_per_second: rate / scenario.legs as f64,
        time,
        payload: scenario.payload,
        open_every: OPEN_EVERY,
        patience: PATIENCE,
        watch: Watch::Rounds,
    })?;
    let each = |nanos: u64| nanos as f64 / outcome.expected.max(1) as f64;
    let cost = Cost {
        processor: each(outcome.usage.server_busy),
        process: each(outcome.usage.process),
        busy: outcome.usage.server_busy as f64 / outcome.usage.elapsed.max(1) as f64,
        lost: outcome.lost,
        expected: outcome.expected,
    };
    Ok((cost, outcome))
}

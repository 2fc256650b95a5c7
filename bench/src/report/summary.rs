//! The turns of a run put together.

use crate::measure::cost::Cost;
use crate::run::{Cell, Condition, Results};
use crate::scenario::Scenario;
use crate::system::System;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// What people look at.
pub(crate) struct Summary {
    pub(crate) latencies: Vec<Latency>,
    pub(crate) rates: Vec<RateLine>,
    pub(crate) costs: Vec<CostLine>,
}

/// All turns of a system in a scenario under a condition.
pub(crate) struct Latency {
    pub(crate) system: System,
    pub(crate) scenario: Scenario,
    pub(crate) condition: Condition,
    pub(crate) to_kernel: Histogram<u64>,
    pub(crate) to_program: Histogram<u64>,
    /// Of each turn.
    pub(crate) turns: Vec<Times>,
    pub(crate) expected: u64,
    pub(crate) lost: u64,
    /// Of each turn, what part kernel programs forwarded.
    pub(crate) in_kernel: Vec<f64>,
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Times {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// The highest rate without loss, in each turn.
pub(crate) struct RateLine {
    pub(crate) system: System,
    pub(crate) scenario: Scenario,
    pub(crate) turns: Vec<f64>,
    pub(crate) hosts_bound: bool,
    /// Of each turn, at that rate, what part kernel programs forwarded.
    pub(crate) in_kernel: Vec<f64>,
}

/// What a leg-packet costs, in each turn.
pub(crate) struct CostLine {
    pub(crate) system: System,
    pub(crate) scenario: Scenario,
    pub(crate) turns: Vec<Cost>,
}

impl Times {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl Latency {
    /// Without an extension.
    pub(crate) fn file_name(&self) -> String {
        let Scenario {
            rooms,
            publishers,
            legs,
            payload,
        } = self.scenario;
        format!(
            "{}-{rooms}x{publishers}x{legs}-{payload}-{}",
            self.system.name(),
            self.condition.name()
        )
    }
}

impl RateLine {
    pub(crate) fn best(&self) -> f64 {
        self.turns.iter().copied().fold(0.0, f64::max)
    }
}

impl CostLine {
    /// The cheapest turn that counts: what disturbs only adds.
    pub(crate) fn least(&self) -> Option<f64> {
        let valid = self.turns.iter().filter(|turn| turn.is_valid());
        valid.map(|turn| turn.processor).min_by(f64::total_cmp)
    }
}

pub(crate) fn summarise(results: &Results) -> Summary {
    Summary {
        latencies: latencies(&results.cells),
        rates: rates(&results.cells),
        costs: costs(&results.cells),
    }
}

fn latencies(cells: &[Cell]) -> Vec<Latency> {
    let mut lines = BTreeMap::new();
    for cell in cells {
        for (condition, outcome) in &cell.latency {
            let line = lines
                .entry((cell.scenario, *condition, cell.system))
                .or_insert_with(|| Latency {
                    system: cell.system,
                    scenario: cell.scenario,
                    condition: *condition,
                    to_kernel: Histogram::new_from(&outcome.to_kernel),
                    to_program: Histogram::new_from(&outcome.to_program),
                    turns: Vec::new(),
                    expected: 0,
                    lost: 0,
                    in_kernel: Vec::new(),
                });
            line.to_kernel
                .add(&outcome.to_kernel)
                .expect("all have the same bounds");
            line.to_program
                .add(&outcome.to_program)
                .expect("all have the same bounds");
            line.turns.push(Times::of(&outcome.to_kernel));
            line.expected += outcome.expected;
            line.lost += outcome.lost;
            line.in_kernel.extend(outcome.in_kernel);
        }
    }
    lines.into_values().collect()
}

fn rates(cells: &[Cell]) -> Vec<RateLine> {
    let mut lines = BTreeMap::new();
    for cell in cells {
        let Some(rate) = &cell.rate else { continue };
        let line = lines
            .entry((cell.scenario, cell.system))
            .or_insert_with(|| RateLine {
                system: cell.system,
                scenario: cell.scenario,
                turns: Vec::new(),
                hosts_bound: false,
                in_kernel: Vec::new(),
            });
        line.turns.push(rate.leg_packets_per_second);
        line.hosts_bound |= rate.hosts_bound;
        line.in_kernel.extend(rate.in_kernel);
    }
    lines.into_values().collect()
}

fn costs(cells: &[Cell]) -> Vec<CostLine> {
    let mut lines = BTreeMap::new();
    for cell in cells {
        let line = lines
            .entry((cell.scenario, cell.system))
            .or_insert_with(|| CostLine {
                system: cell.system,
                scenario: cell.scenario,
                turns: Vec::new(),
            });
        line.turns.push(cell.cost.clone());
    }
    lines.into_values().collect()
}

//! The figures that the kernel plane has to reach, beside those it reached.

use super::summary::{Latency, Summary, Times};
use super::table::Table;
use crate::matrix::LEGS_OF_FOUR;
use crate::run::Condition;
use crate::scenario::Scenario;
use crate::system::System;

/// The scenario of most figures: 3 legs of 1150 bytes.
const MAIN: Scenario = Scenario::fan(LEGS_OF_FOUR, 1150);

/// Rows of what is asked and what was found; empty without the kernel plane.
pub(crate) fn ratios(summary: &Summary) -> Table {
    let mut table = Table::new(&["figure", "asked", "found"]);
    let mut row = |figure: &str, asked: &str, found: Option<f64>| {
        if let Some(found) = found {
            table.row([figure.to_owned(), asked.to_owned(), format!("{found:.3}")]);
        }
    };
    for peer in [System::Userspace, System::Janus] {
        let name = peer.name();
        let p999 = |latency: &Latency| Times::of(&latency.to_kernel).p999;
        let p50 = |latency: &Latency| Times::of(&latency.to_kernel).p50;
        row(
            &format!("p99.9 under load, kernel / {name}"),
            "at most 0.05",
            latency(summary, Condition::Busy, peer, p999),
        );
        row(
            &format!("p50 idle, kernel / {name}"),
            "below 1",
            latency(summary, Condition::Idle, peer, p50),
        );
        let asked = if peer == System::Janus {
            "at least 5"
        } else {
            "at least 1.5"
        };
        row(
            &format!("leg-packets/s, kernel / {name}"),
            asked,
            rate(summary, peer),
        );
    }
    row(
        "cost of a leg-packet, kernel / floor",
        "at most 3",
        quotient(
            cost(summary, System::Kernel, MAIN),
            cost(summary, System::Floor, MAIN),
        ),
    );
    let rooms = |rooms| cost(summary, System::Kernel, Scenario::rooms_of_four(rooms, 1150));
    row(
        "cost of a leg-packet, kernel, 100 rooms / 1 room",
        "at most 1.3",
        quotient(rooms(100), rooms(1)),
    );
    table
}

fn latency(
    summary: &Summary,
    condition: Condition,
    peer: System,
    quantile: impl Fn(&Latency) -> u64,
) -> Option<f64> {
    let find = |system| {
        summary
            .latencies
            .iter()
            .find(|line| (line.system, line.scenario, line.condition) == (system, MAIN, condition))
            .map(|line| quantile(line) as f64)
    };
    quotient(find(System::Kernel), find(peer))
}

fn rate(summary: &Summary, peer: System) -> Option<f64> {
    let find = |system| {
        summary
            .rates
            .iter()
            .find(|line| (line.system, line.scenario) == (system, MAIN))
            .map(super::summary::RateLine::best)
    };
    quotient(find(System::Kernel), find(peer))
}

fn cost(summary: &Summary, system: System, scenario: Scenario) -> Option<f64> {
    summary
        .costs
        .iter()
        .find(|line| (line.system, line.scenario) == (system, scenario))
        .and_then(super::summary::CostLine::least)
}

fn quotient(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?).filter(|quotient| quotient.is_finite())
}

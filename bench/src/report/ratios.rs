//! The figures that the kernel plane has to reach, beside those it reached.

use super::summary::{Latency, Summary, Times};
use crate::matrix::LEGS_OF_FOUR;
use crate::measure::programs::{MANY, Program, Programs};
use crate::run::{Condition, Results};
use crate::scenario::Scenario;
use crate::system::System;

/// The scenario of most figures: 3 legs of 1150 bytes.
const MAIN: Scenario = Scenario::fan(LEGS_OF_FOUR, 1150);

/// A figure that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) figure: String,
    pub(crate) asked: Asked,
    /// `None` if a measurement that it needs is not there, or gave no figure.
    pub(crate) seen: Option<f64>,
}

/// What it has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::AtLeast(limit) => write!(f, "at least {limit}"),
            Self::Below(limit) => write!(f, "below {limit}"),
        }
    }
}

impl Ratio {
    /// For people.
    pub(crate) fn verdict(&self) -> &'static str {
        let is_met = match (self.seen, self.asked) {
            (None, _) => return "not measured",
            (Some(seen), Asked::AtMost(limit)) => seen <= limit,
            (Some(seen), Asked::AtLeast(limit)) => seen >= limit,
            (Some(seen), Asked::Below(limit)) => seen < limit,
        };
        if is_met { "met" } else { "not met" }
    }
}

/// All that is asked, measured or not.
pub(crate) fn ratios(results: &Results, summary: &Summary) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for (peer, rate_asked) in [(System::Userspace, 1.5), (System::Janus, 5.0)] {
        ratios.extend(beside(summary, peer, rate_asked));
    }
    let mut ask = |figure: &str, limit, seen| {
        ratios.push(Ratio {
            figure: figure.to_owned(),
            asked: Asked::AtMost(limit),
            seen,
        });
    };
    let of = |system| cost(summary, system, MAIN);
    ask(
        "cost of a leg-packet, kernel / floor",
        3.0,
        quotient(of(System::Kernel), of(System::Floor)),
    );
    let rooms = |rooms| {
        cost(
            summary,
            System::Kernel,
            Scenario::rooms_of_four(rooms, MAIN.payload),
        )
    };
    ask(
        "cost of a leg-packet, kernel, 100 rooms / 1 room",
        1.3,
        quotient(rooms(100), rooms(1)),
    );
    for program in [Program::Ingress, Program::Egress] {
        let alone = |keys| alone(&results.programs, program, keys);
        ask(
            &format!("ns of {} alone, {MANY} keys / 1 key", program.name()),
            1.3,
            quotient(alone(MANY), alone(1)),
        );
    }
    ratios
}

fn beside(summary: &Summary, peer: System, rate_asked: f64) -> [Ratio; 4] {
    let name = peer.name();
    let p999 = |latency: &Latency| Times::of(&latency.to_kernel).p999;
    let p50 = |latency: &Latency| Times::of(&latency.to_kernel).p50;
    let ratio = |figure: &str, asked, seen| Ratio {
        figure: format!("{figure}, kernel / {name}"),
        asked,
        seen,
    };
    [
        ratio(
            "p99.9 beside busy processes",
            Asked::AtMost(0.05),
            latency(summary, Condition::Busy, peer, p999),
        ),
        ratio(
            "p50 idle",
            Asked::Below(1.0),
            latency(summary, Condition::Idle, peer, p50),
        ),
        ratio(
            "p50 beside busy processes",
            Asked::Below(1.0),
            latency(summary, Condition::Busy, peer, p50),
        ),
        ratio("leg-packets/s", Asked::AtLeast(rate_asked), rate(summary, peer)),
    ]
}

/// The middle batch of a program on its own, with video.
fn alone(programs: &Programs, program: Program, keys: usize) -> Option<f64> {
    let wanted = (program, MAIN.payload, keys);
    let mut costs = programs.costs.iter();
    let line = costs.find(|line| (line.program, line.payload, line.keys) == wanted)?;
    Some(line.median as f64)
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

#[cfg(test)]
mod tests {
    use super::{Asked, Ratio, quotient};

    fn verdict(asked: Asked, seen: Option<f64>) -> &'static str {
        let figure = String::new();
        Ratio { figure, asked, seen }.verdict()
    }

    #[test]
    fn a_limit_is_met_or_not() {
        assert_eq!(verdict(Asked::AtMost(0.05), Some(0.05)), "met");
        assert_eq!(verdict(Asked::AtMost(0.05), Some(0.051)), "not met");
        assert_eq!(verdict(Asked::AtLeast(5.0), Some(4.9)), "not met");
        assert_eq!(verdict(Asked::Below(1.0), Some(1.0)), "not met");
    }

    #[test]
    fn what_was_not_measured_is_not_met_either() {
        assert_eq!(verdict(Asked::AtMost(3.0), None), "not measured");
        assert_eq!(quotient(Some(1.0), None), None);
        assert_eq!(quotient(Some(1.0), Some(0.0)), None);
    }
}

//! One run: every group, the systems in turn, as often as was asked.

use crate::load::outcome::Outcome;
use crate::matrix::{Group, groups};
use crate::measure::busy::Busy;
use crate::measure::cost::Cost;
use crate::measure::programs::Programs;
use crate::measure::rate::Rate;
use crate::measure::{cost, latency, programs, rate};
use crate::options::Options;
use crate::processor::{self, Processors, Role};
use crate::report;
use crate::report::machine::Machine;
use crate::scenario::Scenario;
use crate::system::{Session, System};
use crate::wire::Wire;
use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

/// How the machine was while latency was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// At the pace for latency, nothing beside it.
    Idle,
    /// The same beside processes that compute.
    Busy,
    /// At the rate at which cost is measured.
    Loaded,
}

impl Condition {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Loaded => "loaded",
        }
    }
}

/// What one start of one server gave.
pub(crate) struct Cell {
    pub(crate) system: System,
    pub(crate) scenario: Scenario,
    pub(crate) repeat: usize,
    pub(crate) profile: Option<&'static str>,
    pub(crate) latency: Vec<(Condition, Outcome)>,
    pub(crate) cost: Cost,
    pub(crate) rate: Option<Rate>,
    /// Nanoseconds for a turn of the calibration loop, before, between and after.
    pub(crate) calibration: Vec<f64>,
}

/// Everything that a run gave.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) cells: Vec<Cell>,
    /// Of the kernel programs by themselves.
    pub(crate) programs: Programs,
    /// What was asked for and not measured, and why.
    pub(crate) missing: Vec<String>,
}

pub(crate) fn fanout(options: &Options) -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "network namespaces, real-time priority and XDP need root; run this with sudo"
    );
    let processors = options.processors().checked()?;
    let count = processor::count();
    let mut results = Results {
        machine: Machine::describe(options)?,
        cells: Vec::new(),
        programs: Programs::default(),
        missing: Vec::new(),
    };
    let systems = available(options, &mut results.missing);
    ensure!(
        !systems.is_empty(),
        "nothing to measure:\n{}",
        results.missing.join("\n")
    );
    let wire = Wire::build(options.wire, processors)?;
    processors.take(Role::Control)?;
    eprintln!("bench: {} on {}", names(&systems), wire.describe());
    let bench = Bench {
        options,
        wire,
        processors,
        count,
    };
    if options.batches > 0 {
        eprintln!("bench: the programs by themselves");
        match programs::measure(processors, options.batches) {
            Ok(programs) => results.programs = programs,
            Err(error) => results.missing.push(format!("programs by themselves: {error:#}")),
        }
    }
    for group in groups(options) {
        for repeat in 0..options.repeats {
            for system in systems.iter().filter(|system| system.suits(group.scenario)) {
                let known = known_rate(&results.cells, *system, group.scenario);
                eprintln!(
                    "bench: {}, {}, turn {}",
                    group.scenario,
                    system.name(),
                    repeat + 1
                );
                match bench.cell(*system, group, repeat, known) {
                    Ok(cell) => results.cells.push(cell),
                    Err(error) => results.missing.push(failure(*system, group, &error)),
                }
            }
        }
    }
    report::write(options, &results)
}

/// What an earlier turn found.
fn known_rate(cells: &[Cell], system: System, scenario: Scenario) -> Option<f64> {
    let earlier = cells
        .iter()
        .rfind(|cell| (cell.system, cell.scenario) == (system, scenario))?;
    earlier.rate.as_ref().map(|rate| rate.leg_packets_per_second)
}

fn available(options: &Options, missing: &mut Vec<String>) -> Vec<System> {
    let mut systems = options.systems.clone();
    systems.retain(|system| match system.obstacle() {
        None => true,
        Some(why) => {
            eprintln!("bench: without {}: {why}", system.name());
            missing.push(format!("{}: {why}", system.name()));
            false
        }
    });
    systems
}

fn failure(system: System, group: Group, error: &anyhow::Error) -> String {
    let text = format!("{}, {}: {error:#}", system.name(), group.scenario);
    eprintln!("bench: {text}");
    text
}

fn names(systems: &[System]) -> String {
    let names: Vec<_> = systems.iter().map(|system| system.name()).collect();
    names.join(", ")
}

struct Bench<'a> {
    options: &'a Options,
    wire: Wire,
    processors: Processors,
    /// How many processors there are.
    count: usize,
}

impl Bench<'_> {
    fn cell(&self, system: System, group: Group, repeat: usize, known: Option<f64>) -> Result<Cell> {
        let mut session = Session::open(system, group.scenario, &self.wire, self.processors)?;
        let cell = self.measure(system, group, repeat, known, &mut session);
        cell.with_context(|| format!("{} printed:\n{}", system.name(), session.log()))
    }

    fn measure(
        &self,
        system: System,
        group: Group,
        repeat: usize,
        known: Option<f64>,
        session: &mut Session<'_>,
    ) -> Result<Cell> {
        let (options, scenario) = (self.options, group.scenario);
        let mut calibration = vec![self.processors.calibrate()?];
        let mut latencies = Vec::new();
        let load = &mut session.load;
        if scenario.is_fan() {
            let idle = latency::measure(load, scenario, options.pace, options.latency_time(scenario))?;
            latencies.push((Condition::Idle, idle));
            calibration.push(self.processors.calibrate()?);
        }
        if group.busy {
            let busy = Busy::start(options.busy, self.count)?;
            let time = options.latency_time(scenario);
            let outcome = latency::measure(load, scenario, options.pace, time)?;
            latencies.push((Condition::Busy, outcome));
            drop(busy);
            calibration.push(self.processors.calibrate()?);
        }
        let (cost, loaded) = cost::measure(load, scenario, options.cost_rate, options.time())?;
        latencies.push((Condition::Loaded, loaded));
        calibration.push(self.processors.calibrate()?);
        let rate = if group.rate {
            Some(rate::search(load, scenario, options.effort(), known)?)
        } else {
            None
        };
        calibration.push(self.processors.calibrate()?);
        Ok(Cell {
            system,
            scenario,
            repeat,
            profile: session.profile,
            latency: latencies,
            cost,
            rate,
            calibration,
        })
    }
}

//! The tables of a run.

use super::ratios::{Ratio, ratios};
use super::summary::{CostLine, Latency, RateLine, Summary, Times};
use super::table::{Form, Table};
use crate::measure::cost::Cost;
use crate::measure::programs::Programs;
use crate::run::{Cell, Results};

pub(crate) fn render(results: &Results, summary: &Summary, form: Form) -> String {
    let mut text = results.machine.lines().join("\n\n") + "\n\n";
    let sections = [
        (
            "One-way latency in µs: from before the sender's system call to the receiver's kernel",
            latencies(&summary.latencies),
        ),
        (
            "Highest rate without loss, in leg-packets/s with the server on one processor",
            rates(&summary.rates),
        ),
        ("Processor time in ns for each leg-packet", costs(&summary.costs)),
        (
            "The kernel programs alone, in ns for each packet: by batches, of which each counts by its median",
            programs(&results.programs),
        ),
        (
            "What is asked of the kernel plane",
            asked(&ratios(results, summary)),
        ),
        ("How steady the machine was", noise(&results.cells)),
    ];
    for (title, table) in sections.iter().filter(|(_, table)| !table.is_empty()) {
        text += &section(title, table, form);
    }
    for missing in &results.missing {
        text += &format!("Not measured: {missing}\n\n");
    }
    text
}

fn section(title: &str, table: &Table, form: Form) -> String {
    let heading = match form {
        Form::Text => title.to_owned(),
        Form::Markdown => format!("## {title}"),
    };
    format!("{heading}\n\n{}\n", table.render(form))
}

fn latencies(lines: &[Latency]) -> Table {
    let mut table = Table::new(&[
        "scenario",
        "load",
        "system",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "p50 of turns",
        "p99.9 of turns",
        "program p50",
        "program p99.9",
        "packets",
        "lost",
        "in kernel",
    ]);
    for line in lines {
        let (times, program) = (Times::of(&line.to_kernel), Times::of(&line.to_program));
        let quantiles = [times.p50, times.p90, times.p99, times.p999, times.max];
        table.row(
            [
                line.scenario.to_string(),
                line.condition.name().to_owned(),
                line.system.name().to_owned(),
            ]
            .into_iter()
            .chain(quantiles.map(micros))
            .chain([
                range(line.turns.iter().map(|turn| turn.p50)),
                range(line.turns.iter().map(|turn| turn.p999)),
                micros(program.p50),
                micros(program.p999),
                line.to_kernel.len().to_string(),
                line.lost.to_string(),
                shares(&line.in_kernel),
            ]),
        );
    }
    table
}

fn rates(lines: &[RateLine]) -> Table {
    let mut table = Table::new(&["scenario", "system", "best", "turns", "in kernel", "remark"]);
    for line in lines {
        let remark = if line.hosts_bound {
            "the co-hosts were at their end: at least this"
        } else {
            ""
        };
        table.row([
            line.scenario.to_string(),
            line.system.name().to_owned(),
            whole(line.best()),
            list(&line.turns),
            shares(&line.in_kernel),
            remark.to_owned(),
        ]);
    }
    table
}

fn costs(lines: &[CostLine]) -> Table {
    let mut table = Table::new(&["scenario", "system", "least", "turns", "of the process", "remark"]);
    for line in lines {
        let turns = |what: fn(&Cost) -> f64| list(&line.turns.iter().map(what).collect::<Vec<_>>());
        let lost: u64 = line.turns.iter().map(|turn| turn.lost).sum();
        let remark = match (line.least(), lost) {
            (Some(_), _) => String::new(),
            (None, 0) => "the processor was full: no figure".to_owned(),
            (None, lost) => format!("{lost} lost: no figure"),
        };
        table.row([
            line.scenario.to_string(),
            line.system.name().to_owned(),
            line.least().map_or_else(String::new, whole),
            turns(|turn| turn.processor),
            turns(|turn| turn.process),
            remark,
        ]);
    }
    table
}

fn programs(programs: &Programs) -> Table {
    let mut table = Table::new(&[
        "program",
        "payload",
        "keys",
        "least",
        "median",
        "p90",
        "batches",
        "loop, slowest",
    ]);
    let fastest = programs.calibration.iter().copied().fold(f64::INFINITY, f64::min);
    let slowest = programs.calibration.iter().copied().fold(0.0, f64::max);
    for line in &programs.costs {
        table.row([
            line.program.name().to_owned(),
            format!("{} B", line.payload),
            line.keys.to_string(),
            line.least.to_string(),
            line.median.to_string(),
            line.p90.to_string(),
            format!("{} of {}", line.batches, line.batch),
            format!("{:.2}", slowest / fastest),
        ]);
    }
    table
}

fn asked(ratios: &[Ratio]) -> Table {
    let mut table = Table::new(&["figure", "asked", "seen", "verdict"]);
    for ratio in ratios {
        table.row([
            ratio.figure.clone(),
            ratio.asked.to_string(),
            ratio.seen.map_or_else(String::new, |seen| format!("{seen:.3}")),
            ratio.verdict().to_owned(),
        ]);
    }
    table
}

/// How much slower than at its fastest the processor was around each measurement.
fn noise(cells: &[Cell]) -> Table {
    let fastest = cells
        .iter()
        .flat_map(|cell| &cell.calibration)
        .copied()
        .fold(f64::INFINITY, f64::min);
    let mut table = Table::new(&[
        "scenario",
        "system",
        "turn",
        "calibration loop, 1 is the fastest of the run",
    ]);
    for cell in cells {
        let ratios: Vec<_> = cell
            .calibration
            .iter()
            .map(|turn| format!("{:.2}", turn / fastest))
            .collect();
        table.row([
            cell.scenario.to_string(),
            cell.system.name().to_owned(),
            (cell.repeat + 1).to_string(),
            ratios.join(" "),
        ]);
    }
    table
}

fn range(values: impl Iterator<Item = u64> + Clone) -> String {
    let (least, most) = (values.clone().min().unwrap_or(0), values.max().unwrap_or(0));
    format!("{} to {}", micros(least), micros(most))
}

fn list(values: &[f64]) -> String {
    values
        .iter()
        .map(|value| whole(*value))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Per cent of each turn; nothing where there are no kernel programs.
fn shares(parts: &[f64]) -> String {
    let shares: Vec<_> = parts
        .iter()
        .map(|part| format!("{:.1} %", 100.0 * part))
        .collect();
    shares.join(" ")
}

fn micros(nanos: u64) -> String {
    let micros = nanos as f64 / 1e3;
    if micros < 100.0 {
        format!("{micros:.1}")
    } else {
        format!("{micros:.0}")
    }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

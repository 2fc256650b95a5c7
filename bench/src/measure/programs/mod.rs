//! What a packet costs in each of the kernel programs by themselves: the kernel runs them on frames (`BPF_PROG_TEST_RUN`),
//! without an interface.
//!
//! Packets of one key find its hash tables in the cache; packets of many keys in turn do not. The two take turns by batches,
//! and so does the floor, so that a machine that changes its speed changes it for all.

mod keys;
mod stage;

use crate::processor::Processors;
use anyhow::{Context, Result};
use stage::{FloorStage, KernelStage};
use std::thread;
use std::time::Duration;

/// Payloads as of sound and of video.
const PAYLOADS: [usize; 2] = [100, 1150];
/// As many publishers, and as many legs.
pub(crate) const MANY: usize = 160;
/// Packets of a batch, of each payload and number of keys.
const BATCH: usize = MANY;

/// A program that is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Program {
    Ingress,
    Egress,
    FloorIngress,
    FloorEgress,
}

impl Program {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::FloorIngress => "floor ingress",
            Self::FloorEgress => "floor egress",
        }
    }
}

/// Nanoseconds of a packet: the least, middle and 90th percentile of the batches' medians.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct ProgramCost {
    pub(crate) program: Program,
    pub(crate) payload: usize,
    pub(crate) keys: usize,
    pub(crate) least: u64,
    pub(crate) median: u64,
    pub(crate) p90: u64,
    pub(crate) batches: usize,
    /// Packets of a batch.
    pub(crate) batch: usize,
}

/// All of them, and how fast the processor was meanwhile.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Programs {
    pub(crate) costs: Vec<ProgramCost>,
    /// Nanoseconds for a turn of the calibration loop, before each batch.
    pub(crate) calibration: Vec<f64>,
}

/// Runs so many batches of everything on the server's processor.
pub(crate) fn measure(processors: Processors, batches: usize) -> Result<Programs> {
    let run = move || {
        processors.take_servers()?;
        let mut programs = Programs::default();
        for payload in PAYLOADS {
            measure_payload(payload, batches, processors, &mut programs)?;
        }
        Ok(programs)
    };
    thread::spawn(run).join().expect("measuring does not panic")
}

fn measure_payload(
    payload: usize,
    batches: usize,
    processors: Processors,
    programs: &mut Programs,
) -> Result<()> {
    let mut kernels = [KernelStage::new(1)?, KernelStage::new(MANY)?];
    let mut floor = FloorStage::new()?;
    let mut medians: Vec<(Program, usize, Vec<u64>)> = Vec::new();
    for batch in 0..batches {
        programs.calibration.push(processors.calibrate()?);
        for stage in &mut kernels {
            let durations = stage.run(batch, BATCH, payload)?;
            note(&mut medians, Program::Ingress, stage.keys(), &durations.ingress);
            note(&mut medians, Program::Egress, stage.keys(), &durations.egress);
        }
        let durations = floor.run(BATCH, payload)?;
        note(&mut medians, Program::FloorIngress, 0, &durations.ingress);
        note(&mut medians, Program::FloorEgress, 0, &durations.egress);
    }
    for (program, keys, mut medians) in medians {
        let (least, median, p90) = spread(&mut medians).context("no batches")?;
        programs.costs.push(ProgramCost {
            program,
            payload,
            keys,
            least,
            median,
            p90,
            batches,
            batch: BATCH,
        });
    }
    Ok(())
}

/// How long each packet of a batch took.
#[derive(Debug, Default)]
struct Durations {
    ingress: Vec<Duration>,
    egress: Vec<Duration>,
}

fn note(
    medians: &mut Vec<(Program, usize, Vec<u64>)>,
    program: Program,
    keys: usize,
    durations: &[Duration],
) {
    let mut nanos: Vec<u64> = durations.iter().map(|each| each.as_nanos() as u64).collect();
    let Some((_, median, _)) = spread(&mut nanos) else {
        return;
    };
    match medians
        .iter_mut()
        .find(|line| (line.0, line.1) == (program, keys))
    {
        Some((_, _, known)) => known.push(median),
        None => medians.push((program, keys, vec![median])),
    }
}

/// The least, the middle one, and that which nine of ten do not exceed.
fn spread(values: &mut [u64]) -> Option<(u64, u64, u64)> {
    values.sort_unstable();
    let last = values.len().checked_sub(1)?;
    Some((values[0], values[last / 2], values[last * 9 / 10]))
}

#[cfg(test)]
mod tests {
    use super::{Program, note, spread};
    use std::time::Duration;

    #[test]
    fn the_spread_of_batches_does_not_follow_an_outlier() {
        let mut values: Vec<u64> = (1..=10).chain([9_000]).collect();
        assert_eq!(spread(&mut values), Some((1, 6, 10)));
        assert_eq!(spread(&mut []), None);
    }

    #[test]
    fn a_batch_counts_by_its_median() {
        let mut medians = Vec::new();
        let nanos = |values: [u64; 3]| values.map(Duration::from_nanos).to_vec();
        note(&mut medians, Program::Ingress, 1, &nanos([7, 5, 900]));
        note(&mut medians, Program::Ingress, 1, &nanos([9, 8, 8]));
        note(&mut medians, Program::Ingress, 160, &nanos([20, 20, 20]));
        assert_eq!(
            medians,
            [
                (Program::Ingress, 1, vec![7, 8]),
                (Program::Ingress, 160, vec![20])
            ]
        );
    }
}

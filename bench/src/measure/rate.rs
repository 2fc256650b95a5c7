//! The highest rate without loss: raised until packets are lost, then halved in.

use crate::load::receiver::Watch;
use crate::load::trial::{Load, Plan, Time};
use crate::scenario::Scenario;
use anyhow::Result;
use std::time::Duration;

/// Leg-packets a second that the search begins with.
const FIRST: f64 = 40_000.0;
/// Beyond this it is the co-hosts that are measured.
const MOST: f64 = 2_000_000.0;
/// Below this nothing is measured.
const LEAST: f64 = 500.0;
/// At a rate a trial may fail by chance; it has failed when it fails that often.
const TRIES: usize = 2;
/// A packet that comes later than this after the last was sent is lost: what is asked is a rate that can go on.
const PATIENCE: Duration = Duration::from_millis(50);
const OPEN_EVERY: usize = 64;
/// The sender is no longer at its rate when it is this far behind, in nanoseconds.
const BEHIND: u64 = 20_000_000;
/// With less than this left of the co-hosts' processor it is they that are measured.
const SPARE: f64 = 0.05;

/// How thoroughly to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Of one trial.
    pub(crate) time: Time,
    /// When to stop: the lowest rate that failed is at most this many times the highest that passed.
    pub(crate) resolution: f64,
}

/// What the search found.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Rate {
    /// The highest without loss, in leg-packets a second; 0 if there was none.
    pub(crate) leg_packets_per_second: f64,
    /// In the trials of that rate and of the next, which failed, the co-hosts had nothing left: the server may do more.
    pub(crate) hosts_bound: bool,
    /// At that rate, what part the server's kernel programs forwarded.
    pub(crate) in_kernel: Option<f64>,
    pub(crate) trials: Vec<Trial>,
}

/// One trial.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Trial {
    pub(crate) leg_packets_per_second: f64,
    pub(crate) expected: u64,
    pub(crate) lost: u64,
    /// Of the server's processor.
    pub(crate) server_busy: f64,
    /// Of the co-hosts' processor.
    pub(crate) hosts_spare: f64,
    /// The sender kept its pace.
    pub(crate) in_time: bool,
    /// What part the server's kernel programs forwarded.
    pub(crate) in_kernel: Option<f64>,
}

impl Trial {
    fn passed(&self) -> bool {
        self.lost == 0 && self.in_time
    }

    fn hosts_bound(&self) -> bool {
        !self.in_time || self.hosts_spare < SPARE
    }
}

/// Searches, near to what an earlier turn found.
pub(crate) fn search(load: &mut Load, scenario: Scenario, effort: Effort, hint: Option<f64>) -> Result<Rate> {
    let mut search = Search {
        load,
        scenario,
        effort,
        trials: Vec::new(),
    };
    let highest = find(Start::at(hint), effort.resolution, |rate| search.passes(rate))?;
    let beyond = highest * effort.resolution * 1.01;
    let near = |trial: &&Trial| (highest..beyond).contains(&trial.leg_packets_per_second);
    Ok(Rate {
        leg_packets_per_second: highest,
        hosts_bound: search.trials.iter().filter(near).any(Trial::hosts_bound),
        in_kernel: search
            .trials
            .iter()
            .rfind(|trial| trial.passed() && trial.leg_packets_per_second >= highest)
            .and_then(|trial| trial.in_kernel),
        trials: search.trials,
    })
}

/// Where a search begins, and by what factor it goes on.
#[derive(Clone, Copy, Debug)]
struct Start {
    first: f64,
    factor: f64,
}

impl Start {
    fn at(hint: Option<f64>) -> Self {
        match hint {
            Some(found) if found >= LEAST => Self {
                first: 0.87 * found,
                factor: 1.3,
            },
            _ => Self {
                first: FIRST,
                factor: 2.0,
            },
        }
    }
}

/// The highest rate that passes, or 0.
fn find(start: Start, resolution: f64, mut passes: impl FnMut(f64) -> Result<bool>) -> Result<f64> {
    let Start { first, factor } = start;
    let (mut passed, mut failed) = (0.0, first);
    if passes(first)? {
        passed = first;
        failed = factor * passed;
        while failed < MOST && passes(failed)? {
            passed = failed;
            failed *= factor;
        }
        failed = failed.min(MOST);
    }
    while passed == 0.0 && failed > LEAST {
        let lower = failed / factor;
        if passes(lower)? {
            passed = lower;
        } else {
            failed = lower;
        }
    }
    while passed > 0.0 && failed > passed * resolution {
        let middle = (passed * failed).sqrt();
        if passes(middle)? {
            passed = middle;
        } else {
            failed = middle;
        }
    }
    Ok(passed)
}

struct Search<'a> {
    load: &'a mut Load,
    scenario: Scenario,
    effort: Effort,
    trials: Vec<Trial>,
}

impl Search<'_> {
    fn passes(&mut self, rate: f64) -> Result<bool> {
        for _ in 0..TRIES {
            let trial = self.run(rate)?;
            let passed = trial.passed();
            self.trials.push(trial);
            if passed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run(&mut self, rate: f64) -> Result<Trial> {
        self.load.settle()?;
        let outcome = self.load.trial(Plan {
            packets_per_second: rate / self.scenario.legs as f64,
            time: self.effort.time,
            payload: self.scenario.payload,
            open_every: OPEN_EVERY,
            patience: PATIENCE,
            watch: Watch::Rounds,
        })?;
        Ok(Trial {
            leg_packets_per_second: rate,
            expected: outcome.expected,
            lost: outcome.lost,
            server_busy: outcome.usage.server_busy as f64 / outcome.usage.elapsed.max(1) as f64,
            hosts_spare: outcome.usage.hosts_spare(),
            in_time: outcome.sender_latest < BEHIND,
            in_kernel: outcome.in_kernel,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAST, MOST, Start, find};

    /// What is found for a server that can do so much, and after how many trials.
    fn found(capacity: f64, hint: Option<f64>) -> (f64, usize) {
        let mut trials = 0;
        let rate = find(Start::at(hint), 1.05, |rate| {
            trials += 1;
            Ok(rate <= capacity)
        });
        (rate.expect("no trial fails to run"), trials)
    }

    #[test]
    fn the_highest_rate_is_found_within_the_resolution() {
        for capacity in [700.0, 30_000.0, 41_000.0, 123_456.0, 1_900_000.0] {
            for hint in [None, Some(capacity), Some(2.0 * capacity), Some(0.3 * capacity)] {
                let (rate, _) = found(capacity, hint);
                assert!(
                    rate <= capacity && rate * 1.05 >= capacity,
                    "{rate} for {capacity}, {hint:?}"
                );
            }
        }
    }

    #[test]
    fn a_good_hint_saves_trials() {
        assert!(found(150_000.0, Some(150_000.0)).1 < found(150_000.0, None).1);
    }

    #[test]
    fn a_server_that_forwards_nothing_has_no_rate() {
        assert_eq!(found(0.0, None).0, 0.0);
        assert_eq!(found(0.0, Some(LEAST / 2.0)).0, 0.0);
    }

    #[test]
    fn the_search_ends_where_the_co_hosts_would_be_measured() {
        assert!(found(f64::INFINITY, None).0 < MOST);
    }
}

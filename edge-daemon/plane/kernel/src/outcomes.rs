//! What became of the packets that the programs saw.

use aya::maps::{MapData, MapError, PerCpuArray};
use lianmai_fanout::records::Outcome;
use std::io;

/// Counts since the programs were loaded, over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([u64; Outcome::ALL.len()]);

impl Outcomes {
    /// How many packets ended this way.
    #[must_use]
    pub fn get(&self, outcome: Outcome) -> u64 {
        let Self(counts) = self;
        counts[outcome as usize]
    }

    /// All counts.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, self.get(outcome)))
    }

    pub(crate) fn read(counters: &PerCpuArray<MapData, u64>) -> io::Result<Self> {
        let mut counts = [0; Outcome::ALL.len()];
        for outcome in Outcome::ALL {
            let values = counters.get(&(outcome as u32), 0).map_err(|error| match error {
                MapError::SyscallError(error) => error.io_error,
                error => io::Error::other(error),
            })?;
            counts[outcome as usize] = values.iter().sum();
        }
        Ok(Self(counts))
    }
}

//! Where recordings have their zero.

use lianmai_timeline::{EdgeTime, Span};
use std::time::Duration;

const SECOND: i128 = 1_000_000_000;

/// What an instant of the edge's clock was in the world. One for the life of a process, so that no step of the world's clock
/// comes between two of its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    edge: EdgeTime,
    unix: Duration,
}

/// The zero of a file: a whole second of UTC, so that its name can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zero {
    /// On the edge's clock.
    pub(crate) edge: EdgeTime,
    /// In seconds since 1970.
    pub(crate) unix: u64,
}

impl Epoch {
    /// It is `unix` since 1970 at `edge`.
    pub(crate) const fn new(edge: EdgeTime, unix: Duration) -> Self {
        Self { edge, unix }
    }

    /// The last whole second by `at`.
    pub(crate) fn zero(&self, at: EdgeTime) -> Zero {
        let unix = i128::try_from(self.unix.as_nanos()).unwrap_or_default() + i128::from((at - self.edge).0);
        let into = unix.rem_euclid(SECOND);
        Zero {
            edge: at - Span(i64::try_from(into).unwrap_or_default()),
            unix: u64::try_from((unix - into) / SECOND).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, Zero};
    use lianmai_timeline::{EdgeTime, Span};
    use std::time::Duration;

    #[test]
    fn all_files_of_a_second_have_one_zero() {
        let edge = EdgeTime(5_000_000_000);
        let epoch = Epoch::new(edge, Duration::from_millis(1_700_000_000_250));
        let zero = Zero {
            edge: edge - Span::from_millis(250),
            unix: 1_700_000_000,
        };
        for millis in [-250, 0, 749] {
            assert_eq!(epoch.zero(edge + Span::from_millis(millis)), zero, "{millis}");
        }
        let next = epoch.zero(edge + Span::from_millis(750));
        assert_eq!(
            (next.unix, next.edge),
            (1_700_000_001, zero.edge + Span::from_secs(1))
        );
    }
}

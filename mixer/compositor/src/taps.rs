//! Which source samples make up a destination sample, in fixed point, computed once per geometry.

/// Weights are in 1/128ths, and those of one destination sample add up to exactly that.
pub(crate) const ONE: usize = 128;

/// From this many source samples per destination sample on, rows are halved first.
const MAX_DIRECT_RATIO: usize = 3;

/// Taps of a horizontal pass: an interval of three samples touches at most four.
pub(crate) const TAPS: usize = 4;

/// The source samples of one destination sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    pub(crate) start: usize,
    pub(crate) weights: Vec<u8>,
}

/// The taps of an axis that maps `source` samples onto `target` samples. Reduction averages over the area of the
/// destination sample; enlargement is linear between the two nearest samples' centres.
///
/// The source may have been halved `halvings` times: the taps then index the halved row, and `source` is still the
/// length before that.
pub(crate) fn axis(source: usize, target: usize, halvings: u32) -> Vec<Tap> {
    let unit = target << halvings;
    (0..target)
        .map(|index| {
            if source > unit {
                area(index, source, unit)
            } else {
                linear(index, source, target)
            }
        })
        .collect()
}

/// How often a row has to be halved before [`TAPS`] taps suffice.
pub(crate) fn halvings(source: usize, target: usize) -> u32 {
    (0..usize::BITS)
        .find(|n| source <= (target * MAX_DIRECT_RATIO) << n)
        .unwrap_or(0)
}

/// Lengths here are in `1 / unit` of a source sample: the destination sample covers `source` of them.
fn area(index: usize, source: usize, unit: usize) -> Tap {
    let (from, to) = (index * source, (index + 1) * source);
    let start = from / unit;
    let covered =
        (start..to.div_ceil(unit)).map(|sample| to.min((sample + 1) * unit) - from.max(sample * unit));
    Tap {
        start,
        weights: apportion(&covered.collect::<Vec<_>>(), source),
    }
}

/// The centre of the destination sample lies at `(index + 1/2) * source / target - 1/2`. Only rows that were not
/// halved are enlarged.
fn linear(index: usize, source: usize, target: usize) -> Tap {
    let only = |start| Tap {
        start,
        weights: vec![ONE as u8],
    };
    let Some(position) = ((2 * index + 1) * source).checked_sub(target) else {
        return only(0);
    };
    let start = position / (2 * target);
    let second = (position % (2 * target) * ONE + target) / (2 * target);
    match second {
        _ if start + 1 >= source => only(source - 1),
        0 => only(start),
        ONE => only(start + 1),
        second => Tap {
            start,
            weights: vec![(ONE - second) as u8, second as u8],
        },
    }
}

/// Rounds the shares of `whole` to 1/128ths by largest remainder, so that a flat area stays exactly flat.
fn apportion(shares: &[usize], whole: usize) -> Vec<u8> {
    let mut weights: Vec<u8> = shares.iter().map(|share| (share * ONE / whole) as u8).collect();
    let missing = ONE - weights.iter().map(|weight| usize::from(*weight)).sum::<usize>();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(shares[*index] * ONE % whole));
    for index in by_remainder.into_iter().take(missing) {
        weights[index] += 1;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::{ONE, TAPS, Tap, axis, halvings};
    use proptest::prelude::proptest;

    #[test]
    fn the_same_length_is_a_copy() {
        for (index, tap) in axis(7, 7, 0).into_iter().enumerate() {
            assert_eq!(
                tap,
                Tap {
                    start: index,
                    weights: vec![128]
                }
            );
        }
    }

    #[test]
    fn half_the_length_averages_pairs() {
        for (index, tap) in axis(8, 4, 0).into_iter().enumerate() {
            assert_eq!(
                tap,
                Tap {
                    start: 2 * index,
                    weights: vec![64, 64]
                }
            );
        }
    }

    #[test]
    fn three_to_two_shares_the_middle() {
        assert_eq!(
            axis(3, 2, 0),
            [
                Tap {
                    start: 0,
                    weights: vec![85, 43]
                },
                Tap {
                    start: 1,
                    weights: vec![43, 85]
                },
            ]
        );
    }

    #[test]
    fn enlargement_interpolates_between_centres() {
        assert_eq!(
            axis(2, 4, 0),
            [
                Tap {
                    start: 0,
                    weights: vec![128]
                },
                Tap {
                    start: 0,
                    weights: vec![96, 32]
                },
                Tap {
                    start: 0,
                    weights: vec![32, 96]
                },
                Tap {
                    start: 1,
                    weights: vec![128]
                },
            ]
        );
    }

    #[test]
    fn a_halved_row_is_averaged_further() {
        assert_eq!(halvings(16, 4), 1);
        assert_eq!(
            axis(16, 4, 1)[1],
            Tap {
                start: 2,
                weights: vec![64, 64]
            }
        );
        assert_eq!(halvings(12, 4), 0);
    }

    proptest! {
        #[test]
        fn weights_add_up_and_stay_inside(source in 1usize..3000, target in 1usize..2000) {
            let halvings = halvings(source, target);
            let length = source.div_ceil(1 << halvings);
            for taps in [axis(source, target, halvings), axis(source, target, 0)] {
                assert_eq!(taps.len(), target);
                assert!(taps.is_sorted_by_key(|tap| tap.start));
                assert!(taps.iter().all(|tap| tap.weights.iter().map(|weight| usize::from(*weight)).sum::<usize>() == ONE));
            }
            for tap in axis(source, target, halvings) {
                assert!(tap.weights.len() <= TAPS, "{tap:?}");
                assert!(tap.start + tap.weights.len() <= length, "{tap:?} of {length}");
            }
        }
    }
}

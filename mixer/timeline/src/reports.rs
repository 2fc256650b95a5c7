//! What a track's recent sender reports say together.

use crate::time::{NtpTime, Span};
use std::collections::VecDeque;

/// Sender reports that are looked back on.
const MAX_REPORTS: usize = 16;

/// Newest reports that agree with one another this well, and not with the older ones, mean that the wallclock
/// was stepped.
const AGREEMENT: Span = Span::from_millis(20);

/// The drift over the whole history stays below this.
const LEAST_STEP: Span = Span::from_millis(50);

const STEP_CONFIRMED_BY: usize = 3;

/// The least time over which a drift between RTP clock and wallclock can be told from noise.
const MIN_DRIFT_BASE: Span = Span::from_secs(20);
const MAX_DRIFT: f64 = 500e-6;

/// The regression of RTP time on the sender's wallclock. Nearly half of the reports may be wrong by any amount.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportHistory {
    reports: VecDeque<Report>,
    fit: Option<Fit>,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    media_time: Span,
    /// Wallclock less media time.
    offset: Span,
}

/// `offset(media time) = offset + drift * (media time - reference)`.
#[derive(Clone, Copy, Debug)]
struct Fit {
    reference: Span,
    offset: Span,
    drift: f64,
}

impl ReportHistory {
    /// Adds a report; true if it confirms that the wallclock was stepped.
    pub(crate) fn add(&mut self, media_time: Span, ntp: NtpTime) -> bool {
        if self.reports.len() == MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(Report {
            media_time,
            offset: Span(ntp.0) - media_time,
        });
        let stepped = self.drop_reports_before_a_step();
        self.fit = self.fit_reports();
        stepped
    }

    /// The wallclock less the media time, at `media_time`.
    pub(crate) fn offset_at(&self, media_time: Span) -> Option<Span> {
        let fit = self.fit?;
        Some(fit.offset + drifted(media_time - fit.reference, fit.drift))
    }

    pub(crate) fn clear(&mut self) {
        self.reports.clear();
        self.fit = None;
    }

    fn drop_reports_before_a_step(&mut self) -> bool {
        let offsets: Vec<Span> = self.reports.iter().map(|report| report.offset).collect();
        let Some((before, newest)) = offsets.split_last_chunk::<STEP_CONFIRMED_BY>() else {
            return false;
        };
        let (low, high) = newest.iter().fold((newest[0], newest[0]), |(low, high), offset| {
            (low.min(*offset), high.max(*offset))
        });
        let Some(usual) = median(before.to_vec()) else {
            return false;
        };
        let stepped = high - low <= AGREEMENT && (usual < low - LEAST_STEP || usual > high + LEAST_STEP);
        if stepped {
            self.reports.drain(..before.len());
        }
        stepped
    }

    /// The median of the slopes between the reports, then the median of what remains.
    fn fit_reports(&self) -> Option<Fit> {
        let reference = self.reports.back()?.media_time;
        let drift = median_slope(&self.reports).clamp(-MAX_DRIFT, MAX_DRIFT);
        let at_reference = |report: &Report| report.offset + drifted(reference - report.media_time, drift);
        let offset = median(self.reports.iter().map(at_reference).collect())?;
        Some(Fit {
            reference,
            offset,
            drift,
        })
    }
}

fn drifted(time: Span, drift: f64) -> Span {
    Span((time.0 as f64 * drift) as i64)
}

fn median_slope(reports: &VecDeque<Report>) -> f64 {
    let mut slopes = Vec::new();
    for (index, earlier) in reports.iter().enumerate() {
        for later in reports.iter().skip(index + 1) {
            let time = later.media_time - earlier.media_time;
            if time >= MIN_DRIFT_BASE {
                slopes.push((later.offset - earlier.offset).0 as f64 / time.0 as f64);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}

/// The middle one; of two, the older, which was good until now.
fn median(mut values: Vec<Span>) -> Option<Span> {
    if let [first, _] = values.as_slice() {
        return Some(*first);
    }
    values.sort();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::{MAX_REPORTS, ReportHistory};
    use crate::time::{NtpTime, Span};

    /// A report at `second` of a clock that gains `ppm`, whose wallclock is `wrong` by that many milliseconds.
    fn add(history: &mut ReportHistory, second: i64, ppm: i64, wrong: i64) -> bool {
        let media_time = Span::from_secs(second);
        let ntp = NtpTime((media_time + Span(second * ppm * 1000) + Span::from_millis(1000 + wrong)).0);
        history.add(media_time, ntp)
    }

    fn offset(history: &ReportHistory, second: i64) -> i64 {
        history
            .offset_at(Span::from_secs(second))
            .map_or(i64::MIN, |offset| offset.0 / 1000)
    }

    #[test]
    fn a_drift_is_followed_beyond_the_last_report() {
        let mut history = ReportHistory::default();
        for second in (0..80).step_by(5) {
            assert!(!add(&mut history, second, 100, 0));
        }
        assert_eq!(offset(&history, 100), 1_010_000, "in microseconds");
    }

    #[test]
    fn wrong_reports_among_good_ones_do_not_count() {
        let mut history = ReportHistory::default();
        for second in 0..30 {
            let wrong = if second % 5 == 2 || second % 5 == 4 {
                700
            } else {
                0
            };
            assert!(!add(&mut history, second, 0, wrong));
            assert!(second < 8 || offset(&history, second) == 1_000_000);
        }
    }

    #[test]
    fn a_step_counts_from_the_third_report_on() {
        let mut history = ReportHistory::default();
        for second in 0..10 {
            add(&mut history, second, 0, 0);
        }
        assert!(!add(&mut history, 10, 0, -60_000));
        assert!(!add(&mut history, 11, 0, -60_000));
        assert_eq!(offset(&history, 11), 1_000_000);
        assert!(add(&mut history, 12, 0, -60_000));
        assert_eq!(offset(&history, 12), -59_000_000);
        assert!(!add(&mut history, 13, 0, -60_000));
    }

    #[test]
    fn the_history_is_bounded() {
        let mut history = ReportHistory::default();
        for second in 0..10_000 {
            add(&mut history, second, 20, 0);
        }
        assert_eq!(history.reports.len(), MAX_REPORTS);
    }
}

//! Histograms in the text form that HdrHistogram's plotting tools read.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::path::Path;

/// Steps for each halving of the distance to 100 %.
const TICKS: u32 = 5;
/// Values are written in microseconds.
const UNIT: f64 = 1_000.0;

pub(crate) fn write(path: &Path, histogram: &Histogram<u64>) -> Result<()> {
    std::fs::write(path, render(histogram)).with_context(|| format!("cannot write {}", path.display()))
}

fn render(histogram: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (
            step.value_iterated_to() as f64 / UNIT,
            step.quantile_iterated_to(),
        );
        // Writing to a string does not fail.
        let _ = write!(text, "{value:12.3} {quantile:14.12} {total:10}");
        let _ = if quantile < 1.0 {
            writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text)
        };
    }
    let (mean, deviation) = (histogram.mean() / UNIT, histogram.stdev() / UNIT);
    let _ = writeln!(
        text,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]"
    );
    let (max, count) = (histogram.max() as f64 / UNIT, histogram.len());
    let _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    let (buckets, values) = (histogram.buckets(), histogram.distinct_values());
    let _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {values:12}]");
    text
}

#[cfg(test)]
mod tests {
    use super::render;
    use hdrhistogram::Histogram;

    #[test]
    fn the_last_line_before_the_notes_counts_everything() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3).expect("bounds");
        (1..=1000).for_each(|value| histogram.record(value * 1000).expect("in range"));
        let text = render(&histogram);
        let last = text.lines().rfind(|line| !line.starts_with('#')).expect("lines");
        let words: Vec<_> = last.split_ascii_whitespace().collect();
        assert_eq!((words[1], words[2]), ("1.000000000000", "1000"));
        assert!(
            (words[0].parse::<f64>().expect("a number") - 1000.0).abs() < 1.0,
            "{last}"
        );
    }
}

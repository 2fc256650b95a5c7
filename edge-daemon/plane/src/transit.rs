//! How long media packets take from the socket to the socket.

use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Up to a minute, in nanoseconds; what takes longer counts as a minute.
const LONGEST: u64 = 60_000_000_000;

/// Two significant digits: an error of at most 1 %.
const DIGITS: u8 = 2;

/// A latency distribution in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransitTimes {
    /// Packets measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

/// What readers see: the thread that measures adds to it when nobody is reading, and goes on when somebody is.
#[derive(Clone, Debug)]
pub struct Transit {
    published: Arc<Mutex<Histogram<u64>>>,
}

impl Default for Transit {
    fn default() -> Self {
        Self {
            published: Arc::new(Mutex::new(histogram())),
        }
    }
}

impl Transit {
    /// From the kernel's receive timestamp of a media packet to the return of the call that sent its last copy.
    #[must_use]
    pub fn times(&self) -> TransitTimes {
        let histogram = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        TransitTimes {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }

    /// The measuring side; one at a time.
    pub(crate) fn recorder(&self) -> TransitRecorder {
        TransitRecorder {
            local: histogram(),
            published: self.published.clone(),
        }
    }
}

/// Belongs to the thread that measures.
#[derive(Debug)]
pub(crate) struct TransitRecorder {
    local: Histogram<u64>,
    published: Arc<Mutex<Histogram<u64>>>,
}

impl TransitRecorder {
    pub(crate) fn record(&mut self, nanos: u64) {
        self.local.saturating_record(nanos);
    }

    /// Shows what was measured. If a reader holds the histogram, the next call does.
    pub(crate) fn publish(&mut self) {
        if self.local.is_empty() {
            return;
        }
        let mut published = match self.published.try_lock() {
            Ok(published) => published,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if published.add(&self.local).is_ok() {
            self.local.reset();
        }
    }
}

impl Collector for Transit {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let times = self.times();
        let quantiles = [
            ("0.5", times.p50),
            ("0.9", times.p90),
            ("0.99", times.p99),
            ("0.999", times.p999),
            ("1", times.max),
        ];
        let help = "Time from a media packet's arrival at the socket to its departure";
        let mut metric = encoder.encode_descriptor("transit_seconds", help, None, MetricType::Gauge)?;
        for (quantile, nanos) in quantiles {
            let gauge = ConstGauge::new(nanos as f64 / 1e9);
            gauge.encode(metric.encode_family(&[("quantile", quantile)])?)?;
        }
        let count = ConstGauge::new(i64::try_from(times.count).unwrap_or(i64::MAX));
        let help = "Media packets whose time was measured";
        let metric = encoder.encode_descriptor("transit_count", help, None, MetricType::Gauge)?;
        count.encode(metric)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are constants that a histogram accepts")
}

#[cfg(test)]
mod tests {
    use super::Transit;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let transit = Transit::default();
        let mut recorder = transit.recorder();
        (1..=1_000).for_each(|micros| recorder.record(micros * 1_000));
        assert_eq!(transit.times().count, 0, "not published yet");
        recorder.publish();
        let times = transit.times();
        assert_eq!(times.count, 1_000);
        for (value, expected) in [(times.p50, 500_000), (times.p90, 900_000), (times.p999, 999_000)] {
            assert!(
                value.abs_diff(expected) <= expected / 100,
                "{value} for {expected}"
            );
        }
    }

    #[test]
    fn a_reader_never_stops_the_recorder_and_loses_nothing() {
        let transit = Transit::default();
        let mut recorder = transit.recorder();
        recorder.record(5);
        let reader = transit.published.lock().expect("not poisoned");
        recorder.publish();
        drop(reader);
        recorder.record(6);
        recorder.publish();
        assert_eq!(transit.times().count, 2);
    }
}

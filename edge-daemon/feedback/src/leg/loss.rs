//! The rate that losses allow (draft-ietf-rmcat-gcc-02 §6).

use super::aimd::MIN_BITRATE;
use std::time::{Duration, Instant};

/// Losses are looked at once in this time ...
const INTERVAL: Duration = Duration::from_secs(1);
/// ... or later, when this many packets are known.
const MIN_PACKETS: u64 = 20;
/// More than this share lost makes the rate fall, less than that lets it grow (§6).
const HIGH: f64 = 0.10;
const LOW: f64 = 0.02;
/// Growth per interval (§6).
const GROWTH: f64 = 1.05;
/// The estimate may not run further ahead of what is sent: more was never tried.
const HEADROOM: f64 = 2.0;

/// The loss-based rate.
#[derive(Clone, Debug, Default)]
pub(super) struct LossBased {
    rate: Option<f64>,
    share: Option<f32>,
    lost: u64,
    total: u64,
    began: Option<Instant>,
}

impl LossBased {
    /// `None` until much was lost for the first time.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate.map(|rate| rate as u64)
    }

    /// The last share of losses, 0 to 1.
    pub(super) const fn share(&self) -> Option<f32> {
        self.share
    }

    /// Counts packets by their fate; `sent` is the rate at which they were sent.
    pub(super) fn on_counts(&mut self, now: Instant, lost: i64, total: u64, sent: Option<u64>) {
        self.lost = self.lost.saturating_add_signed(lost);
        self.total = self.total.saturating_add(total);
        let began = *self.began.get_or_insert(now);
        if now.saturating_duration_since(began) < INTERVAL || self.total < MIN_PACKETS {
            return;
        }
        let share = (self.lost as f64 / self.total as f64).min(1.0);
        (self.lost, self.total, self.began) = (0, 0, Some(now));
        self.decide(share, sent);
    }

    fn decide(&mut self, share: f64, sent: Option<u64>) {
        self.share = Some(share as f32);
        let Some(sent) = sent.map(|sent| sent as f64) else {
            return;
        };
        if share > HIGH {
            // Losses happened at the rate that was sent, however high the estimate was.
            let base = self.rate.map_or(sent, |rate| rate.min(sent));
            self.rate = Some((base * (1.0 - 0.5 * share)).max(MIN_BITRATE));
        } else if share < LOW {
            self.rate = self
                .rate
                .map(|rate| (rate * GROWTH).min((sent * HEADROOM).max(rate)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LossBased;
    use std::time::{Duration, Instant};

    const SENT: Option<u64> = Some(1_000_000);

    fn seconds(loss: &mut LossBased, range: std::ops::Range<u64>, lost: i64) {
        let start = *loss.began.get_or_insert_with(Instant::now);
        for second in range {
            loss.on_counts(start + Duration::from_secs(second + 1), lost, 100, SENT);
            loss.began = Some(start + Duration::from_secs(second + 1));
        }
        loss.began = Some(start);
    }

    #[test]
    fn a_clean_path_and_a_little_loss_show_no_limit() {
        let mut loss = LossBased::default();
        seconds(&mut loss, 0..10, 0);
        seconds(&mut loss, 10..20, 6);
        assert_eq!(loss.rate(), None);
        assert_eq!(loss.share(), Some(0.06));
    }

    // §6: above a tenth lost, the rate falls by half the share that was lost.
    #[test]
    fn a_fifth_lost_takes_a_tenth_of_the_rate() {
        let mut loss = LossBased::default();
        seconds(&mut loss, 0..1, 20);
        assert_eq!(loss.rate(), Some(900_000));
    }

    #[test]
    fn it_recovers_but_not_beyond_twice_what_is_sent() {
        let mut loss = LossBased::default();
        seconds(&mut loss, 0..1, 50);
        seconds(&mut loss, 1..100, 0);
        assert_eq!(loss.rate(), Some(2_000_000));
    }

    #[test]
    fn a_handful_of_packets_is_no_evidence() {
        let mut loss = LossBased::default();
        let start = Instant::now();
        for second in 0..9 {
            loss.on_counts(start + Duration::from_secs(second), 1, 2, SENT);
        }
        assert_eq!(loss.rate(), None);
    }
}

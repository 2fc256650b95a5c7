//! The minimum of something over a sliding window.

use crate::time::{EdgeTime, Span};
use std::collections::VecDeque;

/// How far back the fastest packet is looked for. A host's clock may drift by 100 ppm: 2 ms over the window.
const WINDOW: Span = Span::from_secs(20);
const BUCKET: Span = Span::from_secs(1);

/// The lower envelope of `arrival - media time`: what the fastest recent packet needed. Packets are only ever
/// delayed by the network, so the minimum is the best estimate of the path without queues.
///
/// One minimum is kept a second, so the memory is bounded whatever the packet rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    buckets: VecDeque<(EdgeTime, Span)>,
}

impl Envelope {
    pub(crate) fn observe(&mut self, now: EdgeTime, value: Span) {
        match self.buckets.back_mut() {
            Some((start, least)) if now - *start < BUCKET => *least = (*least).min(value),
            Some(_) | None => self.buckets.push_back((now, value)),
        }
        // The newest bucket always stays: a track that was silent for long still has its last known path.
        while self.buckets.len() > 1
            && self
                .buckets
                .front()
                .is_some_and(|(start, _)| now - *start > WINDOW)
        {
            self.buckets.pop_front();
        }
    }

    pub(crate) fn minimum(&self) -> Option<Span> {
        self.buckets.iter().map(|(_, least)| *least).min()
    }

    pub(crate) fn is_fresh(&self, now: EdgeTime) -> bool {
        self.buckets
            .back()
            .is_some_and(|(start, _)| now - *start <= WINDOW)
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Envelope;
    use crate::time::{EdgeTime, Span};

    fn second(n: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_secs(n)
    }

    #[test]
    fn the_minimum_leaves_with_its_window() {
        let mut envelope = Envelope::default();
        envelope.observe(second(0), Span(5));
        for n in 1..=20 {
            envelope.observe(second(n), Span(9));
            assert_eq!(envelope.minimum(), Some(Span(5)));
        }
        envelope.observe(second(21), Span(9));
        assert_eq!(envelope.minimum(), Some(Span(9)));
    }

    #[test]
    fn after_a_long_silence_the_new_packets_decide() {
        let mut envelope = Envelope::default();
        envelope.observe(second(0), Span(5));
        assert!(!envelope.is_fresh(second(600)));
        assert_eq!(envelope.minimum(), Some(Span(5)));
        envelope.observe(second(600), Span(40));
        assert_eq!(envelope.minimum(), Some(Span(40)));
    }

    #[test]
    fn a_million_packets_take_the_memory_of_one_window() {
        let mut envelope = Envelope::default();
        for n in 0..1_000_000 {
            envelope.observe(EdgeTime(n * 100_000), Span(n % 7));
        }
        assert!(envelope.len() <= 22, "{}", envelope.len());
    }
}

//! Video: packets of one timestamp are an access unit.

use super::Packet;
use super::reorder::{Counters, Pushed, Reorder};
use crate::time::{EdgeTime, RtpTimestamp};

/// The jitter buffer of a video track.
#[derive(Clone, Debug)]
pub struct VideoJitter<T> {
    order: Reorder<T>,
}

/// The packets of one timestamp, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit<T> {
    /// Their timestamp.
    pub timestamp: RtpTimestamp,
    /// At least one.
    pub packets: Vec<Packet<T>>,
    /// How many packets were given up before the first packet, between the packets, or because the last one never
    /// came. Above zero the unit may be damaged, or one before it is missing.
    pub lost: u64,
}

/// How far the unit at the head has come.
struct Head {
    packets: usize,
    lost: u64,
    /// Its last packet is known: it bears the marker, or the next one is of another timestamp.
    ended: bool,
    /// Packets are missing between its last known packet and the next unit: its end may be among them.
    open_end: bool,
    timestamp: RtpTimestamp,
}

impl<T> VideoJitter<T> {
    /// Holds at most `capacity` packets.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            order: Reorder::new(capacity),
        }
    }

    /// Takes a packet as it arrives. When the buffer is full, the oldest unit is dropped for it.
    pub fn push(&mut self, packet: Packet<T>) -> Pushed {
        while self.order.is_full() {
            let Some(head) = self.head() else {
                break;
            };
            self.order.count_dropped(head.packets as u64);
            self.take(&head);
        }
        self.order.push(packet)
    }

    /// The next access unit: at once if all of it is there and nothing before it is missing; otherwise when it has
    /// to be decoded, as it is then. `deadline` says when that is for a timestamp; where it cannot say, what is
    /// missing is given up as soon as the next unit is complete. Call until there is nothing.
    pub fn pop(
        &mut self,
        now: EdgeTime,
        deadline: impl Fn(RtpTimestamp) -> Option<EdgeTime>,
    ) -> Option<AccessUnit<T>> {
        let head = self.head()?;
        let complete = head.ended && head.lost == 0 && !head.open_end;
        let due = || match deadline(head.timestamp) {
            Some(deadline) => deadline <= now,
            None => self.next_is_complete(&head),
        };
        if complete || due() {
            return Some(self.take(&head));
        }
        None
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.order.counters()
    }

    /// How many packets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn head(&self) -> Option<Head> {
        let timestamp = self.order.gap()?.1.timestamp;
        let mut head = Head {
            packets: 0,
            lost: 0,
            ended: false,
            open_end: false,
            timestamp,
        };
        for (missing, packet) in self.order.waiting() {
            if packet.timestamp != timestamp {
                head.open_end = missing > 0;
                head.ended = true;
                break;
            }
            head.packets += 1;
            head.lost += missing;
            if packet.marker {
                head.ended = true;
                break;
            }
        }
        Some(head)
    }

    /// Whether the unit after `head` is there from its first packet known to its marker.
    fn next_is_complete(&self, head: &Head) -> bool {
        let mut rest = self.order.waiting().skip(head.packets);
        let Some((_, first)) = rest.next() else {
            return false;
        };
        let gapless =
            |(missing, packet): &(u64, &Packet<T>)| *missing == 0 && packet.timestamp == first.timestamp;
        first.marker || rest.take_while(gapless).any(|(_, packet)| packet.marker)
    }

    fn take(&mut self, head: &Head) -> AccessUnit<T> {
        let packets = (0..head.packets).filter_map(|_| self.order.take()).collect();
        let lost = head.lost + u64::from(head.open_end || !head.ended);
        AccessUnit {
            timestamp: head.timestamp,
            packets,
            lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessUnit, Packet, Pushed, VideoJitter};
    use crate::time::{EdgeTime, RtpTimestamp};
    use proptest::prelude::{Just, Strategy, any, prop, proptest};

    /// Units of three packets: unit `n` has the numbers `3n`, `3n + 1` and `3n + 2`, the last one with the marker.
    fn packet(sequence: u16) -> Packet<()> {
        let timestamp = RtpTimestamp(u32::from(sequence / 3) * 3000);
        Packet {
            sequence,
            timestamp,
            marker: sequence % 3 == 2,
            payload: (),
        }
    }

    fn due(timestamp: RtpTimestamp) -> Option<EdgeTime> {
        Some(EdgeTime(i64::from(timestamp.0)))
    }

    fn buffer(sequences: impl IntoIterator<Item = u16>) -> VideoJitter<()> {
        let mut buffer = VideoJitter::new(64);
        for sequence in sequences {
            buffer.push(packet(sequence));
        }
        buffer
    }

    /// Unit number, packets and losses of each unit.
    fn drain(buffer: &mut VideoJitter<()>, now: i64) -> Vec<(u32, usize, u64)> {
        let summary = |unit: AccessUnit<()>| (unit.timestamp.0 / 3000, unit.packets.len(), unit.lost);
        std::iter::from_fn(|| buffer.pop(EdgeTime(now), due))
            .map(summary)
            .collect()
    }

    #[test]
    fn complete_units_come_at_once_and_in_order() {
        let mut buffer = buffer([4, 3, 5, 7, 6, 8, 9]);
        assert_eq!(drain(&mut buffer, 0), [(1, 3, 0), (2, 3, 0)]);
        assert_eq!(buffer.len(), 1);
    }

    #[test]
    fn a_unit_with_a_hole_waits_until_it_is_due() {
        let mut buffer = buffer([3, 4, 5, 6, 8, 9, 10, 11]);
        assert_eq!(drain(&mut buffer, 5999), [(1, 3, 0)]);
        assert_eq!(drain(&mut buffer, 6000), [(2, 2, 1), (3, 3, 0)]);
        assert_eq!(buffer.push(packet(7)), Pushed::Late);
    }

    #[test]
    fn a_retransmission_in_time_fills_the_hole() {
        let mut buffer = buffer([3, 4, 5, 6, 8, 9, 10, 11]);
        drain(&mut buffer, 0);
        buffer.push(packet(7));
        assert_eq!(drain(&mut buffer, 0), [(2, 3, 0), (3, 3, 0)]);
        assert_eq!(buffer.counters().lost, 0);
    }

    #[test]
    fn a_unit_without_its_end_is_marked_as_damaged() {
        let mut buffer = buffer([3, 4, 6, 7, 8]);
        assert_eq!(drain(&mut buffer, 3000), [(1, 2, 1)]);
        assert_eq!(drain(&mut buffer, 6000), [(2, 3, 1)]);
    }

    #[test]
    fn a_unit_that_is_missing_altogether_shows_as_loss_before_the_next() {
        let mut buffer = buffer([3, 4, 5, 9, 10, 11]);
        assert_eq!(drain(&mut buffer, 8999), [(1, 3, 0)]);
        assert_eq!(drain(&mut buffer, 9000), [(3, 3, 3)]);
    }

    #[test]
    fn a_unit_may_end_by_the_next_timestamp_alone() {
        let mut buffer = VideoJitter::new(8);
        for sequence in 3..7 {
            buffer.push(Packet {
                marker: false,
                ..packet(sequence)
            });
        }
        assert_eq!(drain(&mut buffer, 0), [(1, 3, 0)]);
    }

    #[test]
    fn without_a_deadline_the_next_complete_unit_decides() {
        let mut buffer = buffer([3, 5, 6, 7]);
        assert_eq!(buffer.pop(EdgeTime(0), |_| None), None);
        buffer.push(packet(8));
        let unit = buffer.pop(EdgeTime(0), |_| None).expect("given up");
        assert_eq!((unit.packets.len(), unit.lost), (2, 1));
    }

    #[test]
    fn a_buffer_nobody_drains_drops_its_oldest_units() {
        let mut buffer = buffer(0..600);
        assert!(buffer.len() <= 64);
        let first = drain(&mut buffer, 0).first().copied();
        assert!(
            first.is_some_and(|(unit, _, lost)| unit > 150 && lost == 0),
            "{first:?}"
        );
    }

    proptest! {
        /// Whatever the order, the duplicates and the losses: bounded, in order, and nothing comes twice.
        #[test]
        fn units_come_once_and_in_order(
            sequences in prop::collection::vec(0u16..120, 1..300),
            base in prop::sample::select(vec![0u16, 65_500]),
            now in any::<i16>(),
        ) {
            let mut buffer = VideoJitter::new(48);
            let mut seen = Vec::new();
            for sequence in sequences {
                let packet = packet(sequence);
                buffer.push(Packet { sequence: sequence.wrapping_add(base), ..packet });
                assert!(buffer.len() <= 48);
                while let Some(unit) = buffer.pop(EdgeTime(i64::from(now)), due) {
                    seen.extend(unit.packets.iter().map(|packet| packet.sequence.wrapping_sub(base)));
                }
            }
            assert!(buffer.counters().restarts > 0 || seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        }

        #[test]
        fn without_loss_any_order_within_the_buffer_gives_every_unit(
            sequences in Just((0u16..30).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut buffer = VideoJitter::new(64);
            for sequence in sequences {
                buffer.push(packet(sequence));
            }
            let units = drain(&mut buffer, i64::MIN);
            assert_eq!(units, (0..10).map(|unit| (unit, 3, 0)).collect::<Vec<_>>());
        }
    }
}

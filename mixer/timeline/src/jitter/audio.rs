//! Audio: every packet is one frame of sound.

use super::Packet;
use super::reorder::{Counters, Pushed, Reorder};
use crate::time::{EdgeTime, RtpTicks, RtpTimestamp};

/// The jitter buffer of an audio track.
#[derive(Clone, Debug)]
pub struct AudioJitter<T> {
    order: Reorder<T>,
    last: Option<RtpTimestamp>,
}

/// What is next in the sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioItem<T> {
    /// A packet in its turn. Its timestamp may be far after the last one's: with DTX nothing is sent in silence.
    Packet(Packet<T>),
    /// One packet that never came; conceal it.
    Missing {
        /// About where its sound would have begun.
        timestamp: RtpTimestamp,
    },
}

impl<T> AudioJitter<T> {
    /// Holds at most `capacity` packets.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            order: Reorder::new(capacity),
            last: None,
        }
    }

    /// Takes a packet as it arrives.
    pub fn push(&mut self, packet: Packet<T>) -> Pushed {
        if self.order.is_full() && self.order.take().is_some() {
            self.order.count_dropped(1);
        }
        let pushed = self.order.push(packet);
        if pushed == Pushed::Restarted {
            self.last = None;
        }
        pushed
    }

    /// What is next, if that is known by `now`. `deadline` says by when the sound at a timestamp has to be decoded;
    /// a packet that is missing then is given up. Call until there is nothing.
    pub fn pop(
        &mut self,
        now: EdgeTime,
        deadline: impl Fn(RtpTimestamp) -> Option<EdgeTime>,
    ) -> Option<AudioItem<T>> {
        if self.order.head().is_some() {
            let packet = self.order.take()?;
            self.last = Some(packet.timestamp);
            return Some(AudioItem::Packet(packet));
        }
        let timestamp = self.missing_timestamp()?;
        if !self.order.is_full() && deadline(timestamp).is_some_and(|deadline| now < deadline) {
            return None;
        }
        self.order.skip_one();
        self.last = Some(timestamp);
        Some(AudioItem::Missing { timestamp })
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

    /// Where the missing packet's sound begins: its share of the way to the first packet that is there.
    fn missing_timestamp(&self) -> Option<RtpTimestamp> {
        let (missing, after) = self.order.gap()?;
        let Some(last) = self.last else {
            return Some(after.timestamp);
        };
        let from = RtpTicks(i64::from(last.0));
        let distance = after.timestamp.unwrap_near(from).0 - from.0;
        let share = distance.max(0) / (i64::try_from(missing).unwrap_or(0) + 1);
        Some(RtpTicks(from.0 + share).wrap())
    }
}

#[cfg(test)]
mod tests {
    use super::{AudioItem, AudioJitter, Packet, Pushed};
    use crate::time::{EdgeTime, RtpTimestamp};

    /// 20 ms packets whose sound starts at `sequence * 960`.
    fn packet(sequence: u16) -> Packet<()> {
        Packet {
            sequence,
            timestamp: RtpTimestamp(u32::from(sequence) * 960),
            marker: false,
            payload: (),
        }
    }

    /// Sound is due at its own timestamp, one tick a nanosecond.
    fn due(timestamp: RtpTimestamp) -> Option<EdgeTime> {
        Some(EdgeTime(i64::from(timestamp.0)))
    }

    fn drain(buffer: &mut AudioJitter<()>, now: i64) -> Vec<(bool, u32)> {
        std::iter::from_fn(|| buffer.pop(EdgeTime(now), due))
            .map(|item| match item {
                AudioItem::Packet(packet) => (true, packet.timestamp.0 / 960),
                AudioItem::Missing { timestamp } => (false, timestamp.0 / 960),
            })
            .collect()
    }

    #[test]
    fn packets_come_out_in_order_and_once() {
        let mut buffer = AudioJitter::new(16);
        buffer.push(packet(11));
        buffer.push(packet(10));
        assert_eq!(buffer.push(packet(10)), Pushed::Duplicate);
        assert_eq!(drain(&mut buffer, 0), [(true, 10), (true, 11)]);
        assert_eq!(buffer.push(packet(11)), Pushed::Late);
    }

    #[test]
    fn a_missing_packet_is_waited_for_until_its_sound_is_due() {
        let mut buffer = AudioJitter::new(16);
        for sequence in [10, 12, 13] {
            buffer.push(packet(sequence));
        }
        assert_eq!(drain(&mut buffer, 11 * 960 - 1), [(true, 10)]);
        assert_eq!(
            drain(&mut buffer, 11 * 960),
            [(false, 11), (true, 12), (true, 13)]
        );
        assert_eq!(buffer.counters().lost, 1);
    }

    #[test]
    fn a_packet_that_comes_before_it_is_due_is_not_lost() {
        let mut buffer = AudioJitter::new(16);
        for sequence in [10, 12, 11] {
            buffer.push(packet(sequence));
        }
        assert_eq!(drain(&mut buffer, 0), [(true, 10), (true, 11), (true, 12)]);
        assert_eq!(buffer.counters().lost, 0);
    }

    #[test]
    fn each_of_several_missing_packets_has_its_own_deadline() {
        let mut buffer = AudioJitter::new(16);
        for sequence in [10, 14] {
            buffer.push(packet(sequence));
        }
        assert_eq!(
            drain(&mut buffer, 12 * 960),
            [(true, 10), (false, 11), (false, 12)]
        );
        buffer.push(packet(13));
        assert_eq!(drain(&mut buffer, 12 * 960), [(true, 13), (true, 14)]);
    }

    #[test]
    fn a_pause_of_dtx_is_not_a_loss() {
        let mut buffer = AudioJitter::new(16);
        buffer.push(packet(10));
        buffer.push(Packet {
            sequence: 11,
            ..packet(30)
        });
        assert_eq!(drain(&mut buffer, 0), [(true, 10), (true, 30)]);
        assert_eq!(buffer.counters().lost, 0);
    }

    #[test]
    fn a_full_buffer_gives_up_what_it_waits_for() {
        let mut buffer = AudioJitter::new(4);
        buffer.push(packet(10));
        drain(&mut buffer, 0);
        for sequence in 12..16 {
            buffer.push(packet(sequence));
        }
        assert_eq!(drain(&mut buffer, 0).first(), Some(&(false, 11)));
    }

    #[test]
    fn a_buffer_nobody_drains_stays_bounded() {
        let mut buffer = AudioJitter::new(8);
        for sequence in 0..u16::MAX {
            buffer.push(packet(sequence));
            assert!(buffer.len() <= 8);
        }
    }

    #[test]
    fn numbering_wraps() {
        let mut buffer = AudioJitter::new(16);
        for (index, sequence) in [u16::MAX - 1, 0, u16::MAX, 1].into_iter().enumerate() {
            let timestamp = RtpTimestamp(index as u32);
            buffer.push(Packet {
                sequence,
                timestamp,
                marker: false,
                payload: (),
            });
        }
        let order: Vec<u16> = std::iter::from_fn(|| buffer.pop(EdgeTime(0), |_| None))
            .filter_map(|item| match item {
                AudioItem::Packet(packet) => Some(packet.sequence),
                AudioItem::Missing { .. } => None,
            })
            .collect();
        assert_eq!(order, [u16::MAX - 1, u16::MAX, 0, 1]);
    }

    #[test]
    fn one_stray_number_restarts_nothing_but_two_in_a_row_do() {
        let mut buffer = AudioJitter::new(16);
        buffer.push(packet(10));
        assert_eq!(buffer.push(packet(30_000)), Pushed::Refused);
        assert_eq!(buffer.push(packet(11)), Pushed::Kept);
        assert_eq!(buffer.push(packet(30_000)), Pushed::Refused);
        assert_eq!(buffer.push(packet(30_001)), Pushed::Restarted);
        assert_eq!(drain(&mut buffer, 0), [(true, 30_001)]);
        assert_eq!((buffer.counters().restarts, buffer.counters().dropped), (1, 2));
    }
}

//! What a trial gave: every packet that came, held against when it was sent.

use super::opener::Leg;
use super::packets::Packets;
use super::receiver::{Arrival, Received};
use super::sender::Sent;
use crate::measure::usage::Usage;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Times are kept with three digits up to this many nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// What came of it. Times are in nanoseconds from the moment before the packet was handed to the sender's kernel.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// To the receiver's kernel.
    pub(crate) to_kernel: Histogram<u64>,
    /// To the receiver's program.
    pub(crate) to_program: Histogram<u64>,
    /// Leg-packets that were to come.
    pub(crate) expected: u64,
    /// Of these, that did not.
    pub(crate) lost: u64,
    /// That came again.
    pub(crate) duplicates: u64,
    /// That were opened.
    pub(crate) opened: usize,
    /// What the server's and the hosts' processor did meanwhile.
    pub(crate) usage: Usage,
    /// Of the leg-packets that the server forwarded, how many its kernel programs did; `None` where it has none.
    pub(crate) in_kernel: Option<f64>,
    /// How far behind its time the sender was at worst, in nanoseconds.
    pub(crate) sender_latest: u64,
}

/// What went out and what came.
pub(super) struct Exchange {
    pub(super) packets: Packets,
    pub(super) sent: Sent,
    pub(super) received: Received,
    pub(super) usage: Usage,
    pub(super) opened: usize,
    /// Packets that are not measured.
    pub(super) warm_up: usize,
    pub(super) wall_offset: u64,
}

impl Outcome {
    /// What came of it for legs that are up.
    pub(super) fn of(exchange: &Exchange, legs: &[Leg]) -> Result<Self> {
        let packets = &exchange.packets;
        let measured = packets.measured(exchange.warm_up);
        let each = packets.len() / packets.publishers;
        let mut outcome = Self::new(exchange);
        outcome.expected = (measured.len() / packets.publishers * legs.len()) as u64;
        let mut seen = vec![false; each * legs.len()];
        // Of each leg, how many packets of its publisher there were up to the last that came.
        let mut last = vec![0i64; legs.len()];
        let mut unique = 0;
        for arrival in &exchange.received.arrivals {
            let leg = arrival.leg as usize;
            let of = &legs[leg];
            let index = of
                .index_of(arrival.sequence)
                .with_context(|| format!("leg {leg} was never up"))?;
            let expected = (i64::from(packets.first[of.publisher]) + last[leg]) as u16;
            let turn = last[leg] + i64::from(index.wrapping_sub(expected) as i16);
            let Some(turn) = usize::try_from(turn).ok().filter(|turn| *turn < each) else {
                // Of an earlier trial.
                continue;
            };
            last[leg] = last[leg].max(turn as i64);
            let number = turn * packets.publishers + of.publisher;
            if std::mem::replace(&mut seen[leg * each + turn], true) {
                outcome.duplicates += 1;
            } else if measured.contains(&number) {
                unique += 1;
                outcome.record(exchange, number, arrival);
            }
        }
        outcome.lost = outcome.expected.saturating_sub(unique);
        Ok(outcome)
    }

    fn new(exchange: &Exchange) -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds in order");
        Self {
            to_kernel: times.clone(),
            to_program: times,
            expected: 0,
            lost: 0,
            duplicates: 0,
            opened: exchange.opened,
            usage: exchange.usage.clone(),
            in_kernel: None,
            sender_latest: exchange.sent.latest,
        }
    }

    fn record(&mut self, exchange: &Exchange, number: usize, arrival: &Arrival) {
        let sent = exchange.sent.at[number];
        let kernel = arrival.kernel.saturating_sub(exchange.wall_offset);
        self.to_kernel.saturating_record(kernel.saturating_sub(sent));
        self.to_program
            .saturating_record(arrival.program.saturating_sub(sent));
    }
}

//! One trial: packets go out at a pace, and what comes of it.

use super::opener::{Leg, open_all};
use super::packets::{Packets, Publisher};
use super::receiver::{self, Progress, Received, Watch};
use super::sender::{self, Pace, Sent};
use crate::clock;
use crate::measure::usage::{Meter, Usage};
use crate::processor::{Processors, Role};
use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// Between sealing and the first packet: the threads find their places.
const SETTLE: u64 = 20_000_000;
/// What is waited for a packet that comes late, how often, and how many of such packets are opened.
const SETTLING: Duration = Duration::from_millis(60);
const SETTLING_TURNS: u32 = 250;
const SETTLING_OPEN_EVERY: usize = 16;
/// How often is looked whether all is there.
const WAITING: Duration = Duration::from_millis(2);
/// Times are kept with three digits up to this many nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of all publishers together.
    pub(crate) packets_per_second: f64,
    pub(crate) seconds: f64,
    /// Before that, at the same pace, what is not measured.
    pub(crate) warm_up: f64,
    pub(crate) payload: usize,
    /// One packet in so many of each leg is opened afterwards.
    pub(crate) open_every: usize,
    /// How long after the last was sent packets are waited for.
    pub(crate) patience: Duration,
    pub(crate) watch: Watch,
}

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
    /// How far behind its time the sender was at worst, in nanoseconds.
    pub(crate) sender_latest: u64,
}

/// The co-hosts of one server.
pub(crate) struct Load {
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) processors: Processors,
    pub(crate) meter: Meter,
}

impl Load {
    /// Sends until every leg has opened a packet.
    pub(crate) fn until_up(&mut self, payload: usize, patience: Duration) -> Result<()> {
        let plan = Plan {
            packets_per_second: 100.0 * self.publishers.len() as f64,
            seconds: 0.2,
            warm_up: 0.0,
            payload,
            open_every: 1,
            patience: Duration::from_millis(100),
            watch: Watch::Woken,
        };
        let deadline = clock::now() + patience.as_nanos() as u64;
        while !self.legs.iter().all(Leg::is_up) {
            if clock::now() > deadline {
                let deaf = self.legs.iter().filter(|leg| !leg.is_up()).count();
                bail!("{deaf} of {} legs got nothing in {patience:?}", self.legs.len());
            }
            self.exchange(plan)?;
        }
        Ok(())
    }

    /// Runs one trial.
    pub(crate) fn trial(&mut self, plan: Plan) -> Result<Outcome> {
        let exchange = self.exchange(plan)?;
        self.account(&exchange)
    }

    /// Renews everybody's consent, and waits until nothing comes any more: a server that was overrun has a backlog.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for publisher in &self.publishers {
            publisher.peer.keep_alive();
            receiver::drain(&publisher.peer.socket);
        }
        self.legs.iter().for_each(|leg| leg.peer.keep_alive());
        for _ in 0..SETTLING_TURNS {
            if self.late()? == 0 {
                return Ok(());
            }
        }
        bail!("the server still sends what it got {SETTLING_TURNS} times {SETTLING:?} ago")
    }

    /// How many packets come though nobody sends.
    fn late(&mut self) -> Result<usize> {
        let legs: Vec<&UdpSocket> = self.legs.iter().map(|leg| &leg.peer.socket).collect();
        let progress = Progress::default();
        let received = thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                let room = Received::default();
                receiver::run(&legs, room, Watch::Rounds, SETTLING_OPEN_EVERY, &progress)
            });
            thread::sleep(SETTLING);
            progress.end();
            receiving.join().expect("the receiver does not panic")
        })?;
        // Opened, so that the openers follow the sequence numbers.
        open_all(&mut self.legs, &received)?;
        Ok(received.arrivals.len())
    }

    fn exchange(&mut self, plan: Plan) -> Result<Exchange> {
        let each = plan.packets_each(plan.seconds + plan.warm_up, self.publishers.len());
        let packets = Packets::seal(&mut self.publishers, each.max(1), plan.payload)?;
        let legs: Vec<&UdpSocket> = self.legs.iter().map(|leg| &leg.peer.socket).collect();
        let sockets: Vec<&UdpSocket> = self.publishers.iter().map(|one| &one.peer.socket).collect();
        let room = Received::for_packets(&packets, legs.len(), plan.open_every);
        let progress = Progress::default();
        let pace = Pace {
            start: clock::now() + SETTLE,
            packets_per_second: plan.packets_per_second,
            legs: legs.len() / sockets.len(),
        };
        let all = packets.len() * pace.legs;
        let warm_up = plan.packets_each(plan.warm_up, sockets.len()) * sockets.len();
        let processors = self.processors;
        let (sent, usage, received) = thread::scope(|scope| {
            let receiving = scope.spawn(|| {
                processors.take(Role::Receiver)?;
                receiver::run(&legs, room, plan.watch, plan.open_every, &progress)
            });
            let sending = scope.spawn(|| {
                processors.take(Role::Sender)?;
                sender::run(&packets, &sockets, pace)
            });
            clock::sleep_until(pace.due(warm_up));
            let before = self.meter.read();
            let sent = sending.join().expect("the sender does not panic");
            let after = self.meter.read();
            wait(&progress, all, plan.patience);
            progress.end();
            let received = receiving.join().expect("the receiver does not panic");
            anyhow::Ok((sent?, after?.since(&before?), received?))
        })?;
        let opened = open_all(&mut self.legs, &received)?;
        Ok(Exchange {
            packets,
            sent,
            received,
            usage,
            opened,
            warm_up,
            wall_offset: clock::wall_offset(),
        })
    }

    fn account(&self, exchange: &Exchange) -> Result<Outcome> {
        let packets = &exchange.packets;
        let measured = packets.measured(exchange.warm_up);
        let each = packets.len() / packets.publishers;
        let mut outcome = Outcome::new(exchange);
        outcome.expected = (measured.len() / packets.publishers * self.legs.len()) as u64;
        let mut seen = vec![false; each * self.legs.len()];
        // Of each leg, how many packets of its publisher there were up to the last that came.
        let mut last = vec![0i64; self.legs.len()];
        let mut unique = 0;
        for arrival in &exchange.received.arrivals {
            let leg = arrival.leg as usize;
            let of = &self.legs[leg];
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
}

/// Until all is there, or patience ends. Duplicates may end it early; they are counted.
fn wait(progress: &Progress, all: usize, patience: Duration) {
    let deadline = clock::now() + patience.as_nanos() as u64;
    while progress.arrived() < all && clock::now() < deadline {
        thread::sleep(WAITING);
    }
}

impl Plan {
    fn packets_each(&self, seconds: f64, publishers: usize) -> usize {
        (self.packets_per_second * seconds / publishers as f64).round() as usize
    }
}

/// What went out and what came.
struct Exchange {
    packets: Packets,
    sent: Sent,
    received: Received,
    usage: Usage,
    opened: usize,
    warm_up: usize,
    wall_offset: u64,
}

impl Outcome {
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
            sender_latest: exchange.sent.latest,
        }
    }

    fn record(&mut self, exchange: &Exchange, number: usize, arrival: &receiver::Arrival) {
        let sent = exchange.sent.at[number];
        let kernel = arrival.kernel.saturating_sub(exchange.wall_offset);
        self.to_kernel.saturating_record(kernel.saturating_sub(sent));
        self.to_program
            .saturating_record(arrival.program.saturating_sub(sent));
    }
}

//! One trial: packets go out at a pace, and what comes of it.

use super::opener::{Leg, open_all};
use super::outcome::{Exchange, Outcome};
use super::packets::{Packets, Publisher};
use super::receiver::{self, Progress, Received, Watch};
use super::sender::{self, Pace};
use crate::clock;
use crate::measure::usage::Meter;
use crate::processor::{Processors, Role};
use anyhow::{Result, bail};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// Between sealing and the first packet: the threads find their places.
const SETTLE: u64 = 20_000_000;
/// What is waited for a packet that comes late, how often, and how many of such packets are opened.
const SETTLING: Duration = Duration::from_millis(60);
const SETTLING_TURNS: u32 = 250;
const SETTLING_OPEN_EVERY: usize = 16;
/// Until the server has counted what its kernel programs forwarded.
const COUNTING: Duration = Duration::from_millis(30);
/// How often is looked whether all is there.
const WAITING: Duration = Duration::from_millis(2);

/// How long it is sent, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) measured: f64,
    /// Before that, at the same pace: a server may get used to it.
    pub(crate) warm_up: f64,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Of all publishers together.
    pub(crate) packets_per_second: f64,
    pub(crate) time: Time,
    pub(crate) payload: usize,
    /// One packet in so many of each leg is opened afterwards.
    pub(crate) open_every: usize,
    /// How long after the last was sent packets are waited for.
    pub(crate) patience: Duration,
    pub(crate) watch: Watch,
}

/// The co-hosts of one server.
pub(crate) struct Load {
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) legs: Vec<Leg>,
    pub(crate) processors: Processors,
    pub(crate) meter: Meter,
    /// Where the server counts who forwarded.
    pub(crate) tally: Option<Tally>,
}

/// Asks the server who forwarded so far.
pub(crate) type Tally = Box<dyn Fn() -> Result<Forwarded>>;

/// Leg-packets, as the server itself counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarded {
    pub(crate) by_kernel: f64,
    pub(crate) by_process: f64,
}

impl Forwarded {
    fn in_kernel_since(self, earlier: Self) -> Option<f64> {
        let by_kernel = self.by_kernel - earlier.by_kernel;
        let all = by_kernel + self.by_process - earlier.by_process;
        (all > 0.0).then_some(by_kernel / all)
    }
}

impl Load {
    /// Sends until every leg has opened a packet.
    pub(crate) fn until_up(&mut self, payload: usize, patience: Duration) -> Result<()> {
        let plan = Plan {
            packets_per_second: 100.0 * self.publishers.len() as f64,
            time: Time {
                measured: 0.2,
                warm_up: 0.0,
            },
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
        let before = self.tally.as_ref().map(|tally| tally()).transpose()?;
        let exchange = self.exchange(plan)?;
        let mut outcome = Outcome::of(&exchange, &self.legs)?;
        if let (Some(tally), Some(before)) = (&self.tally, before) {
            thread::sleep(COUNTING);
            outcome.in_kernel = tally()?.in_kernel_since(before);
        }
        Ok(outcome)
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
        let each = plan.packets_each(plan.time.measured + plan.time.warm_up, self.publishers.len());
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
        let warm_up = plan.packets_each(plan.time.warm_up, sockets.len()) * sockets.len();
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

//! Flags.

use crate::load::packets::{MAX_PAYLOAD, MIN_PAYLOAD};
use crate::load::trial::Time;
use crate::measure::rate::Effort;
use crate::processor::Processors;
use crate::scenario::Scenario;
use crate::system::System;
use crate::wire::Steering;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(
    name = "lianmai-bench",
    about = "Latency, throughput and cost of the fan-out and of the mixer, beside others"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Measure the fan-out of one publisher to many receivers
    Fanout(Box<Options>),
    /// Measure what a mix costs, beside ffmpeg and GStreamer
    Mixer(crate::mixer::Options),
    /// Keep one processor busy until it is ended
    #[command(hide = true)]
    Busy,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Less of everything, for a look: 3 legs of 1150 bytes, in about a minute
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to measure, in this order
    #[arg(long = "system", value_enum, value_delimiter = ',', default_values_t = System::ALL)]
    pub(crate) systems: Vec<System>,
    /// Receivers of the one publisher; 0 for none of these measurements
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3, 7, 15])]
    pub(crate) legs: Vec<usize>,
    /// Bytes of an RTP payload; the first is measured with every number of legs, the others with 3
    #[arg(long, value_delimiter = ',', default_values_t = [1150, 120], value_parser = payload)]
    pub(crate) payload: Vec<usize>,
    /// Rooms of four who all publish; 0 for none
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
    pub(crate) rooms: Vec<usize>,
    /// Measure every payload with every number of legs, under load as well, and in rooms; takes long
    #[arg(long)]
    pub(crate) full: bool,
    /// How often everything is measured, the systems in turn
    #[arg(long, default_value_t = 2)]
    pub(crate) repeats: usize,
    /// Packets a second of the publisher while latency is measured
    #[arg(long, default_value_t = 1000.0, value_parser = positive)]
    pub(crate) pace: f64,
    /// Seconds of one latency measurement
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    pub(crate) seconds: f64,
    /// Seconds at the same pace before each measurement and each trial: a server may get used to it
    #[arg(long, default_value_t = 0.4, value_parser = positive)]
    pub(crate) warm_up: f64,
    /// Leg-packets a second while the processor time of one is measured
    #[arg(long, default_value_t = 20_000.0, value_parser = positive)]
    pub(crate) cost_rate: f64,
    /// Processes that compute beside the server, for latency under load, with 3 legs
    #[arg(long, default_value_t = 4)]
    pub(crate) busy: usize,
    /// How often each kernel program is run on a batch of packets by itself; 0 for not at all
    #[arg(long, default_value_t = 200)]
    pub(crate) batches: usize,
    /// Leg-packets that a measurement of latency rests on at least, however long that takes
    #[arg(long, default_value_t = 20_000)]
    pub(crate) least_packets: usize,
    /// The server's processor
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// The co-hosts' processor
    #[arg(long, default_value_t = 1)]
    pub(crate) hosts_cpu: usize,
    /// Which processor a packet is received on
    #[arg(long, value_enum, default_value_t = Steering::Arrivals)]
    pub(crate) wire: Steering,
    /// Where the results go
    #[arg(long, default_value = "target/bench/fanout")]
    pub(crate) out: PathBuf,
}

impl Options {
    /// With the effects of `--quick`.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.legs = vec![3];
            self.payload = vec![1150];
            self.rooms = Vec::new();
            self.seconds = self.seconds.min(0.6);
            self.warm_up = self.warm_up.min(0.25);
            self.batches = self.batches.min(20);
            self.least_packets = 0;
        }
        self.legs.retain(|legs| *legs > 0);
        self.rooms.retain(|rooms| *rooms > 0);
        self
    }

    pub(crate) fn processors(&self) -> Processors {
        Processors {
            server: self.server_cpu,
            hosts: self.hosts_cpu,
        }
    }

    /// Of one measurement of cost.
    pub(crate) fn time(&self) -> Time {
        Time {
            measured: self.seconds,
            warm_up: self.warm_up,
        }
    }

    /// Of one measurement of latency: until there are enough leg-packets for the rarest percentile.
    pub(crate) fn latency_time(&self, scenario: Scenario) -> Time {
        let each_second = self.pace * scenario.legs as f64;
        Time {
            measured: self.seconds.max(self.least_packets as f64 / each_second),
            warm_up: self.warm_up,
        }
    }

    /// How thoroughly the highest rate is searched for.
    pub(crate) fn effort(&self) -> Effort {
        let (measured, resolution) = if self.quick { (0.2, 1.1) } else { (0.3, 1.05) };
        Effort {
            time: Time {
                measured,
                warm_up: self.warm_up,
            },
            resolution,
        }
    }
}

/// A payload that holds our mark and, with header and tag, fits a packet of 1500 bytes.
fn payload(text: &str) -> Result<usize, String> {
    let len = text.parse::<usize>().map_err(|error| error.to_string())?;
    let possible = MIN_PAYLOAD..=MAX_PAYLOAD;
    if possible.contains(&len) {
        Ok(len)
    } else {
        Err(format!("from {MIN_PAYLOAD} to {MAX_PAYLOAD} bytes are possible"))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("it has to be above 0".to_owned())
    }
}

//! What one mix costs, beside ffmpeg and GStreamer: `cargo xtask bench mixer`, described in docs/benchmarks.md.
//!
//! All of them get the same coded pictures and sounds of the hosts, put them into the same rectangles of one canvas and
//! encode at the same rate. Ours does it in real time, as it always does; the others as fast as they can.

mod lianmai;
mod material;
mod others;
mod quality;
mod report;
mod usage;

use crate::processor::Processors;
use anyhow::{Context, Result};
use clap::Args;
use lianmai_compositor::layout::grid;
use lianmai_compositor::{Rect, Size};
use material::Material;
use std::path::{Path, PathBuf};

/// Of the canvas and of what the hosts send.
pub(crate) const SIZE: Size = Size::new(1280, 720);
/// Pictures a second.
pub(crate) const FPS: u32 = 30;
/// Hosts of the comparison; the other numbers are shown for ours alone.
const COMPARED: usize = 4;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Numbers of hosts, at most 9; with 4 all mixers are compared
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 9], value_parser = hosts)]
    hosts: Vec<usize>,
    /// Seconds of output of each mix
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// H.264 bits per second
    #[arg(long, default_value_t = 2_500_000)]
    bitrate: u32,
    /// How often all of it is measured, the mixers in turn
    #[arg(long, default_value_t = 2)]
    repeats: usize,
    /// Where the results go
    #[arg(long, default_value = "target/bench/mixer")]
    out: PathBuf,
}

/// Who mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum System {
    Lianmai,
    Ffmpeg,
    Gstreamer,
}

impl System {
    const ALL: [Self; 3] = [Self::Lianmai, Self::Ffmpeg, Self::Gstreamer];

    const fn name(self) -> &'static str {
        match self {
            Self::Lianmai => "lianmai",
            Self::Ffmpeg => "ffmpeg",
            Self::Gstreamer => "gstreamer",
        }
    }
}

/// What one mixer is asked for.
#[derive(Clone, Debug)]
struct Task {
    cells: Vec<Rect>,
    seconds: u32,
    bitrate: u32,
}

/// What it did.
#[derive(Clone, Debug, serde::Serialize)]
struct Measured {
    system: System,
    hosts: usize,
    turn: usize,
    /// Processor time for a second of output, in seconds.
    cpu: f64,
    /// The most memory that it had, in MiB.
    memory: f64,
    /// Video bits per second of what it made.
    bitrate: f64,
    /// Pictures that it made, of those that were asked for.
    pictures: (usize, usize),
    quality: Option<quality::Quality>,
    /// Milliseconds from the last packet of a picture to the tag that shows it, sorted.
    latency: Vec<f64>,
    /// How fast the processor was, in nanoseconds of a turn of the calibration loop.
    calibration: f64,
}

/// One mix on disk.
struct Output {
    file: PathBuf,
    cpu: f64,
    memory: f64,
    /// When each picture's tag came, and since when its hosts sent; for live mixes alone.
    times: Option<lianmai::Times>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.out).with_context(|| options.out.display().to_string())?;
    let processors = Processors { server: 0, hosts: 1 };
    let most = options.hosts.iter().copied().max().unwrap_or(0);
    eprintln!(
        "bench: {} s of {most} hosts, coded once",
        options.seconds + lianmai::LEAD
    );
    let work = tempfile::tempdir_in(&options.out)?;
    let material = Material::make(work.path(), most, options.seconds + lianmai::LEAD)?;
    let (mut results, mut missing) = (Vec::new(), Vec::new());
    for hosts in &options.hosts {
        let task = Task {
            cells: grid(*hosts, SIZE),
            seconds: options.seconds,
            bitrate: options.bitrate,
        };
        for turn in 0..options.repeats {
            for system in System::ALL {
                if system != System::Lianmai && *hosts != COMPARED {
                    continue;
                }
                eprintln!("bench: {hosts} hosts, {}, turn {}", system.name(), turn + 1);
                let calibration = processors.calibrate()?;
                match measure(system, &task, &material, work.path()) {
                    Ok(measured) => results.push(Measured {
                        turn,
                        calibration,
                        ..measured
                    }),
                    Err(error) => missing.push(format!("{hosts} hosts, {}: {error:#}", system.name())),
                }
            }
        }
    }
    report::write(&options.out, options, &results, &missing)
}

fn measure(system: System, task: &Task, material: &Material, work: &Path) -> Result<Measured> {
    let output = match system {
        System::Lianmai => lianmai::mix(task, material, work)?,
        System::Ffmpeg => others::ffmpeg(task, material, work)?,
        System::Gstreamer => others::gstreamer(task, material, work)?,
    };
    let hosts = task.cells.len();
    let seen = if hosts == COMPARED {
        Some(quality::look(&output.file, task, material, work)?)
    } else {
        None
    };
    let latency = match (&seen, &output.times) {
        (Some(seen), Some(times)) => times.latency(&seen.shown),
        _ => Vec::new(),
    };
    let stream = quality::Stream::of(&output.file)?;
    Ok(Measured {
        system,
        hosts,
        turn: 0,
        cpu: output.cpu,
        memory: output.memory,
        bitrate: stream.bits as f64 / stream.seconds,
        pictures: (
            stream.pictures,
            (stream.seconds * f64::from(FPS)).round() as usize,
        ),
        quality: seen.map(|seen| seen.quality),
        latency,
        calibration: 0.0,
    })
}

fn hosts(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(hosts @ 1..=9) => Ok(hosts),
        _ => Err("1 to 9 hosts are shown".to_owned()),
    }
}

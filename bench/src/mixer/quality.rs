//! How close a mix is to the exact one: each host's rectangle against that host's picture, scaled without a codec in between.
//!
//! A live mixer shows at each tick the picture that is due, a file mixer every picture in turn. So it is found first which picture of
//! each host a rectangle shows; what is measured then is how exactly.

use super::material::{Material, ffmpeg};
use super::{SIZE, Task};
use anyhow::{Context, Result, ensure};
use lianmai_compositor::Rect;
use lianmai_tests::process::output;
use serde_json::Value;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;

/// Of one picture of the canvas, planar 4:2:0.
const PICTURE: usize = SIZE.width * SIZE.height * 3 / 2;
/// Pictures that a host may be ahead from one picture of the mix to the next.
const AHEAD: usize = 4;
/// Samples between those that are compared to find a picture.
const SPARSE: usize = 8;

/// Over all hosts' rectangles.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Quality {
    /// Of luma, in dB, over the mean squared error of all pictures.
    pub(super) psnr: f64,
    /// Mean structural similarity as ffmpeg's filter computes it, over luma and chroma.
    pub(super) ssim: f64,
}

/// What was seen of a mix.
pub(super) struct Seen {
    pub(super) quality: Quality,
    /// For each of its pictures the number of the first host's picture in it.
    pub(super) shown: Vec<usize>,
}

/// What a file says of its pictures.
pub(super) struct Stream {
    pub(super) pictures: usize,
    pub(super) seconds: f64,
    pub(super) bits: u64,
}

impl Stream {
    /// Reads a file.
    pub(super) fn of(file: &Path) -> Result<Self> {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args([
            "-v",
            "error",
            "-of",
            "json",
            "-select_streams",
            "v",
            "-show_entries",
            "packet=pts_time,size",
        ]);
        let packets: Value = serde_json::from_slice(&output(ffprobe.arg(file))?)?;
        let packets = packets["packets"].as_array().context("no packets")?;
        let text = |packet: &Value, key: &str| packet[key].as_str().and_then(|text| text.parse::<f64>().ok());
        let times = || packets.iter().filter_map(|packet| text(packet, "pts_time"));
        let (first, last) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
        ensure!(
            packets.len() > 1 && last > first,
            "{} has no pictures",
            file.display()
        );
        let bytes: f64 = packets.iter().filter_map(|packet| text(packet, "size")).sum();
        let interval = (last - first) / (packets.len() - 1) as f64;
        Ok(Self {
            pictures: packets.len(),
            seconds: last - first + interval,
            bits: (bytes * 8.0) as u64,
        })
    }
}

/// Looks at a mix, and leaves nothing behind.
pub(super) fn look(file: &Path, task: &Task, material: &Material, work: &Path) -> Result<Seen> {
    let mix = work.join("mix.yuv");
    raw(file, "null", &mix)?;
    let exact = work.join("exact.yuv");
    let mut hosts = Vec::new();
    for (host, cell) in material.hosts.iter().zip(&task.cells) {
        hosts.push(Exact::make(&host.file, *cell, work)?);
    }
    let seen = compare(&mix, &mut hosts, &exact)?;
    let ssim = ssim(&mix, &exact)?;
    for left in [&mix, &exact] {
        std::fs::remove_file(left)?;
    }
    let Compared {
        squares,
        samples,
        shown,
    } = seen;
    let psnr = 10.0 * (255.0_f64.powi(2) * samples as f64 / squares as f64).log10();
    Ok(Seen {
        quality: Quality { psnr, ssim },
        shown,
    })
}

/// Decodes a file into planar pictures.
fn raw(file: &Path, filter: &str, to: &Path) -> Result<()> {
    let mut ffmpeg = ffmpeg();
    ffmpeg
        .arg("-i")
        .arg(file)
        .args(["-an", "-vf", filter, "-fps_mode", "passthrough"]);
    ffmpeg.args(["-pix_fmt", "yuv420p", "-f", "rawvideo"]);
    output(ffmpeg.arg(to)).map(drop)
}

/// A host's pictures at the size of its rectangle.
struct Exact {
    cell: Rect,
    pictures: Vec<u8>,
    /// The picture that was shown last.
    at: Option<usize>,
}

impl Exact {
    fn make(file: &Path, cell: Rect, work: &Path) -> Result<Self> {
        let scaled = work.join("scaled.yuv");
        let filter = format!(
            "scale={}:{}:flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp",
            cell.width, cell.height
        );
        raw(file, &filter, &scaled)?;
        let pictures = std::fs::read(&scaled)?;
        std::fs::remove_file(&scaled)?;
        Ok(Self {
            cell,
            pictures,
            at: None,
        })
    }

    fn len(&self) -> usize {
        self.cell.width * self.cell.height * 3 / 2
    }

    fn picture(&self, number: usize) -> &[u8] {
        &self.pictures[number * self.len()..(number + 1) * self.len()]
    }

    /// The number of the picture that its rectangle of a mix shows.
    fn find(&mut self, mix: &[u8]) -> Result<usize> {
        let count = self.pictures.len() / self.len();
        let candidates = match self.at {
            None => 0..count,
            Some(at) => at.saturating_sub(1)..count.min(at + AHEAD + 1),
        };
        let best = candidates.min_by_key(|number| self.squares(mix, *number, SPARSE));
        self.at = best;
        best.context("no pictures")
    }

    /// Squared differences of luma, of every `step`th sample in both directions.
    fn squares(&self, mix: &[u8], number: usize, step: usize) -> u64 {
        let (picture, Rect { x, y, width, height }) = (self.picture(number), self.cell);
        let row = |row: usize| {
            let ours = picture[row * width..(row + 1) * width].iter().step_by(step);
            let start = (y + row) * SIZE.width + x;
            ours.zip(mix[start..start + width].iter().step_by(step))
                .map(|(one, other)| u64::from(one.abs_diff(*other)).pow(2))
                .sum::<u64>()
        };
        (0..height).step_by(step).map(row).sum()
    }

    /// Puts a picture into its rectangle.
    fn put(&self, number: usize, canvas: &mut [u8]) {
        let (picture, Rect { x, y, width, height }) = (self.picture(number), self.cell);
        let mut planes = vec![(0, 0, SIZE.width, x, y, width, height)];
        let (luma, all_luma) = (width * height, SIZE.width * SIZE.height);
        for plane in 0..2 {
            let (from, to) = (luma + plane * luma / 4, all_luma + plane * all_luma / 4);
            planes.push((from, to, SIZE.width / 2, x / 2, y / 2, width / 2, height / 2));
        }
        for (from, to, stride, x, y, width, height) in planes {
            for row in 0..height {
                let (source, target) = (from + row * width, to + (y + row) * stride + x);
                canvas[target..target + width].copy_from_slice(&picture[source..source + width]);
            }
        }
    }
}

struct Compared {
    squares: u64,
    samples: u64,
    shown: Vec<usize>,
}

/// Goes through a mix picture by picture, and writes what each should have been. What is between the rectangles is left as it is.
fn compare(mix: &Path, hosts: &mut [Exact], exact: &Path) -> Result<Compared> {
    let mut compared = Compared {
        squares: 0,
        samples: 0,
        shown: Vec::new(),
    };
    let (mut mix, mut exact) = (
        BufReader::new(File::open(mix)?),
        BufWriter::new(File::create(exact)?),
    );
    let mut canvas = vec![0; PICTURE];
    while mix.read_exact(&mut canvas).is_ok() {
        let mut should = canvas.clone();
        for (number, host) in hosts.iter_mut().enumerate() {
            let shown = host.find(&canvas)?;
            compared.squares += host.squares(&canvas, shown, 1);
            compared.samples += (host.cell.width * host.cell.height) as u64;
            host.put(shown, &mut should);
            if number == 0 {
                compared.shown.push(shown);
            }
        }
        exact.write_all(&should)?;
    }
    exact.flush()?;
    ensure!(!compared.shown.is_empty(), "no pictures");
    Ok(compared)
}

fn ssim(mix: &Path, exact: &Path) -> Result<f64> {
    let size = format!("{}x{}", SIZE.width, SIZE.height);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-hide_banner"]);
    for file in [mix, exact] {
        ffmpeg
            .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-i"])
            .arg(file);
    }
    let output = ffmpeg.args(["-lavfi", "ssim", "-f", "null", "-"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let all = said
        .rsplit_once("All:")
        .with_context(|| format!("ffmpeg said no SSIM: {said}"))?
        .1;
    Ok(all.split_whitespace().next().unwrap_or_default().parse()?)
}

#[cfg(test)]
mod tests {
    use super::{Exact, PICTURE};
    use crate::mixer::SIZE;
    use lianmai_compositor::Rect;

    const CELL: Rect = Rect {
        x: 640,
        y: 180,
        width: 320,
        height: 180,
    };

    /// A host whose pictures are flat, each brighter than the one before.
    fn host() -> Exact {
        let len = CELL.width * CELL.height * 3 / 2;
        let pictures = (0..40_u8).flat_map(|number| vec![40 + 4 * number; len]).collect();
        Exact {
            cell: CELL,
            pictures,
            at: None,
        }
    }

    #[test]
    fn the_picture_that_a_mix_shows_is_found_where_it_was_put() {
        let mut host = host();
        let mut canvas = vec![16; PICTURE];
        for number in [7, 8, 8, 11] {
            host.put(number, &mut canvas);
            assert_eq!(host.find(&canvas).ok(), Some(number));
            assert_eq!(host.squares(&canvas, number, 1), 0);
        }
        assert_eq!(canvas[0], 16, "outside of the rectangle nothing changes");
        assert_eq!(canvas[180 * SIZE.width + 640], 40 + 44);
    }

    #[test]
    fn a_difference_is_counted_once_for_every_sample() {
        let mut canvas = vec![0; PICTURE];
        let host = host();
        host.put(3, &mut canvas);
        assert_eq!(
            host.squares(&canvas, 4, 1),
            16 * (CELL.width * CELL.height) as u64
        );
    }
}

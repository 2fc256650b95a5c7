//! A recorded file as ffprobe sees it.

use crate::common::media::RATE;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One recording.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// The zero of its times: the second in its name, of that day.
    pub(super) zero: f64,
    pub(super) codecs: Vec<String>,
    /// When each picture is shown, in seconds.
    pub(super) pictures: Vec<f64>,
    /// When each frame of sound is heard.
    pub(super) sounds: Vec<f64>,
}

/// All recordings of a directory, by name.
pub(super) fn films(directory: &Path) -> Vec<Film> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("read")
        .map(|entry| entry.expect("read").path())
        .collect();
    paths.sort();
    paths.into_iter().map(Film::read).collect()
}

impl Film {
    /// When a decoded sample is heard: the frame that it is from says so.
    pub(super) fn heard(&self, sample: usize) -> f64 {
        let frame = if self.codecs[1] == "opus" { 960 } else { 1024 };
        let at = (sample / frame).min(self.sounds.len() - 1);
        self.sounds[at] + (sample - at * frame) as f64 / RATE as f64
    }

    fn read(path: PathBuf) -> Self {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let stamp = name.split('T').nth(1).expect("a time in its name");
        let part = |at: usize| stamp[at..at + 2].parse::<f64>().expect("digits");
        Self {
            zero: part(0) * 3600.0 + part(2) * 60.0 + part(4),
            codecs: probe(&path, &["-show_entries", "stream=codec_name"]),
            pictures: times(&path, "v"),
            sounds: times(&path, "a"),
            name,
            path,
        }
    }
}

fn times(path: &Path, track: &str) -> Vec<f64> {
    let lines = probe(
        path,
        &["-select_streams", track, "-show_entries", "packet=pts_time"],
    );
    lines.iter().map(|time| time.parse().expect("a time")).collect()
}

fn probe(path: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{path:?}: {complaints}"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect()
}

//! The same mix by ffmpeg and by GStreamer, with x264 as most streamers set it.

use super::material::{Material, ffmpeg as quiet_ffmpeg};
use super::{FPS, Output, SIZE, Task, usage};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// Four decoders, scale, xstack, amix, x264 superfast, AAC.
pub(super) fn ffmpeg(task: &Task, material: &Material, work: &Path) -> Result<Output> {
    let file = work.join("ffmpeg.flv");
    let mut command = quiet_ffmpeg();
    for host in material.hosts.iter().take(task.cells.len()) {
        command.arg("-i").arg(&host.file);
    }
    let rate = task.bitrate.to_string();
    command.args(["-filter_complex", &graph(task), "-map", "[v]", "-map", "[a]"]);
    command.args([
        "-t",
        &task.seconds.to_string(),
        "-r",
        &FPS.to_string(),
        "-pix_fmt",
        "yuv420p",
    ]);
    command.args([
        "-c:v",
        "libx264",
        "-preset",
        "superfast",
        "-b:v",
        &rate,
        "-maxrate",
        &rate,
        "-bufsize",
        &rate,
    ]);
    command.args(["-g", &(2 * FPS).to_string(), "-c:a", "aac", "-b:a", "128k"]);
    let (cpu, memory) = usage::run(command.arg(&file))?;
    let cpu = cpu / f64::from(task.seconds);
    Ok(Output {
        file,
        cpu,
        memory,
        times: None,
    })
}

fn graph(task: &Task) -> String {
    let count = task.cells.len();
    let mut graph = String::new();
    for (host, cell) in task.cells.iter().enumerate() {
        graph += &format!(
            "[{host}:v]scale={}:{}:flags=bicubic[v{host}];",
            cell.width, cell.height
        );
    }
    let inputs = |kind: &str| {
        (0..count)
            .map(|host| format!("[{kind}{host}]"))
            .collect::<String>()
    };
    let places: Vec<String> = task
        .cells
        .iter()
        .map(|cell| format!("{}_{}", cell.x, cell.y))
        .collect();
    let (width, height) = (SIZE.width, SIZE.height);
    graph += &format!(
        "{}xstack=inputs={count}:layout={}:fill=black,pad={width}:{height}[v];",
        inputs("v"),
        places.join("|")
    );
    let sounds: String = (0..count).map(|host| format!("[{host}:a]")).collect();
    graph + &format!("{sounds}amix=inputs={count}:normalize=0[a]")
}

/// Its compositor and audiomixer, the same x264, AAC.
pub(super) fn gstreamer(task: &Task, material: &Material, work: &Path) -> Result<Output> {
    let file = work.join("gstreamer.flv");
    let (width, height) = (SIZE.width, SIZE.height);
    let mut pipeline = String::from("compositor name=c background=black");
    for (pad, cell) in task.cells.iter().enumerate() {
        pipeline += &format!(
            " sink_{pad}::xpos={} sink_{pad}::ypos={} sink_{pad}::width={} sink_{pad}::height={}",
            cell.x, cell.y, cell.width, cell.height
        );
    }
    pipeline += &format!(
        " ! video/x-raw,format=I420,width={width},height={height},framerate={FPS}/1 ! identity eos-after={} \
         ! x264enc speed-preset=superfast bitrate={} vbv-buf-capacity=1000 key-int-max={} ! h264parse ! queue ! flvmux name=m ! filesink location={} \
         audiomixer name=a ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! avenc_aac bitrate=128000 ! aacparse ! queue ! m.",
        task.seconds * FPS + 1,
        task.bitrate / 1000,
        2 * FPS,
        file.display(),
    );
    for (number, host) in material.hosts.iter().take(task.cells.len()).enumerate() {
        pipeline += &format!(
            " filesrc location={} ! matroskademux name=d{number} \
             d{number}. ! queue ! h264parse ! avdec_h264 ! queue ! c.sink_{number} \
             d{number}. ! queue ! opusdec ! audioconvert ! audioresample ! queue ! a.",
            host.file.display()
        );
    }
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    let (cpu, memory) = usage::run(&mut command)?;
    let cpu = cpu / f64::from(task.seconds);
    Ok(Output {
        file,
        cpu,
        memory,
        times: None,
    })
}

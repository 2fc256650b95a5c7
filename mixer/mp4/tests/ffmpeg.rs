//! What ffmpeg reads of our files, against what went into them.

use lianmai_mp4::{Item, Muxer, Tags};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::FlvReader;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Two seconds of pictures and sound by ffmpeg, as FLV.
fn flv(codec: &[&str]) -> Vec<Tag> {
    let sources = "testsrc=size=320x180:rate=30[out0];sine=frequency=440:sample_rate=48000[out1]";
    let input = ["-f", "lavfi", "-i", sources, "-t", "2"];
    let output = ["-c:a", "aac", "-ac", "2", "-f", "flv", "-"];
    let mut reader = FlvReader::new();
    reader.push(&run("ffmpeg", &[&input, codec, &output].concat()));
    std::iter::from_fn(|| reader.next_tag().expect("FLV")).collect()
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(["-v", "error"])
        .args(arguments)
        .output()
        .expect("it is installed");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{program} {arguments:?}: {complaints}"
    );
    output.stdout
}

/// A file of fragments of half a second, and where each ends.
fn mux(tags: &[Tag]) -> (Vec<u8>, Vec<usize>) {
    let (mut reader, mut items) = (Tags::default(), Vec::new());
    for tag in tags {
        items.extend(reader.read(tag).expect("H.264 and AAC"));
    }
    let (video, audio) = reader.tracks();
    let mut muxer = Muxer::new(video, audio, 1_700_000_000);
    let (mut file, mut ends) = (muxer.head().expect("a head").to_vec(), Vec::new());
    for item in items {
        match item {
            Item::Tracks => {}
            Item::Picture(picture) => muxer.picture(picture),
            Item::Sound(sound) => muxer.sound(sound),
        }
        if muxer.length() >= Duration::from_millis(500) {
            file.extend(muxer.fragment().expect("it fits").expect("half a second"));
            ends.push(file.len());
        }
    }
    file.extend(muxer.finish().expect("it fits").expect("the last samples"));
    (file, ends)
}

fn write(directory: &Path, bytes: &[u8]) -> String {
    let path = directory.join("file.mp4");
    std::fs::write(&path, bytes).expect("written");
    path.display().to_string()
}

/// Times at which the packets of a track are shown, in seconds, in their order.
fn times(file: &str, track: &str) -> Vec<f64> {
    let asked = [
        "-select_streams",
        track,
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
        file,
    ];
    let out = run("ffprobe", &asked);
    String::from_utf8_lossy(&out)
        .lines()
        .map(|line| line.trim_end_matches(',').parse().expect("a time"))
        .collect()
}

fn shown(tags: &[Tag], track: &str) -> Vec<f64> {
    let directory = tempfile::tempdir().expect("a directory");
    let mut bytes = lianmai_rtmp::flv::file_header(true, true).to_vec();
    tags.iter().for_each(|tag| bytes.extend_from_slice(&tag.to_flv()));
    let path = directory.path().join("file.flv");
    std::fs::write(&path, bytes).expect("written");
    times(&path.display().to_string(), track)
}

#[test]
fn every_picture_and_sound_is_there_at_its_time_with_and_without_reordering() {
    for codec in [
        &["-c:v", "libx264", "-bf", "0", "-g", "15"][..],
        &["-c:v", "libx264", "-bf", "2", "-g", "30"],
    ] {
        let tags = flv(codec);
        let directory = tempfile::tempdir().expect("a directory");
        let file = write(directory.path(), &mux(&tags).0);
        run("ffmpeg", &["-i", &file, "-f", "null", "-"]);
        for track in ["v", "a"] {
            let (ours, theirs) = (times(&file, track), shown(&tags, track));
            assert_eq!(ours.len(), theirs.len(), "{codec:?} {track}");
            let shift = ours[0] - theirs[0];
            // FLV has milliseconds; sound is put end to end.
            let worst = ours
                .iter()
                .zip(&theirs)
                .map(|(ours, theirs)| (ours - theirs - shift).abs());
            let worst = worst.fold(0.0, f64::max);
            assert!(worst <= 0.0021, "{codec:?} {track} is off by {worst} s");
        }
    }
}

#[test]
fn a_file_that_was_cut_off_anywhere_plays_up_to_its_last_whole_fragment() {
    let (file, ends) = mux(&flv(&["-c:v", "libx264", "-bf", "0", "-g", "15"]));
    assert!(ends.len() >= 3, "{ends:?}");
    let directory = tempfile::tempdir().expect("a directory");
    let whole = times(&write(directory.path(), &file), "v").len();
    for (index, end) in ends.iter().enumerate() {
        let cut = write(directory.path(), &file[..*end]);
        run("ffmpeg", &["-i", &cut, "-f", "null", "-"]);
        let pictures = times(&cut, "v").len();
        assert!(
            pictures >= 14 * (index + 1) && pictures < whole,
            "{pictures} of {whole}"
        );
    }
    // Within a fragment: ffprobe says that it is cut, and what came before is there all the same.
    let torn = write(directory.path(), &file[..ends[1] + (ends[2] - ends[1]) / 2]);
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "quiet",
            "-select_streams",
            "v",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets",
        ])
        .args(["-of", "csv=p=0", &torn])
        .output()
        .expect("it is installed");
    let pictures: usize = String::from_utf8_lossy(&output.stdout)
        .trim()
        .trim_end_matches(',')
        .parse()
        .expect("a number");
    assert!(pictures >= 28, "{pictures}");
}

#[test]
fn the_head_says_when_the_zero_of_the_file_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(directory.path(), &mux(&flv(&["-c:v", "libx264", "-bf", "0"])).0);
    let out = run(
        "ffprobe",
        &[
            "-show_entries",
            "format_tags=creation_time",
            "-of",
            "csv=p=0",
            &file,
        ],
    );
    assert_eq!(
        String::from_utf8_lossy(&out).trim(),
        "2023-11-14T22:13:20.000000Z"
    );
}

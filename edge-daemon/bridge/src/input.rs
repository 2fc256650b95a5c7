//! Standard input: one line with the answer, then FLV without end.

use anyhow::{Context, Result};
use lianmai_bridge_control::{MAX_LINE, ToBridge, decode};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::FlvReader;
use std::io::{BufRead, BufReader, Read};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Tags that wait: what comes while there is no connection yet. With more, the daemon waits, and drops what is old.
pub(crate) const QUEUE: usize = 512;

/// A tag, and when it came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) tag: Tag,
}

/// Reads on a thread of its own, which ends with the input, or with the process.
pub(crate) fn read() -> Result<(oneshot::Receiver<String>, mpsc::Receiver<Arrival>)> {
    let (answer, answered) = oneshot::channel();
    let (arrivals, queue) = mpsc::channel(QUEUE);
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let input = BufReader::with_capacity(64 * 1024, std::io::stdin());
            if let Err(error) = pump(input, answer, &arrivals) {
                tracing::error!(error = format!("{error:#}"), "standard input");
            }
        })
        .context("no thread for standard input")?;
    Ok((answered, queue))
}

fn pump(
    mut input: impl BufRead,
    answer: oneshot::Sender<String>,
    arrivals: &mpsc::Sender<Arrival>,
) -> Result<()> {
    let mut line = String::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX) + 1;
    (&mut input).take(limit).read_line(&mut line)?;
    if line.is_empty() {
        return Ok(());
    }
    let ToBridge::Answer { sdp } = decode(&line)?;
    // The other side is gone when the process ends.
    let _ = answer.send(sdp);
    let mut flv = FlvReader::new();
    loop {
        let piece = input.fill_buf()?;
        let (at, length) = (Instant::now(), piece.len());
        if length == 0 {
            return Ok(());
        }
        flv.push(piece);
        input.consume(length);
        while let Some(tag) = flv.next_tag()? {
            if arrivals.blocking_send(Arrival { at, tag }).is_err() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{QUEUE, pump};
    use lianmai_bridge_control::{ToBridge, encode};
    use lianmai_rtmp::{Tag, flv};
    use tokio::sync::{mpsc, oneshot};

    fn run(input: &[u8]) -> (anyhow::Result<()>, Option<String>, Vec<Tag>) {
        let (answer, mut answered) = oneshot::channel();
        let (arrivals, mut queue) = mpsc::channel(QUEUE);
        let result = pump(input, answer, &arrivals);
        drop(arrivals);
        let tags = std::iter::from_fn(|| queue.try_recv().ok()).map(|arrival| arrival.tag);
        let tags = tags.collect();
        (result, answered.try_recv().ok(), tags)
    }

    fn answer() -> Vec<u8> {
        let sdp = "v=0\r\n".to_owned();
        encode(&ToBridge::Answer { sdp }).expect("short").into_bytes()
    }

    #[test]
    fn the_answer_comes_first_and_the_stream_behind_it() {
        let tags = [Tag::avc_frame(0, true, b"x"), Tag::aac_frame(3, b"y")];
        let mut input = answer();
        input.extend(flv::file_header(true, true));
        tags.iter().for_each(|tag| input.extend(tag.to_flv()));
        let (result, answer, found) = run(&input);
        assert!(result.is_ok() && answer.as_deref() == Some("v=0\r\n"));
        assert_eq!(found, tags);
    }

    #[test]
    fn what_is_no_answer_and_what_is_no_stream_is_an_error() {
        assert!(run(b"{\"type\":\"else\"}\n").0.is_err());
        assert!(run(&[b'x'; 100_000]).0.is_err(), "a line without end");
        let (result, found, _) = run(&[answer(), b"no FLV at all".to_vec()].concat());
        assert!(result.is_err() && found.is_some());
    }

    #[test]
    fn an_input_that_ends_at_once_is_an_end() {
        let (result, answer, _) = run(b"");
        assert!(result.is_ok() && answer.is_none());
    }
}

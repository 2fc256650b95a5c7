//! `lianmai-edge`, by WHIP and WHEP.

use super::{Server, Stream};
use crate::host::Local;
use crate::host::dtls::Identity;
use crate::host::sdp::{Remote, publish_offer, receive_offer};
use crate::load::trial::{Forwarded, Tally};
use crate::processor::Processors;
use crate::wire::{SERVER, SERVER_DEVICE};
use anyhow::{Context, Result, ensure};
use lianmai_tests::edge::{Edge as Running, programs};
use lianmai_tests::http::{get, send};
use nix::unistd::Pid;
use std::net::{Ipv4Addr, SocketAddr};
use ureq::http::Request;

/// In a namespace of its own the edge has its usual ports.
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const MEDIA_PORT: u16 = 8444;

/// A running edge. No mixers: nothing tells it where a mix would go.
pub(super) struct Edge {
    edge: Running,
    plane: &'static str,
}

/// Why the edge cannot run on this plane.
pub(super) fn obstacle(plane: &str) -> Option<String> {
    let program = programs().join("lianmai-edge");
    if !program.exists() {
        return Some(format!("{} is not built", program.display()));
    }
    let mut check = std::process::Command::new(program);
    check.args(["--check", "--plane", plane]);
    let output = check.output().ok()?;
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

impl Edge {
    /// The calling thread is in the server's namespace.
    pub(super) fn start(plane: &'static str, processors: Processors) -> Result<Self> {
        let media = SocketAddr::new(SERVER, MEDIA_PORT);
        let mut command = processors.server_command(&programs().join("lianmai-edge").to_string_lossy());
        command.args(["--plane", plane, "--interface", SERVER_DEVICE]);
        command.args(["--http", &HTTP.to_string(), "--tls", "off"]);
        command.args(["--media", &media.to_string(), "--open"]);
        command.args(["--origin", "off", "--log", "warn,dtls=error"]);
        let edge = Running::launch(&mut command, HTTP, media, ([127, 0, 0, 1], 0).into())?;
        Ok(Self { edge, plane })
    }

    fn exchange(&self, protocol: &str, stream: Stream, offer: String) -> Result<Remote> {
        let url = format!(
            "{}/{protocol}/room{}/host{}",
            self.edge.url, stream.room, stream.publisher
        );
        let request = Request::post(&url)
            .header("Content-Type", "application/sdp")
            .body(offer)?;
        let answer = send(request)?;
        ensure!(
            answer.status().as_u16() == 201,
            "POST {url}: {} {}",
            answer.status(),
            answer.body()
        );
        Remote::parse(answer.body())
    }
}

impl Server for Edge {
    fn pid(&self) -> Option<Pid> {
        Some(self.edge.process.pid())
    }

    fn publish(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote> {
        self.exchange("whip", stream, publish_offer(local, identity)?)
            .context("publishing")
    }

    fn receive(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote> {
        self.exchange("whep", stream, receive_offer(local, identity)?)
            .context("receiving")
    }

    fn tally(&self) -> Option<Tally> {
        let url = format!("{}/metrics", self.edge.url);
        (self.plane == "kernel").then(|| Box::new(move || forwarded(&get(&url)?)) as Tally)
    }

    fn log(&self) -> String {
        self.edge.log()
    }
}

/// From the edge's metrics.
fn forwarded(metrics: &str) -> Result<Forwarded> {
    let by = |who: &str| {
        let series = format!("lianmai_plane_packets_forwarded_total{{by=\"{who}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("the edge's metrics have no {series}"))
    };
    Ok(Forwarded {
        by_kernel: by("kernel")?,
        by_process: by("daemon")?,
    })
}

#[cfg(test)]
mod tests {
    use super::forwarded;

    #[test]
    fn who_forwarded_is_read_from_the_metrics() {
        let text = "# EOF\nlianmai_plane_packets_forwarded_total{by=\"kernel\"} 12\n\
            lianmai_plane_packets_forwarded_total{by=\"daemon\"} 3\n";
        let forwarded = forwarded(text).expect("both are there");
        assert!((forwarded.by_kernel - 12.0).abs() < 0.1 && (forwarded.by_process - 3.0).abs() < 0.1);
    }

    #[test]
    fn metrics_without_it_are_an_error_that_names_it() {
        let error = forwarded("").expect_err("nothing is there").to_string();
        assert!(error.contains("packets_forwarded_total"), "{error}");
    }
}

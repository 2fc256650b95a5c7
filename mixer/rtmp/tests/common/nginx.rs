//! nginx with its RTMP module, read back by ffprobe.

use super::{Process, Scratch, await_port, free_port, program};
use lianmai_rtmp::publisher::PublisherEvent;
use lianmai_rtmp::{Publisher, PublisherConfig, RtmpUrl};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// Where Debian puts them.
pub(crate) const MODULES: &str = "/usr/lib/nginx/modules";

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

pub(crate) struct Nginx {
    scratch: Scratch,
    pub(crate) port: u16,
}

impl Nginx {
    pub(crate) fn new() -> Self {
        assert!(
            std::path::Path::new(MODULE).exists(),
            "this test needs {MODULE}: apt-get install libnginx-mod-rtmp"
        );
        let nginx = Self {
            scratch: Scratch::new(),
            port: free_port(),
        };
        let directory = nginx.scratch.0.display();
        let config = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\npid {directory}/nginx.pid;\n\
             error_log {directory}/error.log info;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{}; application live {{ live on; }} }} }}\n",
            nginx.port
        );
        std::fs::write(nginx.scratch.0.join("nginx.conf"), config).expect("written");
        nginx
    }

    pub(crate) fn start(&self) -> Process {
        let child = program("nginx", "nginx")
            .arg("-p")
            .arg(&self.scratch.0)
            .arg("-c")
            .arg(self.scratch.0.join("nginx.conf"))
            .arg("-e")
            .arg(self.scratch.0.join("error.log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx runs");
        await_port(self.port);
        Process(child)
    }

    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }

    pub(crate) fn publisher(&self, stream: &str) -> (Arc<Publisher>, Receiver<PublisherEvent>) {
        let target = RtmpUrl::parse(&self.url(stream)).expect("valid");
        let (sender, events) = channel();
        let publisher = Publisher::spawn(PublisherConfig::new(target), move |event| {
            let _ = sender.send(event);
        });
        (Arc::new(publisher.expect("a thread")), events)
    }
}

pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The DTS of each packet of the next seconds, by kind.
pub(crate) fn probe(url: &str) -> (Vec<f64>, Vec<f64>) {
    let text = output(
        program("ffprobe", "ffmpeg")
            .args([
                "-v",
                "error",
                "-rw_timeout",
                "15000000",
                "-read_intervals",
                "%+3",
                "-show_packets",
            ])
            .args([
                "-show_entries",
                "packet=codec_type,dts_time",
                "-of",
                "csv=p=0",
                url,
            ]),
    );
    let times = |kind: &str| {
        let lines = text
            .lines()
            .filter_map(|line| line.split_once(','))
            .filter(|(found, _)| *found == kind);
        lines
            .filter_map(|(_, time)| time.trim_end_matches(',').parse().ok())
            .collect()
    };
    (times("video"), times("audio"))
}

pub(crate) fn assert_steady(times: &[f64], least: usize) {
    assert!(times.len() >= least, "{} packets", times.len());
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "{times:?}");
}

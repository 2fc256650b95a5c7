//! A real nginx with its RTMP module, on a port of its own, with its files in a directory of its own.

use crate::edge::free_tcp;
use crate::process::Running;
use crate::wait::until;
use anyhow::{Result, bail};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A running nginx-rtmp.
#[derive(Debug)]
pub struct Nginx {
    /// The master process.
    pub process: Running,
    /// Where it takes RTMP.
    pub rtmp: SocketAddr,
    dir: TempDir,
}

impl Nginx {
    /// Starts one on a free port.
    pub fn start() -> Result<Self> {
        let rtmp = free_tcp()?;
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("nginx.conf"), configuration(rtmp))?;
        let process = launch(dir.path())?;
        let mut nginx = Self { process, rtmp, dir };
        nginx.wait_until_open()?;
        Ok(nginx)
    }

    /// Ends it and starts it again on the same port.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Ends it, which closes every connection.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal(nix::sys::signal::Signal::SIGTERM)?;
        self.process.wait(Duration::from_secs(10)).map(drop)
    }

    /// Starts it on the port it had.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = launch(self.dir.path())?;
        self.wait_until_open()
    }

    /// Where a stream is published and played.
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.rtmp)
    }

    fn wait_until_open(&mut self) -> Result<()> {
        until(Duration::from_secs(10), "nginx to listen", || {
            if let Some(status) = self.process.status() {
                let log = std::fs::read_to_string(self.dir.path().join("nginx.log")).unwrap_or_default();
                bail!("nginx ended with {status}:\n{log}");
            }
            Ok(TcpStream::connect(self.rtmp).ok().map(drop))
        })
    }
}

fn launch(dir: &Path) -> Result<Running> {
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(dir)
        .arg("-c")
        .arg(dir.join("nginx.conf"))
        .args(["-e", "stderr"]);
    Running::start(&mut command, &dir.join("nginx.log"))
}

fn configuration(rtmp: SocketAddr) -> String {
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\n\
         events {{ worker_connections 64; }}\n\
         rtmp {{ server {{ listen {rtmp}; chunk_size 4096; application live {{ live on; record off; }} }} }}\n"
    )
}

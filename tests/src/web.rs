//! The page of a kurento-room client made of npm packages, served on loopback.

use crate::process::output;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tiny file server for the few files of one test; it ends with the test's process.
#[derive(Debug)]
pub struct KurentoPage {
    address: SocketAddr,
}

impl KurentoPage {
    /// Bundles the page and serves it on loopback.
    pub fn serve() -> Result<Self> {
        Self::serve_on(Ipv4Addr::LOCALHOST)
    }

    /// Bundles the page and serves it on an address of this machine or of the test's network namespace.
    pub fn serve_on(ip: Ipv4Addr) -> Result<Self> {
        let script = bundle()?;
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let html = std::fs::read(web().join("kurento.html"))?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A browser that went away before its answer is not this test's concern.
                let _ = answer(stream, &html, &script);
            }
        });
        Ok(Self { address })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Where the page is for those who know this machine by another address.
    pub fn url_at(&self, ip: Ipv4Addr) -> String {
        format!("http://{ip}:{}/", self.address.port())
    }
}

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web")
}

/// The page's script with the packages that it imports, as one file.
fn bundle() -> Result<Vec<u8>> {
    let esbuild = web().join("node_modules/.bin/esbuild");
    let mut command = Command::new(esbuild);
    command
        .args([
            "--bundle",
            "--log-level=error",
            "--define:global=window",
            "kurento.mjs",
        ])
        .current_dir(web());
    output(&mut command).context("`cargo xtask setup` installs the npm packages of tests/web")
}

fn answer(mut stream: TcpStream, html: &[u8], script: &[u8]) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (kind, body) = if request.starts_with("GET /kurento.js") {
        ("text/javascript", script)
    } else {
        ("text/html", html)
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    Ok(stream.write_all(body)?)
}

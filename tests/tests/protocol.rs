//! What other clients say, and what attackers say: the right answers, clear errors, or silence.

use anyhow::{Context, Result, ensure};
use lianmai_tests::capture::HOSTS;
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::{get_json, send};
use lianmai_tests::process::output;
use lianmai_tests::report;
use lianmai_tests::wait::until;
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use ureq::http::{Request, StatusCode};

const PLAIN: &[&str] = &["--tls", "off", "--origin", "off"];

fn post_sdp(url: &str, body: String) -> Result<(StatusCode, String)> {
    let response = send(
        Request::post(url)
            .header("content-type", "application/sdp")
            .body(body)?,
    )?;
    Ok((response.status(), response.into_body()))
}

#[test]
fn kurentos_own_json_rpc_client_holds_a_conversation() -> Result<()> {
    let edge = Edge::start(PLAIN)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/conversation.mjs");
    let uri = format!("{}/room", edge.url.replacen("http", "ws", 1));
    let said = output(Command::new("node").arg(script).arg(uri)).with_context(|| edge.log())?;
    ensure!(
        String::from_utf8_lossy(&said).contains("as the protocol says"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

#[test]
fn a_wrong_offer_a_wrong_room_and_a_body_over_the_limit_are_clear_errors() -> Result<()> {
    let edge = Edge::start(PLAIN)?;
    let (status, body) = post_sdp(&format!("{}/whip/talk/ann", edge.url), "this is not SDP".into())?;
    ensure!(
        status.is_client_error() && body.contains("SDP"),
        "{status} {body}"
    );
    let (status, body) = post_sdp(&format!("{}/whep/nowhere/ann", edge.url), "v=0\r\n".into())?;
    ensure!(
        status == StatusCode::CONFLICT && body.contains("nowhere"),
        "{status} {body}"
    );
    let answer = post_too_much(edge.url.trim_start_matches("http://"))?;
    ensure!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    ensure!(
        edge.metric("lianmai_http_rejected_total", &["body_too_large"])? >= 1.0,
        "and counted"
    );
    ensure!(
        get_json(&format!("{}/getAllRooms", edge.url))? == serde_json::json!([]),
        "no room came of it"
    );
    Ok(())
}

/// Announces a megabyte, sends just more than the limit, and reads the answer: with nothing left to write, the server's
/// closing cannot overtake it.
fn post_too_much(address: &str) -> Result<String> {
    const LIMIT: usize = 64 * 1024;
    let mut stream = TcpStream::connect(address)?;
    let head = "POST /whip/talk/ann HTTP/1.1\r\nHost: edge\r\nContent-Type: application/sdp\r\nContent-Length: 1048576\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.write_all(&[b'x'; LIMIT + 1])?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer)
}

/// Sends datagrams from a stranger's socket; whether anything came back.
fn answered(edge: &Edge, datagrams: &[Vec<u8>]) -> Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(300)))?;
    for datagram in datagrams {
        socket.send_to(datagram, edge.media)?;
    }
    match socket.recv(&mut [0; 2048]) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Pseudo-random bytes: the same in every run.
fn junk(count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count)
        .map(|index| (0..index % 1400).map(|_| byte()).collect())
        .collect()
}

/// A STUN binding request (RFC 8489 §5) for a user name, with a MESSAGE-INTEGRITY of zeros and a right FINGERPRINT.
fn binding_request(username: &str) -> Vec<u8> {
    let padded = username.len().next_multiple_of(4);
    let attributes = 4 + padded + 24 + 8;
    let mut message = vec![0x00, 0x01];
    message.extend(u16::try_from(attributes).expect("short").to_be_bytes());
    message.extend([0x21, 0x12, 0xA4, 0x42]);
    message.extend([7; 12]);
    message.extend([0x00, 0x06]);
    message.extend(u16::try_from(username.len()).expect("short").to_be_bytes());
    message.extend(username.bytes().chain(std::iter::repeat(0)).take(padded));
    message.extend([0x00, 0x08, 0x00, 0x14]);
    message.extend([0; 20]);
    let fingerprint = crc32(&message) ^ 0x5354_554E;
    message.extend([0x80, 0x28, 0x00, 0x04]);
    message.extend(fingerprint.to_be_bytes());
    message
}

/// The checksum of ITU-T V.42, which FINGERPRINT is made of (RFC 8489 §14.7).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xEDB8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The head of a DTLS 1.2 ClientHello record (RFC 6347 §4.1).
fn client_hello() -> Vec<u8> {
    let mut record = vec![
        22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48,
    ];
    record.extend([0xFE, 0xFD]);
    record.extend([1; 46]);
    record
}

#[tokio::test]
async fn strangers_on_the_media_port_are_met_with_silence_and_the_room_is_unharmed() -> Result<()> {
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let seats = ["ann", "bob"].map(|name| Seat {
        edge: &edge.url,
        room: "talk",
        name,
    });
    let ann = seats[0]
        .join(&HOSTS[0].sized(320, 180, 15))
        .await
        .with_context(|| edge.log())?;
    let bob = seats[1].join(&HOSTS[1].sized(320, 180, 15)).await?;
    let decoded = "const { pc } = window.lianmai.peers.bob ?? {}; if (!pc) return null;\
        for (const entry of (await pc.getStats()).values()) if (entry.type === 'inbound-rtp' && entry.kind === 'video') return entry.framesDecoded; return null;";
    let frames = async || {
        ann.until(Duration::from_secs(20), "ann to see bob", decoded)
            .await
    };
    let before = frames().await?.as_f64().unwrap_or(0.0);

    ensure!(!answered(&edge, &junk(2000))?, "junk was answered");
    let ufrag = async |side: &str| -> Result<String> {
        let sdp = ann
            .eval(&format!("return window.lianmai.peers.ann.pc.{side}.sdp;"), vec![])
            .await?;
        let ufrag = sdp
            .as_str()
            .and_then(|sdp| sdp.split("a=ice-ufrag:").nth(1)?.lines().next());
        Ok(ufrag.context("no ufrag")?.to_owned())
    };
    let username = format!(
        "{}:{}",
        ufrag("remoteDescription").await?,
        ufrag("localDescription").await?
    );
    ensure!(
        !answered(&edge, &[binding_request("nobody:knows")])?,
        "STUN for an unknown user name was answered"
    );
    ensure!(
        !answered(&edge, &[binding_request(&username)])?,
        "STUN with a wrong password was answered"
    );
    ensure!(
        !answered(&edge, &[client_hello()])?,
        "DTLS from an address without a valid check was answered"
    );

    let again = Seat {
        edge: &edge.url,
        room: "talk",
        name: "ann",
    };
    let third = lianmai_tests::browser::Browser::open(Some(&HOSTS[2])).await?;
    third.goto(&again.url(&HOSTS[2].sized(320, 180, 15))).await?;
    third
        .until(
            Duration::from_secs(20),
            "the page to say that the name is taken",
            "return document.body.innerText.includes('already');",
        )
        .await?;
    third.screenshot(&report::dir()?.join("name-taken.png")).await?;
    third.close().await?;

    for (metric, label) in [
        ("lianmai_plane_packets_dropped_total", "unknown_address"),
        ("lianmai_stun_messages_total", "unknown_user"),
        ("lianmai_stun_messages_total", "wrong_password"),
        ("lianmai_transport_drops_total", "dtls_unvalidated"),
    ] {
        let count = edge.metric(metric, &[label])?;
        report::note("strangers", &format!("{metric} {label}: {count}"))?;
        ensure!(count >= 1.0, "{metric} {label} was not counted");
    }
    let after = frames().await?.as_f64().unwrap_or(0.0);
    ensure!(
        after > before + 15.0,
        "ann decoded {} frames of bob during the attack",
        after - before
    );
    ann.close().await?;
    bob.close().await
}

#[test]
fn sigterm_drains_and_ends_cleanly() -> Result<()> {
    let mut edge = Edge::start(PLAIN)?;
    edge.process.signal(Signal::SIGTERM)?;
    let status = edge.process.wait(Duration::from_secs(10))?;
    ensure!(status.success(), "{status}: {}", edge.log());
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_what_to_do() -> Result<()> {
    let edge = Edge::start(PLAIN)?;
    let address = edge.url.trim_start_matches("http://");
    let second = Command::new(lianmai_tests::edge::programs().join("lianmai-edge"))
        .args(["--http", address, "--media", "127.0.0.1:0", "--origin", "off"])
        .output()?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(
        !second.status.success() && said.contains(address) && said.contains("--http"),
        "{said}"
    );
    Ok(())
}

#[test]
fn the_openapi_document_and_the_health_page_are_there() -> Result<()> {
    let edge = Edge::start(PLAIN)?;
    let api = get_json(&format!("{}/api/v1/openapi.json", edge.url))?;
    ensure!(api["paths"]["/api/v1/rooms"].is_object(), "{api}");
    until(Duration::from_secs(5), "metrics", || {
        Ok((edge.metric("lianmai_http_requests_total", &[])? > 0.0).then_some(()))
    })
}

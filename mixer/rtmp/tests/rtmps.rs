//! RTMPS through a real TLS server: nginx ends TLS in front of nginx-rtmp, and ffprobe reads behind both.

mod common;

use common::nginx::{MODULES, Nginx, assert_steady, probe};
use common::pump::Pump;
use common::{PATIENCE, Peer, Process, Scratch, await_port, free_port, program};
use lianmai_rtmp::publisher::{PublishError, PublisherEvent, PublisherState};
use lianmai_rtmp::{Publisher, PublisherConfig, RtmpUrl, TlsError, Trust};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// A certificate authority of the test, and what it signed.
struct Authority {
    scratch: Scratch,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        Self::called("an authority of a test")
    }

    fn called(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let scratch = Scratch::new();
        std::fs::write(scratch.0.join("ca.pem"), issuer.pem()).expect("written");
        Self { scratch, issuer }
    }

    fn file(&self) -> PathBuf {
        self.scratch.0.join("ca.pem")
    }

    /// A certificate for `name`, as nginx reads it.
    fn sign(&self, name: &str, expired: bool) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        std::fs::write(self.scratch.0.join("cert.pem"), certificate.pem()).expect("written");
        std::fs::write(self.scratch.0.join("key.pem"), key.serialize_pem()).expect("written");
    }

    /// nginx with the last certificate, before the server on `behind`.
    fn serve(&self, behind: u16) -> (Process, u16) {
        let module = format!("{MODULES}/ngx_stream_module.so");
        assert!(
            std::path::Path::new(&module).exists(),
            "this test needs {module}: apt-get install libnginx-mod-stream"
        );
        let (port, directory) = (free_port(), self.scratch.0.display());
        let config = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {directory}/nginx.pid;\n\
             error_log {directory}/error.log info;\nevents {{ worker_connections 64; }}\n\
             stream {{ server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {directory}/cert.pem;\n\
             ssl_certificate_key {directory}/key.pem; proxy_pass 127.0.0.1:{behind}; }} }}\n"
        );
        std::fs::write(self.scratch.0.join("nginx.conf"), config).expect("written");
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
        let process = Process(child);
        await_port(port);
        (process, port)
    }
}

fn publisher(host: &str, port: u16, trusted: Option<PathBuf>) -> (Arc<Publisher>, Receiver<PublisherEvent>) {
    let target = RtmpUrl::parse(&format!("rtmps://{host}:{port}/live/key")).expect("valid");
    let mut config = PublisherConfig::new(target);
    config.trust = Arc::new(Trust::new(trusted));
    let (sender, events) = channel();
    let publisher = Publisher::spawn(config, move |event| {
        let _ = sender.send(event);
    });
    (Arc::new(publisher.expect("a thread")), events)
}

fn failure(events: &Receiver<PublisherEvent>) -> PublishError {
    loop {
        match events.recv_timeout(PATIENCE).expect("an event") {
            PublisherEvent::State(PublisherState::Retrying { reason, .. }) => return reason,
            PublisherEvent::State(PublisherState::Publishing) => panic!("it should not publish"),
            _ => {}
        }
    }
}

#[test]
fn the_stream_goes_through_tls_to_nginx_and_ffprobe_reads_it() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let authority = Authority::new();
    authority.sign("localhost", false);
    let (_tls, port) = authority.serve(nginx.port);
    let (publisher, events) = publisher("localhost", port, Some(authority.file()));
    let _pump = Pump::start(&publisher, 0);
    common::pump::await_publishing(&events);
    let (video, audio) = probe(&nginx.url("key"));
    assert_steady(&video, 50);
    assert_steady(&audio, 90);
    assert!(publisher.stats().sent_bytes > 100_000);
}

#[test]
fn an_address_may_stand_in_the_certificate_too() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let authority = Authority::new();
    authority.sign("127.0.0.1", false);
    let (_tls, port) = authority.serve(nginx.port);
    let (_publisher, events) = publisher("127.0.0.1", port, Some(authority.file()));
    common::pump::await_publishing(&events);
}

#[test]
fn a_certificate_of_somebody_unknown_is_refused_with_what_to_do() {
    let authority = Authority::new();
    authority.sign("localhost", false);
    let (_tls, port) = authority.serve(free_port());
    // The second one has the name of the one that signed, but not its key.
    for stranger in [Authority::called("another"), Authority::new()] {
        let (_publisher, events) = publisher("localhost", port, Some(stranger.file()));
        let reason = failure(&events);
        assert_eq!(
            reason,
            PublishError::Tls(TlsError::UnknownIssuer("localhost".to_owned()))
        );
        assert!(reason.to_string().contains("--rtmps-ca"), "{reason}");
    }
}

#[test]
fn a_certificate_for_other_names_and_one_of_the_past_are_refused() {
    let authority = Authority::new();
    for (name, expired, expected) in [
        (
            "elsewhere.test",
            false,
            TlsError::OtherName("localhost".to_owned()),
        ),
        ("localhost", true, TlsError::Expired("localhost".to_owned())),
    ] {
        authority.sign(name, expired);
        let (_tls, port) = authority.serve(free_port());
        let (_publisher, events) = publisher("localhost", port, Some(authority.file()));
        assert_eq!(failure(&events), PublishError::Tls(expected));
    }
}

#[test]
fn a_peer_without_tls_is_named_as_such() {
    let authority = Authority::new();
    let peer = Peer::new();
    let (_publisher, events) = publisher("localhost", peer.address().port(), Some(authority.file()));
    std::io::Write::write_all(&mut peer.accept_raw(), b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
    assert_eq!(
        failure(&events),
        PublishError::Tls(TlsError::NotTls("localhost".to_owned()))
    );
}

#[test]
fn a_ca_file_that_is_missing_or_none_is_named() {
    let scratch = Scratch::new();
    let file = scratch.0.join("ca.pem");
    let check = || {
        Trust::new(Some(file.clone()))
            .check()
            .expect_err("refused")
            .to_string()
    };
    assert!(check().contains("ca.pem"), "{}", check());
    std::fs::write(&file, "no certificate").expect("written");
    assert!(check().contains("PEM"), "{}", check());
    std::fs::write(
        &file,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .expect("written");
    assert!(check().contains("ca.pem"), "{}", check());
}

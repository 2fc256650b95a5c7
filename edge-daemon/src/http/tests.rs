use super::testing::{FakeEdge, ask};
use super::{AdminAccess, Config, MAX_PLAYERS, ServeError, Server, TlsError, bind};
use crate::config::Tls;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use rcgen::generate_simple_self_signed;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

fn config(tls: Tls) -> Config {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        address,
        tls,
        advertise: vec!["192.0.2.1".parse().expect("an address")],
        self_signed: None,
        admin: AdminAccess::Loopback,
    }
}

fn start(server: Server, fake: &FakeEdge) -> (SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (address, services) = (server.address(), fake.services());
    tokio::spawn(server.run(services, async { drop(stopped.await) }));
    (address, stop)
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn plain_http_is_served_without_tls() {
    let fake = FakeEdge::start();
    let server = bind(&config(Tls::Off)).expect("a port");
    assert_eq!(server.scheme(), "http");
    let (address, _stop) = start(server, &fake);
    let text = tokio::task::spawn_blocking(move || {
        let mut tcp = TcpStream::connect(address).expect("connected");
        tcp.write_all(HEALTH).expect("sent");
        let mut text = String::new();
        tcp.read_to_string(&mut text).expect("an answer");
        text
    });
    assert!(text.await.expect("no panic").starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn certificate_files_are_served() {
    let fake = FakeEdge::start();
    let made = generate_simple_self_signed(["edge.test".to_owned()]).expect("a certificate");
    let directory = tempfile::tempdir().expect("a directory");
    let (cert, key) = (
        directory.path().join("cert.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let server = bind(&config(Tls::Files { cert, key })).expect("a listener");
    assert_eq!(server.scheme(), "https");
    let (address, _stop) = start(server, &fake);
    let trusted = made.cert.der().clone();
    let text = tokio::task::spawn_blocking(move || fetch(address, trusted));
    assert!(text.await.expect("no panic").starts_with("HTTP/1.1 200"));
}

fn fetch(address: SocketAddr, trusted: CertificateDer<'static>) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).expect("a root");
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("edge.test").expect("a name");
    let mut session = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut tcp = TcpStream::connect(address).expect("connected");
    let mut tls = rustls::Stream::new(&mut session, &mut tcp);
    tls.write_all(HEALTH).expect("sent");
    let mut text = String::new();
    tls.read_to_string(&mut text).expect("an answer");
    text
}

fn refused(cert: PathBuf, key: PathBuf) -> String {
    match bind(&config(Tls::Files { cert, key })) {
        Err(ServeError::Tls(error)) => error.to_string(),
        other => panic!("not refused for its certificate: {other:?}"),
    }
}

#[test]
fn a_wrong_certificate_or_key_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let one = generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
    let two = generate_simple_self_signed(["b".to_owned()]).expect("a certificate");
    let cert = file("cert.pem", &one.cert.pem());
    let key = file("key.pem", &one.signing_key.serialize_pem());
    let other = file("other.pem", &two.signing_key.serialize_pem());
    let empty = file("empty.pem", "");
    let missing = directory.path().join("missing.pem");
    for (cert, key, named) in [
        (missing.clone(), key.clone(), "missing.pem"),
        (empty.clone(), key.clone(), "empty.pem"),
        (key.clone(), cert.clone(), "key.pem"),
        (cert.clone(), missing, "missing.pem"),
        (cert.clone(), empty, "empty.pem"),
        (cert, other, "other.pem"),
    ] {
        let message = refused(cert, key);
        assert!(
            message.starts_with("tls: ") && message.contains(named),
            "{message}"
        );
    }
}

#[test]
fn a_taken_address_is_named_with_the_way_out() {
    let holder = bind(&config(Tls::Off)).expect("a port");
    let taken = Config {
        address: holder.address(),
        ..config(Tls::Off)
    };
    let error = bind(&taken).expect_err("taken").to_string();
    assert!(
        error.contains(&holder.address().to_string()) && error.contains("--http"),
        "{error}"
    );
}

#[test]
fn the_self_signed_certificate_is_made_by_default() {
    assert_eq!(
        bind(&config(Tls::default())).expect("a listener").scheme(),
        "https"
    );
    assert!(!matches!(
        bind(&config(Tls::SelfSigned)),
        Err(ServeError::Tls(TlsError::SelfSigned(_)))
    ));
}

/// A client that connects and says nothing must not hold a place for ever.
#[tokio::test]
async fn a_client_that_sends_no_request_is_cut_off() {
    use tokio::io::AsyncReadExt;
    let fake = FakeEdge::start();
    let (address, _stop) = start(bind(&config(Tls::Off)).expect("a port"), &fake);
    let mut silent = tokio::net::TcpStream::connect(address).await.expect("connected");
    tokio::io::AsyncWriteExt::write_all(&mut silent, b"GET / HTTP/1.1\r\nHo")
        .await
        .expect("sent");
    tokio::time::pause();
    let limit = super::HEAD_TIMEOUT + Duration::from_secs(5);
    let end = tokio::time::timeout(limit, silent.read_to_end(&mut Vec::new())).await;
    end.expect("cut off in time").expect("closed");
}

#[tokio::test]
async fn a_live_stream_is_hls_whose_list_is_asked_for_again_and_whose_segments_are_kept() {
    let router = FakeEdge::start().router(AdminAccess::Loopback);
    let get = |path: &'static str| ask(&router, Request::get(path), Body::empty());
    let list = get("/live/show/index.m3u8").await;
    assert_eq!((list.status, list.body.as_str()), (StatusCode::OK, "#EXTM3U"));
    assert_eq!(
        (list.header("content-type"), list.header("cache-control")),
        ("application/vnd.apple.mpegurl", "no-cache")
    );
    for (path, body) in [("/live/show/init-7.mp4", "head"), ("/live/show/7.m4s", "segment")] {
        let file = get(path).await;
        assert_eq!((file.status, file.body.as_str()), (StatusCode::OK, body));
        assert_eq!(file.header("content-type"), "video/mp4");
        assert!(file.header("cache-control").contains("immutable"));
        assert_eq!(file.header("access-control-allow-origin"), "*");
    }
    for (path, status, code) in [
        ("/live/show/8.m4s", StatusCode::NOT_FOUND, "not_found"),
        ("/live/show/index.html", StatusCode::NOT_FOUND, "not_found"),
        ("/live/none/index.m3u8", StatusCode::NOT_FOUND, "not_found"),
        (
            "/live/young/index.m3u8",
            StatusCode::SERVICE_UNAVAILABLE,
            "not_yet",
        ),
        (
            "/live/late/index.m3u8",
            StatusCode::SERVICE_UNAVAILABLE,
            "limit_reached",
        ),
        (
            "/live/av1/index.m3u8",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_codec",
        ),
    ] {
        let refused = get(path).await;
        assert_eq!((refused.status, refused.error()), (status, code.into()), "{path}");
    }
}

#[tokio::test]
async fn a_live_stream_is_flv_and_an_absent_one_404() {
    let router = FakeEdge::start().router(AdminAccess::Loopback);
    let live = ask(&router, Request::get("/live/show.flv"), Body::empty()).await;
    assert_eq!((live.status, live.body.as_str()), (StatusCode::OK, "FLVtags"));
    assert_eq!(
        (live.header("content-type"), live.header("cache-control")),
        ("video/x-flv", "no-store")
    );
    for path in ["/live/none.flv", "/live/show", "/live/show.mp4"] {
        let answer = ask(&router, Request::get(path), Body::empty()).await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::NOT_FOUND, "not_found".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn players_have_a_limit_and_give_their_place_back() {
    use tower::ServiceExt;
    let router = FakeEdge::start().router(AdminAccess::Loopback);
    let mut playing = Vec::new();
    for _ in 0..MAX_PLAYERS {
        let request = Request::get("/live/show.flv")
            .body(Body::empty())
            .expect("a request");
        playing.push(router.clone().oneshot(request).await.expect("infallible"));
    }
    let full = ask(&router, Request::get("/live/show.flv"), Body::empty()).await;
    assert_eq!(
        (full.status, full.error()),
        (StatusCode::SERVICE_UNAVAILABLE, "limit_reached".into())
    );
    playing.pop();
    assert_eq!(
        ask(&router, Request::get("/live/show.flv"), Body::empty())
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn metrics_count_requests_by_class_and_status() {
    let router = FakeEdge::start().router(AdminAccess::Loopback);
    for path in ["/", "/assets/style.css", "/api/v1/rooms", "/nowhere"] {
        ask(&router, Request::get(path), Body::empty()).await;
    }
    let page = ask(&router, Request::get("/metrics"), Body::empty()).await;
    assert!(
        page.header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        "http_requests_total{route=\"page\",status=\"200\"} 2",
        "http_requests_total{route=\"admin\",status=\"403\"} 1",
        "http_requests_total{route=\"unknown\",status=\"404\"} 1",
        "http_rejected_total{reason=\"admin_forbidden\"} 1",
        "http_websockets_open 0",
    ] {
        assert!(page.body.contains(line), "{line} is not in\n{}", page.body);
    }
}

#[tokio::test]
async fn health_depends_on_the_edge() {
    let fake = FakeEdge::start();
    let router = fake.router(AdminAccess::Loopback);
    assert_eq!(
        ask(&router, Request::get("/healthz"), Body::empty()).await.status,
        StatusCode::OK
    );
    let (requests, inbox) = tokio::sync::mpsc::channel(1);
    drop(inbox);
    let gone = FakeEdge {
        edge: crate::handle::EdgeHandle::new(requests),
        seen: fake.seen,
    };
    let answer = ask(
        &gone.router(AdminAccess::Loopback),
        Request::get("/healthz"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::SERVICE_UNAVAILABLE, "shutting_down".into())
    );
}

use super::{Ending, MAX_BYTES, MAX_CHARS, too_long};
use crate::config::Tls;
use crate::http::testing::{FakeEdge, ask};
use crate::http::{AdminAccess, Config, ServeError, bind};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A listener with a fake edge behind it.
struct Running {
    fake: FakeEdge,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

fn run() -> Running {
    let fake = FakeEdge::start();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = Config {
        address,
        tls: Tls::Off,
        advertise: Vec::new(),
        self_signed: None,
        admin: AdminAccess::Loopback,
    };
    let server = bind(&config).expect("a port");
    let (stop, stopped) = oneshot::channel::<()>();
    let (address, services) = (server.address(), fake.services());
    let ended = tokio::spawn(server.run(services, asked(stopped)));
    Running {
        fake,
        address,
        stop,
        ended,
    }
}

/// Most tests never ask for the end and drop their side.
async fn asked(stopped: oneshot::Receiver<()>) {
    if stopped.await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn connect(address: SocketAddr) -> Client {
    connect_async(format!("ws://{address}/room"))
        .await
        .expect("a WebSocket")
        .0
}

/// Reads until the close frame: its code and reason.
async fn closed(client: &mut Client) -> (CloseCode, String) {
    loop {
        match client.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code, frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("ended without a close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn text_goes_to_the_edge_and_its_answers_come_back_in_order() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    for text in ["one", "two"] {
        client.send(Message::text(text)).await.expect("sent");
    }
    assert_eq!(
        client.next().await.expect("open").expect("text"),
        Message::text("one")
    );
    assert_eq!(
        client.next().await.expect("open").expect("text"),
        Message::text("two")
    );
    client.close(None).await.expect("closed");
    assert_eq!(
        [fake.next().await, fake.next().await, fake.next().await],
        ["text 3", "text 3", "closed"]
    );
}

#[tokio::test]
async fn pages_of_every_origin_may_connect() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let Running { address, .. } = run();
    let mut request = format!("ws://{address}/room")
        .into_client_request()
        .expect("a request");
    request
        .headers_mut()
        .insert("origin", "https://example.com".parse().expect("a value"));
    assert!(connect_async(request).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_breaks_is_reported_closed() {
    let Running {
        mut fake, address, ..
    } = run();
    drop(connect(address).await);
    assert_eq!(fake.next().await, "closed");
}

#[tokio::test]
async fn the_edge_may_close() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    client.send(Message::text("bye")).await.expect("sent");
    assert_eq!(closed(&mut client).await, (CloseCode::Normal, "bye".to_owned()));
    assert_eq!([fake.next().await, fake.next().await], ["text 3", "closed"]);
}

#[tokio::test]
async fn a_socket_that_the_edge_dropped_is_closed() {
    let Running { address, .. } = run();
    let mut client = connect(address).await;
    client.send(Message::text("drop")).await.expect("sent");
    assert_eq!(closed(&mut client).await.0, CloseCode::Policy);
}

#[tokio::test]
async fn binary_frames_are_refused_with_a_reason() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    client.send(Message::binary(vec![1, 2, 3])).await.expect("sent");
    assert_eq!(
        closed(&mut client).await,
        (CloseCode::Unsupported, "send JSON-RPC in text frames".to_owned())
    );
    assert_eq!(fake.next().await, "closed");
}

#[tokio::test]
async fn a_message_may_have_a_million_characters_and_no_more() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    client
        .send(Message::text("麦".repeat(MAX_CHARS)))
        .await
        .expect("sent");
    assert_eq!(fake.next().await, format!("text {}", 3 * MAX_CHARS));
    let mut client = connect(address).await;
    client
        .send(Message::text("x".repeat(MAX_CHARS + 1)))
        .await
        .expect("sent");
    assert_eq!(closed(&mut client).await.0, CloseCode::Size);
    assert_eq!(fake.next().await, "closed");
}

/// The rest of such a frame is never read, so the close frame may get lost with it.
#[tokio::test]
async fn a_frame_too_long_for_any_million_characters_is_cut_off_unread() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    let _ = client.send(Message::text("x".repeat(MAX_BYTES + 1))).await;
    assert_eq!(fake.next().await, "closed");
    assert!(!matches!(client.next().await, Some(Ok(Message::Text(_)))));
}

/// As Java counts: a character beyond the basic plane is two.
#[test]
fn characters_are_utf_16_units() {
    assert!(!too_long(&"😀".repeat(MAX_CHARS / 2)));
    assert!(too_long(&"😀".repeat(MAX_CHARS / 2 + 1)));
}

#[tokio::test]
async fn pings_are_answered() {
    let Running { address, .. } = run();
    let mut client = connect(address).await;
    client
        .send(Message::Ping("are you there".into()))
        .await
        .expect("sent");
    loop {
        match client.next().await {
            Some(Ok(Message::Pong(text))) => break assert_eq!(&text[..], b"are you there"),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("no pong but {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_answers_no_pings_is_let_go() {
    let Running {
        mut fake, address, ..
    } = run();
    let mut client = connect(address).await;
    client.send(Message::text("hello")).await.expect("sent");
    assert_eq!(fake.next().await, "text 5");
    tokio::time::pause();
    // The client's side is not polled, so no pong is sent while the clock runs ahead.
    assert_eq!(fake.next().await, "closed");
    tokio::time::resume();
    assert_eq!(
        closed(&mut client).await,
        (CloseCode::Policy, "no answer to pings".to_owned())
    );
}

#[tokio::test]
async fn the_end_of_the_edge_is_announced_and_waited_for() {
    let Running {
        mut fake,
        address,
        stop,
        ended,
    } = run();
    let mut client = connect(address).await;
    client.send(Message::text("hello")).await.expect("sent");
    assert_eq!(fake.next().await, "text 5");
    stop.send(()).expect("running");
    assert_eq!(
        closed(&mut client).await,
        (CloseCode::Away, "the edge shuts down".to_owned())
    );
    // The library answers the close frame when it is polled once more.
    assert!(client.next().await.is_none_or(|frame| frame.is_err()));
    ended.await.expect("no panic").expect("a clean end");
    assert!(matches!(
        connect_async(format!("ws://{address}/room")).await,
        Err(Error::Io(_))
    ));
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let router = FakeEdge::start().router(AdminAccess::Loopback);
    let answer = ask(&router, Request::get("/room"), Body::empty()).await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::UPGRADE_REQUIRED, "websocket_only".into())
    );
    assert_eq!(answer.header("upgrade"), "websocket");
}

#[test]
fn every_ending_but_a_dead_connection_says_why() {
    for ending in [
        Ending::Overrun,
        Ending::Silent,
        Ending::Binary,
        Ending::TooLong,
        Ending::GoingAway,
    ] {
        let frame = ending.close_frame().expect("a frame");
        // RFC 6455 §5.5: a control frame holds 125 bytes, two of them the code.
        assert!(
            !frame.reason.is_empty() && frame.reason.len() <= 123,
            "{ending:?}"
        );
    }
    assert!(Ending::Peer.close_frame().is_none() && Ending::NotReading.close_frame().is_none());
}

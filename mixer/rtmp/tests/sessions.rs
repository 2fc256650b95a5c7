//! Our sessions against ours and against those of `rml_rtmp`.

use lianmai_rtmp::amf0::{self, Value};
use lianmai_rtmp::{
    Client, ClientError, ClientEvent, Limits, Refusal, RtmpUrl, Server, ServerError, ServerEvent, Tag,
    TagKind,
};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
    ServerSession, ServerSessionConfig, ServerSessionEvent, ServerSessionResult,
};
use rml_rtmp::time::RtmpTimestamp;

fn url() -> RtmpUrl {
    RtmpUrl::parse("rtmp://host/app/instance/key?token=a/b").expect("valid")
}

/// Carries bytes both ways until neither side has any.
fn settle(client: &mut Client, server: &mut Server) -> Result<(), String> {
    loop {
        let (up, down) = (client.poll_output(), server.poll_output());
        if up.is_none() && down.is_none() {
            return Ok(());
        }
        server
            .handle_input(&up.unwrap_or_default())
            .map_err(|error| error.to_string())?;
        client
            .handle_input(&down.unwrap_or_default())
            .map_err(|error| error.to_string())?;
    }
}

fn metadata() -> Tag {
    let body = amf0::encode(&[Value::string("onMetaData"), Value::EcmaArray(vec![])]).freeze();
    Tag {
        kind: TagKind::Script,
        timestamp_ms: 0,
        body,
    }
}

fn tags() -> Vec<Tag> {
    let large = vec![7; 300_000];
    vec![
        metadata(),
        Tag::aac_sequence_header(0, &[0x11, 0x90]),
        Tag::avc_frame(0, true, &large),
        Tag::aac_frame(0x00ff_ffff, b"sound"),
        Tag::avc_frame(0x0100_0000, false, &large),
        Tag::avc_frame(0x7fff_fff0, false, &large),
        Tag::avc_frame(0x8000_0010, false, &large),
        Tag::avc_frame(0xffff_fff0, false, &large),
        Tag::avc_frame(0x10, false, &large),
    ]
}

fn published(client: &mut Client, server: &mut Server) {
    settle(client, server).expect("a session");
    let Some(ServerEvent::Publish(path)) = server.poll_event() else {
        panic!("no publish")
    };
    assert_eq!((path.app.as_str(), path.stream.as_str()), ("app/instance", "key"));
    assert_eq!(path.query.as_deref(), Some("token=a/b"));
    server.accept().expect("accepted");
    settle(client, server).expect("a session");
    assert_eq!(client.poll_event(), Some(ClientEvent::Accepted));
}

#[test]
fn what_is_published_arrives_unchanged_over_every_timestamp_edge() {
    let (mut client, mut server) = (Client::publish(&url()), Server::new(Limits::default()));
    published(&mut client, &mut server);
    tags().iter().for_each(|tag| client.send(tag).expect("accepted"));
    settle(&mut client, &mut server).expect("a session");
    for tag in tags() {
        assert_eq!(server.poll_event(), Some(ServerEvent::Tag(tag)));
    }
    client.close();
    settle(&mut client, &mut server).expect("a session");
    assert_eq!(server.poll_event(), Some(ServerEvent::Finished));
    assert_eq!(client.send(&metadata()), Err(ClientError::NotAccepted));
}

#[test]
fn what_is_played_arrives_unchanged_and_its_end_too() {
    let (mut client, mut server) = (Client::play(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    assert!(matches!(server.poll_event(), Some(ServerEvent::Play(_))));
    server.accept().expect("accepted");
    tags().iter().for_each(|tag| server.send(tag).expect("a player"));
    server.end().expect("a player");
    settle(&mut client, &mut server).expect("a session");
    assert_eq!(client.poll_event(), Some(ClientEvent::Accepted));
    for tag in tags() {
        assert_eq!(client.poll_event(), Some(ClientEvent::Tag(tag)));
    }
    assert_eq!(client.poll_event(), Some(ClientEvent::Ended));
}

#[test]
fn a_refusal_carries_the_servers_code_and_words() {
    let (mut client, mut server) = (Client::publish(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    let refusal = Refusal {
        code: "NetStream.Publish.BadName",
        description: "taken".to_owned(),
    };
    server.refuse(&refusal).expect("asked");
    let error = settle(&mut client, &mut server).expect_err("refused");
    assert!(
        error.contains("NetStream.Publish.BadName") && error.contains("taken"),
        "{error}"
    );
}

#[test]
fn frames_before_consent_reach_nobody() {
    let (mut client, mut server) = (Client::publish(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    assert_eq!(client.send(&tags()[2]), Err(ClientError::NotAccepted));
}

#[test]
fn messages_over_the_servers_limit_end_the_session_with_both_numbers() {
    let limits = Limits {
        max_message: 100_000,
        max_chunk_streams: 16,
    };
    let (mut client, mut server) = (Client::publish(&url()), Server::new(limits));
    published(&mut client, &mut server);
    client.send(&tags()[2]).expect("accepted");
    let error = settle(&mut client, &mut server).expect_err("too long");
    assert!(error.contains("300005") && error.contains("100000"), "{error}");
}

#[test]
fn who_does_not_publish_yet_may_not_send_more_than_commands() {
    let (mut client, mut server) = (Client::publish(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    // 64 KiB and one byte of video on chunk stream 6, declared.
    let error = server
        .handle_input(&[0x06, 0, 0, 0, 1, 0, 1, 9, 1, 0, 0, 0])
        .expect_err("too long");
    assert!(error.to_string().contains("65537"), "{error}");
}

#[test]
fn a_peer_that_does_not_speak_rtmp_is_refused_at_its_first_byte() {
    let mut server = Server::new(Limits::default());
    assert!(matches!(
        server.handle_input(b"GET / HTTP/1.1\r\n\r\n"),
        Err(ServerError::Link(_))
    ));
    let mut client = Client::publish(&url());
    assert!(matches!(
        client.handle_input(b"HTTP/1.1 400 Bad Request"),
        Err(ClientError::Link(_))
    ));
}

/// §5.4.3: "The client or the server MUST send an acknowledgment to the peer after receiving bytes equal to the window
/// size."
#[test]
fn a_player_acknowledges_and_answers_pings() {
    let (mut client, mut server) = (Client::play(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    server.accept().expect("accepted");
    for _ in 0..12 {
        server
            .send(&Tag::avc_frame(0, true, &vec![0; 300_000]))
            .expect("a player");
    }
    while let Some(bytes) = server.poll_output() {
        bytes
            .chunks(10_000)
            .for_each(|piece| client.handle_input(piece).expect("a session"));
    }
    let answer = client.poll_output().expect("an acknowledgement");
    // Chunk stream 2, four bytes of message type 3.
    assert!(
        answer.windows(4).any(|window| window == [0, 0, 4, 3]),
        "{answer:02x?}"
    );
    // A ping request (§7.1.7) with its time on chunk stream 2; the answer repeats the time.
    let ping = [
        0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0xde, 0xad, 0xbe, 0xef,
    ];
    client.handle_input(&ping).expect("a session");
    assert!(
        client
            .poll_output()
            .expect("a pong")
            .ends_with(&[0, 7, 0xde, 0xad, 0xbe, 0xef])
    );
}

/// §7.1.6
#[test]
fn an_aggregate_message_is_split_into_its_tags() {
    let (mut client, mut server) = (Client::play(&url()), Server::new(Limits::default()));
    settle(&mut client, &mut server).expect("a session");
    server.accept().expect("accepted");
    settle(&mut client, &mut server).expect("a session");
    let body = [
        Tag::aac_frame(100, b"a").to_flv(),
        Tag::aac_frame(120, b"b").to_flv(),
    ]
    .concat();
    let length = u8::try_from(body.len()).expect("short");
    client
        .handle_input(&[&[0x07, 0, 3, 0xe8, 0, 0, length, 22, 1, 0, 0, 0][..], &body].concat())
        .expect("a session");
    assert_eq!(client.poll_event(), Some(ClientEvent::Accepted));
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Tag(Tag::aac_frame(1000, b"a")))
    );
    assert_eq!(
        client.poll_event(),
        Some(ClientEvent::Tag(Tag::aac_frame(1020, b"b")))
    );
}

#[test]
fn an_independent_client_publishes_to_our_server() {
    let mut server = Server::new(Limits::default());
    let mut handshake = Handshake::new(PeerType::Client);
    server
        .handle_input(&handshake.generate_outbound_p0_and_p1().expect("C0 and C1"))
        .expect("a handshake");
    let answer = server.poll_output().expect("S0, S1 and S2");
    let Ok(HandshakeProcessResult::Completed { response_bytes, .. }) = handshake.process_bytes(&answer)
    else {
        panic!("the handshake is not complete")
    };
    server.handle_input(&response_bytes).expect("a handshake");
    let (mut theirs, first) = ClientSession::new(ClientSessionConfig::new()).expect("a session");
    let mut events = exchange(&mut theirs, &mut server, first);
    let connect = theirs.request_connection("live".to_owned()).expect("connect");
    events.extend(exchange(&mut theirs, &mut server, vec![connect]));
    assert!(
        events.contains(&ClientSessionEvent::ConnectionRequestAccepted),
        "{events:?}"
    );
    let publish = theirs
        .request_publishing("key".to_owned(), PublishRequestType::Live)
        .expect("publish");
    exchange(&mut theirs, &mut server, vec![publish]);
    assert!(matches!(server.poll_event(), Some(ServerEvent::Publish(path)) if path.stream == "key"));
    server.accept().expect("asked");
    assert!(exchange(&mut theirs, &mut server, vec![]).contains(&ClientSessionEvent::PublishRequestAccepted));
    let frame = Tag::avc_frame(0x0100_0005, true, &[9; 5000]);
    let sent = theirs.publish_video_data(frame.body.clone(), RtmpTimestamp::new(frame.timestamp_ms), false);
    exchange(&mut theirs, &mut server, vec![sent.expect("sent")]);
    assert_eq!(server.poll_event(), Some(ServerEvent::Tag(frame)));
}

fn exchange(
    theirs: &mut ClientSession,
    ours: &mut Server,
    first: Vec<ClientSessionResult>,
) -> Vec<ClientSessionEvent> {
    let (mut results, mut events) = (first, Vec::new());
    loop {
        for result in std::mem::take(&mut results) {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    ours.handle_input(&packet.bytes).expect("RTMP");
                }
                ClientSessionResult::RaisedEvent(event) => events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        let Some(bytes) = ours.poll_output() else {
            return events;
        };
        results = theirs.handle_input(&bytes).expect("RTMP");
    }
}

#[test]
fn our_client_publishes_to_an_independent_server() {
    let mut client = Client::publish(&url());
    let mut handshake = Handshake::new(PeerType::Server);
    let opening = client.poll_output().expect("C0 and C1");
    let Ok(HandshakeProcessResult::InProgress { response_bytes }) = handshake.process_bytes(&opening) else {
        panic!("the handshake is over too early")
    };
    client.handle_input(&response_bytes).expect("a handshake");
    let rest = client.poll_output().expect("C2 and connect");
    let Ok(HandshakeProcessResult::Completed { remaining_bytes, .. }) = handshake.process_bytes(&rest) else {
        panic!("the handshake is not complete")
    };
    let (mut theirs, mut results) = ServerSession::new(ServerSessionConfig::new()).expect("a session");
    results.extend(theirs.handle_input(&remaining_bytes).expect("RTMP"));
    let mut events = serve(&mut theirs, &mut client, results);
    assert_eq!(client.poll_event(), Some(ClientEvent::Accepted));
    let frame = Tag::avc_frame(0x0100_0005, true, &[9; 50_000]);
    client.send(&frame).expect("accepted");
    events.extend(serve(&mut theirs, &mut client, vec![]));
    let (data, time) = events
        .into_iter()
        .find_map(|event| match event {
            ServerSessionEvent::VideoDataReceived {
                data,
                timestamp,
                app_name,
                stream_key,
            } => {
                assert_eq!(
                    (app_name.as_str(), stream_key.as_str()),
                    ("app/instance", "key?token=a/b")
                );
                Some((data, timestamp.value))
            }
            _ => None,
        })
        .expect("the frame");
    assert_eq!((data, time), (frame.body, 0x0100_0005));
}

/// Says yes to everything.
fn serve(
    theirs: &mut ServerSession,
    ours: &mut Client,
    first: Vec<ServerSessionResult>,
) -> Vec<ServerSessionEvent> {
    let (mut results, mut events) = (first, Vec::new());
    loop {
        for result in std::mem::take(&mut results) {
            match result {
                ServerSessionResult::OutboundResponse(packet) => {
                    ours.handle_input(&packet.bytes).expect("RTMP");
                }
                ServerSessionResult::RaisedEvent(event) => {
                    if let Some(id) = request(&event) {
                        results.extend(theirs.accept_request(id).expect("accepted"));
                    }
                    events.push(event);
                }
                ServerSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        let bytes = ours.poll_output();
        if bytes.is_none() && results.is_empty() {
            return events;
        }
        results.extend(theirs.handle_input(&bytes.unwrap_or_default()).expect("RTMP"));
    }
}

fn request(event: &ServerSessionEvent) -> Option<u32> {
    match event {
        ServerSessionEvent::ConnectionRequested { request_id, .. }
        | ServerSessionEvent::ReleaseStreamRequested { request_id, .. }
        | ServerSessionEvent::PublishStreamRequested { request_id, .. } => Some(*request_id),
        _ => None,
    }
}

use crate::http::AdminAccess;
use crate::http::testing::{FakeEdge, ask};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use std::net::SocketAddr;

fn from(peer: &str, admin: AdminAccess) -> (FakeEdge, Router) {
    let fake = FakeEdge::start();
    let peer: SocketAddr = peer.parse().expect("an address");
    let router = fake
        .router(admin)
        .layer(axum::Extension(axum::extract::ConnectInfo(peer)));
    (fake, router)
}

fn local() -> (FakeEdge, Router) {
    from("127.0.0.1:5000", AdminAccess::Loopback)
}

async fn get(router: &Router, path: &str) -> (StatusCode, Value) {
    let answer = ask(router, Request::get(path), Body::empty()).await;
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[tokio::test]
async fn rooms_are_shown_whole_and_one_by_one() {
    let (_fake, router) = local();
    let (status, rooms) = get(&router, "/api/v1/rooms").await;
    assert_eq!(
        (status, &rooms[0]["name"]),
        (StatusCode::OK, &Value::from("show"))
    );
    let (_, room) = get(&router, "/api/v1/rooms/show").await;
    assert_eq!(
        (&room, &room["participants"][0]["name"]),
        (&rooms[0], &Value::from("alice"))
    );
    let (_, mixer) = get(&router, "/api/v1/rooms/show/mixer").await;
    assert_eq!(mixer["pid"], 7);
    let (_, stats) = get(&router, "/api/v1/stats").await;
    assert_eq!(stats["transit_us"]["p999"], 5);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let (_fake, router) = local();
    for path in [
        "/api/v1/rooms/none",
        "/api/v1/rooms/none/mixer",
        "/api/v1/nothing",
        "/nothing",
    ] {
        let (status, body) = get(&router, path).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (StatusCode::NOT_FOUND, &Value::from("not_found")),
            "{path}"
        );
    }
    let absent = ask(
        &router,
        Request::delete("/api/v1/rooms/show/participants/bob"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (absent.status, absent.error()),
        (StatusCode::NOT_FOUND, "user_not_found".into())
    );
    let closed = ask(&router, Request::delete("/api/v1/rooms/none"), Body::empty()).await;
    assert_eq!(
        (closed.status, closed.error()),
        (StatusCode::NOT_FOUND, "room_not_found".into())
    );
}

#[tokio::test]
async fn participants_are_kicked_and_muted_and_rooms_closed() {
    let (mut fake, router) = local();
    let kick = ask(
        &router,
        Request::delete("/api/v1/rooms/show/participants/alice"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (kick.status, fake.next().await),
        (StatusCode::NO_CONTENT, "kick show alice".into())
    );
    let mute =
        Request::put("/api/v1/rooms/show/participants/alice/mute").header("content-type", "application/json");
    let mute = ask(&router, mute, r#"{"audio": true}"#).await;
    assert_eq!(
        (mute.status, fake.next().await),
        (StatusCode::NO_CONTENT, "mute show alice true".into())
    );
    let close = ask(&router, Request::delete("/api/v1/rooms/show"), Body::empty()).await;
    assert_eq!(
        (close.status, fake.next().await),
        (StatusCode::NO_CONTENT, "close show".into())
    );
}

#[tokio::test]
async fn targets_are_shown_added_and_taken_away() {
    let (mut fake, router) = local();
    let (status, targets) = get(&router, "/api/v1/rooms/show/targets").await;
    assert_eq!((status, &targets[0]["id"]), (StatusCode::OK, &Value::from(3)));
    assert_eq!(targets[0]["options"]["when_full"], "drop");
    let post = || Request::post("/api/v1/rooms/show/targets").header("content-type", "application/json");
    let added = ask(
        &router,
        post(),
        r#"{"url": "rtmps://cdn/live/key", "retries": 7}"#,
    )
    .await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert!(
        added.body.contains("\"id\":4") && !added.body.contains("key"),
        "{}",
        added.body
    );
    let told = fake.next().await;
    assert!(
        told.starts_with("add target show rtmps://cdn/live/key") && told.contains("retries: Some(7)"),
        "{told}"
    );
    for wrong in [
        r#"{"retries": 7}"#,
        r#"{"url": "rtmp://a/b/c", "tags": "flash"}"#,
        r#"{"url": "u", "x": 1}"#,
    ] {
        let refused = ask(&router, post(), wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let delete = |id: &str| Request::delete(format!("/api/v1/rooms/show/targets/{id}"));
    let gone = ask(&router, delete("3"), Body::empty()).await;
    assert_eq!(
        (gone.status, fake.next().await),
        (StatusCode::NO_CONTENT, "remove target show 3".into())
    );
    let unknown = ask(&router, delete("9"), Body::empty()).await;
    assert_eq!(
        (unknown.status, unknown.error()),
        (StatusCode::NOT_FOUND, "target_not_found".into())
    );
    assert_eq!(
        ask(&router, delete("x"), Body::empty()).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_wrong_body_says_what_is_wrong() {
    let (_fake, router) = local();
    let put = || Request::put("/api/v1/rooms/show/participants/alice/mute");
    let typed = || put().header("content-type", "application/json");
    let cases = [
        (
            ask(&router, put(), r#"{"audio": true}"#).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (ask(&router, typed(), "{").await, StatusCode::BAD_REQUEST),
        (
            ask(&router, typed(), r#"{"audio": 1}"#).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            ask(&router, typed(), r#"{"audio": true, "vidoe": true}"#).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ];
    for (answer, status) in cases {
        assert_eq!((answer.status, answer.error()), (status, "bad_json".into()));
    }
}

#[tokio::test]
async fn recording_is_shown_started_and_stopped() {
    let (mut fake, router) = local();
    let path = "/api/v1/rooms/show/recording";
    let (status, shown) = get(&router, path).await;
    assert_eq!((status, &shown["mix"]), (StatusCode::OK, &Value::from(true)));
    assert_eq!(shown["files"][0]["bytes"], 1000);
    let put = || Request::put(path).header("content-type", "application/json");
    let started = ask(&router, put(), r#"{"mix": true}"#).await;
    assert_eq!(started.status, StatusCode::OK, "{}", started.body);
    assert_eq!(
        fake.next().await,
        "record show Record { mix: true, hosts: false }"
    );
    let refused = ask(&router, put(), r#"{"hosts": true}"#).await;
    assert_eq!(
        (refused.status, refused.error()),
        (StatusCode::CONFLICT, "no_directory".into())
    );
    assert_eq!(
        fake.next().await,
        "record show Record { mix: false, hosts: true }"
    );
    let wrong = ask(&router, put(), r#"{"picture": true}"#).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let stopped = ask(&router, Request::delete(path), Body::empty()).await;
    assert_eq!(
        (stopped.status, fake.next().await),
        (
            StatusCode::NO_CONTENT,
            "record show Record { mix: false, hosts: false }".into()
        )
    );
    let unknown = ask(
        &router,
        Request::delete("/api/v1/rooms/other/recording"),
        Body::empty(),
    )
    .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn strangers_are_kept_out_unless_the_api_is_open() {
    let requests = [
        (Method::GET, "/api/v1/rooms"),
        (Method::DELETE, "/api/v1/rooms/show"),
        (Method::DELETE, "/api/v1/rooms/show/participants/alice"),
        (Method::GET, "/api/v1/rooms/show/targets"),
        (Method::DELETE, "/api/v1/rooms/show/targets/3"),
        (Method::GET, "/api/v1/rooms/show/recording"),
        (Method::DELETE, "/api/v1/rooms/show/recording"),
        (Method::GET, "/api/v1/rooms/show/snapshot.jpg"),
        (Method::GET, "/api/v1/rooms/show/participants/alice/snapshot.jpg"),
        (Method::GET, "/api/v1/rooms/show/participants/alice/forwards"),
        (
            Method::GET,
            "/api/v1/rooms/show/participants/alice/forwards/3/stream.sdp",
        ),
        (Method::GET, "/api/v1/stats"),
        (Method::GET, "/close?room=show"),
    ];
    let (_fake, closed) = from("192.0.2.7:5000", AdminAccess::Loopback);
    let (_fake_too, open) = from("192.0.2.7:5000", AdminAccess::Anyone);
    for (method, path) in requests {
        let request = || Request::builder().method(&method).uri(path);
        let refused = ask(&closed, request(), Body::empty()).await;
        assert_eq!(
            (refused.status, refused.error()),
            (StatusCode::FORBIDDEN, "loopback_only".into()),
            "{path}"
        );
        assert!(
            ask(&open, request(), Body::empty()).await.status.is_success(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn loopback_is_loopback_in_ipv6_and_mapped_too() {
    for peer in ["[::1]:5000", "[::ffff:127.0.0.1]:5000"] {
        let (_fake, router) = from(peer, AdminAccess::Loopback);
        assert_eq!(get(&router, "/api/v1/rooms").await.0, StatusCode::OK, "{peer}");
    }
}

/// Another site's page could otherwise kick people through a visitor's browser.
#[tokio::test]
async fn pages_of_other_origins_get_no_consent() {
    let (_fake, router) = local();
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/api/v1/rooms/show")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "DELETE");
    let answer = ask(&router, preflight, Body::empty()).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (StatusCode::METHOD_NOT_ALLOWED, "")
    );
}

#[tokio::test]
async fn the_document_describes_every_route_and_every_type_it_names() {
    let (_fake, router) = local();
    let (_, document) = get(&router, "/api/v1/openapi.json").await;
    let paths = document["paths"].as_object().expect("paths");
    let names: Vec<&str> = paths.keys().map(String::as_str).collect();
    let expected = [
        "/api/v1/rooms",
        "/api/v1/rooms/{room}",
        "/api/v1/rooms/{room}/layout",
        "/api/v1/rooms/{room}/mixer",
        "/api/v1/rooms/{room}/participants/{user}",
        "/api/v1/rooms/{room}/participants/{user}/filters",
        "/api/v1/rooms/{room}/participants/{user}/forwards",
        "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}",
        "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}/stream.sdp",
        "/api/v1/rooms/{room}/participants/{user}/mute",
        "/api/v1/rooms/{room}/participants/{user}/snapshot.jpg",
        "/api/v1/rooms/{room}/participants/{user}/volume",
        "/api/v1/rooms/{room}/recording",
        "/api/v1/rooms/{room}/snapshot.jpg",
        "/api/v1/rooms/{room}/targets",
        "/api/v1/rooms/{room}/targets/{target}",
        "/api/v1/stats",
    ];
    assert_eq!(names, expected);
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is not described"
        );
    }
}

#[tokio::test]
async fn without_a_peer_address_nobody_is_local() {
    let fake = FakeEdge::start();
    let router = fake.router(AdminAccess::Loopback);
    assert_eq!(get(&router, "/api/v1/rooms").await.0, StatusCode::FORBIDDEN);
}

async fn put(router: &Router, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::put(path).header("content-type", "application/json");
    let answer = ask(router, request, Body::from(body.to_owned())).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_layout_is_shown_and_changed() {
    let (mut fake, router) = local();
    let path = "/api/v1/rooms/show/layout";
    let (status, layout) = get(&router, path).await;
    assert_eq!(
        (status, &layout["layout"]["type"]),
        (StatusCode::OK, &Value::from("grid"))
    );
    let body = r#"{"layout": {"type": "side_by_side"}, "labels": true}"#;
    assert_eq!(
        put(&router, path, body).await,
        (StatusCode::NO_CONTENT, String::new())
    );
    assert_eq!(fake.next().await, "layout show SideBySide");
    let (status, _) = put(&router, "/api/v1/rooms/none/layout", body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_volume_is_changed_within_its_limits() {
    let (mut fake, router) = local();
    let path = "/api/v1/rooms/show/participants/alice/volume";
    for percent in [0, 100, 200] {
        let (status, _) = put(&router, path, &format!(r#"{{"volume": {percent}}}"#)).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(fake.next().await, format!("volume show alice {percent}"));
    }
    for body in [
        r#"{"volume": 201}"#,
        r#"{"volume": -1}"#,
        r#"{"volume": "50"}"#,
        "{}",
        r#"{"volume": 5, "x": 1}"#,
    ] {
        let (status, answer) = put(&router, path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer}");
    }
    let (_, answer) = put(&router, path, r#"{"volume": 201}"#).await;
    assert!(answer.contains("0 to 200"), "{answer}");
    let absent = "/api/v1/rooms/show/participants/bob/volume";
    let (status, _) = put(&router, absent, r#"{"volume": 50}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_layout_that_cannot_be_shown_is_422_and_says_why() {
    let (_fake, router) = local();
    let path = "/api/v1/rooms/show/layout";
    for (body, word) in [
        (r#"{"layout": {"type": "circle"}}"#, "circle"),
        (r#"{"labells": true}"#, "labells"),
        (r#"{"fade_ms": 9999}"#, "9999"),
        (r#"{"background_image": "../x.png"}"#, "../x.png"),
    ] {
        let (status, answer) = put(&router, path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer.contains(word), "{answer}");
    }
    assert_eq!(put(&router, path, "{").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn snapshots_are_pictures_that_are_not_kept_and_refusals_say_what_to_do() {
    let (mut fake, router) = local();
    for (path, asked) in [
        ("/api/v1/rooms/show/snapshot.jpg", "snapshot show None"),
        (
            "/api/v1/rooms/show/participants/alice/snapshot.jpg",
            "snapshot show Some(\"alice\")",
        ),
    ] {
        let answer = ask(&router, Request::get(path), Body::empty()).await;
        assert_eq!((answer.status, fake.next().await), (StatusCode::OK, asked.into()));
        for (header, value) in [
            ("content-type", "image/jpeg"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("lianmai-taken-ms", "1795804502123"),
        ] {
            assert_eq!(answer.header(header), value, "{header}");
        }
        assert_eq!(answer.body, "JPEG");
    }
    let unmixed = ask(
        &router,
        Request::get("/api/v1/rooms/quiet/snapshot.jpg"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (unmixed.status, unmixed.error()),
        (StatusCode::CONFLICT, "not_mixed".into())
    );
    assert!(unmixed.body.contains("--snapshot-interval"), "{}", unmixed.body);
    let busy = ask(
        &router,
        Request::get("/api/v1/rooms/busy/snapshot.jpg"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (busy.status, busy.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "1")
    );
    let gone = ask(
        &router,
        Request::get("/api/v1/rooms/dying/snapshot.jpg"),
        Body::empty(),
    )
    .await;
    assert_eq!(
        (gone.status, gone.error()),
        (StatusCode::SERVICE_UNAVAILABLE, "mixer_starting".into())
    );
}

#[tokio::test]
async fn forwards_are_added_described_and_taken_away() {
    let (mut fake, router) = local();
    let path = "/api/v1/rooms/show/participants/alice/forwards";
    let post = || Request::post(path).header("content-type", "application/json");
    let body = r#"{"host": "localhost", "audio_port": 5004, "video_port": 5006}"#;
    let added = ask(&router, post(), body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let told = fake.next().await;
    assert!(
        told.starts_with("add forward show alice") && told.contains("5004"),
        "{told}"
    );
    assert!(
        told.contains("127.0.0.1") || told.contains("::1"),
        "looked up: {told}"
    );
    let (status, listed) = get(&router, path).await;
    assert_eq!(
        (status, &listed[0]["video_port"]),
        (StatusCode::OK, &Value::from(5006))
    );
    let described = ask(
        &router,
        Request::get(format!("{path}/3/stream.sdp")),
        Body::empty(),
    )
    .await;
    assert_eq!(described.header("content-type"), "application/sdp");
    assert!(described.body.starts_with("v=0"), "{}", described.body);
    let gone = ask(&router, Request::delete(format!("{path}/3")), Body::empty()).await;
    assert_eq!(
        (gone.status, fake.next().await),
        (StatusCode::NO_CONTENT, "remove forward show alice 3".into())
    );
}

#[tokio::test]
async fn what_cannot_be_forwarded_to_is_422_and_says_why() {
    let (_fake, router) = local();
    let path = "/api/v1/rooms/show/participants/alice/forwards";
    for (body, word) in [
        (r#"{"host": "239.1.2.3", "audio_port": 5004}"#, "multicast"),
        (r#"{"host": "ff02::1", "audio_port": 5004}"#, "multicast"),
        (r#"{"host": "255.255.255.255", "audio_port": 5004}"#, "broadcast"),
        (
            r#"{"host": "127.255.255.255", "audio_port": 5004}"#,
            "127.255.255.255",
        ),
        (r#"{"host": "0.0.0.0", "audio_port": 5004}"#, "no address"),
        (r#"{"host": "127.0.0.1", "audio_port": 0}"#, "audio_port"),
        (r#"{"host": "127.0.0.1", "video_port": 5005}"#, "5005"),
        (r#"{"host": "127.0.0.1"}"#, "audio_port, video_port"),
        (
            r#"{"host": "no such name.invalid", "audio_port": 5004}"#,
            "no such name",
        ),
        (
            r#"{"host": "127.0.0.1", "audio_port": 5004, "codec": 1}"#,
            "codec",
        ),
    ] {
        let request = Request::post(path).header("content-type", "application/json");
        let refused = ask(&router, request, body).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{body}: {}",
            refused.body
        );
        assert!(refused.body.contains(word), "{body}: {}", refused.body);
    }
}

#[tokio::test]
async fn filters_of_a_participant_are_shown_and_changed() {
    let (mut fake, router) = local();
    let path = "/api/v1/rooms/show/participants/alice/filters";
    let (status, filters) = get(&router, path).await;
    let blurred = serde_json::json!([{"type": "blur", "radius": 4}]);
    assert_eq!((status, filters), (StatusCode::OK, blurred));
    let body = r#"[{"type": "saturation", "factor": 0}]"#;
    assert_eq!(
        put(&router, path, body).await,
        (StatusCode::NO_CONTENT, String::new())
    );
    assert_eq!(
        fake.next().await,
        "filters show alice [Saturation { factor: 0.0 }]"
    );
    let (status, _) = put(&router, "/api/v1/rooms/none/participants/alice/filters", body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn filters_that_cannot_be_run_are_422_and_say_why() {
    let (_fake, router) = local();
    let path = "/api/v1/rooms/show/participants/alice/filters";
    for (body, word) in [
        (r#"[{"type": "sepia"}]"#, "sepia"),
        (r#"[{"type": "blur", "radius": 99}]"#, "radius is 99"),
        (r#"{"type": "mirror"}"#, "sequence"),
    ] {
        let (status, answer) = put(&router, path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        assert!(answer.contains(word), "{answer}");
    }
}

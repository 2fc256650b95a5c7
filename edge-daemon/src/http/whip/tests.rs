use crate::http::AdminAccess;
use crate::http::testing::{Answer, FakeEdge, SESSION, ask};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};

async fn post(router: &Router, path: &str, offer: &str) -> Answer {
    let request = Request::post(path).header("content-type", "application/sdp");
    ask(router, request, offer.to_owned()).await
}

async fn patch(router: &Router, if_match: &str, fragment: &str) -> Answer {
    let request = Request::patch(format!("/whip/show/alice/{SESSION}"))
        .header("content-type", "application/trickle-ice-sdpfrag")
        .header("if-match", if_match);
    ask(router, request, fragment.to_owned()).await
}

fn routes() -> (FakeEdge, Router) {
    let fake = FakeEdge::start();
    let router = fake.router(AdminAccess::Loopback);
    (fake, router)
}

/// RFC 9725 §4.2: "201 Created" with the answer, and a Location that is the session's URL.
#[tokio::test]
async fn an_offer_is_answered_by_a_session_with_a_url_of_its_own() {
    let (mut fake, router) = routes();
    for protocol in ["whip", "whep"] {
        let answer = post(&router, &format!("/{protocol}/show/alice"), "v=0 offer").await;
        assert_eq!(answer.status, StatusCode::CREATED);
        assert_eq!(answer.body, "v=0 answer");
        assert_eq!(answer.header("content-type"), "application/sdp");
        assert_eq!(
            answer.header("location"),
            format!("/{protocol}/show/alice/{SESSION}")
        );
        assert_eq!(answer.header("etag"), "\"tag-1\"");
        assert_eq!(answer.header("accept-patch"), "application/trickle-ice-sdpfrag");
    }
    assert_eq!(fake.next().await, "publish show alice v=0 offer");
    assert_eq!(fake.next().await, "subscribe show alice v=0 offer");
}

#[tokio::test]
async fn names_beyond_ascii_survive_the_way_into_the_location_and_back() {
    let (mut fake, router) = routes();
    let answer = post(&router, "/whip/%E8%BF%9E%E9%BA%A6/a%2Fb%20c", "v=0").await;
    assert_eq!(fake.next().await, "publish 连麦 a/b c v=0");
    assert_eq!(
        answer.header("location"),
        format!("/whip/%E8%BF%9E%E9%BA%A6/a%2Fb%20c/{SESSION}")
    );
    let location = answer.header("location").to_owned();
    assert_eq!(
        ask(&router, Request::delete(location), Body::empty())
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn pages_of_other_origins_may_read_every_answer_and_the_headers_that_matter() {
    let (_fake, router) = routes();
    for answer in [
        post(&router, "/whip/show/alice", "v=0").await,
        post(&router, "/whep/show/absent", "v=0").await,
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        for name in ["Location", "ETag", "Link", "Accept-Patch"] {
            assert!(
                answer.header("access-control-expose-headers").contains(name),
                "{name}"
            );
        }
    }
}

/// RFC 9725 §4.2: OPTIONS is answered with 200 and an Accept-Post header.
#[tokio::test]
async fn options_tell_what_may_be_posted_and_patched() {
    let (_fake, router) = routes();
    let options = |path: String| Request::builder().method(Method::OPTIONS).uri(path);
    let endpoint = ask(&router, options("/whip/show/alice".to_owned()), Body::empty()).await;
    assert_eq!(
        (endpoint.status, endpoint.header("accept-post")),
        (StatusCode::OK, "application/sdp")
    );
    assert!(endpoint.header("access-control-allow-methods").contains("POST"));
    let session = ask(
        &router,
        options(format!("/whep/show/alice/{SESSION}")),
        Body::empty(),
    )
    .await;
    assert_eq!(session.status, StatusCode::OK);
    assert_eq!(session.header("accept-patch"), "application/trickle-ice-sdpfrag");
    assert!(
        session
            .header("access-control-allow-methods")
            .contains("PATCH, DELETE")
    );
    assert!(
        session
            .header("access-control-allow-headers")
            .contains("If-Match")
    );
}

/// RFC 9725 §4.1: GET, HEAD and PUT are reserved and answered with 405.
#[tokio::test]
async fn other_methods_are_refused_and_the_right_ones_named() {
    let (_fake, router) = routes();
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let request = Request::builder().method(&method).uri("/whip/show/alice");
        let answer = ask(&router, request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.header("allow").contains("POST"), "{method}");
        let request = Request::builder()
            .method(&method)
            .uri(format!("/whep/show/alice/{SESSION}"));
        let answer = ask(&router, request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(answer.header("allow").contains("PATCH"), "{method}");
    }
}

/// RFC 9725 §4.2: another content type, or SDP that is malformed, is refused with a 4xx answer.
#[tokio::test]
async fn what_is_not_an_offer_is_refused() {
    let (_fake, router) = routes();
    let json = Request::post("/whip/show/alice").header("content-type", "application/json");
    let answer = ask(&router, json, "{}").await;
    assert_eq!(
        (answer.status, answer.error()),
        (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type".into()
        )
    );
    let untyped = ask(&router, Request::post("/whip/show/alice"), "v=0").await;
    assert_eq!(untyped.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let nonsense = post(&router, "/whip/show/alice", "nonsense").await;
    assert_eq!(
        (nonsense.status, nonsense.error()),
        (StatusCode::BAD_REQUEST, "bad_sdp".into())
    );
    let binary = Request::post("/whip/show/alice").header("content-type", "application/sdp");
    assert_eq!(ask(&router, binary, vec![0xff, 0xfe]).await.error(), "bad_sdp");
}

#[tokio::test]
async fn a_content_type_may_have_parameters_and_any_case() {
    let (_fake, router) = routes();
    let request = Request::post("/whip/show/alice").header("content-type", "Application/SDP; charset=utf-8");
    assert_eq!(ask(&router, request, "v=0").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_accept_header_that_excludes_sdp_is_406() {
    let (_fake, router) = routes();
    let accepting = |value: &str| {
        Request::post("/whep/show/alice")
            .header("content-type", "application/sdp")
            .header("accept", value)
    };
    for value in ["*/*", "application/*;q=0.5", "text/html, application/sdp"] {
        assert_eq!(
            ask(&router, accepting(value), "v=0").await.status,
            StatusCode::CREATED,
            "{value}"
        );
    }
    for value in ["text/html", "application/sdp;q=0", "application/json, text/*"] {
        let answer = ask(&router, accepting(value), "v=0").await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::NOT_ACCEPTABLE, "not_acceptable".into()),
            "{value}"
        );
    }
}

#[tokio::test]
async fn an_offer_over_64_kib_is_413_and_does_not_reach_the_edge() {
    let (mut fake, router) = routes();
    let answer = post(&router, "/whip/show/alice", &"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too_large".into())
    );
    let metrics = ask(&router, Request::get("/metrics"), Body::empty()).await.body;
    assert!(
        metrics.contains("http_rejected_total{reason=\"body_too_large\"} 1"),
        "{metrics}"
    );
    assert_eq!(
        post(&router, "/whip/show/alice", &"x".repeat(64 * 1024))
            .await
            .status,
        StatusCode::CREATED
    );
    assert!(
        fake.next().await.starts_with("publish"),
        "only the second one came"
    );
    assert!(fake.seen.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    struct Never;
    impl futures_core::Stream for Never {
        type Item = Result<axum::body::Bytes, std::io::Error>;
        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Pending
        }
    }
    let (_fake, router) = routes();
    let request = Request::post("/whip/show/alice").header("content-type", "application/sdp");
    let answer = ask(&router, request, Body::from_stream(Never)).await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::GATEWAY_TIMEOUT, "timeout".into())
    );
}

#[tokio::test]
async fn a_taken_name_conflicts_and_a_full_edge_asks_for_patience() {
    let (_fake, router) = routes();
    let taken = post(&router, "/whip/show/taken", "v=0").await;
    assert_eq!(
        (taken.status, taken.error()),
        (StatusCode::CONFLICT, "user_exists".into())
    );
    let late = post(&router, "/whip/show/late", "v=0").await;
    assert_eq!(
        (late.status, late.error()),
        (StatusCode::SERVICE_UNAVAILABLE, "limit_reached".into())
    );
}

/// draft-ietf-wish-whep: 409 with Retry-After when the publication is not live.
#[tokio::test]
async fn a_player_that_comes_before_the_publisher_is_told_when_to_come_back() {
    let (_fake, router) = routes();
    for user in ["absent", "silent"] {
        let answer = post(&router, &format!("/whep/show/{user}"), "v=0").await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{user}");
        assert_eq!(answer.header("retry-after"), "2", "{user}");
    }
}

/// RFC 9725 §4.3.2: 204 without a body and without an ETag.
#[tokio::test]
async fn trickled_candidates_are_204() {
    let (mut fake, router) = routes();
    let answer = patch(&router, "\"tag-1\"", "a=candidate:1").await;
    assert_eq!(
        (answer.status, answer.body.as_str(), answer.header("etag")),
        (StatusCode::NO_CONTENT, "", "")
    );
    assert_eq!(
        fake.next().await,
        format!("patch {SESSION} Some(\"\\\"tag-1\\\"\") a=candidate:1")
    );
}

/// RFC 9725 §4.3.3: 200 with our credentials and the new ETag.
#[tokio::test]
async fn an_ice_restart_is_200_with_a_new_entity_tag() {
    let (_fake, router) = routes();
    let answer = patch(&router, "*", "a=ice-ufrag:x").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "a=ice-ufrag:new")
    );
    assert_eq!(answer.header("content-type"), "application/trickle-ice-sdpfrag");
    assert_eq!(answer.header("etag"), "\"tag-2\"");
}

/// RFC 9725 §4.3.1: 428 without an entity tag, 412 with a wrong one.
#[tokio::test]
async fn a_patch_must_name_the_current_ice_session() {
    let (_fake, router) = routes();
    let bare = Request::patch(format!("/whip/show/alice/{SESSION}"))
        .header("content-type", "application/trickle-ice-sdpfrag");
    let answer = ask(&router, bare, "a=candidate:1").await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::PRECONDITION_REQUIRED, "precondition_required".into())
    );
    let old = patch(&router, "\"tag-0\"", "a=candidate:1").await;
    assert_eq!(
        (old.status, old.error()),
        (StatusCode::PRECONDITION_FAILED, "etag_mismatch".into())
    );
}

#[tokio::test]
async fn a_patch_of_another_type_is_415() {
    let (_fake, router) = routes();
    let request = Request::patch(format!("/whip/show/alice/{SESSION}"))
        .header("content-type", "application/sdp")
        .header("if-match", "\"tag-1\"");
    assert_eq!(
        ask(&router, request, "v=0").await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

/// RFC 9725 §4.2, §4.3.1: DELETE ends the session and ignores entity tags.
#[tokio::test]
async fn delete_ends_a_session_whatever_its_entity_tag() {
    let (mut fake, router) = routes();
    let request = Request::delete(format!("/whep/show/alice/{SESSION}")).header("if-match", "\"old\"");
    assert_eq!(ask(&router, request, Body::empty()).await.status, StatusCode::OK);
    assert_eq!(fake.next().await, format!("delete {SESSION}"));
}

#[tokio::test]
async fn guessing_a_session_finds_nothing() {
    let (_fake, router) = routes();
    for id in ["x", "0123456789abcdef0123456789abcdee", &SESSION.to_uppercase()] {
        let answer = ask(
            &router,
            Request::delete(format!("/whip/show/alice/{id}")),
            Body::empty(),
        )
        .await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::NOT_FOUND, "no_such_session".into()),
            "{id}"
        );
    }
}

use crate::http::AdminAccess;
use crate::http::testing::{FakeEdge, ask};
use axum::body::Body;
use axum::http::{Request, StatusCode};

#[tokio::test]
async fn the_helpers_answer_as_the_original_server_does() {
    let router = FakeEdge::start().router(AdminAccess::Anyone);
    for (path, body) in [
        ("/getAllRooms", r#"["show"]"#),
        ("/getUpdateSpeakerInterval", "1800"),
        ("/getThresholdSpeaker", "-50"),
        (
            "/getClientConfig",
            r#"{"loopbackRemote":false,"loopbackAndLocal":false,"filterRequestParam":"hat"}"#,
        ),
    ] {
        let answer = ask(&router, Request::get(path), Body::empty()).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (StatusCode::OK, body),
            "{path}"
        );
    }
}

#[tokio::test]
async fn close_is_200_or_404_and_never_for_a_link_on_another_site() {
    let router = FakeEdge::start().router(AdminAccess::Anyone);
    let status = async |request| ask(&router, request, Body::empty()).await.status;
    assert_eq!(status(Request::get("/close?room=show")).await, StatusCode::OK);
    assert_eq!(
        status(Request::get("/close?room=none")).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(status(Request::get("/close")).await, StatusCode::BAD_REQUEST);
    let link = Request::get("/close?room=show").header("sec-fetch-site", "cross-site");
    assert_eq!(status(link).await, StatusCode::FORBIDDEN);
}

use crate::http::AdminAccess;
use crate::http::testing::{Answer, FakeEdge, ask};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};

fn router() -> Router {
    FakeEdge::start().router(AdminAccess::Loopback)
}

async fn get(router: &Router, path: &str) -> Answer {
    ask(
        router,
        Request::get(path).header("host", "edge.example:8443"),
        Body::empty(),
    )
    .await
}

const PAGES: [&str; 3] = ["/", "/watch/show", "/api/v1/"];

#[tokio::test]
async fn pages_carry_a_policy_that_forbids_inline_scripts_and_foreign_sources() {
    let router = router();
    for path in PAGES {
        let page = get(&router, path).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8"),
            "{path}"
        );
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert!(
            policy.contains("connect-src 'self' ws://edge.example:8443 wss://edge.example:8443;"),
            "{policy}"
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_host_header_cannot_write_into_the_policy() {
    let request = Request::get("/").header("host", "x; script-src *");
    let page = ask(&router(), request, Body::empty()).await;
    assert!(
        page.header("content-security-policy")
            .contains("connect-src 'self';")
    );
}

/// The policy would silently disable such code, so none may be there.
#[tokio::test]
async fn pages_have_no_inline_script_style_or_handler() {
    let router = router();
    for path in PAGES {
        let page = get(&router, path).await.body;
        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="),
            "{path}"
        );
        for script in page.split("<script").skip(1) {
            assert!(
                script
                    .split('>')
                    .next()
                    .is_some_and(|tag| tag.contains("src=\"/assets/")),
                "{path}: {script}"
            );
        }
    }
}

#[tokio::test]
async fn everything_that_a_page_or_module_loads_is_there_and_nothing_comes_from_elsewhere() {
    let router = router();
    let mut waiting: Vec<String> = PAGES.map(str::to_owned).to_vec();
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) {
            continue;
        }
        let file = get(&router, &path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        let foreign = file.body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://"),
            "{path}"
        );
        waiting.extend(between(&file.body, "\"/assets/").map(|name| format!("/assets/{name}")));
        waiting.extend(between(&file.body, "from \"./").map(|name| format!("/assets/{name}")));
        seen.push(path);
    }
    assert_eq!(seen.len(), PAGES.len() + super::FILES.len() - 3, "{seen:?}");
}

fn between<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let router = router();
    let first = get(&router, "/assets/style.css").await;
    assert_eq!(first.header("cache-control"), "no-cache");
    let etag = first.header("etag").to_owned();
    for condition in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
    ] {
        let request = Request::get("/assets/style.css").header("if-none-match", &condition);
        let again = ask(&router, request, Body::empty()).await;
        assert_eq!(
            (again.status, again.body.as_str()),
            (StatusCode::NOT_MODIFIED, ""),
            "{condition}"
        );
        assert_eq!(again.header("etag"), etag);
    }
    let request = Request::get("/assets/style.css").header("if-none-match", "\"other\"");
    assert_eq!(ask(&router, request, Body::empty()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn files_have_their_types_and_others_do_not_exist() {
    let router = router();
    for (path, kind) in [
        ("/assets/join.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        assert_eq!(get(&router, path).await.header("content-type"), kind);
    }
    for path in ["/assets/main.rs", "/assets/..%2Fsrc%2Fmain.rs", "/assets/"] {
        let answer = get(&router, path).await;
        assert_eq!(
            (answer.status, answer.error()),
            (StatusCode::NOT_FOUND, "not_found".into()),
            "{path}"
        );
    }
}

//! The web pages, built into the program: nothing is read from disk and nothing is loaded from elsewhere.

use super::error::ApiError;
use super::routes::Shared;
use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| serve("join.html", &headers)))
        .route(
            "/watch/{room}",
            get(async |headers: HeaderMap| serve("watch.html", &headers)),
        )
        .route("/assets/{file}", get(asset))
}

/// `GET /api/v1/`
pub(super) async fn api(headers: HeaderMap) -> Response {
    serve("api.html", &headers)
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    serve(&file, &headers)
}

struct File {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
    etag: String,
}

macro_rules! files {
    ($($name:literal: $kind:expr),+ $(,)?) => {
        [$(File::new($name, $kind, include_bytes!(concat!("../../pages/", $name)))),+]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

static FILES: LazyLock<[File; 23]> = LazyLock::new(|| {
    files! {
        "api.html": HTML,
        "join.html": HTML,
        "watch.html": HTML,
        "style.css": CSS,
        "icon.svg": SVG,
        "api.js": SCRIPT,
        "chat.js": SCRIPT,
        "codecs.js": SCRIPT,
        "devices.js": SCRIPT,
        "dom.js": SCRIPT,
        "flv.js": SCRIPT,
        "fmp4.js": SCRIPT,
        "join.js": SCRIPT,
        "level.js": SCRIPT,
        "options.js": SCRIPT,
        "peer.js": SCRIPT,
        "player.js": SCRIPT,
        "remux.js": SCRIPT,
        "room.js": SCRIPT,
        "rpc.js": SCRIPT,
        "stage.js": SCRIPT,
        "tile.js": SCRIPT,
        "watch.js": SCRIPT,
    }
});

impl File {
    /// The tag tells two builds of a page apart; it need not resist anybody who makes pages collide.
    fn new(name: &'static str, kind: &'static str, content: &'static [u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self {
            name,
            kind,
            content,
            etag: format!("\"{:016x}\"", hasher.finish()),
        }
    }

    fn response(&self, headers: &HeaderMap) -> Response {
        let same = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|tags| matches(tags, &self.etag));
        if same {
            // RFC 9110 §15.4.5: the tag is repeated, the body is not.
            return (StatusCode::NOT_MODIFIED, [(ETAG, self.etag.clone())]).into_response();
        }
        (
            [(CONTENT_TYPE, self.kind.to_owned()), (ETAG, self.etag.clone())],
            self.content,
        )
            .into_response()
    }
}

/// Weak comparison (RFC 9110 §13.1.2).
fn matches(tags: &HeaderValue, etag: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return ApiError::not_found(format!("there is no file {name:?}")).into_response();
    };
    let mut response = file.response(headers);
    protect(response.headers_mut(), headers.get(HOST));
    response
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

fn protect(headers: &mut HeaderMap, host: Option<&HeaderValue>) {
    let fixed = [
        // Kept, but asked for again each time: a new build of the edge shows at once.
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            PERMISSIONS_POLICY,
            "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self)",
        ),
        (OPENER_POLICY, "same-origin"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(CONTENT_SECURITY_POLICY, policy(host));
}

/// No inline script or style, nothing from elsewhere, no frames. `blob:` is what Media Source Extensions play from.
/// Older Safari does not count `wss:` of the same host as `'self'`, so the host is named when its name is plain.
fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let plain = |host: &&str| {
        host.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    let socket = match host.and_then(|host| host.to_str().ok()).filter(plain) {
        Some(host) => format!(" ws://{host} wss://{host}"),
        None => String::new(),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; \
         connect-src 'self'{socket}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

#[cfg(test)]
mod tests;

//! A blocking HTTP client that trusts the self-signed certificate of the edge under test.

use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;
use ureq::tls::TlsConfig;
use ureq::{Agent, http};

/// The client. Statuses of 400 and more are answers, not errors.
pub fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .build()
        .into()
}

/// Sends one request and reads the whole answer.
pub fn send(request: http::Request<String>) -> Result<http::Response<String>> {
    let shown = format!("{} {}", request.method(), request.uri());
    let (parts, mut body) = agent().run(request).with_context(|| shown.clone())?.into_parts();
    let text = body
        .read_to_string()
        .with_context(|| format!("the body of {shown}"))?;
    Ok(http::Response::from_parts(parts, text))
}

/// Sends JSON, as the admin API takes it; its answer with the status.
pub fn send_json(method: http::Method, url: &str, body: &Value) -> Result<(http::StatusCode, String)> {
    let request = http::Request::builder().method(method).uri(url);
    let request = request.header("content-type", "application/json");
    let response = send(request.body(body.to_string())?)?;
    Ok((response.status(), response.into_body()))
}

/// GET, which must succeed.
pub fn get(url: &str) -> Result<String> {
    let response = send(http::Request::get(url).body(String::new())?)?;
    anyhow::ensure!(
        response.status().is_success(),
        "GET {url}: {} {}",
        response.status(),
        response.body()
    );
    Ok(response.into_body())
}

/// GET of anything, with its status.
pub fn bytes(url: &str) -> Result<(http::StatusCode, Vec<u8>)> {
    let mut response = agent().get(url).call().with_context(|| url.to_owned())?;
    let body = response
        .body_mut()
        .read_to_vec()
        .with_context(|| format!("the body of {url}"))?;
    Ok((response.status(), body))
}

/// GET of a JSON document.
pub fn get_json(url: &str) -> Result<Value> {
    serde_json::from_str(&get(url)?).with_context(|| format!("{url} is not JSON"))
}

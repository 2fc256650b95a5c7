//! Who is told what happens in rooms, and what that is signed with.

use super::{ConfigError, invalid};
use crate::webhooks::{SECRET_VARIABLE, Secret, WebhookConfig};
use std::path::Path;

/// Each has a thread and a queue.
const MAX_WEBHOOKS: usize = 8;

/// Shorter ones can be guessed from one request.
const MIN_SECRET: usize = 16;

pub(super) fn settle(
    key: &'static str,
    urls: Vec<String>,
    secret_file: Option<&Path>,
) -> Result<Option<WebhookConfig>, ConfigError> {
    if urls.is_empty() {
        return Ok(None);
    }
    if urls.len() > MAX_WEBHOOKS {
        return Err(invalid(
            key,
            format!("{} of them; {MAX_WEBHOOKS} at most", urls.len()),
        ));
    }
    if let Some(wrong) = urls.iter().find(|url| !is_http(url)) {
        return Err(invalid(
            key,
            format!("{wrong:?} is not http://HOST/.. or https://HOST/.."),
        ));
    }
    let secret = secret(secret_file)?;
    Ok(Some(WebhookConfig { urls, secret }))
}

fn is_http(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && !url.contains(|character: char| character.is_control() || character == ' ')
}

fn secret(file: Option<&Path>) -> Result<Secret, ConfigError> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).map_err(|error| {
            invalid(
                "webhook-secret-file",
                format!("cannot read {}: {error}", file.display()),
            )
        })?,
        None => std::env::var(SECRET_VARIABLE).unwrap_or_default(),
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.len() < MIN_SECRET {
        let why = format!(
            "webhooks are signed: put {MIN_SECRET} characters or more into a file, or into {SECRET_VARIABLE}, for \
             example by `openssl rand -hex 32`"
        );
        return Err(invalid("webhook-secret-file", why));
    }
    Ok(Secret(text.as_bytes().to_vec()))
}

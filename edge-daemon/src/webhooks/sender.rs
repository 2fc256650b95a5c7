//! The thread of one server: takes from the outbox, sends, says how it went.

use super::Secret;
use super::outbox::{Counters, Limits, Message, Outbox, Outcome};
use super::signature::sign;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For everything from the name look-up to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server that is told. Its thread ends with the process.
pub(super) struct Receiver(Arc<Shared>);

struct Shared {
    outbox: Mutex<Outbox>,
    changed: Condvar,
}

impl Shared {
    /// An outbox cannot be left half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be sent next, when its time has come.
    fn next(&self) -> Message {
        let mut outbox = self.lock();
        loop {
            let now = Instant::now();
            if let Some(message) = outbox.poll(now) {
                return message;
            }
            outbox = match outbox.next(now) {
                None => self.changed.wait(outbox).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let wait = due.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(outbox, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Receiver {
    pub(super) fn start(url: String, secret: Secret, limits: Limits) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            outbox: Mutex::new(Outbox::new(limits)),
            changed: Condvar::new(),
        });
        let (theirs, agent) = (Arc::clone(&shared), agent());
        let send_all = move || {
            loop {
                let message = theirs.next();
                let outcome = send(&agent, &url, &secret, &message);
                theirs.lock().finished(Instant::now(), outcome);
                theirs.changed.notify_all();
            }
        };
        std::thread::Builder::new()
            .name("webhook".to_owned())
            .spawn(send_all)?;
        Ok(Self(shared))
    }

    pub(super) fn push(&self, message: Message) {
        self.0.lock().push(message);
        self.0.changed.notify_all();
    }

    pub(super) fn counters(&self) -> Counters {
        self.0.lock().counters()
    }

    /// Waits until everything is sent, or until `deadline`.
    pub(super) fn finish(&self, deadline: Instant) {
        let mut outbox = self.0.lock();
        while !outbox.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return tracing::warn!(
                    waiting = outbox.counters().waiting,
                    "a webhook did not take all events before the end"
                );
            };
            let waited = self.0.changed.wait_timeout(outbox, left);
            outbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("lianmai/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn send(agent: &ureq::Agent, url: &str, secret: &Secret, message: &Message) -> Outcome {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let answer = agent
        .post(url)
        .header("content-type", "application/json")
        .header("lianmai-event", message.event)
        .header("lianmai-delivery", &message.id)
        .header("lianmai-timestamp", now.to_string())
        .header("lianmai-signature", sign(secret, now, &message.body))
        .send(&*message.body);
    match answer {
        Ok(answer) => judge(answer.status().as_u16(), message),
        Err(error) => {
            tracing::warn!(event = message.event, %error, "a webhook does not answer");
            Outcome::Failed
        }
    }
}

/// 408 and 429 ask for another attempt (RFC 9110 §15.5.9, RFC 6585 §4), and errors of the server deserve one.
fn judge(status: u16, message: &Message) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        408 | 429 | 500.. => {
            tracing::warn!(event = message.event, status, "a webhook is to be told again");
            Outcome::Failed
        }
        _ => {
            tracing::warn!(event = message.event, status, "a webhook refused an event");
            Outcome::Refused
        }
    }
}

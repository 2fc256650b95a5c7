//! Replies that are kept because the iOS client sends a request again, with its id, when the answer is late.

use super::rpc::Call;
use serde_json::Value;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The last replies of a session, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Replies(VecDeque<Reply>);

#[derive(Debug)]
struct Reply {
    id: Value,
    request: Fingerprint,
    text: String,
}

/// Tells a request that is sent again from another one under the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// A client can only deceive itself with a collision, so any hash will do.
    pub(crate) fn of(call: &Call) -> Self {
        let mut hasher = DefaultHasher::new();
        call.method.hash(&mut hasher);
        call.params.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Replies {
    /// What this request was answered before.
    pub(crate) fn find(&self, id: &Value, request: Fingerprint) -> Option<&str> {
        let found = self
            .0
            .iter()
            .rev()
            .find(|reply| reply.id == *id && reply.request == request);
        found.map(|reply| reply.text.as_str())
    }

    /// Keeps a reply, and forgets the oldest if there are more than `limit`.
    pub(crate) fn keep(&mut self, id: Value, request: Fingerprint, text: String, limit: usize) {
        self.0.push_back(Reply { id, request, text });
        while self.0.len() > limit {
            self.0.pop_front();
        }
    }
}

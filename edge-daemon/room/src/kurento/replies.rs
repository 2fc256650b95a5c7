//! Replies that are kept because the iOS client sends a request again, with its id, when the answer is late.

use super::rpc::Call;
use serde::{Deserialize, Serialize};
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

/// A reply as it is written down; the id is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedReply {
    id: String,
    request: u64,
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

    /// The last `limit` of them, oldest first.
    pub(super) fn save(&self, limit: usize) -> Vec<SavedReply> {
        let older = self.0.len().saturating_sub(limit);
        let kept = self.0.iter().skip(older);
        kept.map(|reply| SavedReply {
            id: reply.id.to_string(),
            request: reply.request.0,
            text: reply.text.clone(),
        })
        .collect()
    }

    /// What was saved. One whose id cannot be read is of no use.
    pub(super) fn restore(saved: Vec<SavedReply>) -> Self {
        let read = |saved: SavedReply| {
            let id = saved.id.parse().ok()?;
            let (request, text) = (Fingerprint(saved.request), saved.text);
            Some(Reply { id, request, text })
        };
        Self(saved.into_iter().filter_map(read).collect())
    }

    /// Keeps a reply, and forgets the oldest if there are more than `limit`.
    pub(crate) fn keep(&mut self, id: Value, request: Fingerprint, text: String, limit: usize) {
        self.0.push_back(Reply { id, request, text });
        while self.0.len() > limit {
            self.0.pop_front();
        }
    }
}

//! What a PeerConnection is called here, and the proof that an address belongs to it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One PeerConnection. A publisher's endpoint names its stream as well; a subscriber's endpoint names its leg.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointId(pub u64);

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointId({})", self.0)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A value that a STUN check with the right credentials has vouched for (RFC 8445 §7.3).
///
/// Only the ICE machine makes one, so a function that takes `Validated<SocketAddr>` cannot be reached by a stranger. What it
/// made once, [`SavedEndpoint`](crate::SavedEndpoint) carries into the process after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validated<T>(T);

impl<T> Validated<T> {
    /// For the ICE machine only, once MESSAGE-INTEGRITY has been verified, here or in the process before this one.
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// A test's word in place of a STUN check.
    #[cfg(feature = "test-support")]
    pub const fn vouched_by_test(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn get(self) -> T {
        self.0
    }
}

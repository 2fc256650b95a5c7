//! Telling the plane.

use lianmai_plane::{Command, PlaneHandle};

/// Tells the plane what to do. A plane that does not listen is the end of forwarding: it is said loudly, and the rest
/// of the edge goes on so that it can be looked at.
pub(crate) fn apply(plane: &PlaneHandle, command: Command) {
    if let Err(error) = plane.apply(command) {
        tracing::error!(%error, "the plane was not told");
    }
}

//! Rooms, the kurento-room JSON-RPC protocol and WHIP/WHEP sessions as one pure machine.
//!
//! [`Signalling`] is told what happened (a text frame, an HTTP request, a lost endpoint, the passing of time), asks a
//! [`Negotiator`] for SDP answers, and says through [`Signalling::poll_output`] what is to be sent. It does no I/O
//! and reads no clock: the caller passes `now`, and calls [`Signalling::handle_timeout`] at [`Signalling::next_timeout`].
#![forbid(unsafe_code)]

mod error;
mod ids;
mod kurento;
mod limits;
mod names;
mod negotiator;
mod output;
mod rooms;
mod saved;
mod scenes;
mod signalling;
mod view;

pub use error::{ResourceError, RoomError};
pub use ids::{ConnectionId, NotAResourceId, ResourceId};
pub use limits::{Counters, Limits};
pub use names::{NameError, RoomName, UserName};
pub use negotiator::{Candidate, IcePatch, MediaError, Negotiated, Negotiator};
pub use output::{EndpointLoss, Output, Patched, WhipSession};
pub use saved::Saved;
pub use scenes::SceneRules;
pub use signalling::Signalling;
pub use view::{ParticipantState, RoomState, SubscriptionState, Via, ViewerState};

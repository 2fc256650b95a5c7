//! The kurento-room dialect of JSON-RPC 2.0: what the texts mean, and what one session must remember.

pub(crate) mod notifications;
pub(crate) mod pace;
pub(crate) mod params;
pub(crate) mod replies;
pub(crate) mod requests;
pub(crate) mod rpc;
mod saved;
pub(crate) mod session;
pub(crate) mod sessions;

pub(crate) use saved::SavedSession;

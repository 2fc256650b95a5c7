//! Synthetic hosts on virtual time, and what the timeline makes of them.

mod failures;
mod room;
mod sim;

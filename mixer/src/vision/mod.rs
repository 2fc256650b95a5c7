//! Machine vision: pictures of the hosts to another program over shared memory, and boxes with labels back.
//!
//! ```text
//!  decoding thread ─ newest picture of each host ─► this thread ─ memfd ─► the program
//!  mixing thread   ◄────────── boxes ────────────── this thread ◄─ lines ─ the program
//! ```
//!
//! Nobody waits for the program. It has one picture of each host at a time; the next one is the newest of those that came
//! meanwhile. What it says is checked, and what makes no sense is counted. Whether it runs is the daemon's business.

mod client;
mod desk;
mod eye;
mod memory;
mod server;
mod wire;

pub(crate) use eye::{Eye, VisionCounters};
pub(crate) use server::open;
pub(crate) use wire::Mark;

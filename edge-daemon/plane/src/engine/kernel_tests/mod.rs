//! An engine beside a kernel: who forwards what, and that nothing is sealed twice or lost, whatever happens when.

mod changes;
mod crashes;
mod deepening;
mod forwarding;
mod pacing;
mod properties;
mod races;

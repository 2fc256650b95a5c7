//! The userspace plane over loopback UDP, with peers that seal and open by their own SRTP contexts.
#![forbid(unsafe_code)]

mod control;
mod fanout;
mod hostile;
mod lifecycle;
mod recovery;
mod support;

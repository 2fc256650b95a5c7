//! The userspace plane over loopback UDP and the kernel plane over a virtual wire, with peers that seal and open by their
//! own SRTP contexts.
#![forbid(unsafe_code)]

mod control;
mod crash;
mod fanout;
mod hostile;
mod kernel;
mod lifecycle;
mod namespace;
mod recovery;
mod support;

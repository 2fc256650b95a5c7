//! What the whole-system tests have in common: starting the real programs, looking and listening.
//!
//! Every process belongs to a guard that ends it by its pid, also when the test fails. Nothing here talks to
//! anything but loopback and network namespaces that the test made itself.
#![forbid(unsafe_code)]

mod bidi;
mod chromium;
mod firefox;

pub mod browser;
pub mod capture;
pub mod connections;
pub mod crash;
pub mod delay;
pub mod edge;
pub mod flash;
pub mod host;
pub mod http;
pub mod live;
pub mod netns;
pub mod nginx;
pub mod probe;
pub mod process;
pub mod publisher;
pub mod pyav;
pub mod report;
pub mod talk;
pub mod tone;
pub mod wait;
pub mod web;
pub mod webhook;

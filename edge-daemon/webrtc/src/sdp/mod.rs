//! Offers in, answers out (RFC 8866, RFC 8829), without I/O.
//!
//! An offer is a browser's, a WHIP client's or kurento-utils': one audio and one video section at most, bundled on one
//! transport. The answer takes one codec per section, which is what makes a stream forwardable without transcoding.

mod answer;
mod attributes;
mod error;
mod extensions;
mod fragment;
mod offer;
mod payload;
mod section;
mod transport;
mod write;

pub use answer::{Answer, Local, answer_publish, answer_subscribe};
pub use error::SdpError;
pub use fragment::{Fragment, answer_fragment};
pub use offer::Offer;

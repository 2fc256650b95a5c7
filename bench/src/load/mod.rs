//! The measuring data path: packets that were sealed before, sent at their times, and received with kernel timestamps.

pub(crate) mod opener;
pub(crate) mod outcome;
pub(crate) mod packets;
pub(crate) mod receiver;
pub(crate) mod sender;
pub(crate) mod trial;

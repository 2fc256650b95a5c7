//! What the tests within the crate share with those of the process.

#[path = "../tests/common/damage.rs"]
pub(crate) mod damage;
#[path = "../tests/common/streams.rs"]
pub(crate) mod streams;

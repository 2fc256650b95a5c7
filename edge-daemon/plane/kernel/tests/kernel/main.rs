//! The crate against the running kernel: routes and neighbours, and the programs on a pair of virtual interfaces. Each test has
//! network namespaces of its own; without the privileges for that, or without the programs, it says so and does nothing.

mod forward;
mod load;
mod namespace;
mod next_hops;
mod packets;

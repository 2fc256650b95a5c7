//! The kernel's side of the data plane: programs, maps, rings and next hops.
//!
//! This crate brings the programs of `ebpf/xdp` into the kernel and gives the daemon the memory that it shares with them. It
//! knows how records are written and claimed, and nothing of rooms, keys or packets: what to write, and when, is decided by
//! `lianmai-plane`.
//!
//! * [`Kernel`] is everything, loaded and attached.
//! * [`Maps`] hands out slots. Each is an owner: dropped, it returns to where it came from. What the kernel must find in a map of maps
//!   takes some milliseconds to get there, off the calling thread; `is_installed` tells when it has.
//! * [`Tokens`] and [`Pads`] are rings of records that are claimed once, by whichever side comes first.
//! * A [`Ledger`] is memory that outlives the process: which packet indices were used up under which keys.
//! * [`Copies`] are the packets that the kernel forwarded.
//! * [`NextHops`] are the headers that frames to a peer need.

mod by_hand;
mod copies;
mod floor;
mod ids;
mod installer;
mod kernel;
mod ledger;
mod mapping;
mod maps;
mod next_hop;
mod object;
mod outcomes;
mod pads;
mod peer;
mod pins;
mod places;
mod ring;
mod shared;
mod stream;
mod sys;
mod table;
mod tokens;
mod unavailable;

pub use by_hand::{ByHand, Run};
pub use copies::Copies;
pub use floor::{Floor, FloorByHand, is_built as floor_is_built};
pub use kernel::{Config, Kernel, Outliving, ProgramInfo};
pub use ledger::{BadLedger, Kind, Ledger, Left, Owner, RTCP_WORDS, RTP_WORDS, Record, Window};
pub use maps::{Bound, Maps, NoRoom, NotAdopted};
pub use next_hop::{Ethernet, FrameHeader, MacAddress, NextHops, NoNextHop};
pub use outcomes::Outcomes;
pub use pads::{Fate, Pads};
pub use peer::PeerSlot;
pub use pins::NotPinned;
pub use ring::{Claim, MAX_RING, Slot};
pub use stream::{GRACE, NotAnnounced, StreamSlot, stream_key};
pub use table::TableSlot;
pub use tokens::Tokens;
pub use unavailable::Unavailable;

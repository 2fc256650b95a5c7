//! Replication without any crypto, for benchmarks: what nothing that replicates in XDP can be cheaper than.

use crate::by_hand::{Run, run};
use crate::kernel::{attach, load};
use crate::next_hop::{FrameHeader, NextHops};
use crate::object;
use crate::unavailable::Unavailable;
use aya::maps::{Array, DevMap};
use aya::{Ebpf, EbpfLoader};
use lianmai_fanout::plain::{LEG_WORDS, PlainLeg, WORDS};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

const INGRESS: &str = "floor_ingress";
const EGRESS: &str = "floor_egress";
const EGRESS_BY_HAND: &str = "floor_egress_by_hand";
const FAN: &str = "FLOOR_FAN";
const LEGS: &str = "FLOOR_LEGS";

/// Sends every media packet that comes in by an interface to all legs, until this is dropped.
#[derive(Debug)]
pub struct Floor {
    _link: OwnedFd,
    _object: Ebpf,
}

/// The programs of the floor on nobody's interface.
#[derive(Debug)]
pub struct FloorByHand {
    object: Ebpf,
}

/// Whether the programs are part of this binary.
pub fn is_built() -> bool {
    object::floor().is_ok()
}

impl Floor {
    /// Attaches it, for legs over IPv4 whose Ethernet addresses the kernel knows.
    pub fn attach(interface: &str, media_port: u16, legs: &[SocketAddr]) -> Result<Self, Unavailable> {
        let mut next_hops = NextHops::open(interface)?;
        let headers = legs.iter().map(|leg| {
            let header = next_hops.frame_header(*leg, media_port);
            header.map_err(|error| Unavailable::Other(io::Error::other(error)))
        });
        let headers: Vec<_> = headers.collect::<Result<_, _>>()?;
        let mut object = with_legs(media_port, &headers)?;
        let (egress, _) = load(&mut object, EGRESS)?;
        let (ingress, _) = load(&mut object, INGRESS)?;
        let map = object.map_mut(FAN).ok_or_else(|| Unavailable::missing(FAN))?;
        let mut fan = DevMap::try_from(map).map_err(Unavailable::from_map)?;
        for leg in 0..fan.len() {
            fan.set(leg, next_hops.interface_index(), Some(&egress), 0)
                .map_err(|error| Unavailable::Other(io::Error::other(error)))?;
        }
        Ok(Self {
            _link: attach(&ingress, &next_hops)?,
            _object: object,
        })
    }
}

impl FloorByHand {
    /// Loads the programs for these legs.
    pub fn load(media_port: u16, legs: &[FrameHeader]) -> Result<Self, Unavailable> {
        let mut object = with_legs(media_port, legs)?;
        for name in [INGRESS, EGRESS_BY_HAND] {
            load(&mut object, name)?;
        }
        Ok(Self { object })
    }

    /// A frame arrives.
    pub fn ingress(&mut self, frame: &[u8]) -> Run {
        run(&self.object, INGRESS, &Run::of_frame(frame))
    }

    /// A copy of a frame that `ingress` let through leaves.
    pub fn egress(&mut self, accepted: &Run) -> Run {
        run(&self.object, EGRESS_BY_HAND, accepted)
    }
}

/// Makes the maps, and tells the programs of the legs.
fn with_legs(media_port: u16, headers: &[FrameHeader]) -> Result<Ebpf, Unavailable> {
    // As on the wire.
    let media_port = media_port.to_be();
    let mut loader = EbpfLoader::new();
    loader
        .btf(None)
        .override_global("MEDIA_PORT", &media_port, true)
        .map_max_entries(FAN, headers.len() as u32);
    let mut object = loader.load(object::floor()?).map_err(Unavailable::from_object)?;
    let map = object.map_mut(LEGS).ok_or_else(|| Unavailable::missing(LEGS))?;
    let mut legs = Array::<_, PlainLeg>::try_from(map).map_err(Unavailable::from_map)?;
    for (place, header) in (0..).zip(headers) {
        let set = legs.set(place, leg(header)?, 0);
        set.map_err(|error| Unavailable::Other(io::Error::other(error)))?;
    }
    Ok(object)
}

fn leg(header: &FrameHeader) -> Result<PlainLeg, Unavailable> {
    if usize::from(header.len) != 2 * WORDS {
        return Err(Unavailable::Other(io::Error::other(
            "the floor has legs over IPv4 only",
        )));
    }
    let (pairs, _) = header.bytes.as_chunks::<2>();
    let mut leg = [0; LEG_WORDS];
    for (word, pair) in leg.iter_mut().take(WORDS).zip(pairs) {
        *word = u16::from_ne_bytes(*pair);
    }
    [leg[WORDS], leg[WORDS + 1]] = header.sums;
    Ok(leg)
}

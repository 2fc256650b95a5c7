//! Loading the programs and attaching them.

use crate::copies::Copies;
use crate::maps::Maps;
use crate::next_hop::NextHops;
use crate::object::{self, Shapes};
use crate::outcomes::Outcomes;
use crate::sys;
use crate::unavailable::{Unavailable, is};
use aya::maps::{DevMap, MapData, PerCpuArray, RingBuf};
use aya::programs::{ProgramFd, Xdp};
use aya::util::KernelVersion;
use aya::{Ebpf, EbpfLoader};
use lianmai_fanout::records::{MAX_LEGS, Outcome};
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Where the programs are to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interface that media comes in by and leaves by.
    pub interface: String,
    /// The daemon's UDP port for media.
    pub media_port: u16,
}

/// The programs: loaded, and attached until this is dropped.
#[derive(Debug)]
pub struct Kernel {
    // First, so that nothing runs any more when the rest goes.
    _link: OwnedFd,
    programs: Vec<ProgramInfo>,
    counters: Counters,
    copies: Copies,
    maps: Maps,
    next_hops: NextHops,
    /// Holds the programs, and the maps that are only theirs.
    _object: Ebpf,
}

/// A program as the kernel took it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Its name in the object.
    pub name: &'static str,
    /// Instructions that the verifier went through; `None` if the kernel does not say.
    pub verified_instructions: Option<u32>,
    /// Bytes of machine code; zero if it is interpreted.
    pub jited_size: u32,
    /// Bytes of bytecode; `None` if the kernel does not say.
    pub translated_size: Option<u32>,
}

pub(crate) const INGRESS: &str = "ingress";
const EGRESS: &str = "egress";
pub(crate) const EGRESS_BY_HAND: &str = "egress_by_hand";

pub(crate) struct Counters(PerCpuArray<MapData, u64>);

impl Counters {
    pub(crate) fn read(&self) -> io::Result<Outcomes> {
        Outcomes::read(&self.0)
    }
}

impl Kernel {
    /// Loads the programs that were built into this binary, and attaches them to the interface.
    pub fn load(config: &Config) -> Result<Self, Unavailable> {
        check_kernel()?;
        let object = object::built_in()?;
        let shapes = Shapes::declared(object)?;
        let next_hops = NextHops::open(&config.interface)?;
        let interface = next_hops.interface_index();
        let mut object = open(object, config.media_port)?;
        let (egress, egress_info) = load(&mut object, EGRESS)?;
        let (ingress, ingress_info) = load(&mut object, INGRESS)?;
        fill_fans(&mut object, interface, &egress)?;
        let mut kernel = Self {
            counters: counters(&mut object)?,
            copies: copies(&mut object)?,
            maps: Maps::in_kernel(&mut object, shapes)?,
            programs: vec![ingress_info, egress_info],
            // Last: packets that arrive from here on find all that the programs need.
            _link: attach(&ingress, &next_hops)?,
            next_hops,
            _object: object,
        };
        kernel.next_hops.changed()?;
        Ok(kernel)
    }

    /// Has the kernel take the programs in and lets go of them again, without attaching anything: whether it would, and how long
    /// they are.
    pub fn try_out() -> Result<Vec<ProgramInfo>, Unavailable> {
        check_kernel()?;
        let object = object::built_in()?;
        Shapes::declared(object)?;
        let mut object = open(object, 0)?;
        let mut infos = Vec::new();
        for name in [INGRESS, EGRESS] {
            let (_, info) = load(&mut object, name)?;
            infos.push(info);
        }
        Ok(infos)
    }

    /// Where slots are to be had.
    pub fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }

    /// Where copies of packets arrive.
    pub fn copies(&mut self) -> &mut Copies {
        &mut self.copies
    }

    /// What became of the packets so far.
    pub fn outcomes(&self) -> io::Result<Outcomes> {
        self.counters.read()
    }

    /// The way to a peer.
    pub fn next_hops(&mut self) -> &mut NextHops {
        &mut self.next_hops
    }

    /// The programs as the kernel took them in.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramInfo> {
        self.programs.clone()
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

/// Devmap programs, links of XDP, loops, atomics and ring buffers all exist in the long-term kernel 6.1, the oldest that Debian
/// still serves.
fn check_kernel() -> Result<(), Unavailable> {
    let found = KernelVersion::current().map_err(|error| io::Error::other(error.to_string()))?;
    if found >= KernelVersion::new(6, 1, 0) {
        return Ok(());
    }
    let release = nix::sys::utsname::uname().map_err(io::Error::from)?;
    Err(Unavailable::OldKernel {
        found: release.release().to_string_lossy().into_owned(),
    })
}

/// Makes the maps.
pub(crate) fn open(object: &[u8], media_port: u16) -> Result<Ebpf, Unavailable> {
    // As on the wire.
    let media_port = media_port.to_be();
    let mut loader = EbpfLoader::new();
    loader.btf(None).override_global("MEDIA_PORT", &media_port, true);
    loader.load(object).map_err(Unavailable::from_object)
}

pub(crate) fn load(object: &mut Ebpf, name: &'static str) -> Result<(ProgramFd, ProgramInfo), Unavailable> {
    let failed = |error| Unavailable::from_program(name, error);
    let program = object
        .program_mut(name)
        .ok_or_else(|| Unavailable::missing(name))?;
    let program: &mut Xdp = program.try_into().map_err(failed)?;
    program.load().map_err(failed)?;
    let info = program.info().map_err(failed)?;
    let info = ProgramInfo {
        name,
        verified_instructions: info.verified_instruction_count(),
        jited_size: info.size_jitted(),
        translated_size: info.size_translated(),
    };
    let descriptor = program.fd().map_err(failed)?.try_clone()?;
    Ok((descriptor, info))
}

/// A frame that is broadcast to the map of n goes out n times, each through the egress program.
fn fill_fans(object: &mut Ebpf, interface: u32, egress: &ProgramFd) -> Result<(), Unavailable> {
    for legs in 1..=MAX_LEGS {
        let name = format!("FAN_{legs}");
        let map = object.map_mut(&name).ok_or_else(|| Unavailable::missing(&name))?;
        let mut map = DevMap::try_from(map).map_err(Unavailable::from_map)?;
        if map.len() != legs {
            return Err(Unavailable::Mismatch(format!("{name} has {} entries", map.len())));
        }
        for leg in 0..legs {
            map.set(leg, interface, Some(egress), 0)
                .map_err(|error| Unavailable::Other(io::Error::other(error)))?;
        }
    }
    Ok(())
}

pub(crate) fn counters(object: &mut Ebpf) -> Result<Counters, Unavailable> {
    let map = object
        .take_map("COUNTERS")
        .ok_or_else(|| Unavailable::missing("COUNTERS"))?;
    let counters = PerCpuArray::try_from(map).map_err(Unavailable::from_map)?;
    if (counters.len() as usize) < Outcome::ALL.len() {
        return Err(Unavailable::Mismatch(format!(
            "COUNTERS has {} entries",
            counters.len()
        )));
    }
    Ok(Counters(counters))
}

pub(crate) fn copies(object: &mut Ebpf) -> Result<Copies, Unavailable> {
    let map = object
        .take_map("COPIES")
        .ok_or_else(|| Unavailable::missing("COPIES"))?;
    Ok(Copies::new(
        RingBuf::try_from(map).map_err(Unavailable::from_map)?,
    ))
}

/// By a link and in native mode or not at all. In generic mode the copies of a frame share their bytes, so that what is written
/// for one leg would show in the others.
fn attach(ingress: &ProgramFd, next_hops: &NextHops) -> Result<OwnedFd, Unavailable> {
    let interface = next_hops.interface_name().to_owned();
    sys::attach_xdp(ingress.as_fd(), next_hops.interface_index()).map_err(|source| {
        if is(&source, Errno::EBUSY) || is(&source, Errno::EEXIST) {
            return Unavailable::Busy {
                interface,
                program: next_hops.attached_program(),
            };
        }
        if is(&source, Errno::EPERM) || is(&source, Errno::EACCES) {
            return Unavailable::from_io("attach an XDP program", source);
        }
        Unavailable::NoNativeXdp { interface, source }
    })
}

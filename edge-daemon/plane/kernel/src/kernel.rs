//! Loading the programs and attaching them.

use crate::copies::Copies;
use crate::maps::Maps;
use crate::next_hop::NextHops;
use crate::object::{self, Shapes};
use crate::outcomes::Outcomes;
use crate::pins::Pins;
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
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the programs are to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interface that media comes in by and leaves by.
    pub interface: String,
    /// The daemon's UDP port for media.
    pub media_port: u16,
    /// Whether programs and maps outlive this process.
    pub outliving: Outliving,
}

/// What happens to programs and maps when the process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outliving {
    /// They go with it.
    No,
    /// They stay, pinned in this BPF file system. What an earlier process left there is taken away first.
    Pinned(PathBuf),
    /// The same, but what an earlier process left there is taken over while it runs.
    Adopted(PathBuf),
}

/// The programs: loaded, and attached until this is dropped.
#[derive(Debug)]
pub struct Kernel {
    // These first, so that nothing runs any more when the rest goes.
    pinned: Option<Pinned>,
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

/// What is pinned for an interface has one process that uses it, and an ordered end of that leaves nothing behind.
#[derive(Debug)]
struct Pinned {
    pins: Arc<Pins>,
    is_adopted: bool,
    stays: bool,
    /// Goes with the process, however that ends.
    _lock: UnixDatagram,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        if let Err(error) = self.pins.end() {
            tracing::warn!(%error, "pins of the kernel plane stay behind; the next start takes them away");
        }
    }
}

/// The pin of the ingress program's link.
const LINK: &str = "link";

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
        let pinned = pinned(config, &next_hops)?;
        let pins = pinned.as_ref().map(|pinned| Arc::clone(&pinned.pins));
        let is_adopted = pinned.as_ref().is_some_and(|pinned| pinned.is_adopted);
        let mut object = open(
            object,
            config.media_port,
            pins.as_deref().map(|pins| (pins, &shapes)),
        )?;
        let (egress, egress_info) = load(&mut object, EGRESS)?;
        let (ingress, ingress_info) = load(&mut object, INGRESS)?;
        fill_fans(&mut object, interface, &egress)?;
        let mut kernel = Self {
            counters: counters(&mut object)?,
            copies: copies(&mut object)?,
            maps: Maps::in_kernel(&mut object, shapes, pins.clone(), is_adopted)?,
            programs: vec![ingress_info, egress_info],
            // Last: packets that arrive from here on find all that the programs need.
            _link: link(&ingress, &next_hops, pins.as_deref())?,
            pinned,
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
        let mut object = open(object, 0, None)?;
        let mut infos = Vec::new();
        for name in [INGRESS, EGRESS] {
            let (_, info) = load(&mut object, name)?;
            infos.push(info);
        }
        Ok(infos)
    }

    /// Goes as a process goes that is killed: what is pinned stays, and the kernel goes on with it.
    pub fn abandon(mut self) {
        if let Some(pinned) = &mut self.pinned {
            pinned.stays = true;
        }
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

fn pinned(config: &Config, next_hops: &NextHops) -> Result<Option<Pinned>, Unavailable> {
    let (root, are_adopted) = match &config.outliving {
        Outliving::No => return Ok(None),
        Outliving::Pinned(root) => (root, false),
        Outliving::Adopted(root) => (root, true),
    };
    // Abstract names live in a network namespace, as interfaces do.
    let name = UnixAddr::from_abstract_name(format!("lianmai-kernel-plane/{}", config.interface))?;
    let _lock = UnixDatagram::bind_addr(&name).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Unavailable::Busy {
            interface: config.interface.clone(),
            program: next_hops.attached_program(),
        },
        _ => Unavailable::Other(source),
    })?;
    let pins = Pins::open(root, &config.interface)?;
    // The link is pinned last, so that all the rest is there if it is.
    let is_adopted = are_adopted && pins.has(LINK);
    if !is_adopted {
        pins.clear()?;
    }
    Ok(Some(Pinned {
        pins: Arc::new(pins),
        is_adopted,
        stays: false,
        _lock,
    }))
}

/// Makes the maps, but for those that are pinned.
pub(crate) fn open(
    object: &[u8],
    media_port: u16,
    pinned: Option<(&Pins, &Shapes)>,
) -> Result<Ebpf, Unavailable> {
    // As on the wire.
    let media_port = media_port.to_be();
    let mut loader = EbpfLoader::new();
    loader.btf(None).override_global("MEDIA_PORT", &media_port, true);
    if let Some((pins, shapes)) = pinned {
        for name in shapes.map_names() {
            loader.map_pin_path(name, pins.path(name));
        }
    }
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

/// A link that an earlier process left runs this program from now on, without a packet in between; if it is none any more,
/// as when its interface is another, there is a new one.
fn link(ingress: &ProgramFd, next_hops: &NextHops, pins: Option<&Pins>) -> Result<OwnedFd, Unavailable> {
    let left = pins.and_then(|pins| pins.get(LINK).ok());
    if let Some(link) = left.filter(|link| sys::update_link(link.as_fd(), ingress.as_fd()).is_ok()) {
        return Ok(link);
    }
    let link = attach(ingress, next_hops)?;
    if let Some(pins) = pins {
        pins.put(LINK, link.as_fd())?;
    }
    Ok(link)
}

/// By a link and in native mode or not at all. In generic mode the copies of a frame share their bytes, so that what is written
/// for one leg would show in the others.
pub(crate) fn attach(ingress: &ProgramFd, next_hops: &NextHops) -> Result<OwnedFd, Unavailable> {
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

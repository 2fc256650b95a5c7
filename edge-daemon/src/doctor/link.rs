//! What the kernel knows of an interface, gathered over netlink and from sysfs.

use super::ethtool::{self, Offload, Queues};
use super::netlink::{Attributes, ask_generic, attribute, flags_of, index_of, link_by_index, link_by_name};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What is known of one interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) mtu: u32,
    /// The module that drives it, or the kind of a virtual interface.
    pub(super) driver: String,
    /// The other end of a veth pair.
    pub(super) peer: Option<Peer>,
    pub(super) attached: Option<Attached>,
    /// What it can do with XDP, where the kernel tells.
    pub(super) xdp: Option<XdpFeatures>,
    pub(super) queues: Option<Queues>,
    /// Offloads by name: on or off, and whether that can be changed.
    pub(super) offloads: BTreeMap<String, Offload>,
    /// Lines of /proc/interrupts that are its own.
    pub(super) interrupts: usize,
    /// Receive queues that hand packets on to other CPUs (RPS).
    pub(super) steered: usize,
    /// VLANs on top of it.
    pub(super) vlans: Vec<String>,
}

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// In this network namespace.
    Here { name: String, mtu: u32 },
    /// In another one, where it has this index.
    Elsewhere { index: u32 },
}

/// An XDP program on the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) program: u32,
    pub(super) generic: bool,
}

/// Bits of enum netdev_xdp_act, linux/netdev.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpFeatures(pub(super) u64);

impl XdpFeatures {
    pub(super) fn native(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn redirects(self) -> bool {
        self.0 & 2 != 0
    }

    /// Takes what others redirect to it.
    pub(super) fn transmits(self) -> bool {
        self.0 & 4 != 0
    }
}

impl Link {
    /// Asks for everything; only that the interface is there has to be true.
    pub(super) fn find(name: &str) -> io::Result<Self> {
        let answer = link_by_name(name)?;
        let attributes = answer.attributes();
        let index = index_of(&answer).ok_or(io::ErrorKind::InvalidData)?;
        let kind = attributes.nested(rtnl::LINKINFO).text(rtnl::INFO_KIND);
        let kind = kind.unwrap_or_default();
        let peer = (kind == "veth").then(|| peer(attributes)).flatten();
        Ok(Self {
            name: name.to_owned(),
            up: flags_of(&answer).is_some_and(|flags| flags & rtnl::RUNNING == rtnl::RUNNING),
            mtu: attributes.word(rtnl::MTU).unwrap_or_default(),
            driver: driver(name).unwrap_or(kind),
            peer,
            attached: attached(attributes.nested(rtnl::XDP)),
            xdp: xdp_features(index),
            queues: ethtool::queues(name),
            offloads: ethtool::offloads(name),
            interrupts: interrupts(name),
            steered: steered(name),
            vlans: vlans(name),
        })
    }

    pub(super) fn offload(&self, name: &str) -> Offload {
        self.offloads.get(name).copied().unwrap_or_default()
    }
}

/// linux/if_link.h, linux/if.h
mod rtnl {
    pub(super) const IFNAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK: u16 = 5;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const LINK_NETNSID: u16 = 37;
    pub(super) const XDP: u16 = 43;
    pub(super) const XDP_ATTACHED: u16 = 2;
    pub(super) const XDP_PROG_ID: u16 = 4;
    /// IFF_UP and IFF_RUNNING
    pub(super) const RUNNING: u32 = 1 | 0x40;
    pub(super) const XDP_ATTACHED_NONE: u8 = 0;
    pub(super) const XDP_ATTACHED_SKB: u8 = 2;
}

fn peer(attributes: Attributes<'_>) -> Option<Peer> {
    let index = attributes.word(rtnl::LINK)?;
    if attributes.find(rtnl::LINK_NETNSID).is_some() {
        return Some(Peer::Elsewhere { index });
    }
    let answer = link_by_index(index).ok()?;
    Some(Peer::Here {
        name: answer.attributes().text(rtnl::IFNAME)?,
        mtu: answer.attributes().word(rtnl::MTU)?,
    })
}

fn attached(xdp: Attributes<'_>) -> Option<Attached> {
    let mode = *xdp.find(rtnl::XDP_ATTACHED)?.first()?;
    (mode != rtnl::XDP_ATTACHED_NONE).then(|| Attached {
        program: xdp.word(rtnl::XDP_PROG_ID).unwrap_or_default(),
        generic: mode == rtnl::XDP_ATTACHED_SKB,
    })
}

/// The family came with Linux 6.3.
fn xdp_features(index: u32) -> Option<XdpFeatures> {
    const DEV_GET: u8 = 1;
    const IFINDEX: u16 = 1;
    const XDP_FEATURES: u16 = 3;
    let answer = ask_generic("netdev", DEV_GET, &attribute(IFINDEX, &index.to_ne_bytes())).ok()?;
    answer.attributes().long(XDP_FEATURES).map(XdpFeatures)
}

fn driver(name: &str) -> Option<String> {
    let driver = std::fs::read_link(sysfs(name).join("device/driver")).ok()?;
    Some(driver.file_name()?.to_string_lossy().into_owned())
}

/// Drivers name their interrupts after the interface or after the device below it.
fn interrupts(name: &str) -> usize {
    let device = std::fs::read_link(sysfs(name).join("device")).ok();
    let device = device.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let table = std::fs::read_to_string("/proc/interrupts").unwrap_or_default();
    let words = table
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().last());
    words
        .filter(|word| {
            interrupt_is_of(word, name)
                || device
                    .as_deref()
                    .is_some_and(|device| interrupt_is_of(word, device))
        })
        .count()
}

/// `eth0-TxRx-0`, `virtio2-input.0`, `mlx5_comp0@pci:0000:00:05.0`; but `eth1` has nothing of `eth10-rx`.
fn interrupt_is_of(word: &str, owner: &str) -> bool {
    let digit_follows = |rest: &str| rest.starts_with(|next: char| next.is_ascii_digit());
    word.ends_with(&format!(":{owner}")) || word.strip_prefix(owner).is_some_and(|rest| !digit_follows(rest))
}

fn steered(name: &str) -> usize {
    let Ok(queues) = std::fs::read_dir(sysfs(name).join("queues")) else {
        return 0;
    };
    let masks = queues.filter_map(|queue| std::fs::read_to_string(queue.ok()?.path().join("rps_cpus")).ok());
    masks
        .filter(|mask| mask.trim().contains(|digit| digit != '0' && digit != ','))
        .count()
}

fn vlans(name: &str) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/vlan/config").unwrap_or_default();
    let rows = table.lines().skip(2).filter_map(|line| {
        let mut fields = line.split('|').map(str::trim);
        let (vlan, _, below) = (fields.next()?, fields.next()?, fields.next()?);
        (below == name).then(|| vlan.to_owned())
    });
    rows.collect()
}

fn sysfs(name: &str) -> std::path::PathBuf {
    Path::new("/sys/class/net").join(name)
}

#[cfg(test)]
mod tests {
    use super::super::netlink::{Attributes, attribute};
    use super::{Attached, Link, attached, interrupt_is_of};

    #[test]
    fn an_attached_program_is_told_by_its_mode() {
        let xdp = |mode: u8| [attribute(2, &[mode]), attribute(4, &7u32.to_ne_bytes())].concat();
        assert_eq!(attached(Attributes(&xdp(0))), None);
        assert_eq!(
            attached(Attributes(&xdp(1))),
            Some(Attached {
                program: 7,
                generic: false
            })
        );
        assert_eq!(
            attached(Attributes(&xdp(2))),
            Some(Attached {
                program: 7,
                generic: true
            })
        );
        assert_eq!(attached(Attributes(&[])), None);
    }

    #[test]
    fn interrupts_are_told_apart_by_their_owners() {
        assert!(interrupt_is_of("eth1-TxRx-0", "eth1") && !interrupt_is_of("eth10-TxRx-0", "eth1"));
        assert!(
            interrupt_is_of("virtio2-input.0", "virtio2") && !interrupt_is_of("virtio21-input.0", "virtio2")
        );
        assert!(interrupt_is_of("mlx5_comp0@pci:0000:00:05.0", "0000:00:05.0"));
    }

    #[test]
    fn loopback_has_no_native_xdp() {
        let lo = Link::find("lo").expect("there is one");
        assert!(lo.mtu > 0 && lo.peer.is_none());
        assert!(!lo.xdp.is_some_and(super::XdpFeatures::native));
    }
}

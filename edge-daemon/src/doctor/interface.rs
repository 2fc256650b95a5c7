//! Whether an interface can carry the kernel plane, and what to change on it.

mod receive;

use super::link::{Link, Peer, XdpFeatures};
use super::report::{Check, Verdict};

/// Drivers whose limit for programs that take frames in one buffer is known, with 4 KiB pages: a page, less 256 bytes of
/// headroom, 320 of `skb_shared_info` and the Ethernet header; the last two allow for VLAN tag and checksum as well.
const MTU_LIMITS: &[(&str, u32)] = &[
    ("veth", 3_506),
    ("virtio_net", 3_506),
    ("ena", 3_498),
    ("mlx5_core", 3_498),
];

/// What every driver with native XDP takes.
const MTU_ANYWHERE: u32 = 1_500;

pub(super) fn checks(link: &Link, cpus: usize) -> Vec<Check> {
    let mut checks = vec![state(link), driver(link)];
    if checks.iter().any(|check| check.verdict == Verdict::Fail) {
        return checks;
    }
    checks.extend([
        transmission(link),
        attached(link),
        mtu(link),
        receive::merging(link),
        receive::vlans(link),
        receive::queues(link, cpus),
        receive::interrupts(link, cpus),
    ]);
    checks
}

fn state(link: &Link) -> Check {
    let name = &link.name;
    if link.up {
        Check::ok("link", format!("{name} is up"))
    } else {
        Check::warn("link", format!("{name} is not up")).by(format!("ip link set {name} up"))
    }
}

/// Generic XDP shares the data of copies between legs, so the plane insists on native.
fn driver(link: &Link) -> Check {
    let driver = match link.driver.as_str() {
        "" => "no driver",
        driver => driver,
    };
    match link.xdp {
        Some(xdp) if xdp.native() && xdp.redirects() => Check::ok("native xdp", driver),
        Some(_) if driver == "veth" => {
            let most = link.queues.unwrap_or_default().most;
            Check::fail(
                "native xdp",
                "veth needs as many receive queues as the other end has for sending",
            )
            .by(format!("ethtool -L {} rx {most}", link.name))
        }
        Some(_) => Check::fail(
            "native xdp",
            format!(
                "{} has none ({driver}); take an interface with another driver, below bridges, bonds and VLANs",
                link.name
            ),
        )
        .by("lianmai-edge doctor --interface NAME"),
        None => Check::warn(
            "native xdp",
            format!("{driver}; Linux tells from 6.3 on whether it can"),
        )
        .by(format!("lianmai-edge doctor --interface {} --attach", link.name)),
    }
}

/// Whether copies can leave. A veth end takes them only when the other end polls for them.
fn transmission(link: &Link) -> Check {
    let takes = link.xdp.map(XdpFeatures::transmits);
    match (link.driver.as_str(), takes) {
        (_, Some(true)) => Check::ok("transmission", "the interface takes redirected frames"),
        ("veth", _) => {
            let check = if takes.is_none() { Check::warn } else { Check::fail };
            check("transmission", "the other end of a veth pair needs GRO or XDP").by(gro(link))
        }
        (_, Some(false)) => Check::warn(
            "transmission",
            "the driver tells only while a program is attached",
        ),
        (_, None) => Check::warn("transmission", "Linux tells from 6.3 on"),
    }
}

fn gro(link: &Link) -> String {
    match &link.peer {
        Some(Peer::Here { name, .. }) => format!("ethtool -K {name} gro on"),
        Some(Peer::Elsewhere { index }) => {
            format!(
                "ip netns exec NAMESPACE ethtool -K PEER gro on, PEER being number {index} of its namespace"
            )
        }
        None => "ethtool -K PEER gro on".to_owned(),
    }
}

fn attached(link: &Link) -> Check {
    let name = &link.name;
    match &link.attached {
        None => Check::ok("attached", format!("nothing else on {name}")),
        Some(attached) if attached.generic => Check::fail(
            "attached",
            format!("program {} is on {name} in generic mode", attached.program),
        )
        .by(format!("ip link set {name} xdpgeneric off")),
        Some(attached) => Check::warn(
            "attached",
            format!(
                "program {} is on {name}: good if it is an edge's, else take it off",
                attached.program
            ),
        )
        .by(format!("ip link set {name} xdp off")),
    }
}

/// What arrives has to fit one buffer; at a veth end that is up to the MTU of the other end.
fn mtu(link: &Link) -> Check {
    let (name, mtu) = match &link.peer {
        Some(Peer::Here { name, mtu }) => (name, *mtu),
        Some(Peer::Elsewhere { .. }) | None => (&link.name, link.mtu),
    };
    let driver = &link.driver;
    let smaller = format!("ip link set {name} mtu {MTU_ANYWHERE}");
    let limit = MTU_LIMITS.iter().find(|(known, _)| known == driver);
    match limit {
        Some((_, limit)) if mtu <= *limit => Check::ok(
            "mtu",
            format!("{mtu} of {name}, and {driver} takes up to {limit}"),
        ),
        Some((_, limit)) => Check::fail(
            "mtu",
            format!("{mtu} of {name}, and {driver} takes up to {limit} with XDP"),
        )
        .by(smaller),
        None if mtu <= MTU_ANYWHERE => Check::ok("mtu", format!("{mtu} of {name}")),
        None => Check::warn(
            "mtu",
            format!(
                "{mtu} of {name}; frames must fit one buffer, and the limit of {driver} is not known here"
            ),
        )
        .by(smaller),
    }
}

#[cfg(test)]
mod tests;

//! How packets come in: what the device does to them, and which CPUs get them.

use super::super::link::Link;
use super::super::report::Check;

/// Merged packets do not fit one buffer. Where the host of a virtual machine merges and cannot be told not to, virtio_net
/// refuses XDP programs.
pub(super) fn merging(link: &Link) -> Check {
    let on: Vec<_> = ["rx-lro", "rx-gro-hw"]
        .into_iter()
        .filter(|name| link.offload(name).on)
        .collect();
    if on.is_empty() {
        return Check::ok("merging", "the device does not merge packets");
    }
    let says = on.join(" and ");
    if on.iter().all(|name| !link.offload(name).fixed) {
        let off: Vec<_> = on.iter().map(|name| format!("{name} off")).collect();
        return Check::warn(
            "merging",
            format!("{says} is on: some drivers refuse, and merged packets go the slow way"),
        )
        .by(format!("ethtool -K {} {}", link.name, off.join(" ")));
    }
    if link.driver == "virtio_net" {
        return Check::fail("merging", format!("{says} is on, cannot be turned off here, and virtio_net refuses then"))
            .by("start the virtual machine with guest_tso4=off,guest_tso6=off,guest_ufo=off, or with ctrl_guest_offloads=on");
    }
    Check::warn(
        "merging",
        format!("{says} cannot be turned off here: packets that were merged go the slow way"),
    )
}

/// A tag that the device takes off is one that the program cannot see: packets of a VLAN would pass for untagged ones.
pub(super) fn vlans(link: &Link) -> Check {
    const STRIPPING: &str = "rx-vlan-hw-parse";
    let stripping = link.offload(STRIPPING);
    if link.vlans.is_empty() || !stripping.on {
        return Check::ok(
            "vlan",
            if stripping.on {
                "tags are taken off, and no VLAN is on top"
            } else {
                "tags stay visible"
            },
        );
    }
    let check = Check::warn(
        "vlan",
        format!(
            "tags of {} are taken off before the program sees them",
            link.vlans.join(", ")
        ),
    );
    if stripping.fixed {
        check
    } else {
        check.by(format!("ethtool -K {} {STRIPPING} off", link.name))
    }
}

/// Each receive queue is one CPU's.
pub(super) fn queues(link: &Link, cpus: usize) -> Check {
    let Some(queues) = link.queues else {
        return Check::warn("queues", "the driver does not tell how many");
    };
    let cpus = u32::try_from(cpus).unwrap_or(u32::MAX);
    let says = format!(
        "{} for receiving, of {} possible, on {cpus} CPUs",
        queues.receive, queues.most
    );
    let wanted = cpus.min(queues.most);
    if queues.receive >= wanted {
        return Check::ok("queues", says);
    }
    let kind = if queues.combined { "combined" } else { "rx" };
    Check::warn("queues", says).by(format!("ethtool -L {} {kind} {wanted}", link.name))
}

pub(super) fn interrupts(link: &Link, cpus: usize) -> Check {
    let Link {
        name,
        interrupts,
        steered,
        ..
    } = link;
    if *interrupts == 0 {
        return Check::ok(
            "interrupts",
            "none of its own: packets are handled on the sender's CPU",
        );
    }
    let single = link.queues.is_some_and(|queues| queues.receive == 1) && cpus > 1;
    if single && *steered == 0 {
        return Check::warn(
            "interrupts",
            "one CPU receives everything; what the programs hand up could go to others",
        )
        .by(format!(
            "echo {} > /sys/class/net/{name}/queues/rx-0/rps_cpus",
            mask(cpus)
        ));
    }
    Check::ok(
        "interrupts",
        format!("{interrupts} lines, {steered} queues steered by RPS"),
    )
}

/// All CPUs as the files of sysfs have it: groups of 32 bits.
pub(super) fn mask(cpus: usize) -> String {
    let groups = (0..cpus.div_ceil(32)).rev();
    let group = |number: usize| match cpus - number * 32 {
        bits @ 1..32 => (1u32 << bits) - 1,
        _ => u32::MAX,
    };
    groups
        .map(|number| format!("{:x}", group(number)))
        .collect::<Vec<_>>()
        .join(",")
}

//! What the doctor makes of interfaces.

use super::super::ethtool::{Offload, Queues};
use super::super::link::{Attached, Link, Peer, XdpFeatures};
use super::super::report::Verdict::{self, Fail, Ok, Warn};
use super::checks;
use super::receive::mask;

const ALL: XdpFeatures = XdpFeatures(7);

/// A veth end that can carry the plane.
fn veth() -> Link {
    Link {
        name: "edge0".to_owned(),
        up: true,
        mtu: 1_500,
        driver: "veth".to_owned(),
        peer: Some(Peer::Here {
            name: "host0".to_owned(),
            mtu: 1_500,
        }),
        xdp: Some(ALL),
        queues: Some(Queues {
            receive: 2,
            most: 2,
            combined: true,
        }),
        ..Link::default()
    }
}

fn nic() -> Link {
    Link {
        driver: "ixgbe".to_owned(),
        peer: None,
        interrupts: 2,
        ..veth()
    }
}

fn offload(name: &str, fixed: bool) -> std::collections::BTreeMap<String, Offload> {
    [(name.to_owned(), Offload { on: true, fixed })].into()
}

/// The worst of it, and what was said with it.
fn worst(link: &Link) -> (Verdict, String) {
    let checks = checks(link, 2);
    let found = [Fail, Warn]
        .into_iter()
        .find_map(|verdict| checks.iter().find(|check| check.verdict == verdict));
    found.map_or((Ok, String::new()), |check| (check.verdict, check.to_string()))
}

fn says(link: &Link, verdict: Verdict, words: &str) {
    let (worst, said) = worst(link);
    assert!(
        worst == verdict && said.contains(words),
        "{worst:?} {said:?}, and not {verdict:?} {words:?}"
    );
}

#[test]
fn a_good_interface_has_nothing_to_change() {
    says(&veth(), Ok, "");
    says(&nic(), Ok, "");
}

#[test]
fn an_interface_without_native_xdp_fails() {
    says(
        &Link {
            xdp: Some(XdpFeatures(0)),
            ..nic()
        },
        Fail,
        "native xdp",
    );
    // It takes frames and drops them, but sends none on.
    says(
        &Link {
            xdp: Some(XdpFeatures(1)),
            ..nic()
        },
        Fail,
        "native xdp",
    );
}

#[test]
fn a_kernel_that_does_not_tell_is_a_warning() {
    says(&Link { xdp: None, ..nic() }, Warn, "--attach");
}

#[test]
fn a_veth_whose_other_end_has_no_gro_fails_and_says_where_to_turn_it_on() {
    let deaf = Link {
        xdp: Some(XdpFeatures(3)),
        ..veth()
    };
    says(&deaf, Fail, "ethtool -K host0 gro on");
    let elsewhere = Link {
        peer: Some(Peer::Elsewhere { index: 9 }),
        ..deaf
    };
    says(&elsewhere, Fail, "number 9 of its namespace");
}

#[test]
fn a_generic_program_must_go_and_a_native_one_may_be_ours() {
    let with = |generic| Link {
        attached: Some(Attached { program: 4, generic }),
        ..veth()
    };
    says(&with(true), Fail, "ip link set edge0 xdpgeneric off");
    says(&with(false), Warn, "ip link set edge0 xdp off");
}

#[test]
fn frames_must_fit_one_buffer() {
    let nic = |driver: &str, mtu| Link {
        driver: driver.to_owned(),
        mtu,
        ..nic()
    };
    says(&nic("virtio_net", 3_506), Ok, "");
    says(&nic("virtio_net", 3_507), Fail, "takes up to 3506");
    says(&nic("ena", 3_499), Fail, "takes up to 3498");
    says(&nic("ixgbe", 9_000), Warn, "is not known here");
}

#[test]
fn at_a_veth_end_the_mtu_of_the_other_end_counts() {
    let other = |mtu| {
        Some(Peer::Here {
            name: "host0".to_owned(),
            mtu,
        })
    };
    says(
        &Link {
            mtu: 9_000,
            peer: other(3_506),
            ..veth()
        },
        Ok,
        "",
    );
    says(
        &Link {
            mtu: 1_500,
            peer: other(3_507),
            ..veth()
        },
        Fail,
        "ip link set host0 mtu 1500",
    );
    says(
        &Link {
            mtu: 9_000,
            peer: Some(Peer::Elsewhere { index: 9 }),
            ..veth()
        },
        Fail,
        "edge0 mtu 1500",
    );
}

#[test]
fn a_veth_end_with_too_few_queues_is_told_how_many() {
    says(
        &Link {
            xdp: Some(XdpFeatures(0)),
            ..veth()
        },
        Fail,
        "ethtool -L edge0 rx 2",
    );
}

#[test]
fn merging_by_the_device_is_to_be_turned_off_where_that_is_possible() {
    says(
        &Link {
            offloads: offload("rx-lro", false),
            ..nic()
        },
        Warn,
        "ethtool -K edge0 rx-lro off",
    );
    says(
        &Link {
            offloads: offload("rx-gro-hw", true),
            ..nic()
        },
        Warn,
        "cannot be turned off",
    );
}

#[test]
fn stripped_tags_matter_once_a_vlan_is_there() {
    let stripping = Link {
        offloads: offload("rx-vlan-hw-parse", false),
        ..nic()
    };
    says(&stripping, Ok, "");
    let vlans = vec!["edge0.7".to_owned()];
    says(
        &Link { vlans, ..stripping },
        Warn,
        "ethtool -K edge0 rx-vlan-hw-parse off",
    );
}

#[test]
fn queues_should_be_as_many_as_cpus() {
    let queues = |receive, most| {
        Some(Queues {
            receive,
            most,
            combined: true,
        })
    };
    says(
        &Link {
            queues: queues(1, 4),
            ..veth()
        },
        Warn,
        "ethtool -L edge0 combined 2",
    );
    says(
        &Link {
            queues: queues(1, 1),
            ..veth()
        },
        Ok,
        "",
    );
    says(
        &Link {
            queues: queues(1, 1),
            ..nic()
        },
        Warn,
        "rps_cpus",
    );
    says(
        &Link {
            queues: queues(1, 1),
            steered: 1,
            ..nic()
        },
        Ok,
        "",
    );
}

#[test]
fn masks_of_cpus_are_groups_of_32() {
    assert_eq!(
        [1, 2, 32, 33, 64].map(mask),
        ["1", "3", "ffffffff", "1,ffffffff", "ffffffff,ffffffff"]
    );
}

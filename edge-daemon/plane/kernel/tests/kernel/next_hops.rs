//! Headers of frames, as the kernel's own routing would have them.

use crate::namespace::{eventually, ip, with_wire};
use lianmai_kernel::{FrameHeader, NextHops, NoNextHop, Unavailable};
use std::net::{IpAddr, SocketAddr};

const PORT: u16 = 8_444;

/// `lan0` with addresses of both versions and an Ethernet address that we know.
fn with_lan(test: impl FnOnce(NextHops) + Send + 'static) {
    with_wire(|| {
        ip("link set lan0 address 02:00:00:00:00:01");
        ip("address add 10.77.0.1/24 dev lan0");
        ip("address add fd77::1/64 dev lan0 nodad");
        ip("link set lan1 up");
        ip("link set lan0 up");
        let mut next_hops = NextHops::open("lan0").expect("it is there");
        next_hops.changed().expect("news can be read");
        test(next_hops);
    });
}

fn address(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

fn header(next_hops: &mut NextHops, remote: &str) -> FrameHeader {
    let header = next_hops.frame_header(address(remote), PORT);
    header.unwrap_or_else(|error| panic!("{remote}: {error}"))
}

fn refusal(next_hops: &mut NextHops, remote: &str) -> NoNextHop {
    match next_hops.frame_header(address(remote), PORT) {
        Ok(header) => panic!("{remote}: {header:?}"),
        Err(refusal) => refusal,
    }
}

#[test]
fn a_peer_on_the_wire_is_its_own_next_hop() {
    with_lan(|mut next_hops| {
        ip("neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        let header = header(&mut next_hops, "10.77.0.2:5000");
        assert_eq!(header.bytes[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        assert_eq!(
            header.bytes[26..38],
            [10, 77, 0, 1, 10, 77, 0, 2, 0x20, 0xfc, 0x13, 0x88]
        );
    });
}

#[test]
fn an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer() {
    with_lan(|mut next_hops| {
        ip("neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        let (mapped, plain) = ("[::ffff:10.77.0.2]:5000", "10.77.0.2:5000");
        assert_eq!(header(&mut next_hops, mapped), header(&mut next_hops, plain));
    });
}

#[test]
fn a_peer_elsewhere_is_behind_the_gateway() {
    with_lan(|mut next_hops| {
        ip("route add default via 10.77.0.254");
        ip("neighbour add 10.77.0.254 lladdr 02:00:00:00:00:fe dev lan0 nud stale");
        let header = header(&mut next_hops, "198.51.100.2:5000");
        assert_eq!(header.bytes[..6], [2, 0, 0, 0, 0, 0xfe]);
        assert_eq!(header.bytes[26..34], [10, 77, 0, 1, 198, 51, 100, 2]);
    });
}

#[test]
fn ipv6_goes_the_same_ways() {
    with_lan(|mut next_hops| {
        ip("neighbour add fd77::2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        ip("neighbour add fe80::fe lladdr 02:00:00:00:00:fe dev lan0 nud permanent");
        ip("route add 2001:db8::/32 via fe80::fe dev lan0");
        let on_the_wire = header(&mut next_hops, "[fd77::2]:5000");
        assert_eq!((on_the_wire.ip_version, on_the_wire.bytes[5]), (6, 2));
        let source: IpAddr = <[u8; 16]>::try_from(&on_the_wire.bytes[22..38])
            .expect("16 bytes")
            .into();
        assert_eq!(source, address("[fd77::1]:0").ip());
        let elsewhere = header(&mut next_hops, "[2001:db8::7]:5000");
        assert_eq!(elsewhere.bytes[5], 0xfe);
        assert_eq!(
            elsewhere.bytes[22..38],
            on_the_wire.bytes[22..38],
            "the same source"
        );
    });
}

#[test]
fn an_ipv4_peer_may_be_behind_an_ipv6_gateway() {
    with_lan(|mut next_hops| {
        ip("neighbour add fe80::fe lladdr 02:00:00:00:00:fe dev lan0 nud permanent");
        ip("route add 198.51.100.0/24 via inet6 fe80::fe dev lan0");
        let header = header(&mut next_hops, "198.51.100.2:5000");
        assert_eq!((header.ip_version, header.bytes[5]), (4, 0xfe));
    });
}

#[test]
fn the_socket_s_own_address_is_the_source() {
    with_lan(|mut next_hops| {
        ip("address add 10.77.0.9/24 dev lan0");
        ip("neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        next_hops.bind(address("0.0.0.0:0").ip());
        assert_eq!(
            header(&mut next_hops, "10.77.0.2:5000").bytes[26..30],
            [10, 77, 0, 1]
        );
        next_hops.bind(address("10.77.0.9:0").ip());
        assert_eq!(
            header(&mut next_hops, "10.77.0.2:5000").bytes[26..30],
            [10, 77, 0, 9]
        );
        assert!(matches!(
            refusal(&mut next_hops, "[fd77::2]:5000"),
            NoNextHop::NoSource(_)
        ));
    });
}

#[test]
fn our_own_and_many_hosts_addresses_have_no_next_hop() {
    with_lan(|mut next_hops| {
        for remote in [
            "127.0.0.1:5000",
            "10.77.0.1:5000",
            "[::1]:5000",
            "[fd77::1]:5000",
            "10.77.0.255:5000",
        ] {
            assert!(
                matches!(refusal(&mut next_hops, remote), NoNextHop::NotOneOther(_)),
                "{remote}"
            );
        }
    });
}

#[test]
fn where_no_route_leads_there_is_no_next_hop() {
    with_lan(|mut next_hops| {
        ip("route add unreachable 203.0.113.0/26");
        ip("route add blackhole 203.0.113.64/26");
        ip("route add prohibit 203.0.113.128/26");
        ip("route add blackhole 2001:db8:1::/48");
        let remotes = [
            "198.51.100.2:5000",
            "203.0.113.2:5000",
            "203.0.113.66:5000",
            "203.0.113.130:5000",
            "[2001:db8::1]:5000",
            "[2001:db8:1::1]:5000",
        ];
        for remote in remotes {
            let refusal = refusal(&mut next_hops, remote);
            assert!(matches!(refusal, NoNextHop::NoRoute(_)), "{remote}: {refusal:?}");
        }
    });
}

#[test]
fn a_neighbour_of_whom_nothing_is_known_is_asked_for_later() {
    with_lan(|mut next_hops| {
        ip("neighbour add 10.77.0.3 dev lan0 nud failed");
        for remote in ["10.77.0.2:5000", "10.77.0.3:5000", "[fd77::2]:5000"] {
            assert!(
                matches!(refusal(&mut next_hops, remote), NoNextHop::UnknownNeighbour(_)),
                "{remote}"
            );
        }
        ip("neighbour replace 10.77.0.3 lladdr 02:00:00:00:00:03 dev lan0 nud reachable");
        assert_eq!(header(&mut next_hops, "10.77.0.3:5000").bytes[5], 3);
    });
}

#[test]
fn a_peer_by_another_interface_is_left_to_the_daemon() {
    with_lan(|mut next_hops| {
        ip("address add 10.78.0.1/24 dev lan1");
        ip("neighbour add 10.78.0.2 lladdr 02:00:00:00:00:02 dev lan1 nud permanent");
        assert!(
            matches!(refusal(&mut next_hops, "10.78.0.2:5000"), NoNextHop::OtherInterface { interface, .. } if interface != 0)
        );
    });
}

#[test]
fn a_way_that_is_too_narrow_is_left_to_the_daemon() {
    with_lan(|mut next_hops| {
        ip("neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        ip("route add 10.77.0.2/32 dev lan0 mtu 1371");
        assert!(matches!(
            refusal(&mut next_hops, "10.77.0.2:5000"),
            NoNextHop::SmallMtu { mtu: 1_371, .. }
        ));
        ip("route replace 10.77.0.2/32 dev lan0 mtu 1372");
        header(&mut next_hops, "10.77.0.2:5000");
        ip("link set lan0 mtu 1300");
        assert!(next_hops.changed().expect("news can be read"));
        assert!(matches!(
            refusal(&mut next_hops, "10.77.0.2:5000"),
            NoNextHop::SmallMtu { mtu: 1_300, .. }
        ));
    });
}

#[test]
fn changes_are_heard_of_once() {
    with_lan(|mut next_hops| {
        for change in [
            "neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent",
            "route add default via 10.77.0.2",
            "address add 10.77.0.9/24 dev lan0",
            "link set lan0 address 02:00:00:00:00:11",
        ] {
            // The interfaces themselves have news for a while after they were made.
            eventually("silence", || !next_hops.changed().expect("news can be read"));
            ip(change);
            assert!(next_hops.changed().expect("news can be read"), "{change}");
        }
        // What was known of neighbours went with the old address.
        ip("neighbour replace 10.77.0.2 lladdr 02:00:00:00:00:02 dev lan0 nud permanent");
        let header = header(&mut next_hops, "198.51.100.2:5000");
        assert_eq!(
            header.bytes[6..12],
            [2, 0, 0, 0, 0, 0x11],
            "the interface's new address"
        );
    });
}

#[test]
fn only_ethernet_interfaces_that_are_there_are_taken() {
    with_lan(|_| {
        assert!(matches!(NextHops::open("lan7"), Err(Unavailable::NoSuchInterface(name)) if name == "lan7"));
        assert!(matches!(
            NextHops::open("lo"),
            Err(Unavailable::NotEthernet { .. })
        ));
        assert!(matches!(
            NextHops::open("no such name"),
            Err(Unavailable::NoSuchInterface(_))
        ));
    });
}

//! Interfaces, routes and neighbours.

use super::netlink::{Questions, unexpected};
use super::{MacAddress, NoNextHop};
use crate::Unavailable;
use netlink_packet_route::link::{LinkAttribute, LinkLayerType, LinkMessage, LinkXdp};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::io;
use std::net::{IpAddr, SocketAddr};

const PROTOCOL_UDP: u8 = 17;

/// The interface that programs run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) address: MacAddress,
    pub(super) mtu: u32,
    pub(super) program: Option<u32>,
}

pub(super) fn interface(questions: &mut Questions, name: &str) -> Result<Interface, Unavailable> {
    let no_such = || Unavailable::NoSuchInterface(name.to_owned());
    let index = if_nametoindex(name).map_err(|_| no_such())?;
    let mut question = LinkMessage::default();
    question.header.index = index;
    let link = match questions.ask(RouteNetlinkMessage::GetLink(question)) {
        Ok(RouteNetlinkMessage::NewLink(link)) => link,
        Ok(other) => return Err(unexpected(&other).into()),
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => return Err(no_such()),
        Err(error) => return Err(error.into()),
    };
    let not_ethernet = || Unavailable::NotEthernet {
        interface: name.to_owned(),
        kind: format!("{:?}", link.header.link_layer_type),
    };
    let mut found = Interface {
        name: name.to_owned(),
        index,
        address: MacAddress([0; 6]),
        mtu: 0,
        program: None,
    };
    if link.header.link_layer_type != LinkLayerType::Ether {
        return Err(not_ethernet());
    }
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Address(address) => found.address = mac(address).ok_or_else(not_ethernet)?,
            LinkAttribute::Mtu(mtu) => found.mtu = *mtu,
            LinkAttribute::Xdp(xdp) => found.program = xdp.iter().find_map(program),
            _ => {}
        }
    }
    Ok(found)
}

fn program(xdp: &LinkXdp) -> Option<u32> {
    match xdp {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    }
}

/// Where a packet would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) interface: u32,
    pub(super) next_hop: IpAddr,
    pub(super) source: IpAddr,
    pub(super) mtu: Option<u32>,
}

pub(super) fn route(
    questions: &mut Questions,
    to: SocketAddr,
    local_port: u16,
    bound_to: Option<IpAddr>,
) -> Result<Route, NoNextHop> {
    let remote = to.ip();
    if bound_to.is_some_and(|local| local.is_ipv4() != remote.is_ipv4()) {
        return Err(NoNextHop::NoSource(remote));
    }
    let route = match questions.ask(RouteNetlinkMessage::GetRoute(route_question(
        to, local_port, bound_to,
    ))) {
        Ok(RouteNetlinkMessage::NewRoute(route)) => route,
        Ok(other) => return Err(unexpected(&other).into()),
        Err(error) => return Err(no_route(error, remote, bound_to)),
    };
    if route.header.kind != RouteType::Unicast {
        return Err(NoNextHop::NotOneOther(remote));
    }
    read_route(&route.attributes, remote, bound_to)
}

fn route_question(to: SocketAddr, local_port: u16, bound_to: Option<IpAddr>) -> RouteMessage {
    let (family, bits) = family(to.ip());
    let mut question = RouteMessage::default();
    question.header.address_family = family;
    question.header.destination_prefix_length = bits;
    // Protocol and ports as the daemon's own packets have them, for rules and for the choice between equal paths.
    question.attributes = vec![
        RouteAttribute::Destination(to.ip().into()),
        RouteAttribute::IpProto(PROTOCOL_UDP),
        RouteAttribute::Sport(local_port),
        RouteAttribute::Dport(to.port()),
    ];
    if let Some(local) = bound_to {
        question.header.source_prefix_length = bits;
        question.attributes.push(RouteAttribute::Source(local.into()));
    }
    if let SocketAddr::V6(to) = to
        && to.scope_id() != 0
    {
        question.attributes.push(RouteAttribute::Oif(to.scope_id()));
    }
    question
}

/// RFC 1812 §5.2.4 has routes that refuse, and so does Linux: each says so by a number of its own.
fn no_route(error: io::Error, remote: IpAddr, bound_to: Option<IpAddr>) -> NoNextHop {
    let errno = error.raw_os_error().map(Errno::from_raw);
    match errno {
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES) => NoNextHop::NoRoute(remote),
        // The answer of blackhole routes, and to a source that is not ours.
        Some(Errno::EINVAL) if bound_to.is_none() => NoNextHop::NoRoute(remote),
        Some(Errno::EINVAL | Errno::EADDRNOTAVAIL) => NoNextHop::NoSource(remote),
        _ => NoNextHop::Tables(error),
    }
}

fn read_route(
    attributes: &[RouteAttribute],
    remote: IpAddr,
    bound_to: Option<IpAddr>,
) -> Result<Route, NoNextHop> {
    let mut interface = 0;
    let mut next_hop = remote;
    let mut source = bound_to;
    let mut mtu = None;
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = *index,
            RouteAttribute::Gateway(address) => next_hop = ip(address).unwrap_or(next_hop),
            RouteAttribute::Via(RouteVia::Inet(address)) => next_hop = IpAddr::V4(*address),
            RouteAttribute::Via(RouteVia::Inet6(address)) => next_hop = IpAddr::V6(*address),
            RouteAttribute::PrefSource(address) => source = source.or_else(|| ip(address)),
            RouteAttribute::Metrics(metrics) => mtu = metrics.iter().find_map(mtu_of),
            RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => {
                return Err(NoNextHop::Wrapped(remote));
            }
            _ => {}
        }
    }
    Ok(Route {
        interface,
        next_hop,
        source: source.ok_or(NoNextHop::NoSource(remote))?,
        mtu,
    })
}

fn mtu_of(metric: &RouteMetric) -> Option<u32> {
    match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    }
}

/// The Ethernet address of a neighbour that the kernel has heard of and not given up.
pub(super) fn neighbour(
    questions: &mut Questions,
    next_hop: IpAddr,
    interface: u32,
) -> Result<MacAddress, NoNextHop> {
    let unknown = || NoNextHop::UnknownNeighbour(next_hop);
    let mut question = NeighbourMessage::default();
    question.header.family = family(next_hop).0;
    question.header.ifindex = interface;
    question.attributes = vec![NeighbourAttribute::Destination(next_hop.into())];
    let neighbour = match questions.ask(RouteNetlinkMessage::GetNeighbour(question)) {
        Ok(RouteNetlinkMessage::NewNeighbour(neighbour)) => neighbour,
        Ok(other) => return Err(unexpected(&other).into()),
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    let is_known = matches!(
        neighbour.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    let address = neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(address) => mac(address),
        _ => None,
    });
    address.filter(|_| is_known).ok_or_else(unknown)
}

fn family(address: IpAddr) -> (AddressFamily, u8) {
    match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

fn mac(bytes: &[u8]) -> Option<MacAddress> {
    Some(MacAddress(bytes.try_into().ok()?))
}

//! Endpoints come, move and go in any order.

use crate::support::{GCM, Peer, Plane, socket, video, video_leg, video_track, wait};
use lianmai_plane::{Command, DropReason, PlaneConfig, PlaneError, spawn_userspace};
use lianmai_webrtc::{SrtpProfile, Validated};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

#[test]
fn publish_and_subscribe_may_come_before_connect() {
    let plane = Plane::start();
    let mut publisher = Peer::new(1, GCM, plane.address());
    let mut leg = Peer::new(2, GCM, plane.address());
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    plane.publish(&publisher, vec![video_track()]);
    plane.apply(leg.connect());
    plane.apply(publisher.connect());
    publisher.send(&video(1));
    leg.expect_next(1);
}

#[test]
fn an_endpoint_that_moves_keeps_keys_and_counters() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&video(1));
    leg.expect_next(1);

    let before = std::mem::replace(&mut publisher.socket, socket());
    plane.apply(Command::Move {
        endpoint: publisher.id,
        remote: publisher.vouched(),
    });
    leg.socket = socket();
    plane.apply(Command::Move {
        endpoint: leg.id,
        remote: leg.vouched(),
    });
    publisher.send(&video(2));
    leg.expect_next(2);

    let sealed = publisher.seal(&video(3));
    before.send_to(&sealed, plane.address()).expect("sent");
    publisher.send(&video(4));
    leg.expect_next(4);
    assert_eq!(
        plane.metrics().dropped(DropReason::UnknownAddress),
        1,
        "the old address is a stranger's"
    );
    let snapshot = plane.snapshot();
    let stats = snapshot.endpoint(publisher.id).expect("it is there");
    assert_eq!(stats.remote, Some(publisher.address()));
    assert_eq!(stats.source.as_ref().expect("a source").tracks[0].packets, 3);
    let stats = snapshot
        .endpoint(leg.id)
        .and_then(|endpoint| endpoint.leg.clone())
        .expect("a leg");
    assert_eq!(stats.packets, 3);
}

#[test]
fn a_leg_joins_late_at_any_sequence_number() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut first = plane.connect(2, GCM);
    plane.subscribe(&first, &publisher, vec![video_leg(96, None)]);
    for sequence in [65_534, 65_535, 0, 1] {
        publisher.send(&video(sequence));
        first.expect_next(sequence);
    }
    let mut late = plane.connect(3, GCM);
    plane.subscribe(&late, &publisher, vec![video_leg(96, None)]);
    for sequence in [2, 3] {
        publisher.send(&video(sequence));
        first.expect_next(sequence);
        late.expect_next(sequence);
    }
}

#[test]
fn a_leg_that_left_gets_nothing_more_and_the_others_go_on() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let (mut stays, mut leaves) = (plane.connect(2, GCM), plane.connect(3, GCM));
    for leg in [&stays, &leaves] {
        plane.subscribe(leg, &publisher, vec![video_leg(96, None)]);
    }
    publisher.send(&video(1));
    stays.expect_next(1);
    leaves.expect_next(1);
    plane.apply(Command::Remove { endpoint: leaves.id });
    publisher.send(&video(2));
    stays.expect_next(2);
    leaves.socket.set_nonblocking(true).expect("a socket");
    // The packet of the other leg was sent after that of this one would have been.
    assert!(leaves.socket.recv(&mut [0; 2_048]).is_err());
}

/// A browser that reloads gets the same port again; its old endpoint is not removed yet.
#[test]
fn an_address_belongs_to_the_endpoint_that_came_last() {
    let plane = Plane::start();
    let old = plane.connect(1, GCM);
    plane.publish(&old, vec![video_track()]);
    let mut new = Peer::new(2, GCM, plane.address());
    new.socket = old.socket.try_clone().expect("a socket");
    plane.apply(new.connect());
    plane.publish(&new, vec![video_track()]);
    let mut leg = plane.connect(3, GCM);
    plane.subscribe(&leg, &new, vec![video_leg(96, None)]);
    new.send(&video(1));
    leg.expect_next(1);
    assert_eq!(
        plane.snapshot().endpoint(old.id).expect("it is there").remote,
        None
    );
    plane.apply(Command::Remove { endpoint: old.id });
    new.send(&video(2));
    leg.expect_next(2);
}

#[test]
fn a_new_association_of_the_same_endpoint_replaces_its_keys() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&video(1));
    leg.expect_next(1);
    let mut again = Peer::new(77, SrtpProfile::Aes128CmHmacSha1_80, plane.address());
    again.id = leg.id;
    plane.apply(again.connect());
    publisher.send(&video(2));
    again.expect_next(2);
}

#[test]
fn a_stream_that_is_published_again_goes_on_to_its_legs() {
    let plane = Plane::start();
    let mut publisher = plane.connect(1, GCM);
    plane.publish(&publisher, vec![video_track()]);
    let mut leg = plane.connect(2, GCM);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    publisher.send(&video(1));
    leg.expect_next(1);
    plane.publish(&publisher, vec![video_track()]);
    publisher.send(&video(2));
    leg.expect_next(2);
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let plane = Plane::start();
    let error = spawn_userspace(&mut PlaneConfig::new(plane.address())).expect_err("taken");
    assert!(
        error.to_string().contains(&plane.address().to_string()),
        "{error}"
    );
}

#[test]
fn after_shutdown_the_port_is_free_and_commands_are_refused() {
    let plane = Plane::start();
    let peer = plane.connect(1, GCM);
    plane.handle.shutdown();
    assert!(matches!(
        plane.handle.apply(peer.connect()),
        Err(PlaneError::Ended)
    ));
    assert!(matches!(wait(plane.handle.snapshot()), Err(PlaneError::Ended)));
    let address = plane.address();
    drop(plane);
    spawn_userspace(&mut PlaneConfig::new(address)).expect("free again");
}

/// The address of a socket that a plane before this one left, and its plane.
fn plane_with(left: UdpSocket, bind: SocketAddr) -> Plane {
    let mut config = PlaneConfig::new(bind);
    config.resumption.socket = Some(left);
    let (handle, outputs) = spawn_userspace(&mut config).expect("a plane");
    Plane { handle, outputs }
}

#[test]
fn a_plane_goes_on_at_the_socket_of_the_one_before_it_with_what_arrived_meanwhile() {
    let first = Plane::start();
    let address = first.address();
    let left = UdpSocket::from(first.handle.socket().try_clone_to_owned().expect("a descriptor"));
    drop(first);
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    peer.send_to(&[22; 60], address).expect("sent");
    let mut second = plane_with(left, address);
    assert_eq!(second.address(), address);
    let datagram = wait(second.outputs.datagrams.recv()).expect("a running plane");
    assert_eq!(datagram.from, peer.local_addr().expect("bound"));
}

#[test]
fn a_socket_that_is_elsewhere_is_not_used() {
    let left = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let elsewhere = left.local_addr().expect("bound");
    let free = UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port");
    let plane = plane_with(left, free);
    assert_eq!(plane.address(), free);
    assert_ne!(plane.address(), elsewhere);
}

#[test]
fn what_is_no_datagram_socket_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    // Nobody has the UDP port of the same number but by a rare accident.
    let plane = plane_with(UdpSocket::from(OwnedFd::from(listener)), address);
    assert_eq!(plane.address(), address);
}

#[test]
fn commands_for_what_is_not_there_change_nothing() {
    let plane = Plane::start();
    let nobody = Peer::new(9, GCM, plane.address());
    plane.apply(Command::Move {
        endpoint: nobody.id,
        remote: Validated::vouched_by_test(nobody.address()),
    });
    plane.apply(Command::RequestKeyFrame { source: nobody.id });
    plane.apply(Command::Untap { source: nobody.id });
    plane.apply(Command::Remove { endpoint: nobody.id });
    assert!(plane.snapshot().endpoints.is_empty());
}

//! The kernel plane on an interface: the programs themselves, and the thread that drives them.

use crate::control::{mixer, tapped};
use crate::namespace::{ip, over_a_wire, run};
use crate::support::{GCM, Peer, Plane, SHA1, VIDEO, bound, packet, video_leg, video_track};
use lianmai_fanout::RtpPacket;
use lianmai_mixer_control::media::{HostId, Kind};
use lianmai_plane::{Command, DropReason, FlowStats, Path};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

struct Room {
    plane: Plane,
    publisher: Peer,
    legs: Vec<Peer>,
    /// For one who joins later.
    spare: UdpSocket,
    next: u16,
}

/// A publisher and four legs at the far end of a wire, the third of them with the other profile, the fourth over IPv6.
fn in_a_room(first: u16, test: impl FnOnce(Room) + Send + 'static) {
    over_a_wire(far_sockets, move |sockets| {
        ip("address add 10.78.0.1/24 dev lan0");
        ip("address add fd78::1/64 dev lan0 nodad");
        ip("link set lan0 up");
        if let Some(plane) = Plane::start_in_kernel("[::]:8444", "lan0") {
            test(Room::new(plane, sockets, first));
        }
    });
}

fn far_sockets() -> Vec<UdpSocket> {
    ip("address add 10.78.0.2/24 dev lan1");
    ip("address add fd78::2/64 dev lan1 nodad");
    ip("link set lan1 up");
    // Without it a virtual interface takes no frames from programs.
    run("ethtool", "-K lan1 gro on");
    let v4 = (5_000..5_004).map(|port| format!("10.78.0.2:{port}"));
    let others = ["[fd78::2]:5004", "10.78.0.2:5005"].map(str::to_owned);
    v4.chain(others).map(|address| bound(&address)).collect()
}

/// A packet of video with room for a transport-wide sequence number.
fn stamped(sequence: u16) -> Vec<u8> {
    let payload = [&[0x41], sequence.to_be_bytes().as_slice(), &[7; 1_000]].concat();
    packet(102, VIDEO, sequence, &[(3, &[0, 0])], &payload)
}

impl Room {
    fn new(plane: Plane, mut sockets: Vec<UdpSocket>, first: u16) -> Self {
        let spare = sockets.pop().expect("a spare one");
        let mut peers: Vec<Peer> = (1..)
            .zip(sockets)
            .map(|(id, socket)| {
                let profile = if id == 4 { SHA1 } else { GCM };
                let mut peer = plane.connect_over(socket, id, profile);
                peer.plane = "10.78.0.1:8444".parse().expect("an address");
                peer
            })
            .collect();
        let legs = peers.split_off(1);
        let publisher = peers.remove(0);
        plane.publish(&publisher, vec![video_track()]);
        for leg in &legs {
            plane.subscribe(leg, &publisher, vec![video_leg(96, None)]);
        }
        Self {
            plane,
            publisher,
            legs,
            spare,
            next: first,
        }
    }

    /// The next packet reaches every leg, and no other one before it.
    fn send(&mut self) {
        self.publisher.send(&stamped(self.next));
        for leg in &mut self.legs {
            leg.expect_next(self.next);
        }
        self.next = self.next.wrapping_add(1);
    }

    fn flow(&self) -> Option<FlowStats> {
        let snapshot = self.plane.snapshot();
        let source = snapshot
            .endpoint(self.publisher.id)
            .and_then(|endpoint| endpoint.source.as_ref())?;
        source.tracks[0].kernel
    }

    /// Sends until the kernel serves so many legs.
    fn send_until_in_kernel(&mut self, legs: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.flow().is_none_or(|flow| flow.legs < legs) {
            assert!(Instant::now() < deadline, "{:?}", self.flow());
            self.send();
        }
    }

    fn by_kernel(&self) -> u64 {
        self.plane.metrics().forwarded(Path::Kernel)
    }

    /// A frame goes out before the daemon has seen that it did.
    fn wait_until_counted(&self, count: u64) {
        self.plane.wait_until("all are counted", |_, metrics| {
            metrics.forwarded(Path::Kernel) >= count
        });
    }
}

#[test]
fn a_stream_moves_into_the_kernel_and_every_leg_opens_every_packet() {
    in_a_room(65_000, |mut room| {
        room.send_until_in_kernel(3);
        let (taken, counted) = (room.plane.metrics().taken(Path::Kernel), room.by_kernel());
        (0..800).for_each(|_| room.send());
        room.wait_until_counted(counted + 3 * 790);
        assert!(room.plane.metrics().taken(Path::Kernel) >= taken + 790);
        let snapshot = room.plane.snapshot();
        let leg = |place: usize| {
            let endpoint = snapshot.endpoint(room.legs[place].id).expect("connected");
            endpoint.leg.clone().expect("a leg")
        };
        assert!(leg(0).by_kernel >= 790 && leg(3).by_kernel >= 790);
        assert_eq!(leg(2).by_kernel, 0, "the other profile");
        assert!(snapshot.transit.p50 > 0);
        let source = snapshot
            .endpoint(room.publisher.id)
            .and_then(|endpoint| endpoint.source.clone())
            .expect("a source");
        assert_eq!(
            (
                source.tracks[0].lost,
                room.plane.metrics().dropped(DropReason::Replayed)
            ),
            (0, 0)
        );
    });
}

#[test]
fn transport_wide_numbers_count_on_from_the_daemon_to_the_kernel() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        (0..20).for_each(|_| room.send());
        for sequence in 0..2 {
            let stamped = packet(102, VIDEO, room.next + sequence, &[(3, &[0, 0])], &[7; 10]);
            room.publisher.send(&stamped);
            let received = room.legs[0].receive();
            let number = RtpPacket::parse(&received)
                .expect("RTP")
                .extension(5)
                .map(<[u8]>::to_vec);
            assert_eq!(number, Some((room.next + sequence).to_be_bytes().to_vec()));
        }
    });
}

/// The kernel hands the packet up sealed; the daemon opens it for the mixer.
#[test]
fn a_mixer_gets_what_the_kernel_forwarded_in_the_clear_and_in_order() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        let (ours, theirs) = mixer();
        room.plane.apply(Command::Tap {
            source: room.publisher.id,
            host: HostId(5),
            socket: ours,
        });
        let taken = room.plane.metrics().taken(Path::Kernel);
        let mut arrival = 0;
        for sequence in room.next..room.next + 100 {
            room.send();
            tapped(&theirs, |message| {
                if message.kind != Kind::Rtp {
                    return None;
                }
                assert_eq!(message.body, stamped(sequence));
                assert!(message.arrival_ns >= arrival, "time goes on");
                arrival = message.arrival_ns;
                Some(())
            });
        }
        assert_eq!(room.plane.metrics().taken(Path::Kernel) - taken, 100);
    });
}

#[test]
fn what_is_forged_or_replayed_reaches_nobody() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        let sealed = room.publisher.seal(&stamped(room.next));
        for at in [12, 500, sealed.len() - 1] {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            room.publisher.send_raw(&forged);
        }
        (0..3).for_each(|_| room.publisher.send_raw(&sealed));
        for leg in &mut room.legs {
            leg.expect_next(room.next);
        }
        room.next += 1;
        (0..50).for_each(|_| room.send());
        let metrics = room.plane.metrics();
        assert_eq!(
            metrics.dropped(DropReason::Forged) + metrics.dropped(DropReason::Replayed),
            0,
            "by the programs"
        );
    });
}

#[test]
fn a_packet_longer_than_the_programs_take_is_forwarded_by_the_daemon() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        let before = room.plane.metrics().taken(Path::Daemon);
        for payload in [1_232usize, 1_233, 1_300, 1] {
            room.publisher
                .send(&packet(102, VIDEO, room.next, &[], &vec![7; payload]));
            for leg in &mut room.legs {
                leg.expect_next(room.next);
            }
            room.next += 1;
        }
        assert_eq!(room.plane.metrics().taken(Path::Daemon) - before, 2);
    });
}

#[test]
fn keys_legs_and_streams_change_and_nothing_is_lost() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        let leaves = room.legs.remove(1);
        room.plane.apply(Command::Remove { endpoint: leaves.id });
        (0..50).for_each(|_| room.send());
        room.send_until_in_kernel(2);
        room.plane.publish(&room.publisher, vec![video_track()]);
        (0..50).for_each(|_| room.send());
        room.send_until_in_kernel(2);
        let socket = room.spare.try_clone().expect("a socket");
        let mut joins = room.plane.connect_over(socket, 77, GCM);
        joins.plane = room.publisher.plane;
        room.plane
            .subscribe(&joins, &room.publisher, vec![video_leg(97, None)]);
        room.legs.push(joins);
        (0..50).for_each(|_| room.send());
        room.send_until_in_kernel(3);
    });
}

#[test]
fn a_plane_that_ends_leaves_the_interface_as_it_was() {
    in_a_room(0, |mut room| {
        room.send_until_in_kernel(3);
        assert_eq!(room.plane.handle.interface(), Some("lan0"));
        room.plane.handle.shutdown();
        drop(room.plane);
        let again = Plane::start_in_kernel("[::]:8444", "lan0").expect("it could be had before");
        again.handle.shutdown();
    });
}

#[test]
fn an_interface_that_is_not_there_is_an_error_that_names_it() {
    let mut config = lianmai_plane::PlaneConfig::new("127.0.0.1:0".parse().expect("an address"));
    let error = lianmai_plane::spawn_kernel(&mut config, "nowhere7").expect_err("there is none");
    assert!(error.to_string().contains("nowhere7"), "{error}");
}

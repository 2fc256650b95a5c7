//! A plane whose process is killed, and the next one.

use crate::namespace::{bpf_file_system, ip, over_a_wire, run};
use crate::support::{GCM, Peer, Plane, SHA1, VIDEO, bound, packet, video_leg, video_track};
use lianmai_fanout::records::ABI;
use lianmai_fanout::{RtpPacket, Ssrc};
use lianmai_plane::{Command, DropReason, Event, Path as Way, PlaneConfig, Resumption, spawn_userspace};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Payload type and SSRC of the retransmissions to a leg.
const RTX: (u8, u32) = (97, 0xcc);

const PATIENCE: Duration = Duration::from_secs(10);

/// A publisher and three legs at the far end of a wire, and a plane with pins.
struct Room {
    plane: Option<Plane>,
    pins: PathBuf,
    publisher: Peer,
    legs: Vec<Peer>,
    next: u16,
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 79, 0, 1], 8_444))
}

fn in_a_room(first: u16, test: impl FnOnce(Room) + Send + 'static) {
    over_a_wire(far_sockets, move |sockets| {
        ip("address add 10.79.0.1/24 dev lan0");
        ip("link set lan0 up");
        let Some(pins) = bpf_file_system() else {
            eprintln!("skipped: no BPF file system can be mounted here; run as root");
            return;
        };
        if let Some(plane) = Plane::start_pinned(address(), "lan0", &pins, Resumption::default()) {
            test(Room::new(plane, pins, sockets, first));
        }
    });
}

fn far_sockets() -> Vec<UdpSocket> {
    ip("address add 10.79.0.2/24 dev lan1");
    ip("link set lan1 up");
    run("ethtool", "-K lan1 gro on");
    (5_000..5_004)
        .map(|port| bound(&format!("10.79.0.2:{port}")))
        .collect()
}

fn stamped(sequence: u16) -> Vec<u8> {
    let payload = [&[0x41], sequence.to_be_bytes().as_slice(), &[7; 1_000]].concat();
    packet(102, VIDEO, sequence, &[(3, &[0, 0])], &payload)
}

impl Room {
    /// Where the pins of the interface are.
    fn pinned(&self) -> PathBuf {
        self.pins.join(format!("lianmai/abi-{ABI}/lan0"))
    }

    fn new(plane: Plane, pins: PathBuf, sockets: Vec<UdpSocket>, first: u16) -> Self {
        let mut peers: Vec<Peer> = (1..)
            .zip(sockets)
            .map(|(id, socket)| plane.connect_over(socket, id, GCM))
            .collect();
        let legs = peers.split_off(1);
        let publisher = peers.remove(0);
        plane.publish(&publisher, vec![video_track()]);
        for leg in &legs {
            plane.subscribe(leg, &publisher, vec![video_leg(96, Some(RTX))]);
        }
        Self {
            plane: Some(plane),
            pins,
            publisher,
            legs,
            next: first,
        }
    }

    fn plane(&self) -> &Plane {
        self.plane.as_ref().expect("it runs")
    }

    /// The next packet reaches every leg, and no other one before it.
    fn send(&mut self) {
        self.publisher.send(&stamped(self.next));
        for leg in &mut self.legs {
            leg.expect_next(self.next);
        }
        self.next = self.next.wrapping_add(1);
    }

    fn send_until_in_kernel(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let before = self.plane().metrics().forwarded(Way::Kernel);
        while self.plane().metrics().forwarded(Way::Kernel) < before + 3 * 20 {
            assert!(
                Instant::now() < deadline,
                "the stream does not get into the kernel"
            );
            self.send();
        }
    }

    /// What the edge would say again.
    fn commands(&self) -> Vec<Command> {
        let publish = Command::Publish {
            endpoint: self.publisher.id,
            tracks: vec![video_track()],
        };
        let subscribe = self.legs.iter().map(|leg| Command::Subscribe {
            endpoint: leg.id,
            source: self.publisher.id,
            tracks: vec![video_leg(96, Some(RTX))],
        });
        let resume = std::iter::once(&self.publisher)
            .chain(&self.legs)
            .map(Peer::resume);
        std::iter::once(publish).chain(subscribe).chain(resume).collect()
    }

    fn kill(&mut self) -> Resumption {
        let commands = self.commands();
        self.plane.take().expect("it runs").kill(commands)
    }

    fn start(&mut self, left: Resumption) {
        self.plane = Plane::start_pinned(address(), "lan0", &self.pins, left);
        assert!(self.plane.is_some(), "it could be started before");
    }
}

/// DESIGN §3: "A daemon crash does not cut the talk".
#[test]
fn a_talk_goes_on_while_no_daemon_runs_and_with_the_next_one() {
    in_a_room(65_000, |mut room| {
        room.send_until_in_kernel();
        let left = room.kill();
        (0..400).for_each(|_| room.send());
        room.start(left);
        // At once, before the next daemon has done anything.
        (0..400).for_each(|_| room.send());
        let plane = room.plane();
        plane.wait_until(
            "the copies of the time between are accounted for",
            |snapshot, _| {
                room.legs.iter().all(|leg| {
                    let endpoint = snapshot.endpoint(leg.id);
                    let stats = endpoint.and_then(|endpoint| endpoint.leg.as_ref());
                    stats.is_some_and(|stats| stats.by_kernel >= 700)
                })
            },
        );
        assert_eq!(plane.metrics().dropped(DropReason::AlreadySealed), 0);
        room.send_until_in_kernel();
    });
}

#[test]
fn what_was_taken_before_between_and_after_is_a_replay_to_the_next_daemon() {
    in_a_room(100, |mut room| {
        room.send_until_in_kernel();
        let before = room.publisher.seal(&stamped(room.next));
        room.publisher.send_raw(&before);
        room.legs.iter_mut().for_each(|leg| leg.expect_next(room.next));
        room.next += 1;
        let left = room.kill();
        let between = room.publisher.seal(&stamped(room.next));
        room.publisher.send_raw(&between);
        room.legs.iter_mut().for_each(|leg| leg.expect_next(room.next));
        room.next += 1;
        room.start(left);
        for old in [&before, &between] {
            room.publisher.send_raw(old);
        }
        // Nothing else came before it.
        room.send();
    });
}

/// What the daemon itself seals goes on with fresh numbers: retransmissions, and RTCP.
#[test]
fn a_retransmission_after_a_crash_has_a_number_that_was_not_used() {
    in_a_room(100, |mut room| {
        room.send_until_in_kernel();
        let first = retransmitted(&mut room);
        let left = room.kill();
        room.send();
        room.start(left);
        // The history starts anew.
        room.send();
        let deadline = Instant::now() + PATIENCE;
        while room.plane().metrics().taken(Way::Kernel) == 0 {
            assert!(Instant::now() < deadline, "no copy came");
            room.send();
        }
        let second = retransmitted(&mut room);
        assert_eq!(second, first.wrapping_add(1));
    });
}

/// Asks for the last packet again; the sequence number on the RTX stream.
fn retransmitted(room: &mut Room) -> u16 {
    let last = room.next.wrapping_sub(1);
    let leg = &mut room.legs[0];
    let nack = [
        &[0x81, 205, 0, 3][..],
        &77_u32.to_be_bytes(),
        &VIDEO.to_be_bytes(),
        &last.to_be_bytes(),
        &[0, 0],
    ];
    leg.send_rtcp(&nack.concat());
    let packet = leg.receive();
    let header = RtpPacket::parse(&packet).expect("RTP").header;
    assert_eq!(header.ssrc, Ssrc(RTX.1));
    header.sequence.0
}

/// Each start loads the programs anew and puts them in the place of those that run.
#[test]
fn programs_are_replaced_under_load_without_a_packet_lost() {
    const STARTS: usize = 5;
    in_a_room(60_000, |mut room| {
        room.send_until_in_kernel();
        let commands: Vec<Vec<Command>> = (0..STARTS).map(|_| room.commands()).collect();
        let Room {
            plane,
            pins,
            mut publisher,
            mut legs,
            next,
        } = room;
        let (is_over, mut plane) = (AtomicBool::new(false), plane);
        let sent = thread::scope(|scope| {
            let load = scope.spawn(|| load(&mut publisher, &mut legs, next, &is_over));
            for commands in commands {
                let running = plane.take().expect("it runs");
                let before = running.metrics().taken(Way::Kernel);
                running.wait_until("the kernel takes packets", |_, metrics| {
                    metrics.taken(Way::Kernel) > before + 200
                });
                let left = running.kill(commands);
                plane = Plane::start_pinned(address(), "lan0", &pins, left);
            }
            is_over.store(true, Relaxed);
            load.join().expect("no packet was lost")
        });
        assert!(sent > 200 * STARTS as u32, "{sent}");
    });
}

/// Sends until it is over, some packets at a time; every leg gets every one, in order.
fn load(publisher: &mut Peer, legs: &mut [Peer], first: u16, is_over: &AtomicBool) -> u32 {
    const AT_A_TIME: u16 = 8;
    let (mut next, mut sent) = (first, 0);
    while !is_over.load(Relaxed) {
        let sequences: Vec<u16> = (0..AT_A_TIME).map(|more| next.wrapping_add(more)).collect();
        for &sequence in &sequences {
            publisher.send(&stamped(sequence));
        }
        for leg in &mut *legs {
            sequences.iter().for_each(|&sequence| leg.expect_next(sequence));
        }
        next = next.wrapping_add(AT_A_TIME);
        sent += u32::from(AT_A_TIME);
    }
    sent
}

/// What the kernel used of the keys is not to be found: nobody may go on with them.
#[test]
fn without_the_rings_of_the_time_before_everybody_connects_again() {
    in_a_room(100, |mut room| {
        room.send_until_in_kernel();
        let left = room.kill();
        let folder = room.pinned().join("pads");
        for pin in std::fs::read_dir(folder).expect("pins") {
            std::fs::remove_file(pin.expect("an entry").path()).expect("removed");
        }
        std::fs::remove_file(room.pinned().join("link")).expect("removed");
        room.start(left);
        let plane = room.plane.as_mut().expect("it runs");
        let lost: Vec<u64> = std::iter::from_fn(|| match plane.event_within(PATIENCE / 10)? {
            Event::NotResumed { endpoint } => Some(endpoint.0),
            other => panic!("{other:?}"),
        })
        .collect();
        assert_eq!(lost, [1, 2, 3, 4]);
    });
}

#[test]
fn an_ordered_end_leaves_nothing_pinned() {
    in_a_room(100, |mut room| {
        room.send_until_in_kernel();
        let folder = room.pinned();
        assert!(folder.join("link").exists());
        drop(room.plane.take());
        assert!(!folder.exists());
    });
}

#[test]
fn what_a_killed_daemon_left_is_taken_away_when_nobody_goes_on_with_it() {
    in_a_room(100, |mut room| {
        room.send_until_in_kernel();
        let left = room.kill();
        room.start(Resumption {
            socket: left.socket,
            ..Resumption::default()
        });
        assert!(room.pinned().join("link").exists());
        let pads = std::fs::read_dir(room.pinned().join("pads"));
        assert_eq!(pads.map_or(0, Iterator::count), 0);
    });
}

/// The same without a kernel to ask: the socket and the ledger are enough.
#[test]
fn a_userspace_plane_goes_on_with_the_packets_that_waited_for_it() {
    let plane = Plane::start();
    let (mut publisher, mut leg) = (plane.connect(1, GCM), plane.connect(2, GCM));
    plane.publish(&publisher, vec![video_track()]);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    let sealed: Vec<Vec<u8>> = (65_530..65_545_u32)
        .map(|sequence| publisher.seal(&stamped(sequence as u16)))
        .collect();
    let (before, between) = sealed.split_at(8);
    for packet in before {
        publisher.send_raw(packet);
    }
    (65_530..65_538_u32).for_each(|sequence| leg.expect_next(sequence as u16));
    let commands = vec![
        Command::Publish {
            endpoint: publisher.id,
            tracks: vec![video_track()],
        },
        Command::Subscribe {
            endpoint: leg.id,
            source: publisher.id,
            tracks: vec![video_leg(96, None)],
        },
        publisher.resume(),
        leg.resume(),
    ];
    let address = plane.address();
    let left = plane.kill(commands);
    // A replay, and what is new.
    publisher.send_raw(&before[3]);
    for packet in between {
        publisher.send_raw(packet);
    }
    let plane = resumed(address, left);
    (65_538..65_545_u32).for_each(|sequence| leg.expect_next(sequence as u16));
    assert_eq!(plane.metrics().dropped(DropReason::Replayed), 1);
}

fn resumed(address: SocketAddr, left: Resumption) -> Plane {
    let mut config = PlaneConfig::new(address);
    config.resumption = left;
    let (handle, outputs) = spawn_userspace(&mut config).expect("it goes on");
    Plane { handle, outputs }
}

/// `webrtc-srtp` counts packets of that profile for itself, and its counters died with the process.
#[test]
fn a_peer_with_the_other_profile_and_one_whose_keys_are_not_known_connect_again() {
    let plane = Plane::start();
    let (old, other) = (plane.connect(1, SHA1), Peer::new(2, GCM, plane.address()));
    let commands = vec![old.resume(), other.resume()];
    let address = plane.address();
    let mut plane = resumed(address, plane.kill(commands));
    for endpoint in [old.id, other.id] {
        assert_eq!(plane.event_within(PATIENCE), Some(Event::NotResumed { endpoint }));
    }
}

//! One publisher, three legs, through the programs and back, with every byte compared.

use crate::load::{PORT, load};
use crate::namespace::{at_the_far_end, eventually, ip, run, with_wire};
use crate::packets::{bytes, header, mask, sealed, xor};
use lianmai_fanout::records::{Leg, MAX_FRAME_HEADER, Outcome};
use lianmai_fanout::{ExtensionMap, PayloadType, Ssrc};
use lianmai_kernel::{Claim, Fate, Kernel, Pads, PeerSlot, StreamSlot, TableSlot, Tokens, stream_key};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const SSRC: u32 = 0xdead_beef;
const PUBLISHER: [u8; 16] = [0x11; 16];
const PAYLOAD: usize = 1_101;

/// The sequence number wraps on the way.
const FIRST: u64 = 65_530;
const COUNT: u64 = 12;

/// A subscriber at the far end, and what serves it.
struct Subscriber {
    socket: UdpSocket,
    pads: Pads,
    table: TableSlot,
    peer: PeerSlot,
    hash_subkey: [u8; 16],
}

struct Scene {
    kernel: Kernel,
    /// The daemon's, for what the programs leave to it.
    media: UdpSocket,
    publisher: UdpSocket,
    subscribers: Vec<Subscriber>,
    stream: StreamSlot,
    tokens: Tokens,
    _table: TableSlot,
}

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("the address is ours");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    socket
}

/// `None` if the programs were not built.
fn scene() -> Option<Scene> {
    let (publisher, sockets) = at_the_far_end(|| {
        ip("address add 10.77.0.2/24 dev lan1");
        ip("address add fd77::2/64 dev lan1 nodad");
        ip("link set lan1 up");
        // Without it a virtual interface takes no frames from programs.
        run("ethtool", "-K lan1 gro on");
        let subscribers = ["10.77.0.2:6001", "[fd77::2]:6002", "10.77.0.2:6003"].map(socket);
        (socket("10.77.0.2:5000"), subscribers)
    });
    ip("address add 10.77.0.1/24 dev lan0");
    ip("address add fd77::1/64 dev lan0 nodad");
    ip("link set lan0 up");
    let mut kernel = load()?;
    let maps = kernel.maps();
    let (tokens, table) = (
        maps.tokens(64).expect("room"),
        maps.table(PUBLISHER).expect("room"),
    );
    let subscriber = |(place, socket)| Subscriber {
        socket,
        pads: maps.pads(64).expect("room"),
        table: maps.table([0x20 + place as u8; 16]).expect("room"),
        peer: maps.peer().expect("room"),
        hash_subkey: [0x20 + place as u8; 16],
    };
    let subscribers = sockets.into_iter().enumerate().map(subscriber).collect();
    let mut scene = Scene {
        stream: kernel.maps().stream().expect("room"),
        media: socket("[::]:8444"),
        kernel,
        publisher,
        subscribers,
        tokens,
        _table: table,
    };
    scene.stream.describe(&scene.tokens, &scene._table);
    scene.fill(FIRST..FIRST + COUNT);
    scene.say_hello();
    Some(scene)
}

/// What stands for the publisher's key stream XOR that of a leg.
fn pad(index: u64, place: usize) -> Vec<u8> {
    bytes(index * 5 + place as u64, PAYLOAD)
}

fn pad_mask(index: u64, place: usize) -> [u8; 16] {
    mask(index * 3 + place as u64)
}

fn packet(index: u64) -> Vec<u8> {
    sealed(
        PUBLISHER,
        mask(index),
        &header(index, SSRC),
        &bytes(index, PAYLOAD),
    )
}

impl Scene {
    fn fill(&self, indices: std::ops::Range<u64>) {
        for index in indices.clone() {
            assert!(self.tokens.put(index, mask(index), false));
            for (place, subscriber) in self.subscribers.iter().enumerate() {
                let fill = |stream: &mut [u8]| stream.copy_from_slice(&pad(index, place));
                assert!(
                    subscriber
                        .pads
                        .put(index, pad_mask(index, place), false, PAYLOAD, fill)
                );
            }
        }
        self.stream.set_ready_until(indices.end);
    }

    /// The daemon's own packets make neighbours known.
    fn say_hello(&self) {
        for subscriber in &self.subscribers {
            let to = match subscriber.socket.local_addr().expect("bound") {
                SocketAddr::V4(to) => SocketAddr::new(to.ip().to_ipv6_mapped().into(), to.port()),
                to @ SocketAddr::V6(_) => to,
            };
            self.media.send_to(b"hello", to).expect("on the wire");
            assert_eq!(subscriber.receive(), b"hello");
        }
    }

    fn start(&mut self) {
        eventually("the installation", || {
            self.subscribers
                .iter()
                .all(|subscriber| subscriber.pads.is_installed() && subscriber.table.is_installed())
        });
        let next_hops = self.kernel.next_hops();
        let legs: Vec<Leg> = self
            .subscribers
            .iter()
            .map(|subscriber| {
                let mut leg = subscriber.leg();
                let to = subscriber.socket.local_addr().expect("bound");
                next_hops
                    .frame_header(to, PORT)
                    .expect("a next hop")
                    .fill(&mut leg);
                leg
            })
            .collect();
        self.stream.set_legs(&legs);
        self.stream.renew(u64::MAX);
        let key = stream_key(self.publisher.local_addr().expect("bound"), Ssrc(SSRC));
        eventually("the announcement", || self.stream.announce(key).is_ok());
    }

    fn publish(&self, packet: &[u8]) {
        self.publisher
            .send_to(packet, ("10.77.0.1", PORT))
            .expect("on the wire");
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.kernel.outcomes().expect("counters").get(outcome)
    }
}

impl Subscriber {
    fn leg(&self) -> Leg {
        let mut extensions = ExtensionMap::default();
        extensions.map_transport_cc(3, 5);
        Leg {
            pads: self.pads.id(),
            pad_mask: self.pads.len() - 1,
            table: self.table.id(),
            peer: self.peer.id(),
            payload_type: PayloadType(109),
            ip_version: 0,
            frame_header_len: 0,
            sums: [0; 2],
            extensions,
            reserved: [0; 7],
            frame_header: [0; MAX_FRAME_HEADER],
        }
    }

    fn receive(&self) -> Vec<u8> {
        let mut packet = [0; 2_048];
        let (len, _) = self.socket.recv_from(&mut packet).expect("a packet");
        packet[..len].to_vec()
    }

    /// What the packet with this index must be on this leg.
    fn expected(&self, index: u64, place: usize, transport_sequence: u16) -> Vec<u8> {
        let mut header = header(index, SSRC);
        header[1] = 0x80 | 109;
        let [high, low] = transport_sequence.to_be_bytes();
        header[16..24].copy_from_slice(&[0x51, high, low, 0, 0, 0, 0, 0]);
        let payload = xor(&bytes(index, PAYLOAD), &pad(index, place));
        sealed(self.hash_subkey, pad_mask(index, place), &header, &payload)
    }
}

#[test]
fn every_leg_gets_every_packet_sealed_for_it() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        for (nth, index) in (FIRST..FIRST + COUNT).enumerate() {
            scene.publish(&packet(index));
            for (place, subscriber) in scene.subscribers.iter().enumerate() {
                assert_eq!(
                    subscriber.receive(),
                    subscriber.expected(index, place, nth as u16),
                    "{index}, leg {place}"
                );
            }
        }
        assert_eq!(
            (scene.count(Outcome::Accepted), scene.count(Outcome::Sealed)),
            (COUNT, 3 * COUNT)
        );
        assert_eq!(
            (scene.stream.packets(), scene.stream.bytes()),
            (COUNT, COUNT * packet(FIRST).len() as u64)
        );
        for subscriber in &scene.subscribers {
            assert_eq!(
                subscriber.peer.next_transport_sequence(),
                COUNT as u16,
                "the daemon counts on"
            );
            for index in FIRST..FIRST + COUNT {
                let Fate::Sealed { at, what } = subscriber.pads.fate(index) else {
                    panic!("{index} was not sealed")
                };
                let expected = ((index - FIRST) as u16, packet(index).len() as u16);
                assert_eq!((what.transport_sequence, what.len), expected);
                assert!(at > 0);
            }
        }
    });
}

#[test]
fn the_daemon_gets_a_copy_of_every_packet() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        for index in FIRST..FIRST + COUNT {
            scene.publish(&packet(index));
        }
        let (fan, number) = (scene.stream.fan().to_word(), scene.stream.number());
        let mut next = FIRST;
        eventually("the last copy", || {
            let taken = scene.kernel.copies().take(5, |copy, head, payload| {
                assert_eq!((copy.index, copy.fan, copy.stream), (next, fan, number));
                assert_eq!(
                    (head, payload),
                    (&header(next, SSRC)[..], &bytes(next, PAYLOAD)[..])
                );
                assert!(copy.arrival > 0);
                next += 1;
            });
            assert!(taken <= 5);
            next == FIRST + COUNT
        });
        assert_eq!(scene.kernel.copies().malformed(), 0);
    });
}

#[test]
fn forged_and_replayed_packets_reach_nobody() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        let mut forged = packet(FIRST);
        forged[40] ^= 1;
        scene.publish(&forged);
        eventually("the count", || scene.count(Outcome::Forged) == 1);
        scene.publish(&packet(FIRST));
        scene.publish(&packet(FIRST));
        eventually("the count", || scene.count(Outcome::Replayed) == 1);
        scene.publish(&packet(FIRST + 1));
        for (place, subscriber) in scene.subscribers.iter().enumerate() {
            assert_eq!(subscriber.receive(), subscriber.expected(FIRST, place, 0));
            assert_eq!(subscriber.receive(), subscriber.expected(FIRST + 1, place, 1));
        }
    });
}

#[test]
fn what_the_daemon_claimed_the_kernel_leaves_to_it() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        assert_eq!(scene.subscribers[1].pads.claim(FIRST), Claim::Granted);
        assert_eq!(scene.tokens.claim(FIRST + 1), Claim::Granted);
        for index in FIRST..FIRST + 3 {
            scene.publish(&packet(index));
        }
        for (place, nth) in [(0, 1), (1, 0), (2, 1)] {
            let subscriber = &scene.subscribers[place];
            if place != 1 {
                assert_eq!(subscriber.receive(), subscriber.expected(FIRST, place, 0));
            }
            assert_eq!(subscriber.receive(), subscriber.expected(FIRST + 2, place, nth));
        }
        assert_eq!(scene.subscribers[1].pads.fate(FIRST), Fate::Claimed);
        assert_eq!(scene.subscribers[0].pads.claim(FIRST), Claim::AlreadyClaimed);
        assert_eq!(
            (scene.count(Outcome::PadTaken), scene.count(Outcome::Replayed)),
            (1, 1)
        );
    });
}

#[test]
fn what_the_kernel_may_not_forward_goes_to_the_socket() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        let goes_up = |scene: &Scene, index: u64, why: Outcome| {
            let before = scene.count(why);
            scene.publish(&packet(index));
            let mut received = [0; 2_048];
            let (len, _) = scene.media.recv_from(&mut received).expect("a packet");
            assert_eq!(received[..len], packet(index), "{why:?}");
            assert_eq!(scene.count(why), before + 1, "{why:?}");
        };
        goes_up(&scene, FIRST + COUNT, Outcome::NoPad);
        scene.stream.set_ready_until(FIRST + 1);
        goes_up(&scene, FIRST + 1, Outcome::NoPad);
        scene.stream.renew(1);
        goes_up(&scene, FIRST, Outcome::Expired);
        scene.stream.withdraw();
        goes_up(&scene, FIRST, Outcome::UnknownStream);
        let quiet = &scene.subscribers[0].socket;
        quiet.set_nonblocking(true).expect("a mode");
        assert_eq!(
            quiet.recv(&mut [0; 8]).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock)
        );
    });
}

#[test]
fn legs_that_go_get_nothing_more_and_legs_that_come_get_the_next_packet() {
    with_wire(|| {
        let Some(mut scene) = scene() else { return };
        scene.start();
        scene.publish(&packet(FIRST));
        for (place, subscriber) in scene.subscribers.iter().enumerate() {
            assert_eq!(subscriber.receive(), subscriber.expected(FIRST, place, 0));
        }
        let next_hops = scene.kernel.next_hops();
        let last = &scene.subscribers[2];
        let mut leg = last.leg();
        let to = last.socket.local_addr().expect("bound");
        next_hops
            .frame_header(to, PORT)
            .expect("a next hop")
            .fill(&mut leg);
        scene.stream.set_legs(&[leg]);
        scene.publish(&packet(FIRST + 1));
        let last = &scene.subscribers[2];
        assert_eq!(last.receive(), last.expected(FIRST + 1, 2, 1));
        assert_eq!(scene.subscribers[0].pads.fate(FIRST + 1), Fate::Free);
        scene.stream.set_legs(&[]);
        scene.publish(&packet(FIRST + 2));
        eventually("the count", || scene.stream.packets() == 3);
        assert_eq!(scene.subscribers[2].pads.fate(FIRST + 2), Fate::Free);
    });
}

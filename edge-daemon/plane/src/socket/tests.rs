//! The port on loopback.

use super::{BATCH, MediaSender, NotSent, Receiver, Sender, bind};
use crate::clock::Clock;
use crate::metrics::PacketKind;
use crate::outbox::Outgoing;
use bytes::Bytes;
use lianmai_webrtc::DatagramSink;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn outgoing(to: SocketAddr, bytes: &[u8]) -> Outgoing {
    Outgoing {
        to,
        bytes: Bytes::copy_from_slice(bytes),
        kind: PacketKind::Rtp,
        arrival: None,
    }
}

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    socket
}

#[test]
fn a_batch_keeps_order_bytes_sender_and_arrival() {
    let socket = bind("127.0.0.1:0".parse().expect("address"), 1 << 20).expect("bound");
    let to = socket.local_addr().expect("bound");
    let peer = peer("127.0.0.1:0");
    let clock = Clock::new();
    let before = clock.now();
    for index in 0..10u8 {
        peer.send_to(&vec![index; usize::from(index)], to).expect("sent");
    }
    let mut receiver = Receiver::new();
    // Loopback delivers within the send call.
    for _ in 0..2 {
        let count = receiver.receive(&socket, &clock).expect("received");
        for place in 0..count {
            let (received, bytes) = receiver.get(place).expect("a datagram");
            assert_eq!(received.from, peer.local_addr().expect("bound"));
            assert_eq!(bytes, vec![place as u8; place]);
            assert!(received.arrival.nanos >= before.nanos.saturating_sub(50_000));
            assert!(received.arrival <= clock.now() && !received.truncated);
        }
        if count > 0 {
            assert_eq!(count, 10);
            peer.send_to(&[9; 9], to).expect("sent");
            assert_eq!(
                receiver.receive(&socket, &clock).expect("received"),
                1,
                "headers serve again"
            );
            assert!(receiver.get(0).expect("a datagram").0.arrival.nanos < clock.now().nanos);
            return;
        }
    }
    panic!("nothing arrived");
}

#[test]
fn a_datagram_longer_than_its_buffer_says_so() {
    let socket = bind("127.0.0.1:0".parse().expect("address"), 1 << 20).expect("bound");
    peer("127.0.0.1:0")
        .send_to(&[1; 3_000], socket.local_addr().expect("bound"))
        .expect("sent");
    let mut receiver = Receiver::new();
    assert_eq!(receiver.receive(&socket, &Clock::new()).expect("received"), 1);
    let (received, bytes) = receiver.get(0).expect("a datagram");
    assert!(received.truncated);
    assert_eq!(bytes.len(), 2_048);
}

#[test]
fn the_unspecified_address_of_ipv6_serves_both_families() {
    let Ok(socket) = bind("[::]:0".parse().expect("address"), 1 << 20) else {
        return; // No IPv6 on this machine.
    };
    let port = socket.local_addr().expect("bound").port();
    let v4 = peer("127.0.0.1:0");
    v4.send_to(b"four", ("127.0.0.1", port)).expect("sent");
    let mut receiver = Receiver::new();
    assert_eq!(receiver.receive(&socket, &Clock::new()).expect("received"), 1);
    let (received, _) = receiver.get(0).expect("a datagram");
    assert_eq!(
        received.from,
        v4.local_addr().expect("bound"),
        "an IPv4 address, not a mapped one"
    );
    let mut sender = Sender::new(socket.local_addr().expect("bound"));
    assert_eq!(
        sender.send(&socket, &[outgoing(received.from, b"back")], |_| {}),
        NotSent::default()
    );
    let media = MediaSender::new(socket).expect("a sender");
    media.send(received.from, b"again").expect("sent");
    let mut buffer = [0; 9];
    assert_eq!(v4.recv(&mut buffer).expect("an answer"), 4);
    assert_eq!(v4.recv(&mut buffer).expect("an answer"), 5);
}

#[test]
fn one_bad_destination_does_not_cost_the_others() {
    let socket = bind("127.0.0.1:0".parse().expect("address"), 1 << 20).expect("bound");
    let peer = peer("127.0.0.1:0");
    let good = peer.local_addr().expect("bound");
    let bad = "127.0.0.1:0".parse().expect("address");
    let mut batch: Vec<_> = (0..100u8).map(|index| outgoing(good, &[index])).collect();
    batch.insert(BATCH, outgoing(bad, b"port 0"));
    batch.insert(0, outgoing(bad, b"port 0"));
    let mut sender = Sender::new(socket.local_addr().expect("bound"));
    let mut gone = 0;
    let not_sent = sender.send(&socket, &batch, |sent| gone += sent.len());
    assert_eq!(
        (gone, not_sent),
        (
            100,
            NotSent {
                refused: 2,
                buffer_full: 0
            }
        )
    );
    let mut buffer = [0; 9];
    for index in 0..100u8 {
        assert_eq!(peer.recv(&mut buffer).expect("a datagram"), 1);
        assert_eq!(buffer[0], index);
    }
}

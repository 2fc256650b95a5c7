//! A bad link: a UDP forwarder that holds every datagram for a while and loses some, in both directions. (The kernels that
//! these tests run on have no netem.)

use crate::netns::{FAR, Namespace};
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the forwarder looks: what it adds to the delay at most.
const PACE: Duration = Duration::from_millis(1);

/// What a link does to a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Every one is held for so long,
    pub delay: Duration,
    /// and up to so much longer; a later one may come first.
    pub jitter: Duration,
    /// So many of a thousand are lost.
    pub loss: u64,
}

/// A running forwarder; it ends when dropped.
#[derive(Debug)]
pub struct Delay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Delay {
    /// Forwards between the far host, which sends to `listen`, and `target`, from inside a namespace.
    pub fn start(namespace: &Namespace, listen: SocketAddr, target: SocketAddr, link: Link) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (ready, started) = std::sync::mpsc::channel();
        let entered = namespace.enter_later()?;
        let thread = std::thread::spawn(move || {
            let outside = entered.enter().and_then(|()| socket(listen));
            let forwarder = outside.map(|outside| Forwarder {
                outside,
                target,
                link,
                clients: BTreeMap::new(),
                held: BTreeMap::new(),
                count: 0,
                random: 0x9e37_79b9_7f4a_7c15,
            });
            match forwarder {
                Ok(forwarder) => {
                    let _ = ready.send(Ok(()));
                    forwarder.run(&stopped);
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
        started.recv()??;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A datagram on its way.
struct Held {
    client: SocketAddr,
    outward: bool,
    bytes: Vec<u8>,
}

struct Forwarder {
    outside: UdpSocket,
    target: SocketAddr,
    link: Link,
    clients: BTreeMap<SocketAddr, UdpSocket>,
    /// By when it is due, and its number.
    held: BTreeMap<(Instant, u64), Held>,
    count: u64,
    random: u64,
}

impl Forwarder {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.take_from_clients();
            self.take_from_target();
            self.release();
            std::thread::sleep(PACE);
        }
    }

    fn take_from_clients(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((len, client)) = self.outside.recv_from(&mut buffer) {
            // Only the far host is behind this link; the near one must not find a way around through it.
            if client.ip() != FAR {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = self.clients.entry(client) {
                let Ok(socket) = connected(self.target) else {
                    continue;
                };
                entry.insert(socket);
            }
            self.hold(client, false, &buffer[..len]);
        }
    }

    fn take_from_target(&mut self) {
        let mut buffer = [0; 2048];
        let mut came = Vec::new();
        for (client, socket) in &self.clients {
            while let Ok(len) = socket.recv(&mut buffer) {
                came.push((*client, buffer[..len].to_vec()));
            }
        }
        for (client, bytes) in came {
            self.hold(client, true, &bytes);
        }
    }

    fn hold(&mut self, client: SocketAddr, outward: bool, bytes: &[u8]) {
        self.count += 1;
        if self.random() % 1_000 < self.link.loss {
            return;
        }
        let jitter = u64::try_from(self.link.jitter.as_micros()).unwrap_or(u64::MAX - 1);
        let longer = Duration::from_micros(self.random() % (jitter + 1));
        let held = Held {
            client,
            outward,
            bytes: bytes.to_vec(),
        };
        self.held
            .insert((Instant::now() + self.link.delay + longer, self.count), held);
    }

    fn release(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= now) {
            let held = entry.remove();
            // A datagram that cannot be sent is lost, as on any link.
            let _ = match held.outward {
                true => self.outside.send_to(&held.bytes, held.client),
                false => self.clients[&held.client].send(&held.bytes),
            };
        }
    }

    /// xorshift: the same numbers in every run.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}

fn socket(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn connected(target: SocketAddr) -> Result<UdpSocket> {
    let socket = socket(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    socket.connect(target)?;
    Ok(socket)
}

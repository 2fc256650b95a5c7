//! The servers that are compared, behind one interface: start, exchange SDP, stop.

mod edge;
mod floor;
mod janus;
mod janus_api;

use crate::host::dtls::{Identity, Keys};
use crate::host::sdp::Remote;
use crate::host::{Connected, Connector, Local, Media};
use crate::load::opener::Leg;
use crate::load::packets::Publisher;
use crate::load::trial::{Load, Tally};
use crate::measure::usage::Meter;
use crate::processor::Processors;
use crate::scenario::Scenario;
use crate::wire::Wire;
use anyhow::{Context, Result};
use nix::unistd::Pid;
use std::time::Duration;

/// How long a leg may take from its SDP to its first packet: the edge and Janus both need a moment.
const UP: Duration = Duration::from_secs(10);
/// PeerConnections whose SDP is exchanged before any of them connects: servers do not wait for ever.
const ENTERING: usize = 64;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum System {
    /// lianmai-edge --plane kernel
    Kernel,
    /// lianmai-edge --plane userspace
    Userspace,
    /// XDP that clones and redirects without crypto
    Floor,
    /// Debian's Janus with its videoroom plugin
    Janus,
}

/// A running server.
trait Server {
    /// Of the process whose time is the server's.
    fn pid(&self) -> Option<Pid>;

    /// Hands in the SDP of one who publishes, and returns the server's end.
    fn publish(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote>;

    /// The same for one who receives a stream that is published.
    fn receive(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote>;

    /// Where it counts what its kernel programs forwarded, if it has such.
    fn tally(&self) -> Option<Tally>;

    /// What it printed, for when something fails.
    fn log(&self) -> String;
}

/// Whose stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    room: usize,
    publisher: usize,
}

/// A server with all its co-hosts, ready to be measured. Dropping it ends the server.
pub(crate) struct Session<'a> {
    pub(crate) load: Load,
    /// What SRTP profile the server chose; nothing where there is no crypto.
    pub(crate) profile: Option<&'static str>,
    running: Running<'a>,
}

enum Running<'a> {
    Server(Box<dyn Server>),
    /// It has no process, and nothing to say.
    Floor(#[expect(dead_code, reason = "held until it is to stop")] floor::Floor<'a>),
}

impl System {
    pub(crate) const ALL: [Self; 4] = [Self::Kernel, Self::Userspace, Self::Floor, Self::Janus];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Userspace => "userspace",
            Self::Floor => "floor",
            Self::Janus => "janus",
        }
    }

    /// Why it cannot be measured on this machine.
    pub(crate) fn obstacle(self) -> Option<String> {
        match self {
            Self::Kernel => edge::obstacle("kernel"),
            Self::Userspace => edge::obstacle("userspace"),
            Self::Floor => floor::obstacle(),
            Self::Janus => janus::obstacle(),
        }
    }

    /// Whether it can do this at all: the floor knows one fan only.
    pub(crate) const fn suits(self, scenario: Scenario) -> bool {
        match self {
            Self::Kernel | Self::Userspace | Self::Janus => true,
            Self::Floor => scenario.is_fan(),
        }
    }
}

impl<'a> Session<'a> {
    /// Starts the server and brings everybody in.
    pub(crate) fn open(
        system: System,
        scenario: Scenario,
        wire: &'a Wire,
        processors: Processors,
    ) -> Result<Self> {
        let server: Box<dyn Server> = match system {
            System::Kernel => Box::new(edge::Edge::start("kernel", processors)?),
            System::Userspace => Box::new(edge::Edge::start("userspace", processors)?),
            System::Floor => return Self::floor(scenario, wire, processors),
            System::Janus => Box::new(janus::Janus::start(processors, scenario)?),
        };
        let mut entering = Entering {
            server,
            connector: Connector::new()?,
            media: scenario.media(),
        };
        let load = entering.load(scenario, wire, processors);
        let load = load.with_context(|| format!("{} printed:\n{}", system.name(), entering.server.log()))?;
        Ok(Self {
            profile: load
                .legs
                .first()
                .and_then(|leg| leg.peer.keys.as_ref())
                .map(Keys::profile_name),
            load,
            running: Running::Server(entering.server),
        })
    }

    /// The one system whose packets go in the clear.
    fn floor(scenario: Scenario, wire: &'a Wire, processors: Processors) -> Result<Self> {
        let (floor, publisher, legs) = floor::Floor::start(scenario, wire)?;
        let mut load = Load {
            publishers: vec![Publisher::new(publisher, scenario.media())?],
            legs: legs.into_iter().map(|leg| Leg::in_the_clear(leg, 0)).collect(),
            processors,
            meter: Meter::new(processors, None)?,
            tally: None,
        };
        load.until_up(scenario.payload, UP)?;
        Ok(Self {
            load,
            profile: None,
            running: Running::Floor(floor),
        })
    }

    /// What the server printed, for when something fails.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Server(server) => server.log(),
            Running::Floor(_) => String::new(),
        }
    }
}

struct Entering {
    server: Box<dyn Server>,
    connector: Connector,
    media: Media,
}

impl Entering {
    fn load(&mut self, scenario: Scenario, wire: &Wire, processors: Processors) -> Result<Load> {
        let streams: Vec<Stream> = (0..scenario.rooms)
            .flat_map(|room| (0..scenario.publishers).map(move |publisher| Stream { room, publisher }))
            .collect();
        let publishers = self.connect(wire, &streams, Door::Publish)?;
        let subscriptions: Vec<Stream> = streams
            .iter()
            .flat_map(|stream| std::iter::repeat_n(*stream, scenario.legs))
            .collect();
        let legs = self.connect(wire, &subscriptions, Door::Receive)?;
        let publishers = publishers
            .into_iter()
            .map(|peer| Publisher::new(peer, self.media))
            .collect::<Result<Vec<_>>>()?;
        let legs = legs
            .into_iter()
            .enumerate()
            .map(|(number, peer)| Leg::new(peer, number / scenario.legs))
            .collect::<Result<Vec<_>>>()?;
        let mut load = Load {
            publishers,
            legs,
            processors,
            meter: Meter::new(processors, self.server.pid())?,
            tally: self.server.tally(),
        };
        load.until_up(scenario.payload, UP)?;
        Ok(load)
    }

    fn connect(&mut self, wire: &Wire, streams: &[Stream], door: Door) -> Result<Vec<Connected>> {
        let mut connected = Vec::with_capacity(streams.len());
        for streams in streams.chunks(ENTERING) {
            let mut peers = Vec::with_capacity(streams.len());
            for (stream, socket) in streams.iter().zip(wire.sockets(streams.len())?) {
                peers.push(self.exchange(*stream, Local::new(socket, self.media), door)?);
            }
            connected.extend(self.connector.connect(peers)?);
        }
        Ok(connected)
    }

    fn exchange(&mut self, stream: Stream, local: Local, door: Door) -> Result<(Local, Remote)> {
        let identity = self.connector.identity();
        let remote = match door {
            Door::Publish => self.server.publish(stream, &local, identity)?,
            Door::Receive => self.server.receive(stream, &local, identity)?,
        };
        Ok((local, remote))
    }
}

#[derive(Clone, Copy, Debug)]
enum Door {
    Publish,
    Receive,
}

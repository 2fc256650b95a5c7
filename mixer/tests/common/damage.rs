//! Seeded damage to streams, as a network, a broken encoder or an attacker might do it.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

/// A picture as it arrives: the payloads of its packets; `None` for a packet that is lost.
pub(crate) type Arrival = Vec<Option<Vec<u8>>>;

/// Where headers are: parameter sets, slice headers, frame tags.
const HEADERS: usize = 24;

/// The longest packet of a network.
const MAX_PAYLOAD: usize = 1400;

/// Damages pictures.
pub(crate) struct Damage<'a> {
    random: StdRng,
    /// How often a picture is damaged, in percent.
    percent: u32,
    /// Payloads of other streams, with other parameter sets and sizes.
    foreign: &'a [Bytes],
}

/// What happens to a picture.
#[derive(Clone, Copy)]
enum Fault {
    FlippedBits,
    FlippedHeaders,
    Truncated,
    Lengthened,
    Noise,
    Foreign,
    Lost,
    /// Lost without a gap in the sequence numbers, so that the decoder alone can tell.
    Missing,
    /// An older picture in its place.
    Stale,
}

const FAULTS: [Fault; 9] = [
    Fault::FlippedBits,
    Fault::FlippedHeaders,
    Fault::Truncated,
    Fault::Lengthened,
    Fault::Noise,
    Fault::Foreign,
    Fault::Lost,
    Fault::Missing,
    Fault::Stale,
];

impl<'a> Damage<'a> {
    /// The same seed does the same damage.
    pub(crate) fn new(seed: u64, foreign: &'a [Bytes]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let percent = random.random_range(5..80);
        Self {
            random,
            percent,
            foreign,
        }
    }

    /// How picture `index` of a stream arrives.
    pub(crate) fn picture(&mut self, stream: &[Vec<Bytes>], index: usize) -> Arrival {
        let mut arrival = whole(&stream[index]);
        if self.random.random_ratio(self.percent, 100) {
            let fault = *FAULTS.choose(&mut self.random).expect("some");
            match fault {
                Fault::Missing => arrival.clear(),
                Fault::Stale => arrival = whole(stream[..=index].choose(&mut self.random).expect("some")),
                Fault::FlippedBits
                | Fault::FlippedHeaders
                | Fault::Truncated
                | Fault::Lengthened
                | Fault::Noise
                | Fault::Foreign
                | Fault::Lost => self.packet(fault, &mut arrival),
            }
        }
        arrival
    }

    fn packet(&mut self, fault: Fault, arrival: &mut [Option<Vec<u8>>]) {
        let Self { random, foreign, .. } = self;
        let Some(packet) = arrival.iter_mut().choose(random) else {
            return;
        };
        let Some(bytes) = packet else { return };
        match fault {
            Fault::FlippedBits => flip(random, bytes, MAX_PAYLOAD),
            Fault::FlippedHeaders => flip(random, bytes, HEADERS),
            Fault::Truncated => bytes.truncate(random.random_range(0..=bytes.len())),
            Fault::Lengthened => bytes.extend(noise(random)),
            Fault::Noise => *bytes = noise(random),
            Fault::Foreign => *bytes = foreign.choose(random).expect("some").to_vec(),
            Fault::Lost | Fault::Missing | Fault::Stale => *packet = None,
        }
    }
}

fn whole(picture: &[Bytes]) -> Arrival {
    picture.iter().map(|payload| Some(payload.to_vec())).collect()
}

fn flip(random: &mut StdRng, bytes: &mut [u8], within: usize) {
    for _ in 0..random.random_range(1..=16) {
        let len = bytes.len().min(within);
        if let Some(byte) = bytes[..len].choose_mut(random) {
            *byte ^= 1 << random.random_range(0..8);
        }
    }
}

fn noise(random: &mut StdRng) -> Vec<u8> {
    let len = random.random_range(0..=MAX_PAYLOAD);
    (0..len).map(|_| random.random()).collect()
}

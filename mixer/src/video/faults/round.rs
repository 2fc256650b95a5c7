//! What a host sends, and how it is written down.

use crate::testing::damage::Arrival;
use lianmai_mixer_control::Codec;

/// What one host sends.
#[derive(Debug, PartialEq)]
pub(super) struct Round {
    pub(super) codec: Codec,
    pub(super) pictures: Vec<Arrival>,
}

impl Round {
    /// A byte for the codec; a 16-bit number of packets for each picture; a 16-bit length for each packet, 0xffff for one
    /// that is lost.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![match self.codec {
            Codec::H264 => 0,
            Codec::Vp8 => 1,
        }];
        let number = |len: usize| u16::try_from(len).expect("short").to_be_bytes();
        for picture in &self.pictures {
            bytes.extend(number(picture.len()));
            for packet in picture {
                let Some(payload) = packet else {
                    bytes.extend([0xff, 0xff]);
                    continue;
                };
                bytes.extend(number(payload.len()));
                bytes.extend_from_slice(payload);
            }
        }
        bytes
    }

    /// Reads what `to_bytes` wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (codec, mut rest) = bytes.split_first()?;
        let codec = if *codec == 0 { Codec::H264 } else { Codec::Vp8 };
        let mut pictures = Vec::new();
        while !rest.is_empty() {
            let packets = number(&mut rest)?;
            pictures.push(
                (0..packets)
                    .map(|_| packet(&mut rest))
                    .collect::<Option<Arrival>>()?,
            );
        }
        Some(Self { codec, pictures })
    }
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

fn packet(rest: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let len = number(rest)?;
    if len == u16::MAX {
        return Some(None);
    }
    let (payload, after) = rest.split_at_checked(usize::from(len))?;
    *rest = after;
    Some(Some(payload.to_vec()))
}

#[test]
fn a_round_is_written_down_whole() {
    let pictures = vec![vec![Some(vec![1, 2, 3]), None], vec![], vec![Some(vec![])]];
    let round = Round {
        codec: Codec::Vp8,
        pictures,
    };
    assert_eq!(Round::from_bytes(&round.to_bytes()), Some(round));
}

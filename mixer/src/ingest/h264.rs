//! H.264 out of RTP (RFC 6184, packetization modes 0 and 1): the packets of a picture in, Annex B out.

use super::picture::{self, CodedPicture, NoPicture};
use lianmai_timeline::jitter::AccessUnit;

/// What goes before each NAL unit (H.264 Annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// NAL unit types (H.264 table 7-1, RFC 6184 §5.4).
mod nal {
    pub(super) const SLICE: u8 = 1;
    pub(super) const IDR: u8 = 5;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// Puts the packets of one access unit together, in Annex B form; an IDR picture is a key frame.
pub(super) fn assemble<T: AsRef<[u8]>>(unit: &AccessUnit<T>) -> Result<CodedPicture, NoPicture> {
    picture::check_whole(unit, is_head)?;
    let mut assembler = Assembler::default();
    for packet in &unit.packets {
        assembler.append(packet.payload.as_ref())?;
    }
    let Assembler { picture, fragment } = assembler;
    if fragment || picture.data.is_empty() {
        return Err(NoPicture::Malformed);
    }
    Ok(picture)
}

#[derive(Default)]
struct Assembler {
    picture: CodedPicture,
    /// A fragmented NAL unit is open at the end of the picture.
    fragment: bool,
}

impl Assembler {
    fn append(&mut self, payload: &[u8]) -> Result<(), NoPicture> {
        self.picture.check_room(payload)?;
        // A payload of padding alone is how senders probe for bandwidth.
        let Some((&header, body)) = payload.split_first() else {
            return Ok(());
        };
        match header & 0x1f {
            nal::FU_A => self.fragment(header, body),
            _ if self.fragment => Err(NoPicture::Malformed),
            nal::STAP_A => self.aggregate(body),
            nal::SLICE..=nal::LAST_SINGLE => {
                self.nal(payload);
                Ok(())
            }
            _ => Err(NoPicture::Malformed),
        }
    }

    fn nal(&mut self, nal: &[u8]) {
        let Some(&header) = nal.first() else { return };
        let CodedPicture { data, key } = &mut self.picture;
        *key |= header & 0x1f == nal::IDR;
        data.extend_from_slice(&START_CODE);
        data.extend_from_slice(nal);
    }

    /// STAP-A (RFC 6184 §5.7.1): 16-bit sizes and NAL units.
    fn aggregate(&mut self, mut body: &[u8]) -> Result<(), NoPicture> {
        while let Some((size, rest)) = body.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            let Some((nal, rest)) = rest.split_at_checked(size) else {
                return Err(NoPicture::Malformed);
            };
            self.nal(nal);
            body = rest;
        }
        if body.is_empty() {
            Ok(())
        } else {
            Err(NoPicture::Malformed)
        }
    }

    /// FU-A (RFC 6184 §5.8): one NAL unit over several packets.
    fn fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), NoPicture> {
        let Some((&header, body)) = body.split_first() else {
            return Err(NoPicture::Malformed);
        };
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        if start == self.fragment || (start && end) {
            return Err(NoPicture::Malformed);
        }
        if start {
            self.nal(&[(indicator & 0xe0) | (header & 0x1f)]);
        }
        self.picture.data.extend_from_slice(body);
        self.fragment = !end;
        Ok(())
    }
}

/// Whether an access unit can begin with this payload. A slice that begins one starts at macroblock 0: its
/// `first_mb_in_slice` is the single bit 1 (H.264 §7.3.3, §9.1).
fn is_head(payload: &[u8]) -> bool {
    let (nal_type, slice) = match payload {
        [header, fu, rest @ ..] if header & 0x1f == nal::FU_A => {
            if fu & 0x80 == 0 {
                return false;
            }
            (fu & 0x1f, rest)
        }
        [header, _, _, inner, rest @ ..] if header & 0x1f == nal::STAP_A => (inner & 0x1f, rest),
        [header, rest @ ..] => (header & 0x1f, rest),
        [] => return false,
    };
    match nal_type {
        nal::SLICE..=nal::IDR => slice.first().is_some_and(|byte| byte & 0x80 != 0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{NoPicture, assemble};
    use lianmai_timeline::RtpTimestamp;
    use lianmai_timeline::jitter::{AccessUnit, Packet};

    const SPS: &[u8] = &[0x67, 0x42, 0xe0, 0x1f];
    const IDR: &[u8] = &[0x65, 0x88, 1, 2, 3, 4, 5, 6];
    const SLICE: &[u8] = &[0x61, 0x9a, 9, 8, 7];
    const LATER_SLICE: &[u8] = &[0x61, 0x1a, 9, 8, 7];

    fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
            .collect()
    }

    fn fragments(nal: &[u8]) -> Vec<Vec<u8>> {
        let (header, body) = (nal[0], &nal[1..]);
        let part =
            |flags: u8, bytes: &[u8]| [&[(header & 0xe0) | 28, flags | (header & 0x1f)], bytes].concat();
        vec![
            part(0x80, &body[..2]),
            part(0, &body[2..4]),
            part(0x40, &body[4..]),
        ]
    }

    fn unit(payloads: Vec<Vec<u8>>, lost: u64) -> AccessUnit<Vec<u8>> {
        let last = payloads.len() - 1;
        let packet = |(index, payload)| Packet {
            sequence: (index as u16).wrapping_sub(1),
            timestamp: RtpTimestamp(9),
            marker: index == last,
            payload,
        };
        AccessUnit {
            timestamp: RtpTimestamp(9),
            packets: payloads.into_iter().enumerate().map(packet).collect(),
            lost,
        }
    }

    #[test]
    fn a_single_nal_unit_packet_is_a_picture() {
        let picture = assemble(&unit(vec![SLICE.to_vec()], 0)).expect("whole");
        assert_eq!((picture.data, picture.key), (annex_b(&[SLICE]), false));
    }

    #[test]
    fn aggregated_and_fragmented_nal_units_become_one_key_frame() {
        let mut payloads = vec![[&[24, 0, 4], SPS].concat()];
        payloads.extend(fragments(IDR));
        let picture = assemble(&unit(payloads, 0)).expect("whole");
        assert_eq!((picture.data, picture.key), (annex_b(&[SPS, IDR]), true));
    }

    #[test]
    fn loss_before_a_whole_picture_does_not_drop_it() {
        assert!(assemble(&unit(vec![SLICE.to_vec(), LATER_SLICE.to_vec()], 3)).is_ok());
    }

    #[test]
    fn a_picture_without_its_head_is_incomplete() {
        for head in [&fragments(IDR)[1], &LATER_SLICE.to_vec()] {
            assert_eq!(
                assemble(&unit(vec![head.clone(), SLICE.to_vec()], 1)),
                Err(NoPicture::Incomplete)
            );
        }
    }

    #[test]
    fn a_picture_without_its_middle_or_its_end_is_incomplete() {
        let mut hole = unit(fragments(IDR), 1);
        hole.packets.remove(1);
        assert_eq!(assemble(&hole), Err(NoPicture::Incomplete));
        let mut open = unit(fragments(IDR), 1);
        open.packets.pop();
        assert_eq!(assemble(&open), Err(NoPicture::Incomplete));
    }

    #[test]
    fn a_fragment_that_never_ends_or_never_began_is_malformed() {
        let parts = fragments(IDR);
        for payloads in [
            vec![parts[0].clone(), SLICE.to_vec()],
            vec![parts[1].clone()],
            vec![parts[0].clone()],
        ] {
            assert_eq!(assemble(&unit(payloads, 0)), Err(NoPicture::Malformed));
        }
    }

    #[test]
    fn no_payload_panics_whatever_its_length_and_type() {
        let mut malformed = 0;
        for header in 0..=255u8 {
            for len in 0..12 {
                let mut payload = vec![header; len];
                if let Some(second) = payload.get_mut(1) {
                    *second = header.wrapping_mul(37);
                }
                for lost in [0, 1] {
                    malformed +=
                        u32::from(assemble(&unit(vec![payload.clone(), payload.clone()], lost)).is_err());
                }
            }
        }
        assert!(malformed > 0);
    }

    #[test]
    fn a_picture_without_end_stops_at_the_limit() {
        assert_eq!(
            assemble(&unit(vec![vec![0x61; 9_000]; 300], 0)),
            Err(NoPicture::Malformed)
        );
    }
}

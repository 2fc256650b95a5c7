//! VP8 out of RTP (RFC 7741): the packets of a picture in, one frame as RFC 6386 describes it out.

use super::picture::{self, CodedPicture, NoPicture};
use lianmai_fanout::Vp8Payload;
use lianmai_timeline::jitter::AccessUnit;

/// Puts the packets of one access unit together.
pub(super) fn assemble<T: AsRef<[u8]>>(unit: &AccessUnit<T>) -> Result<CodedPicture, NoPicture> {
    picture::check_whole(unit, is_head)?;
    let mut picture = CodedPicture::default();
    for packet in &unit.packets {
        append(&mut picture, packet.payload.as_ref())?;
    }
    // RFC 6386 §9.1: the lowest bit of a frame is clear in a key frame.
    let first = picture.data.first().ok_or(NoPicture::Malformed)?;
    picture.key = first & 1 == 0;
    Ok(picture)
}

fn append(picture: &mut CodedPicture, payload: &[u8]) -> Result<(), NoPicture> {
    picture.check_room(payload)?;
    // A payload of padding alone is how senders probe for bandwidth.
    if payload.is_empty() {
        return Ok(());
    }
    let Vp8Payload { starts_frame, data } = Vp8Payload::parse(payload).ok_or(NoPicture::Malformed)?;
    if starts_frame != picture.data.is_empty() {
        return Err(NoPicture::Malformed);
    }
    picture.data.extend_from_slice(data);
    Ok(())
}

/// Whether a frame begins with this payload.
fn is_head(payload: &[u8]) -> bool {
    Vp8Payload::parse(payload).is_some_and(|payload| payload.starts_frame)
}

#[cfg(test)]
mod tests {
    use super::{CodedPicture, NoPicture, assemble};
    use lianmai_timeline::RtpTimestamp;
    use lianmai_timeline::jitter::{AccessUnit, Packet};
    use proptest::prelude::{any, prop, proptest};

    /// What browsers send: a PictureID of 15 bits.
    const START: [u8; 4] = [0x90, 0x80, 0x91, 0x11];
    const NEXT: [u8; 4] = [0x80, 0x80, 0x91, 0x11];
    const KEY: &[u8] = &[0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1];
    const INTER: &[u8] = &[0x11, 2, 0, 9, 8, 7];

    fn unit(payloads: Vec<Vec<u8>>, lost: u64) -> AccessUnit<Vec<u8>> {
        let last = payloads.len() - 1;
        let packet = |(index, payload)| Packet {
            sequence: (index as u16).wrapping_sub(1),
            timestamp: RtpTimestamp(0),
            marker: index == last,
            payload,
        };
        AccessUnit {
            timestamp: RtpTimestamp(0),
            packets: payloads.into_iter().enumerate().map(packet).collect(),
            lost,
        }
    }

    /// A frame over packets of three bytes each.
    fn packed(frame: &[u8]) -> Vec<Vec<u8>> {
        let parts = frame.chunks(3).enumerate();
        parts
            .map(|(index, part)| [if index == 0 { &START[..] } else { &NEXT }, part].concat())
            .collect()
    }

    #[test]
    fn the_packets_of_a_frame_become_the_frame() {
        for (frame, key) in [(KEY, true), (INTER, false)] {
            let data = frame.to_vec();
            assert_eq!(assemble(&unit(packed(frame), 0)), Ok(CodedPicture { data, key }));
        }
    }

    #[test]
    fn padding_between_packets_is_no_part_of_the_frame() {
        let mut payloads = packed(INTER);
        payloads.insert(1, Vec::new());
        assert_eq!(assemble(&unit(payloads, 0)).expect("whole").data, INTER);
    }

    #[test]
    fn loss_before_a_whole_frame_does_not_drop_it() {
        assert!(assemble(&unit(packed(INTER), 3)).is_ok());
    }

    #[test]
    fn a_frame_without_its_head_its_middle_or_its_end_is_incomplete() {
        for missing in 0..3 {
            let mut hole = unit(packed(KEY), 1);
            hole.packets.remove(missing);
            assert_eq!(assemble(&hole), Err(NoPicture::Incomplete), "{missing}");
        }
    }

    #[test]
    fn two_frames_or_none_under_one_timestamp_are_malformed() {
        let twice = [packed(KEY), packed(INTER)].concat();
        let headless = packed(KEY).split_off(1);
        for payloads in [twice, headless, vec![Vec::new()], vec![START.to_vec()]] {
            assert_eq!(assemble(&unit(payloads, 0)), Err(NoPicture::Malformed));
        }
    }

    #[test]
    fn a_frame_without_end_stops_at_the_limit() {
        let mut payloads = vec![[&NEXT[..], &[7; 9_000]].concat(); 300];
        payloads[0][..4].copy_from_slice(&START);
        assert_eq!(assemble(&unit(payloads, 0)), Err(NoPicture::Malformed));
    }

    proptest! {
        #[test]
        fn a_frame_survives_its_packets(frame in prop::collection::vec(any::<u8>(), 1..64)) {
            assert_eq!(assemble(&unit(packed(&frame), 0)).expect("whole").data, frame);
        }

        #[test]
        fn any_payloads_make_a_frame_of_their_bytes_or_none(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..24), 1..6),
            lost in 0..2u64,
        ) {
            let bytes: usize = payloads.iter().map(Vec::len).sum();
            if let Ok(picture) = assemble(&unit(payloads, lost)) {
                assert!((1..bytes).contains(&picture.data.len()));
            }
        }
    }
}

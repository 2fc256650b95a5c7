//! Header extensions (RFC 8285): the five that the edge reads or rewrites, under the offerer's ids.

use super::attributes::values;
use crate::media::{ExtensionIds, Kind};
use sdp_types::Attribute;

const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const VIDEO_ORIENTATION: &str = "urn:3gpp:video-orientation";

/// The ids that a section offers for extensions that make sense for its kind of media.
pub(super) fn read(attributes: &[Attribute], kind: Kind) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (id, uri) in values(attributes, "extmap").filter_map(parse) {
        if let Some(slot) = slot(&mut ids, uri, kind) {
            slot.get_or_insert(id);
        }
    }
    ids
}

/// `(id, uri)` of what was agreed on, in ascending order of ids.
pub(super) fn lines(ids: &ExtensionIds) -> Vec<(u8, &'static str)> {
    let mut agreed: Vec<_> = [
        (ids.mid, MID),
        (ids.audio_level, AUDIO_LEVEL),
        (ids.abs_send_time, ABS_SEND_TIME),
        (ids.transport_cc, TRANSPORT_CC),
        (ids.video_orientation, VIDEO_ORIENTATION),
    ]
    .into_iter()
    .filter_map(|(id, uri)| Some((id?, uri)))
    .collect();
    agreed.sort_unstable();
    agreed.dedup_by_key(|(id, _)| *id);
    agreed
}

fn slot<'a>(ids: &'a mut ExtensionIds, uri: &str, kind: Kind) -> Option<&'a mut Option<u8>> {
    match (uri, kind) {
        (MID, _) => Some(&mut ids.mid),
        (ABS_SEND_TIME, _) => Some(&mut ids.abs_send_time),
        (TRANSPORT_CC, _) => Some(&mut ids.transport_cc),
        (AUDIO_LEVEL, Kind::Audio) => Some(&mut ids.audio_level),
        (VIDEO_ORIENTATION, Kind::Video) => Some(&mut ids.video_orientation),
        _ => None,
    }
}

/// `"3/sendonly urn:.. attributes"`. RFC 8285 §4.2: a one-byte header carries ids 1 to 14, and we write no other.
fn parse(value: &str) -> Option<(u8, &str)> {
    let mut words = value.split_ascii_whitespace();
    let number = words.next()?.split('/').next()?;
    let id = number.parse().ok().filter(|id| (1..=14).contains(id))?;
    Some((id, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::{lines, read};
    use crate::media::Kind;
    use sdp_types::Attribute;

    fn extmap(value: &str) -> Attribute {
        Attribute {
            attribute: "extmap".into(),
            value: Some(value.into()),
        }
    }

    #[test]
    fn the_offerers_ids_are_kept_and_other_extensions_are_left_out() {
        let offered = [
            extmap("4 urn:ietf:params:rtp-hdrext:sdes:mid"),
            extmap("1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on"),
            extmap("7 urn:ietf:params:rtp-hdrext:toffset"),
        ];
        let ids = read(&offered, Kind::Audio);
        assert_eq!(
            (ids.mid, ids.audio_level, ids.transport_cc),
            (Some(4), Some(1), None)
        );
        assert_eq!(lines(&ids).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn an_audio_level_makes_no_sense_for_video() {
        let ids = read(
            &[extmap("1 urn:ietf:params:rtp-hdrext:ssrc-audio-level")],
            Kind::Video,
        );
        assert_eq!(ids.audio_level, None);
    }

    // RFC 8285 §4.2: ids of the one-byte form are 1 to 14; 0 is padding and 15 stops the parsing.
    #[test]
    fn ids_that_a_one_byte_header_cannot_carry_are_not_answered() {
        for id in ["0", "15", "255", "-1", "x"] {
            let ids = read(
                &[extmap(&format!("{id} urn:ietf:params:rtp-hdrext:sdes:mid"))],
                Kind::Video,
            );
            assert_eq!(ids.mid, None, "id {id}");
        }
    }

    #[test]
    fn one_id_is_never_answered_for_two_extensions() {
        let offered = [
            extmap("3 urn:ietf:params:rtp-hdrext:sdes:mid"),
            extmap("3 urn:3gpp:video-orientation"),
        ];
        assert_eq!(lines(&read(&offered, Kind::Video)).len(), 1);
    }
}

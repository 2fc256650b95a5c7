//! How a leg numbers one track of its publisher.

use lianmai_fanout::{ExtensionMap, LegHeader, PayloadType, Rewriting, RtpHeader, Ssrc, records};
use lianmai_webrtc::media::Track;

/// How the leg numbers one track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) header: LegHeader,
    /// Payload type and SSRC of retransmissions.
    pub(crate) rtx: Option<(PayloadType, Ssrc)>,
}

impl Route {
    pub(crate) fn new(from: &Track, to: &Track) -> Self {
        let header = LegHeader {
            payload_type: to.payload_type,
            extensions: extensions(from, to),
        };
        Self {
            header,
            rtx: to.rtx_payload_type.zip(to.rtx_ssrc),
        }
    }

    /// Whether this packet of the publisher has room for a transport-wide sequence number of the leg.
    pub(crate) fn wants_transport_sequence(&self, packet: &[u8], header: &RtpHeader) -> bool {
        let mut copy = [0; records::MAX_HEADER];
        let (Some(copy), Some(original)) = (copy.get_mut(..header.len), packet.get(..header.len)) else {
            return false;
        };
        copy.copy_from_slice(original);
        let mut rewriting = Rewriting::begin(copy, header, &self.header);
        while rewriting.step(copy, &self.header) {}
        rewriting.wants_transport_sequence()
    }
}

fn extensions(from: &Track, to: &Track) -> ExtensionMap {
    let (ours, theirs) = (&from.extensions, &to.extensions);
    let mut map = ExtensionMap::default();
    let mut plain = vec![
        (ours.audio_level, theirs.audio_level),
        (ours.video_orientation, theirs.video_orientation),
    ];
    // A mid that says something else on the leg would lead the packet to the wrong section; without one, its payload
    // type and SSRC lead it (RFC 9143 §9.2).
    if from.mid == to.mid {
        plain.push((ours.mid, theirs.mid));
    }
    for (ours, theirs) in plain.into_iter().filter_map(|(ours, theirs)| ours.zip(theirs)) {
        map.map(ours, theirs);
    }
    if let Some((ours, theirs)) = ours.transport_cc.zip(theirs.transport_cc) {
        map.map_transport_cc(ours, theirs);
    }
    if let Some((ours, theirs)) = ours.abs_send_time.zip(theirs.abs_send_time) {
        map.map_abs_send_time(ours, theirs);
    }
    map
}

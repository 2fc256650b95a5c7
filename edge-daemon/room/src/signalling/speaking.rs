//! Who speaks.

use super::Signalling;
use crate::kurento::notifications::Notification;
use crate::names::RoomName;
use crate::rooms::Voice;
use lianmai_webrtc::EndpointId;

impl Signalling {
    /// Tells who speaks to those that asked for it; returns in which room that is.
    ///
    /// `level` is in -dBov as RTP carries it (RFC 6464): 0 is loudest, 127 is silence.
    pub fn set_speaking(&mut self, endpoint: EndpointId, level: u8, speaking: bool) -> Option<RoomName> {
        let voice = Voice { level, speaking };
        let (room, user) = self.rooms.hear(endpoint, voice)?;
        let notification = Notification::ActiveSpeaker {
            user: &user,
            speaking,
            dbov: voice.dbov(),
        };
        for session in self.audience(&room, None) {
            let wants = self
                .sessions
                .get(session)
                .is_some_and(|s| s.capabilities.active_speaker);
            if wants {
                self.notify(session, &notification);
            }
        }
        Some(room)
    }
}

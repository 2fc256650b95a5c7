//! Who speaks.

use super::Signalling;
use crate::kurento::notifications::Notification;
use crate::rooms::Voice;
use lianmai_webrtc::EndpointId;

impl Signalling {
    /// Tells who speaks to those that asked for it.
    ///
    /// `level` is in -dBov as RTP carries it (RFC 6464): 0 is loudest, 127 is silence.
    pub fn set_speaking(&mut self, endpoint: EndpointId, level: u8, speaking: bool) {
        let voice = Voice { level, speaking };
        let Some((room, user)) = self.rooms.hear(endpoint, voice) else {
            return;
        };
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
    }
}

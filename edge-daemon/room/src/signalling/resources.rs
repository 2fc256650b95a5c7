//! WHIP (RFC 9725) and WHEP sessions: one HTTP resource each.

use super::Signalling;
use crate::error::{ResourceError, RoomError};
use crate::ids::ResourceId;
use crate::names::{RoomName, UserName};
use crate::negotiator::{IcePatch, Negotiator};
use crate::output::{Patched, WhipSession};
use crate::rooms::Owner;
use lianmai_webrtc::EndpointId;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resource {
    room: RoomName,
    endpoint: EndpointId,
    purpose: Purpose,
    etag: String,
}

/// What a session is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    /// WHIP: it is the participant of this name.
    Publish { user: UserName },
    /// WHEP: it is nobody.
    Watch,
}

impl Signalling {
    /// WHIP: `user` joins `room` and publishes, or nothing happens.
    pub fn whip_publish(
        &mut self,
        now: Instant,
        room: &str,
        user: &str,
        offer: &str,
        negotiator: &mut dyn Negotiator,
    ) -> Result<WhipSession, RoomError> {
        let user = UserName::new(user).map_err(RoomError::UserName)?;
        let room = RoomName::new(room).map_err(RoomError::RoomName)?;
        self.check_resources()?;
        self.check_entry(&room, &user)?;
        let endpoint = self.ids.endpoint();
        let negotiated = negotiator.publish(endpoint, offer, false)?;
        let id = self.ids.resource();
        self.enter(now, &room, &user, Owner::Whip(id));
        self.rooms.publish(&room, &user, endpoint);
        self.announce_publication(&room, &user, endpoint);
        Ok(self.create(
            id,
            Resource::new(room, endpoint, Purpose::Publish { user }),
            negotiated.answer,
        ))
    }

    /// WHEP: receive what `user` publishes in `room`, unseen by its participants. The session ends with the publication.
    pub fn whep_subscribe(
        &mut self,
        now: Instant,
        room: &str,
        user: &str,
        offer: &str,
        negotiator: &mut dyn Negotiator,
    ) -> Result<WhipSession, RoomError> {
        self.check_resources()?;
        let (room, user) = self.rooms.find(room, user)?;
        let source = self.rooms.source(&room, &user)?;
        let endpoint = self.ids.endpoint();
        let negotiated = negotiator.subscribe(endpoint, source, offer)?;
        let id = self.ids.resource();
        self.rooms.watch(now, &room, &user, id, endpoint);
        Ok(self.create(
            id,
            Resource::new(room, endpoint, Purpose::Watch),
            negotiated.answer,
        ))
    }

    /// PATCH: trickles candidates or restarts ICE. `if_match` is the value of the `If-Match` header, quotes included.
    ///
    /// Which of the two it is, the credentials in the fragment say. A client that sends no `If-Match` is served.
    pub fn patch(
        &mut self,
        resource: ResourceId,
        if_match: Option<&str>,
        fragment: &str,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Patched, ResourceError> {
        let Some(found) = self.resources.get_mut(&resource) else {
            return Err(ResourceError::NotFound);
        };
        if if_match.is_some_and(|condition| !names(condition, &found.etag)) {
            return Err(ResourceError::EtagMismatch {
                current: found.etag.clone(),
            });
        }
        self.revision += 1;
        match negotiator.patch(found.endpoint, fragment)? {
            IcePatch::Trickled => Ok(Patched::Trickled),
            IcePatch::Restarted { fragment } => {
                found.etag = self.ids.etag();
                Ok(Patched::Restarted {
                    fragment,
                    etag: found.etag.clone(),
                })
            }
        }
    }

    /// DELETE: ends the session; a publisher leaves its room.
    pub fn delete(
        &mut self,
        resource: ResourceId,
        negotiator: &mut dyn Negotiator,
    ) -> Result<(), ResourceError> {
        let Some(ended) = self.resources.remove(&resource) else {
            return Err(ResourceError::NotFound);
        };
        self.touch();
        match ended.purpose {
            Purpose::Publish { user } => {
                self.depart(&ended.room, &user, negotiator);
            }
            Purpose::Watch => {
                self.rooms.unwatch(&ended.room, resource);
                negotiator.release(ended.endpoint);
            }
        }
        Ok(())
    }

    fn check_resources(&mut self) -> Result<(), RoomError> {
        let limit = self.limits.resources;
        if self.resources.len() < limit {
            return Ok(());
        }
        self.counters.resources_refused += 1;
        Err(RoomError::TooManyResources { limit })
    }

    fn create(&mut self, id: ResourceId, mut resource: Resource, answer: String) -> WhipSession {
        self.touch();
        resource.etag = self.ids.etag();
        let session = WhipSession {
            resource: id,
            endpoint: resource.endpoint,
            answer,
            etag: resource.etag.clone(),
        };
        self.resources.insert(id, resource);
        session
    }
}

impl Resource {
    fn new(room: RoomName, endpoint: EndpointId, purpose: Purpose) -> Self {
        Self {
            room,
            endpoint,
            purpose,
            etag: String::new(),
        }
    }
}

/// Whether an `If-Match` value names this entity tag (RFC 9110 §13.1.1): a list of quoted tags, or `*` for any.
/// The comparison is strong, so a weak tag names nothing. Quotes may be missing.
fn names(if_match: &str, etag: &str) -> bool {
    if_match.split(',').map(str::trim).any(|tag| {
        let bare = tag
            .strip_prefix('"')
            .and_then(|tag| tag.strip_suffix('"'))
            .unwrap_or(tag);
        bare == "*" || bare == etag
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    /// RFC 9110 §13.1.1: "An origin server MUST use the strong comparison function when comparing entity tags for
    /// If-Match".
    #[test]
    fn an_if_match_value_is_a_list_of_strong_tags_or_a_star() {
        for value in ["\"abc\"", "abc", "*", "\"x\", \"abc\"", " \"abc\" "] {
            assert!(names(value, "abc"), "{value}");
        }
        for value in ["", "\"ab\"", "W/\"abc\"", "\"abc", "\"abcd\""] {
            assert!(!names(value, "abc"), "{value}");
        }
    }
}

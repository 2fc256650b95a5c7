//! The room requests: repeated ones, who may ask what, joining, talking, leaving.

use super::Signalling;
use super::delivery::Answered;
use crate::error::RoomError;
use crate::ids::SessionId;
use crate::kurento::notifications::{Notification, STREAM};
use crate::kurento::replies::Fingerprint;
use crate::kurento::requests::{Capabilities, JoinRoom, Request};
use crate::kurento::rpc::{Call, Failure, METHOD_NOT_FOUND, Members};
use crate::kurento::session::{Member, Session};
use crate::names::{RoomName, UserName};
use crate::negotiator::Negotiator;
use crate::output::Output;
use crate::rooms::{Owner, Participant};
use serde_json::{Value, json};
use std::time::Instant;

impl Signalling {
    /// Executes a room request once, however often it is sent.
    pub(super) fn room_call(
        &mut self,
        now: Instant,
        session: SessionId,
        call: &Call,
        negotiator: &mut dyn Negotiator,
    ) {
        if let Some(text) = self.kept_reply(session, call) {
            self.counters.replayed += 1;
            return self.respond(session, text);
        }
        match self.execute(now, session, call, negotiator) {
            Ok(Answered { .. }) => {}
            Err(failure) => {
                self.counters.unknown_methods += u64::from(failure.code == METHOD_NOT_FOUND);
                self.answer_error(session, call, &failure);
            }
        }
    }

    fn kept_reply(&self, session: SessionId, call: &Call) -> Option<String> {
        let session = self.sessions.get(session)?;
        session
            .replies
            .find(call.id.as_ref()?, Fingerprint::of(call))
            .map(str::to_owned)
    }

    fn execute(
        &mut self,
        now: Instant,
        id: SessionId,
        call: &Call,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        match Request::read(call)? {
            Request::JoinRoom(join) => self.join_room(now, id, call, &join),
            Request::PublishVideo { offer, loopback } => {
                self.publish_video(id, call, &offer, loopback, negotiator)
            }
            Request::UnpublishVideo => self.unpublish_video(id, call, negotiator),
            Request::ReceiveVideoFrom { sender, offer } => {
                self.receive_video(id, call, &sender, &offer, negotiator)
            }
            Request::UnsubscribeFromVideo { sender } => self.unsubscribe(id, call, &sender, negotiator),
            Request::OnIceCandidate { endpoint, candidate } => {
                self.on_ice_candidate(id, call, &endpoint, candidate, negotiator)
            }
            Request::SendMessage { user, room, message } => {
                self.send_message(id, call, &user, &room, &message)
            }
            Request::GetLayout => self.get_layout(id, call),
            Request::SetLayout(scene) => self.set_layout(id, call, *scene),
            Request::SetVolume { user, volume } => self.set_volume(id, call, &user, volume),
            Request::LeaveRoom => self.leave_room(id, call, negotiator),
        }
    }

    /// The participant that a session acts for.
    pub(super) fn participant_of(&self, id: SessionId) -> Result<(RoomName, UserName), RoomError> {
        self.sessions
            .get(id)
            .ok_or(RoomError::NotJoined)
            .and_then(Session::participant)
    }

    fn join_room(
        &mut self,
        now: Instant,
        id: SessionId,
        call: &Call,
        join: &JoinRoom,
    ) -> Result<Answered, Failure> {
        let user = UserName::new(&join.user).map_err(RoomError::UserName)?;
        let room = RoomName::new(&join.room).map_err(RoomError::RoomName)?;
        self.check_nobody(id, &room, &user)?;
        self.check_entry(&room, &user)?;
        let present = self.listing(&room);
        self.enter(now, &room, &user, Owner::Session(id));
        if let Some(session) = self.sessions.get_mut(id) {
            session.member = Member::Of { room, user };
            session.capabilities = join.capabilities;
        }
        let mut members = Members::from_iter([("value".to_owned(), Value::Array(present))]);
        if join.capabilities.active_speaker {
            members.insert("capabilities".to_owned(), json!([Capabilities::ACTIVE_SPEAKER]));
        }
        Ok(self.answer(id, call, members))
    }

    fn check_nobody(&self, id: SessionId, room: &RoomName, user: &UserName) -> Result<(), RoomError> {
        match self.participant_of(id) {
            Ok((own_room, own)) if own == *user && own_room == *room => Err(RoomError::UserExists {
                user: own,
                room: own_room,
            }),
            Ok((room, user)) => Err(RoomError::AlreadyJoined { user, room }),
            Err(_) => Ok(()),
        }
    }

    /// Whether this name may come into this room now.
    pub(super) fn check_entry(&mut self, room: &RoomName, user: &UserName) -> Result<(), RoomError> {
        if self.shutting_down {
            return Err(RoomError::RoomClosed { room: room.clone() });
        }
        self.rooms
            .may_join(room, user, &self.limits)
            .inspect_err(|error| match error {
                RoomError::TooManyRooms { .. } => self.counters.rooms_refused += 1,
                RoomError::RoomFull { .. } => self.counters.participants_refused += 1,
                _ => {}
            })
    }

    /// Adds a participant that passed [`Signalling::check_entry`], and tells the others.
    pub(super) fn enter(&mut self, now: Instant, room: &RoomName, user: &UserName, owner: Owner) {
        if self.rooms.join(now, room, user, owner) {
            self.outputs.push_back(Output::RoomOpened { room: room.clone() });
        }
        self.outputs.push_back(Output::Joined {
            room: room.clone(),
            user: user.clone(),
        });
        self.broadcast(room, Some(user), &Notification::ParticipantJoined { user });
    }

    /// The participants as `joinRoom` lists them. The iOS client insists on `streams`.
    fn listing(&self, room: &RoomName) -> Vec<Value> {
        let participants = self
            .rooms
            .get(room)
            .into_iter()
            .flat_map(|room| &room.participants);
        let streams = |participant: &Participant| match participant.publication {
            Some(_) => json!([{ "id": STREAM }]),
            None => json!([]),
        };
        participants
            .map(|(user, p)| json!({ "id": user.as_str(), "streams": streams(p) }))
            .collect()
    }

    fn send_message(
        &mut self,
        id: SessionId,
        call: &Call,
        given_user: &str,
        given_room: &str,
        message: &str,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        if given_user != user.as_str() {
            return Err(RoomError::ForeignUser {
                given: given_user.to_owned(),
                own: user,
            }
            .into());
        }
        if given_room != room.as_str() {
            return Err(RoomError::ForeignRoom {
                given: given_room.to_owned(),
                own: room,
            }
            .into());
        }
        let (bytes, limit) = (message.len(), self.limits.chat_bytes);
        if bytes > limit {
            self.counters.chats_too_long += 1;
            return Err(RoomError::ChatTooLong { bytes, limit }.into());
        }
        let answered = self.answer(id, call, Members::new());
        self.broadcast(
            &room,
            None,
            &Notification::SendMessage {
                room: &room,
                user: &user,
                message,
            },
        );
        Ok(answered)
    }

    fn leave_room(
        &mut self,
        id: SessionId,
        call: &Call,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        self.depart(&room, &user, negotiator);
        let answered = self.answer(id, call, Members::new());
        self.end_session(id, negotiator);
        Ok(answered)
    }
}

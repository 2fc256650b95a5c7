//! The room requests about media.

use super::Signalling;
use super::delivery::Answered;
use crate::error::RoomError;
use crate::ids::SessionId;
use crate::kurento::notifications::Notification;
use crate::kurento::rpc::{Call, Failure, Members};
use crate::names::{RoomName, UserName};
use crate::negotiator::{Candidate, Negotiator};
use crate::output::Output;
use lianmai_webrtc::EndpointId;

impl Signalling {
    /// One participant publishes one stream. The original offers a second publishVideo to the same endpoint, which
    /// refuses to negotiate twice: an error here too, and the first publication goes on.
    pub(super) fn publish_video(
        &mut self,
        id: SessionId,
        call: &Call,
        offer: &str,
        loopback: bool,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        if self.rooms.source(&room, &user).is_ok() {
            return Err(RoomError::AlreadyPublishing { user, room }.into());
        }
        let early = self.early_candidates(id, &user);
        let endpoint = self.ids.endpoint();
        let negotiated = negotiator
            .publish(endpoint, offer, loopback)
            .map_err(RoomError::from)?;
        trickle(endpoint, early, negotiator);
        self.rooms.publish(&room, &user, endpoint);
        let answered = self.answer(id, call, sdp_answer(&negotiated.answer));
        self.announce_candidates(id, &user, &negotiated.candidates);
        self.announce_publication(&room, &user, endpoint);
        Ok(answered)
    }

    /// Tells everybody else that `user` publishes.
    pub(super) fn announce_publication(&mut self, room: &RoomName, user: &UserName, endpoint: EndpointId) {
        self.outputs.push_back(Output::Published {
            room: room.clone(),
            user: user.clone(),
            endpoint,
        });
        self.broadcast(room, Some(user), &Notification::ParticipantPublished { user });
    }

    pub(super) fn unpublish_video(
        &mut self,
        id: SessionId,
        call: &Call,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        let unpublished = self.rooms.unpublish(&room, &user)?;
        // What came for the stream that ends is of no use to the next.
        self.early_candidates(id, &user);
        let answered = self.answer(id, call, Members::new());
        self.release_publication(&room, &user, unpublished, negotiator);
        self.broadcast(
            &room,
            Some(&user),
            &Notification::ParticipantUnpublished { user: &user },
        );
        Ok(answered)
    }

    /// A second request for the same sender replaces the first, if its offer can be answered.
    pub(super) fn receive_video(
        &mut self,
        id: SessionId,
        call: &Call,
        sender: &str,
        offer: &str,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        let (_, from) = self.rooms.find(room.as_str(), sender)?;
        if from == user {
            return Err(RoomError::SelfSubscription.into());
        }
        let source = self.rooms.source(&room, &from)?;
        let early = self.early_candidates(id, &from);
        let endpoint = self.ids.endpoint();
        let negotiated = negotiator
            .subscribe(endpoint, source, offer)
            .map_err(RoomError::from)?;
        trickle(endpoint, early, negotiator);
        if let Some(replaced) = self.rooms.subscribe(&room, &user, &from, endpoint) {
            negotiator.release(replaced);
        }
        let answered = self.answer(id, call, sdp_answer(&negotiated.answer));
        self.announce_candidates(id, &from, &negotiated.candidates);
        Ok(answered)
    }

    /// To end what is not there is no error. The iOS client insists on `sdpAnswer` in the result.
    pub(super) fn unsubscribe(
        &mut self,
        id: SessionId,
        call: &Call,
        sender: &str,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        let (_, from) = self.rooms.find(room.as_str(), sender)?;
        if from != user {
            self.early_candidates(id, &from);
        }
        if let Some(endpoint) = self.rooms.unsubscribe(&room, &user, &from) {
            negotiator.release(endpoint);
        }
        Ok(self.answer(id, call, sdp_answer("")))
    }

    /// A candidate for a peer that exists, or for one whose offer is still to come.
    pub(super) fn on_ice_candidate(
        &mut self,
        id: SessionId,
        call: &Call,
        peer: &str,
        candidate: Candidate,
        negotiator: &mut dyn Negotiator,
    ) -> Result<Answered, Failure> {
        let (room, user) = self.participant_of(id)?;
        let unknown = |_| RoomError::UserNotFound {
            user: peer.to_owned(),
            room: room.clone(),
        };
        let peer = UserName::new(peer).map_err(unknown)?;
        match self.peer_endpoint(&room, &user, &peer) {
            Some(endpoint) => negotiator.candidate(endpoint, candidate),
            None => self.keep_candidate(id, peer, candidate)?,
        }
        Ok(self.answer(id, call, Members::new()))
    }

    /// The own name means the publishing peer, another's the peer that receives from it.
    fn peer_endpoint(&self, room: &RoomName, user: &UserName, peer: &UserName) -> Option<EndpointId> {
        let participant = self.rooms.participant(room, user)?;
        if peer == user {
            participant.publication
        } else {
            participant.subscriptions.get(peer).copied()
        }
    }

    fn keep_candidate(
        &mut self,
        id: SessionId,
        peer: UserName,
        candidate: Candidate,
    ) -> Result<(), RoomError> {
        let Some(session) = self.sessions.get_mut(id) else {
            return Ok(());
        };
        let kept = session
            .early
            .keep(peer, candidate, self.limits.buffered_candidates);
        kept.inspect_err(|_| self.counters.candidates_refused += 1)
    }

    fn early_candidates(&mut self, id: SessionId, peer: &UserName) -> Vec<Candidate> {
        self.sessions
            .get_mut(id)
            .map(|session| session.early.take(peer))
            .unwrap_or_default()
    }

    fn announce_candidates(&mut self, id: SessionId, endpoint: &UserName, candidates: &[Candidate]) {
        for candidate in candidates {
            self.notify(id, &Notification::IceCandidate { endpoint, candidate });
        }
    }
}

fn trickle(endpoint: EndpointId, candidates: Vec<Candidate>, negotiator: &mut dyn Negotiator) {
    for candidate in candidates {
        negotiator.candidate(endpoint, candidate);
    }
}

fn sdp_answer(answer: &str) -> Members {
    Members::from_iter([("sdpAnswer".to_owned(), answer.into())])
}

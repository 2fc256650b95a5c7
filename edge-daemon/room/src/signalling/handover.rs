//! From one machine to the next.

use super::Signalling;
use crate::ids::IdSource;
use crate::kurento::sessions::Sessions;
use crate::limits::{Counters, Limits};
use crate::output::Output;
use crate::rooms::Rooms;
use crate::saved::Saved;
use crate::scenes::SceneRules;
use std::collections::VecDeque;
use std::time::Instant;

impl Signalling {
    /// All that another machine needs to go on as this one would. To be called when [`Signalling::poll_output`] has nothing more:
    /// what was not taken from there is not in it.
    #[must_use]
    pub fn save(&self, now: Instant) -> Saved {
        Saved {
            ids: self.ids.save(),
            rooms: self.rooms.save(now),
            sessions: self.sessions.save(now, &self.limits),
            resources: self.resources.clone(),
        }
    }

    /// The machine that was saved, after all its sockets closed: sessions wait for a reconnection from `now` on. Its outputs
    /// tell of every room, participant and publication as if they had just come. The media side must have their endpoints.
    #[must_use]
    pub fn restore(saved: Saved, now: Instant, limits: Limits, seed: [u8; 32]) -> Self {
        let rooms = Rooms::restore(saved.rooms, now);
        Self {
            outputs: arrivals(&rooms),
            ids: IdSource::restore(saved.ids, seed),
            counters: Counters::default(),
            sessions: Sessions::restore(saved.sessions, now, &limits),
            resources: saved.resources,
            shutting_down: false,
            revision: 0,
            scene_rules: SceneRules::default(),
            rooms,
            limits,
        }
    }
}

fn arrivals(rooms: &Rooms) -> VecDeque<Output> {
    let mut outputs = VecDeque::new();
    for (room, state) in rooms.iter() {
        outputs.push_back(Output::RoomOpened { room: room.clone() });
        for (user, participant) in &state.participants {
            outputs.push_back(Output::Joined {
                room: room.clone(),
                user: user.clone(),
            });
            outputs.extend(participant.publication.map(|endpoint| Output::Published {
                room: room.clone(),
                user: user.clone(),
                endpoint,
            }));
        }
    }
    outputs
}

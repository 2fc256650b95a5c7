//! How loud participants are in the mix.

use super::Signalling;
use super::delivery::Answered;
use crate::ids::SessionId;
use crate::kurento::rpc::{Call, Failure, Members};
use crate::output::Output;
use lianmai_mixer_control::Volume;

impl Signalling {
    /// A participant says how loud somebody in its room is to be.
    pub(super) fn set_volume(
        &mut self,
        id: SessionId,
        call: &Call,
        user: &str,
        volume: Volume,
    ) -> Result<Answered, Failure> {
        let (room, _) = self.participant_of(id)?;
        let endpoint = self.publication(room.as_str(), user)?;
        self.outputs.push_back(Output::VolumeChanged {
            room,
            endpoint,
            volume,
        });
        Ok(self.answer(id, call, Members::new()))
    }
}

//! What is told, as JSON.

use serde::Serialize;

/// Something that happened.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// The first participant came.
    RoomOpened { room: &'a str },
    /// The last one left, or the room was closed.
    RoomClosed { room: &'a str },
    /// A participant publishes.
    HostJoined { room: &'a str, user: &'a str },
    /// It does so no longer.
    HostLeft { room: &'a str, user: &'a str },
    /// A target of the mix does something else now.
    TargetState { room: &'a str, target: Target<'a> },
    /// A recording has a hole, or ended early.
    RecordingFailed { room: &'a str, recording: Recording<'a> },
    /// The mixer failed, and is started again.
    MixerRestarted { room: &'a str, reason: &'a str },
    /// A stream by RTMP is not taken into its room, or not for longer.
    CohostRefused {
        room: &'a str,
        user: &'a str,
        reason: &'a str,
    },
    /// What brings one into its room failed, and is started again.
    CohostRestarted {
        room: &'a str,
        user: &'a str,
        reason: &'a str,
    },
    /// The mixer ended: its room is empty for long, or closed.
    MixEnded { room: &'a str },
    /// A picture of a user, or of the mix.
    Snapshot {
        room: &'a str,
        /// Absent for the mix.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
        taken_ms: u64,
        width: u32,
        height: u32,
        /// In the directory of snapshots, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<&'a str>,
        /// Base64 (RFC 4648 §4).
        jpeg: &'a str,
    },
}

/// A place that a mix is published to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Target<'a> {
    /// As in the admin API.
    pub(crate) id: u32,
    /// Without the stream's name.
    pub(crate) url: &'a str,
    /// `connecting`, `publishing`, `retrying` or `given_up`.
    pub(crate) state: &'a str,
    /// Why, in the last two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// A recorded file.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Recording<'a> {
    /// Its name in the directory of recordings.
    pub(crate) file: &'a str,
    /// Whose it is; absent for the mix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<&'a str>,
    /// `behind` or `failed`.
    pub(crate) state: &'a str,
    /// Why.
    pub(crate) reason: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    time_ms: u64,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl Event<'_> {
    /// What is sent; `time_ms` is since 1970.
    pub(super) fn body(&self, id: &str, time_ms: u64) -> String {
        let body = Body {
            id,
            time_ms,
            event: self,
        };
        // Texts and numbers always have a form in JSON.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// As in the body.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::RoomOpened { .. } => "room_opened",
            Self::RoomClosed { .. } => "room_closed",
            Self::HostJoined { .. } => "host_joined",
            Self::HostLeft { .. } => "host_left",
            Self::TargetState { .. } => "target_state",
            Self::RecordingFailed { .. } => "recording_failed",
            Self::MixerRestarted { .. } => "mixer_restarted",
            Self::CohostRefused { .. } => "cohost_refused",
            Self::CohostRestarted { .. } => "cohost_restarted",
            Self::MixEnded { .. } => "mix_ended",
            Self::Snapshot { .. } => "snapshot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Recording, Target};
    use serde_json::{Value, json};

    #[test]
    fn a_body_says_what_when_and_where() {
        let target = Target {
            id: 3,
            url: "rtmp://cdn:1935/live/***",
            state: "retrying",
            reason: Some("busy"),
        };
        let event = Event::TargetState { room: "show", target };
        let body: Value = serde_json::from_str(&event.body("e-1", 1_700_000_000_123)).expect("JSON");
        let expected = json!({
            "id": "e-1",
            "time_ms": 1_700_000_000_123_u64,
            "event": "target_state",
            "room": "show",
            "target": {"id": 3, "url": "rtmp://cdn:1935/live/***", "state": "retrying", "reason": "busy"},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_name_of_an_event_is_that_in_its_body() {
        let room = "show";
        for event in [
            Event::RoomOpened { room },
            Event::RoomClosed { room },
            Event::HostJoined { room, user: "ann" },
            Event::HostLeft { room, user: "ann" },
            Event::MixerRestarted {
                room,
                reason: "ended",
            },
            Event::CohostRefused {
                room,
                user: "obs",
                reason: "B-frames",
            },
            Event::CohostRestarted {
                room,
                user: "obs",
                reason: "ended",
            },
            Event::MixEnded { room },
            Event::RecordingFailed {
                room,
                recording: Recording {
                    file: "show.mp4",
                    user: None,
                    state: "failed",
                    reason: "No space left on device",
                },
            },
            Event::Snapshot {
                room,
                user: None,
                taken_ms: 5,
                width: 2,
                height: 2,
                file: None,
                jpeg: "/9g=",
            },
        ] {
            let body: Value = serde_json::from_str(&event.body("e-1", 0)).expect("JSON");
            assert_eq!(body["event"], event.name());
        }
    }
}

//! Where each room's mix is published to: the configured places, and those that were added and taken away live.

use crate::handle::NewTarget;
use crate::mixers::TargetSpec;
use lianmai_mixer_control::{Coding, TargetId, TargetOptions, TargetOptionsError, TargetUrl, UnnamedCodecs};
use lianmai_rtmp::{RtmpUrl, UrlError, percent_encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a mixer takes.
pub(crate) const MAX_TARGETS: usize = 16;

/// A place for every room: `{room}` is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// The URL.
    pub(crate) url: TargetUrl,
    /// How.
    pub(crate) options: TargetOptions,
}

/// Why a target cannot be added or taken away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// Nobody is there.
    #[error("there is no room {0:?}")]
    NoRoom(String),
    /// It was taken away, or never there.
    #[error("room {room:?} has no target {id}")]
    NoTarget {
        /// The room.
        room: String,
        /// The target.
        id: u32,
    },
    /// No place to publish to.
    #[error("url: {0}")]
    Url(#[from] UrlError),
    /// Not how a target can be published to.
    #[error(transparent)]
    Options(#[from] TargetOptionsError),
    /// Not what the mix is coded with.
    #[error(transparent)]
    Codecs(#[from] UnnamedCodecs),
    /// A room has as many as a mixer takes.
    #[error("room {0:?} has {MAX_TARGETS} targets already: take one away first")]
    TooMany(String),
}

/// The targets of all rooms that have been asked for theirs.
#[derive(Debug)]
pub(super) struct Targets {
    defaults: Vec<Template>,
    /// What they get.
    coding: Coding,
    rooms: BTreeMap<String, RoomTargets>,
}

/// Those of one room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomTargets {
    next: u32,
    list: Vec<TargetSpec>,
}

impl Template {
    /// Reads `URL` or `URL#OPTIONS`: what stands behind `#` never leaves this machine.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        let (url, options) = text.split_once('#').unwrap_or((text, ""));
        RtmpUrl::for_room(url, "room")?;
        Ok(Self {
            url: TargetUrl(url.to_owned()),
            options: TargetOptions::parse(options)?,
        })
    }

    fn url_for(&self, room: &str) -> TargetUrl {
        TargetUrl(self.url.0.replace("{room}", &percent_encode(room)))
    }
}

impl Targets {
    pub(super) const fn new(defaults: Vec<Template>, coding: Coding) -> Self {
        Self {
            defaults,
            coding,
            rooms: BTreeMap::new(),
        }
    }

    /// Where a room's mix goes.
    pub(super) fn of(&mut self, room: &str) -> &[TargetSpec] {
        &self.room(room).list
    }

    /// One more place.
    pub(super) fn add(&mut self, room: &str, new: NewTarget) -> Result<TargetSpec, TargetError> {
        RtmpUrl::for_room(&new.url.0, room)?;
        new.options.check()?;
        self.coding.check(new.options.tags)?;
        let known = self.room(room);
        if known.list.len() >= MAX_TARGETS {
            return Err(TargetError::TooMany(room.to_owned()));
        }
        let template = Template {
            url: new.url,
            options: new.options,
        };
        Ok(known.push(&template, room).clone())
    }

    /// One place less.
    pub(super) fn remove(&mut self, room: &str, id: TargetId) -> Result<(), TargetError> {
        let list = &mut self.room(room).list;
        let at = list.iter().position(|target| target.id == id);
        let at = at.ok_or_else(|| TargetError::NoTarget {
            room: room.to_owned(),
            id: id.0,
        })?;
        list.remove(at);
        Ok(())
    }

    /// The room is over: one of the same name begins with the configured ones.
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    /// Everything, for a later process.
    pub(super) fn save(&self) -> BTreeMap<String, RoomTargets> {
        self.rooms.clone()
    }

    /// Goes on from what an earlier process saved.
    pub(super) fn restore(&mut self, rooms: BTreeMap<String, RoomTargets>) {
        self.rooms = rooms;
    }

    fn room(&mut self, room: &str) -> &mut RoomTargets {
        let defaults = &self.defaults;
        self.rooms.entry(room.to_owned()).or_insert_with(|| {
            let mut known = RoomTargets::default();
            for template in defaults {
                known.push(template, room);
            }
            known
        })
    }
}

impl RoomTargets {
    fn push(&mut self, template: &Template, room: &str) -> &TargetSpec {
        let spec = TargetSpec {
            id: TargetId(self.next),
            url: template.url_for(room),
            options: template.options,
        };
        self.next += 1;
        self.list.push(spec);
        &self.list[self.list.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_TARGETS, TargetError, Targets, Template};
    use crate::handle::NewTarget;
    use lianmai_mixer_control::{AudioCodec, Coding, TagNames, TargetId, TargetOptions, TargetUrl};

    fn new(url: &str) -> NewTarget {
        NewTarget {
            url: TargetUrl(url.to_owned()),
            options: TargetOptions::default(),
        }
    }

    fn targets() -> Targets {
        let template = Template::parse("rtmp://cdn/live/{room}?k=1#tags=enhanced").expect("good");
        Targets::new(vec![template], Coding::default())
    }

    #[test]
    fn a_room_begins_with_the_configured_ones_under_its_name() {
        let mut targets = targets();
        let target = &targets.of("a b")[0];
        assert_eq!(target.url.0, "rtmp://cdn/live/a%20b?k=1");
        assert_eq!(target.options.tags, TagNames::Enhanced);
    }

    #[test]
    fn what_is_added_and_taken_away_holds_for_its_room_and_until_its_end() {
        let mut targets = targets();
        let added = targets.add("a", new("rtmps://other/app/{room}")).expect("good");
        assert_eq!(
            (added.id, added.url.0.as_str()),
            (TargetId(1), "rtmps://other/app/a")
        );
        targets.remove("a", TargetId(0)).expect("it is there");
        assert_eq!(targets.of("a"), [added]);
        assert_eq!(targets.of("b")[0].id, TargetId(0));
        targets.forget("a");
        assert_eq!(targets.of("a")[0].url.0, "rtmp://cdn/live/a?k=1");
    }

    #[test]
    fn a_number_is_never_given_twice_in_a_room() {
        let mut targets = targets();
        for expected in 1..40 {
            let added = targets.add("a", new("rtmp://b/c/d")).expect("room for it");
            assert_eq!(added.id, TargetId(expected));
            targets.remove("a", added.id).expect("it is there");
        }
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() {
        let mut targets = targets();
        assert!(matches!(
            targets.add("a", new("http://b/c/d")),
            Err(TargetError::Url(_))
        ));
        assert!(matches!(
            targets.add("a", new("rtmp://b/c/{user}")),
            Err(TargetError::Url(_))
        ));
        let mut hasty = new("rtmp://b/c/d");
        hasty.options.retry_ms = 0;
        assert!(matches!(targets.add("a", hasty), Err(TargetError::Options(_))));
        let missing = targets.remove("a", TargetId(9));
        assert!(matches!(missing, Err(TargetError::NoTarget { id: 9, .. })));
        assert_eq!(targets.of("a").len(), 1);
    }

    #[test]
    fn legacy_tags_are_refused_where_a_codec_has_no_name_in_them() {
        let opus = Coding {
            audio: AudioCodec::Opus,
            ..Coding::default()
        };
        let mut targets = Targets::new(Vec::new(), opus);
        let mut old = new("rtmp://b/c/d");
        assert!(targets.add("a", old.clone()).is_ok(), "it is left to us");
        old.options.tags = TagNames::Legacy;
        let error = targets.add("a", old).expect_err("refused").to_string();
        assert!(error.contains("Opus") && error.contains("enhanced"), "{error}");
    }

    #[test]
    fn a_room_has_no_more_than_a_mixer_takes() {
        let mut targets = targets();
        let added = (0..40)
            .filter(|_| targets.add("a", new("rtmp://b/c/d")).is_ok())
            .count();
        assert_eq!(added, MAX_TARGETS - 1);
    }

    #[test]
    fn a_later_process_goes_on_from_what_was_saved() {
        let mut earlier = targets();
        earlier.add("a", new("rtmp://b/c/d")).expect("good");
        let mut later = Targets::new(Vec::new(), Coding::default());
        let saved = postcard::to_stdvec(&earlier.save()).expect("plain data");
        later.restore(postcard::from_bytes(&saved).expect("what was written"));
        assert_eq!(later.of("a"), earlier.of("a"));
        assert_eq!(later.add("a", new("rtmp://b/c/e")).expect("good").id, TargetId(2));
    }
}

//! What is done to the pictures of participants before they are mixed.

use lianmai_mixer_control::filter::{Filters, FiltersError};
use lianmai_room::RoomError;
use std::collections::BTreeMap;

/// Names of a room for which something was said, those who left included.
const MAX_NAMES: usize = 256;

/// As it is written down: rooms, names, and JSON, because the format around it cannot read what says of itself what it is.
pub(crate) type SavedFilters = BTreeMap<String, BTreeMap<String, String>>;

/// Why filters are refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    /// Nobody is there.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Not what a mixer can run.
    #[error(transparent)]
    Filters(#[from] FiltersError),
    /// A room in which names come and go.
    #[error("room {0:?} has filters for {MAX_NAMES} names already: close it, or use these names again")]
    TooMany(String),
}

/// The filters of everybody: the default ones, but for participants for whom others were said. Those hold for the name until the
/// room closes.
#[derive(Debug)]
pub(super) struct AllFilters {
    default: Filters,
    rooms: BTreeMap<String, BTreeMap<String, Filters>>,
}

impl AllFilters {
    pub(super) const fn new(default: Filters) -> Self {
        Self {
            default,
            rooms: BTreeMap::new(),
        }
    }

    pub(super) fn of(&self, room: &str, user: &str) -> &Filters {
        let own = self.rooms.get(room).and_then(|users| users.get(user));
        own.unwrap_or(&self.default)
    }

    pub(super) fn set(&mut self, room: &str, user: &str, filters: Filters) -> Result<(), FilterError> {
        filters.check()?;
        let users = self.rooms.entry(room.to_owned()).or_default();
        if users.len() >= MAX_NAMES && !users.contains_key(user) {
            return Err(FilterError::TooMany(room.to_owned()));
        }
        users.insert(user.to_owned(), filters);
        Ok(())
    }

    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    /// Everything, for a later process.
    pub(super) fn save(&self) -> SavedFilters {
        let user = |(name, filters): (&String, &Filters)| {
            let json = serde_json::to_string(filters).ok()?;
            Some((name.clone(), json))
        };
        let rooms = self.rooms.iter();
        rooms
            .map(|(room, users)| (room.clone(), users.iter().filter_map(user).collect()))
            .collect()
    }

    /// Goes on from what an earlier process saved, as far as it makes sense to this one.
    pub(super) fn restore(&mut self, saved: SavedFilters) {
        let read = |json: String| {
            let filters: Filters = serde_json::from_str(&json).ok()?;
            filters.check().ok().map(|()| filters)
        };
        let user = |(name, json)| read(json).map(|filters| (name, filters));
        self.rooms = saved
            .into_iter()
            .map(|(room, users)| (room, users.into_iter().filter_map(user).collect()))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::{AllFilters, FilterError, MAX_NAMES};
    use lianmai_mixer_control::filter::{Filter, Filters};

    fn blur(radius: u32) -> Filters {
        Filters(vec![Filter::Blur { radius }])
    }

    #[test]
    fn what_was_said_of_a_name_holds_in_its_room_until_that_closes() {
        let mut all = AllFilters::new(blur(1));
        all.set("show", "ann", blur(2)).expect("good");
        all.set("show", "bob", Filters::default()).expect("good");
        let seen = |all: &AllFilters| {
            [
                ("show", "ann"),
                ("show", "bob"),
                ("show", "cho"),
                ("other", "ann"),
            ]
            .map(|(room, user)| all.of(room, user).clone())
        };
        assert_eq!(seen(&all), [blur(2), Filters::default(), blur(1), blur(1)]);
        all.forget("show");
        assert_eq!(seen(&all), [blur(1), blur(1), blur(1), blur(1)]);
    }

    #[test]
    fn what_cannot_be_run_changes_nothing() {
        let mut all = AllFilters::new(Filters::default());
        all.set("show", "ann", blur(2)).expect("good");
        assert!(matches!(
            all.set("show", "ann", blur(99)),
            Err(FilterError::Filters(_))
        ));
        assert_eq!(*all.of("show", "ann"), blur(2));
    }

    #[test]
    fn names_of_a_room_have_an_end() {
        let mut all = AllFilters::new(Filters::default());
        let good = (0..MAX_NAMES + 9)
            .filter(|user| all.set("show", &user.to_string(), blur(1)).is_ok())
            .count();
        assert_eq!(good, MAX_NAMES);
        all.set("show", "0", blur(3)).expect("a name that is there");
        all.set("other", "new", blur(3)).expect("another room");
    }

    #[test]
    fn a_later_process_goes_on_from_what_was_saved_and_leaves_out_what_makes_no_sense() {
        let mut earlier = AllFilters::new(Filters::default());
        earlier.set("show", "ann", blur(4)).expect("good");
        let mut saved = earlier.save();
        let users = saved.get_mut("show").expect("there");
        users.insert("bob".to_owned(), r#"[{"type": "sepia"}]"#.to_owned());
        users.insert("cho".to_owned(), r#"[{"type": "blur", "radius": 99}]"#.to_owned());
        let bytes = postcard::to_stdvec(&saved).expect("plain data");
        let mut later = AllFilters::new(blur(1));
        later.restore(postcard::from_bytes(&bytes).expect("what was written"));
        let seen = ["ann", "bob", "cho"].map(|user| later.of("show", user).clone());
        assert_eq!(seen, [blur(4), blur(1), blur(1)]);
    }
}

//! Numbers that are in use by one owner at a time.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hands out the numbers below a limit. What was given back longest ago is handed out first, so that a number that went
/// astray finds nothing of its new owner's for a while.
#[derive(Debug)]
pub(crate) struct Ids {
    limit: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    never_used: u32,
    /// Of those that were never handed out here, the ones that are in use all the same.
    adopted: BTreeSet<u32>,
    given_back: VecDeque<u32>,
}

impl Ids {
    pub(crate) fn below(limit: u32) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn take(&self) -> Option<u32> {
        let mut state = self.state();
        while state.never_used < self.limit {
            let id = state.never_used;
            state.never_used += 1;
            if !state.adopted.remove(&id) {
                return Some(id);
            }
        }
        state.given_back.pop_front()
    }

    /// Takes a number that an earlier daemon had; `false` if somebody here has it, or had it.
    pub(crate) fn adopt(&self, id: u32) -> bool {
        let mut state = self.state();
        id < self.limit && id >= state.never_used && state.adopted.insert(id)
    }

    pub(crate) fn give_back(&self, id: u32) {
        let mut state = self.state();
        if !state.adopted.remove(&id) {
            state.given_back.push_back(id);
        }
    }

    /// A number is complete or absent at any moment, so a panic elsewhere does no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn numbers_are_handed_out_up_to_the_limit_and_again_in_the_order_they_came_back() {
        let ids = Ids::below(3);
        assert_eq!(
            [ids.take(), ids.take(), ids.take(), ids.take()],
            [Some(0), Some(1), Some(2), None]
        );
        ids.give_back(2);
        ids.give_back(0);
        assert_eq!([ids.take(), ids.take(), ids.take()], [Some(2), Some(0), None]);
    }

    #[test]
    fn a_number_that_came_back_rests_while_others_are_left() {
        let ids = Ids::below(3);
        let first = ids.take().expect("three are free");
        ids.give_back(first);
        assert_eq!(
            [ids.take(), ids.take(), ids.take()],
            [Some(1), Some(2), Some(first)]
        );
    }

    #[test]
    fn a_number_that_was_adopted_is_handed_out_after_it_came_back_and_once() {
        let ids = Ids::below(3);
        assert!(ids.adopt(1) && !ids.adopt(1) && !ids.adopt(3));
        assert_eq!([ids.take(), ids.take(), ids.take()], [Some(0), Some(2), None]);
        ids.give_back(1);
        assert_eq!([ids.take(), ids.take()], [Some(1), None]);
        assert!(!ids.adopt(0), "it is in use");
    }

    #[test]
    fn a_number_that_was_adopted_and_came_back_before_its_turn_is_handed_out_once() {
        let ids = Ids::below(2);
        assert!(ids.adopt(1));
        ids.give_back(1);
        assert_eq!([ids.take(), ids.take(), ids.take()], [Some(0), Some(1), None]);
    }
}

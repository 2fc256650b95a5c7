//! Up to where a ring is filled.

/// The slots of a ring belong to the `len` indices before `next`, but for those that were passed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// The first index that has no slot yet.
    pub(crate) next: u64,
    len: u64,
}

impl Cursor {
    /// An empty ring, to be filled from behind the newest index on. Before it the kernel has taken nothing.
    pub(crate) const fn new(len: u32, highest: u64) -> Self {
        Self {
            next: highest + 1,
            len: len as u64,
        }
    }

    /// A ring that is filled up to the newest index in it.
    pub(crate) fn of(len: u32, newest: Option<u64>) -> Self {
        Self {
            next: newest.map_or(0, |newest| newest + 1),
            len: u64::from(len),
        }
    }

    /// The index whose slot is needed for this one.
    pub(crate) const fn before(&self, index: u64) -> Option<u64> {
        index.checked_sub(self.len)
    }

    /// The stream got farther than the ring was filled: the indices that it passed get no slots, and the daemon takes what
    /// comes late. Returns the older indices that still sit in their slots.
    pub(crate) fn pass(&mut self, highest: u64) -> impl Iterator<Item = u64> + use<> {
        let from = self.next;
        self.next = from.max(highest + 1);
        let passed = (self.next - from).min(self.len);
        (from..from + passed).filter_map({
            let len = self.len;
            move |index| index.checked_sub(len)
        })
    }

    /// All indices that may have slots.
    pub(crate) const fn slots(&self) -> std::ops::Range<u64> {
        self.next.saturating_sub(self.len)..self.next
    }
}

/// All indices that may have slots in a ring that is filled up to the newest index in it.
pub(crate) fn slots(len: u32, newest: Option<u64>) -> std::ops::Range<u64> {
    Cursor::of(len, newest).slots()
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_new_ring_begins_behind_the_newest_index() {
        let cursor = Cursor::new(256, 1_000);
        assert_eq!(
            (cursor.next, cursor.before(1_001), cursor.slots()),
            (1_001, Some(745), 745..1_001)
        );
        assert_eq!(
            (Cursor::new(256, 3).before(4), Cursor::new(256, 3).slots()),
            (None, 0..4)
        );
    }

    #[test]
    fn what_is_passed_over_leaves_older_indices_in_its_slots() {
        let mut cursor = Cursor::new(4, 9);
        cursor.next = 14;
        assert_eq!(cursor.pass(13).count(), 0);
        assert_eq!(cursor.pass(15).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(cursor.next, 16);
    }

    #[test]
    fn a_jump_beyond_the_ring_leaves_one_index_for_each_slot() {
        let mut cursor = Cursor::new(4, 9);
        cursor.next = 14;
        assert_eq!(cursor.pass(1_000_000).collect::<Vec<_>>(), [10, 11, 12, 13]);
        assert_eq!(cursor.next, 1_000_001);
    }
}

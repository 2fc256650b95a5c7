//! Which part of the canvas has to be painted again.

use crate::rect::Rect;

/// Rectangles of which no two overlap. Those that would are replaced by one that holds both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage(Vec<Rect>);

impl Damage {
    pub(crate) fn add(&mut self, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        let mut all = rect;
        while let Some(at) = self.0.iter().position(|other| all.overlaps(*other)) {
            all = all.union(self.0.swap_remove(at));
        }
        self.0.push(all);
    }

    /// Whether it touches `rect`, but does not hold all of it.
    pub(crate) fn cuts(&self, rect: Rect) -> bool {
        self.0
            .iter()
            .any(|damage| damage.overlaps(rect) && damage.intersection(rect) != rect)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rects(&self) -> &[Rect] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Damage;
    use crate::rect::Rect;
    use proptest::prelude::{Strategy, prop, proptest};

    fn rects() -> impl Strategy<Value = Vec<Rect>> {
        let rect = (0usize..40, 0usize..40, 0usize..20, 0usize..20)
            .prop_map(|(x, y, width, height)| Rect::even(2 * x, 2 * y, 2 * width, 2 * height));
        prop::collection::vec(rect, 0..12)
    }

    #[test]
    fn one_that_touches_two_joins_all_three() {
        let mut damage = Damage::default();
        damage.add(Rect::even(0, 0, 10, 10));
        damage.add(Rect::even(20, 0, 10, 10));
        assert_eq!(damage.rects().len(), 2);
        damage.add(Rect::even(8, 0, 14, 2));
        assert_eq!(damage.rects(), [Rect::even(0, 0, 30, 10)]);
    }

    proptest! {
        #[test]
        fn everything_is_covered_and_nothing_twice(rects in rects()) {
            let mut damage = Damage::default();
            for rect in &rects {
                damage.add(*rect);
            }
            let all = damage.rects();
            for rect in rects.iter().filter(|rect| !rect.is_empty()) {
                assert!(all.iter().any(|damage| damage.intersection(*rect) == *rect));
                assert!(!damage.cuts(*rect));
            }
            for (index, rect) in all.iter().enumerate() {
                assert!(all[..index].iter().all(|other| !rect.overlaps(*other)));
            }
        }
    }
}

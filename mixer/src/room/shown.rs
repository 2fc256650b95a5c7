//! At what size each host is shown, and what of that is still to be told.

use lianmai_compositor::Size;
use lianmai_mixer_control::media::HostId;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts and the sizes of their places; of a host without a place it is zero.
#[derive(Debug, Default)]
pub(super) struct Shown {
    sizes: BTreeMap<HostId, Size>,
    changed: BTreeSet<HostId>,
}

impl Shown {
    /// All hosts that are there, and all places. Of a host with several, the largest side counts each way.
    pub(super) fn update(
        &mut self,
        hosts: impl Iterator<Item = HostId>,
        places: impl Iterator<Item = (HostId, Size)>,
    ) {
        let mut sizes: BTreeMap<HostId, Size> = hosts.map(|host| (host, Size::default())).collect();
        for (host, place) in places {
            let size = sizes.entry(host).or_default();
            *size = Size::new(size.width.max(place.width), size.height.max(place.height));
        }
        let differs = |&(host, size): &(&HostId, &Size)| self.sizes.get(host) != Some(size);
        self.changed
            .extend(sizes.iter().filter(differs).map(|(host, _)| *host));
        self.changed.retain(|host| sizes.contains_key(host));
        self.sizes = sizes;
    }

    /// Whether the host is there, and has no place.
    pub(super) fn is_hidden(&self, host: HostId) -> bool {
        self.sizes.get(&host).is_some_and(|size| size.is_empty())
    }

    /// What was not told yet.
    pub(super) fn take_changes(&mut self) -> Vec<(HostId, Size)> {
        let changed = std::mem::take(&mut self.changed);
        let size = |host: HostId| Some((host, *self.sizes.get(&host)?));
        changed.into_iter().filter_map(size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use lianmai_compositor::Size;
    use lianmai_mixer_control::media::HostId;

    const A: HostId = HostId(1);
    const B: HostId = HostId(2);
    const NONE: Size = Size::new(0, 0);
    const SMALL: Size = Size::new(320, 180);

    #[test]
    fn every_change_is_told_once() {
        let mut shown = Shown::default();
        let places = |size| [(A, size)].into_iter();
        shown.update([A, B].into_iter(), places(SMALL));
        assert_eq!(shown.take_changes(), [(A, SMALL), (B, NONE)]);
        shown.update([A, B].into_iter(), places(SMALL));
        assert_eq!(shown.take_changes(), []);
        shown.update([A, B].into_iter(), places(Size::new(640, 360)));
        assert_eq!(shown.take_changes(), [(A, Size::new(640, 360))]);
    }

    #[test]
    fn of_several_places_the_largest_counts() {
        let mut shown = Shown::default();
        let places = [(A, Size::new(90, 160)), (A, SMALL)];
        shown.update([A].into_iter(), places.into_iter());
        assert_eq!(shown.take_changes(), [(A, SMALL)]);
    }

    #[test]
    fn a_host_is_hidden_while_it_is_there_without_a_place() {
        let mut shown = Shown::default();
        assert!(!shown.is_hidden(A));
        shown.update([A].into_iter(), std::iter::empty());
        assert!(shown.is_hidden(A));
        shown.update(std::iter::empty(), std::iter::empty());
        assert!(!shown.is_hidden(A));
        assert_eq!(shown.take_changes(), [], "of hosts that left nothing is told");
    }
}

//! What is done to the pictures of each host, as it was last said: on the one side by the daemon, on the other to the decoding
//! thread, which takes it with the next picture.

use lianmai_compositor::filter::{self, Filter, FilterChain};
use lianmai_compositor::{Kernels, Rotation};
use lianmai_mixer_control::filter as asked;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::media::HostId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by clones. Hosts for whom nothing was said are not in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterBoard(Arc<Mutex<BTreeMap<HostId, Arc<Filters>>>>);

/// One host's chain, and what it was made from.
#[derive(Debug)]
pub(super) struct HostFilters {
    said: Option<Arc<Filters>>,
    pub(super) chain: FilterChain,
}

impl FilterBoard {
    /// From the host's next picture on.
    pub(crate) fn set(&self, host: HostId, filters: Filters) {
        self.lock().insert(host, Arc::new(filters));
    }

    /// The host left.
    pub(crate) fn remove(&self, host: HostId) {
        self.lock().remove(&host);
    }

    fn of(&self, host: HostId) -> Option<Arc<Filters>> {
        self.lock().get(&host).cloned()
    }

    /// Held for a look-up at a time, in which nothing panics.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<HostId, Arc<Filters>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostFilters {
    /// Makes the chain anew if another one was said.
    pub(super) fn follow(&mut self, board: &FilterBoard, host: HostId) {
        let said = board.of(host);
        let same = match (&said, &self.said) {
            (Some(said), Some(known)) => Arc::ptr_eq(said, known),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if same {
            return;
        }
        let filters = said.iter().flat_map(|filters| &filters.0);
        let steps: Vec<Filter> = filters.copied().map(step).collect();
        self.chain = FilterChain::new(&steps, Kernels::detect());
        self.said = said;
    }
}

impl Default for HostFilters {
    fn default() -> Self {
        Self {
            said: None,
            chain: FilterChain::new(&[], Kernels::detect()),
        }
    }
}

fn step(filter: asked::Filter) -> Filter {
    match filter {
        asked::Filter::Brightness { amount } => Filter::Brightness(amount),
        asked::Filter::Contrast { factor } => Filter::Contrast(factor),
        asked::Filter::Saturation { factor } => Filter::Saturation(factor),
        asked::Filter::Sharpen { amount } => Filter::Sharpen(amount),
        asked::Filter::Denoise { strength } => Filter::Denoise(strength),
        asked::Filter::Blur { radius } => Filter::Blur(radius as usize),
        asked::Filter::Rotate { degrees } => Filter::Rotate(match degrees % 360 {
            90 => Rotation::Quarter,
            180 => Rotation::Half,
            270 => Rotation::ThreeQuarters,
            _ => Rotation::None,
        }),
        asked::Filter::Mirror { axis } => Filter::Mirror(match axis {
            asked::Axis::Horizontal => filter::Axis::Horizontal,
            asked::Axis::Vertical => filter::Axis::Vertical,
        }),
    }
}

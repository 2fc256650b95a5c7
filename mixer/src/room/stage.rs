//! What a tick shows: the scene with the pictures of its time, or the way from one scene to the next.

use super::cast::Cast;
use super::sei::Region;
use super::transition::Transition;
use crate::art::{Prepared, color};
use crate::vision::Mark;
use lianmai_compositor::{Composition, Frame, FrameError, Kernels, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::Scene;
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;
use std::time::Duration;

/// The canvas and the hosts on it.
pub(super) struct Stage {
    composition: Composition,
    transition: Transition,
    cast: Cast,
    /// Another scene was set since the last tick.
    changed: bool,
    /// An instant of the mix, and how long after 1970 it was.
    wall_clock: (EdgeTime, Duration),
}

impl Stage {
    /// An empty canvas with the default scene.
    pub(super) fn new(size: Size) -> Result<Self, FrameError> {
        let (kernels, scene) = (Kernels::detect(), Box::new(Scene::default()));
        let mut transition = Transition::new(size, kernels)?;
        transition.set_length(length(&scene));
        Ok(Self {
            composition: Composition::new(size, color(scene.background), kernels)?,
            transition,
            cast: Cast::new(scene),
            changed: false,
            wall_clock: (EdgeTime(0), Duration::ZERO),
        })
    }

    /// Says what time it is in the world at an instant of the mix, since 1970.
    pub(super) fn set_wall_clock(&mut self, at: EdgeTime, since_1970: Duration) {
        self.wall_clock = (at, since_1970);
    }

    /// What a host is called; it may be said before the host is there.
    pub(super) fn name(&mut self, host: HostId, name: String) {
        self.cast.name(host, name);
    }

    /// Seats a host; one that is there keeps its seat. Without `video` its last picture is taken away.
    pub(super) fn add(&mut self, host: HostId, video: bool) {
        self.cast.add(host, video);
    }

    /// A host leaves; the others close ranks.
    pub(super) fn remove(&mut self, host: HostId) {
        self.cast.remove(host);
    }

    /// A host speaks, or no longer.
    pub(super) fn speaking(&mut self, host: HostId, speaking: bool) {
        self.cast.speaking(host, speaking);
    }

    /// This is to be drawn over a host's picture for a while.
    pub(super) fn mark(&mut self, host: HostId, marks: Vec<Mark>) {
        self.cast.mark(host, marks);
    }

    /// A picture of a host, to be shown the room delay after `captured`.
    pub(super) fn show(&mut self, host: HostId, captured: EdgeTime, frame: Arc<Frame>) {
        self.cast.show(host, captured, frame);
    }

    /// The host's encoder started anew: pictures that wait are void. The one shown stays until the next.
    pub(super) fn restart(&mut self, host: HostId) {
        self.cast.restart(host);
    }

    /// What the picture looks like from the next tick on.
    pub(super) fn set_scene(&mut self, prepared: Prepared) -> Result<(), FrameError> {
        let Prepared {
            scene,
            background,
            placeholder,
            marks,
            lettering,
        } = prepared;
        let dressing = &mut self.cast.dressing;
        if let Some(lettering) = lettering {
            dressing.set_lettering(lettering);
        }
        dressing.set_marks(&scene.watermarks, marks, self.composition.size());
        let picture = background.as_ref().map(Frame::view);
        self.composition
            .set_background(color(scene.background), picture.as_ref())?;
        self.transition.set_length(length(&scene));
        self.cast.set_scene(scene, placeholder);
        self.changed = true;
        Ok(())
    }

    /// Hosts whose place has another size since this was asked last; zero is no place.
    pub(super) fn take_shown(&mut self) -> Vec<(HostId, Size)> {
        self.cast.shown.take_changes()
    }

    /// Where the hosts are that the last tick showed.
    pub(super) fn regions(&self) -> Vec<Region> {
        self.cast.regions()
    }

    /// The canvas with the pictures nearest to capture time `at`.
    pub(super) fn compose(&mut self, at: EdgeTime) -> &Frame {
        let size = self.composition.size();
        let pictures = self.cast.settle(at, size);
        self.cast.dressing.set_clocks(self.since_1970(at));
        let layers = self.cast.layers(&pictures, size);
        if std::mem::take(&mut self.changed) || !self.composition.is_arranged_as(&layers) {
            self.transition.begin(self.composition.canvas(), at);
        }
        let canvas = self.composition.compose(&layers).frame;
        self.transition.show(canvas, at)
    }

    fn since_1970(&self, at: EdgeTime) -> Duration {
        let (then, since_1970) = self.wall_clock;
        let nanos = u64::try_from((at - then).0).unwrap_or_default();
        since_1970 + Duration::from_nanos(nanos)
    }
}

fn length(scene: &Scene) -> Span {
    Span::from_millis(i64::from(scene.fade_ms))
}

#[cfg(test)]
mod tests;

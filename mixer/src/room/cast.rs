//! The hosts in the order in which they came, their places, and what lies over them.

use super::boxes::{Boxes, PER_TICK};
use super::dressing::Dressing;
use super::placing::{Place, line, places};
use super::seat::{Numbered, Seat};
use super::sei::Region;
use super::shown::Shown;
use crate::vision::Mark;
use lianmai_compositor::{Frame, Layer, Look, Picture, Size, Tile, TileKey, Window};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::Scene;
use lianmai_timeline::EdgeTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that came before their hosts.
const MAX_NAMES: usize = 256;

pub(super) struct Cast {
    pub(super) scene: Box<Scene>,
    pub(super) dressing: Dressing,
    /// What is shown of a host without video, if not the silhouette.
    placeholder: Option<Numbered>,
    seats: Vec<Seat>,
    /// What hosts are called who are not seated yet.
    names: BTreeMap<HostId, String>,
    places: Vec<Place>,
    pub(super) shown: Shown,
    /// Places are to be found anew.
    unsettled: bool,
    pictures: u64,
    /// What a vision program saw, until it is too old.
    boxes: BTreeMap<HostId, Boxes>,
}

impl Cast {
    pub(super) fn new(scene: Box<Scene>) -> Self {
        Self {
            scene,
            dressing: Dressing::default(),
            placeholder: None,
            seats: Vec::new(),
            names: BTreeMap::new(),
            places: Vec::new(),
            shown: Shown::default(),
            unsettled: true,
            pictures: 0,
            boxes: BTreeMap::new(),
        }
    }

    pub(super) fn name(&mut self, host: HostId, name: String) {
        self.unsettled = true;
        if let Some(seat) = self.seat(host) {
            seat.name = name;
        } else if self.names.len() < MAX_NAMES {
            self.names.insert(host, name);
        } else {
            tracing::warn!("{MAX_NAMES} names without a host: one more is forgotten");
        }
    }

    pub(super) fn add(&mut self, host: HostId, video: bool) {
        match self.seat(host) {
            Some(seat) if !video => seat.clear(),
            Some(_) => {}
            None => {
                let name = self.names.remove(&host).unwrap_or_default();
                self.seats.push(Seat::new(host, name));
                self.unsettled = true;
            }
        }
    }

    pub(super) fn remove(&mut self, host: HostId) {
        self.names.remove(&host);
        self.boxes.remove(&host);
        self.seats.retain(|seat| seat.host != host);
        self.places.clear();
        self.unsettled = true;
    }

    pub(super) fn speaking(&mut self, host: HostId, speaking: bool) {
        if let Some(seat) = self.seat(host) {
            seat.speaking = speaking;
        }
    }

    pub(super) fn show(&mut self, host: HostId, captured: EdgeTime, frame: Arc<Frame>) {
        if self.shown.is_hidden(host) {
            return;
        }
        let picture = self.numbered(frame);
        if let Some(seat) = self.seat(host) {
            seat.push(captured, picture);
        }
    }

    pub(super) fn mark(&mut self, host: HostId, marks: Vec<Mark>) {
        if self.seat(host).is_some() {
            self.boxes.entry(host).or_default().say(marks);
        }
    }

    pub(super) fn restart(&mut self, host: HostId) {
        if let Some(seat) = self.seat(host) {
            seat.restart();
        }
    }

    pub(super) fn set_scene(&mut self, scene: Box<Scene>, placeholder: Option<Frame>) {
        self.placeholder = placeholder.map(|frame| self.numbered(Arc::new(frame)));
        self.scene = scene;
        self.unsettled = true;
    }

    /// Finds everybody's place and picture for capture time `at`.
    pub(super) fn settle(&mut self, at: EdgeTime, canvas: Size) -> Vec<Option<Numbered>> {
        if std::mem::take(&mut self.unsettled) {
            let names: Vec<&str> = self.seats.iter().map(|seat| seat.name.as_str()).collect();
            self.places = places(&self.scene, canvas, &names);
            let (seats, shown) = (&self.seats, self.places.iter().filter(|_| self.scene.labels));
            let hosts = shown.map(|place| (seats[place.host].host, seats[place.host].name.as_str(), place));
            self.dressing.set_labels(hosts);
            self.note_shown();
        }
        let pictures: Vec<Option<Numbered>> = self
            .places
            .iter()
            .map(|place| self.seats[place.host].pick(at, &mut self.pictures))
            .collect();
        self.draw_boxes(at, &pictures);
        pictures
    }

    /// Of what was said of the pictures, draws what is new or lies elsewhere, and forgets what is too old.
    fn draw_boxes(&mut self, at: EdgeTime, pictures: &[Option<Numbered>]) {
        self.boxes.retain(|_, boxes| !boxes.is_over(at));
        let mut budget = PER_TICK;
        for (place, picture) in self.places.iter().zip(pictures) {
            let seat = &self.seats[place.host];
            let Some(boxes) = self.boxes.get_mut(&seat.host) else {
                continue;
            };
            let look = look(&self.scene, seat, place);
            let window = picture
                .as_ref()
                .map(|picture| Window::new(picture.frame.size(), place.rect, place.fit, look));
            boxes.draw(window, &mut self.dressing, &mut budget);
        }
    }

    /// Who lost their place is not shown with an old picture when they get one again.
    fn note_shown(&mut self) {
        let (seats, places) = (&self.seats, self.places.iter());
        let places = places.map(|place| (seats[place.host].host, place.rect.size()));
        self.shown.update(seats.iter().map(|seat| seat.host), places);
        let hidden = self
            .seats
            .iter_mut()
            .filter(|seat| self.shown.is_hidden(seat.host));
        hidden.for_each(Seat::clear);
    }

    /// Where everybody is, as players are told it; of those who lie at one height, all have the same number.
    pub(super) fn regions(&self) -> Vec<Region> {
        let lower = |place: &Place| {
            let heights: BTreeSet<i32> = self.places.iter().map(|place| place.z).collect();
            heights.range(..place.z).count()
        };
        self.places
            .iter()
            .map(|place| Region {
                host: self.seats[place.host].host,
                rect: place.rect,
                z_order: u8::try_from(lower(place) + 1).unwrap_or(100),
                alpha: f32::from(place.look.alpha) / 256.0,
            })
            .collect()
    }

    /// What [`Self::settle`] found, from the lowest to the highest.
    pub(super) fn layers<'a>(&'a self, pictures: &'a [Option<Numbered>], canvas: Size) -> Vec<Layer<'a>> {
        let mut layers = Vec::with_capacity(2 * self.places.len() + 8);
        for (place, picture) in self.places.iter().zip(pictures) {
            let seat = &self.seats[place.host];
            layers.push(Layer::Tile(self.tile(seat, place, picture.as_ref())));
            if let Some(boxes) = self.boxes.get(&seat.host) {
                layers.extend(boxes.placed().map(Layer::Sprite));
            }
            layers.extend(self.dressing.label(seat.host, place).map(Layer::Sprite));
        }
        layers.extend(self.dressing.marks(canvas).map(Layer::Sprite));
        layers
    }

    fn tile<'a>(&'a self, seat: &Seat, place: &Place, picture: Option<&'a Numbered>) -> Tile<'a> {
        let picture = match picture.or(self.placeholder.as_ref()) {
            Some(Numbered { frame, number }) => Picture::Frame {
                view: frame.view(),
                id: *number,
            },
            None => Picture::Placeholder,
        };
        Tile {
            key: TileKey(u64::from(seat.host.0)),
            rect: place.rect,
            fit: place.fit,
            look: look(&self.scene, seat, place),
            picture,
        }
    }

    fn seat(&mut self, host: HostId) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.host == host)
    }

    fn numbered(&mut self, frame: Arc<Frame>) -> Numbered {
        self.pictures += 1;
        Numbered {
            frame,
            number: self.pictures,
        }
    }
}

/// Who speaks has another border.
fn look(scene: &Scene, seat: &Seat, place: &Place) -> Look {
    let emphasis = scene.speaker.filter(|_| seat.speaking).map(line);
    Look {
        border: emphasis.or(place.look.border),
        ..place.look
    }
}

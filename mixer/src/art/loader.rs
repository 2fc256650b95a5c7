//! Reads what scenes need, on a thread of its own: neither the ingest nor the mix waits for a disk.

use super::image::Image;
use super::text::Lettering;
use super::{color, share};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lianmai_compositor::{Frame, Kernels, Sprite};
use lianmai_mixer_control::scene::{Content, Scene, Watermark};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

/// A scene with all that it needs.
pub(crate) struct Prepared {
    /// What was asked for.
    pub(crate) scene: Box<Scene>,
    /// Its background, if it has one that can be read.
    pub(crate) background: Option<Frame>,
    /// What is shown of a host without video.
    pub(crate) placeholder: Option<Frame>,
    /// The image of each watermark that is one.
    pub(crate) marks: Vec<Option<Sprite>>,
    /// What to write with: once, with the first scene that has something to write.
    pub(crate) lettering: Option<Lettering>,
}

impl From<Scene> for Prepared {
    /// A scene without images and letters.
    fn from(scene: Scene) -> Self {
        Self {
            marks: scene.watermarks.iter().map(|_| None).collect(),
            scene: Box::new(scene),
            background: None,
            placeholder: None,
            lettering: None,
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("scene", &self.scene)
            .finish_non_exhaustive()
    }
}

/// Where images and letters come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// PNG files.
    pub(crate) images: Option<PathBuf>,
    /// A font, if not the default one.
    pub(crate) font: Option<PathBuf>,
    /// Something is written that no scene says.
    pub(crate) writes: bool,
}

/// Takes scenes, and hands them on with what they need, in the order in which they came. Of those that come while one is
/// being read, the last counts.
pub(crate) struct Loader {
    scenes: Sender<Box<Scene>>,
    /// The other end, from which a scene is taken that nobody will see.
    waiting: Receiver<Box<Scene>>,
}

impl Loader {
    /// `ready` is told on the loader's thread.
    pub(crate) fn spawn(sources: Sources, ready: impl FnMut(Prepared) + Send + 'static) -> io::Result<Self> {
        let (scenes, waiting) = bounded(1);
        let taken = waiting.clone();
        thread::Builder::new()
            .name("scenes".to_owned())
            .spawn(move || run(&taken, &sources, ready))?;
        Ok(Self { scenes, waiting })
    }

    /// Reads what a scene needs.
    pub(crate) fn load(&self, scene: Box<Scene>) {
        if let Err(TrySendError::Full(scene)) = self.scenes.try_send(scene) {
            self.waiting.try_recv().ok();
            // There is room now: nobody else sends.
            self.scenes.try_send(scene).ok();
        }
    }
}

fn run(waiting: &Receiver<Box<Scene>>, sources: &Sources, mut ready: impl FnMut(Prepared)) {
    let mut written = false;
    for scene in waiting {
        let first = (scene.has_text() || sources.writes) && !written;
        written |= first;
        let lettering = first.then(|| letters(sources.font.as_deref())).flatten();
        let directory = sources.images.as_deref();
        let sprite = |name: &str, alpha| sprite(directory, name, alpha);
        let flat = |name: &Option<String>| {
            let sprite = sprite(name.as_deref()?, 256)?;
            Some(sprite.over(color(scene.background), Kernels::detect()))
        };
        let mark = |mark: &Watermark| match &mark.content {
            Content::Image { file } => sprite(file, share(mark.alpha)),
            Content::Text { .. } | Content::Clock { .. } => None,
        };
        ready(Prepared {
            background: flat(&scene.background_image),
            placeholder: flat(&scene.placeholder),
            marks: scene.watermarks.iter().map(mark).collect(),
            scene,
            lettering,
        });
    }
}

/// Without a font there are no names and texts, and everything else.
fn letters(font: Option<&Path>) -> Option<Lettering> {
    Lettering::open(font)
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "names, texts and clocks are not shown: install Debian's fonts-wqy-microhei or name a font file with --font"
            );
        })
        .ok()
}

/// An image that cannot be read is said, and the scene is shown without it.
fn sprite(directory: Option<&Path>, name: &str, alpha: u16) -> Option<Sprite> {
    let Some(directory) = directory else {
        tracing::warn!(
            name,
            "an image is not shown: name a directory of images with --images"
        );
        return None;
    };
    Image::open(&directory.join(name))
        .and_then(|image| image.sprite(alpha))
        .inspect_err(
            |error| tracing::warn!(name, directory = %directory.display(), %error, "an image is not shown"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Loader, Sources};
    use lianmai_mixer_control::scene::Scene;
    use std::time::Duration;

    #[test]
    fn scenes_come_in_their_order_with_the_images_that_are_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.png");
        let mut encoder = png::Encoder::new(std::fs::File::create(path).expect("a file"), 1, 1);
        encoder.set_color(png::ColorType::Rgba);
        let mut writer = encoder.write_header().expect("written");
        writer.write_image_data(&[1, 2, 3, 4]).expect("written");
        writer.finish().expect("written");
        std::fs::write(directory.path().join("b.png"), "no PNG").expect("written");

        let (said, heard) = std::sync::mpsc::channel();
        let sources = Sources {
            images: Some(directory.path().to_owned()),
            font: None,
            writes: false,
        };
        let loader = Loader::spawn(sources, move |prepared| {
            said.send((prepared.scene.fade_ms, prepared.placeholder.is_some()))
                .expect("heard");
        })
        .expect("a thread");
        for (fade_ms, name) in [(1, "a.png"), (2, "b.png"), (3, "c.png")] {
            loader.load(Box::new(Scene {
                fade_ms,
                placeholder: Some(name.to_owned()),
                ..Scene::default()
            }));
            let next = heard.recv_timeout(Duration::from_secs(10)).expect("a scene");
            assert_eq!(next, (fade_ms, fade_ms == 1));
        }
    }

    #[test]
    fn of_scenes_that_come_faster_than_they_are_read_the_last_one_is_never_lost() {
        let (said, heard) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let loader = Loader::spawn(Sources::default(), move |prepared| {
            said.send(prepared.scene.fade_ms).expect("heard");
            gate.recv().ok();
        })
        .expect("a thread");
        let load = |fade_ms| {
            loader.load(Box::new(Scene {
                fade_ms,
                ..Scene::default()
            }));
        };
        let next = || heard.recv_timeout(Duration::from_secs(10)).expect("a scene");
        load(0);
        assert_eq!(next(), 0);
        (1..100).for_each(load);
        go.send(()).expect("it waits");
        assert_eq!(next(), 99);
    }

    #[test]
    fn a_font_is_opened_once_when_there_is_something_to_write_and_its_lack_is_survived() {
        let fonts = |font: Option<&str>| {
            let (said, heard) = std::sync::mpsc::channel();
            let sources = Sources {
                images: None,
                font: font.map(Into::into),
                writes: false,
            };
            let loader = Loader::spawn(sources, move |prepared| {
                said.send(prepared.lettering.is_some()).expect("heard");
            })
            .expect("a thread");
            [false, true, true].map(|labels| {
                loader.load(Box::new(Scene {
                    labels,
                    ..Scene::default()
                }));
                heard.recv_timeout(Duration::from_secs(10)).expect("a scene")
            })
        };
        assert_eq!(fonts(None), [false, true, false]);
        assert_eq!(fonts(Some("/nowhere/x.ttf")), [false, false, false]);
    }
}

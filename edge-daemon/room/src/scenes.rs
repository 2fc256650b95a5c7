//! What rooms may look like in the mix.

use lianmai_mixer_control::Canvas;
use lianmai_mixer_control::scene::Scene;

/// What holds for the scenes of all rooms.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneRules {
    /// Scenes must fit on it.
    pub canvas: Canvas,
    /// What a room looks like for which nothing was said.
    pub default: Scene,
}

impl Default for SceneRules {
    fn default() -> Self {
        Self {
            canvas: Canvas {
                width: 1280,
                height: 720,
                fps: 30,
            },
            default: Scene::default(),
        }
    }
}

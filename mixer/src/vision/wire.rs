//! The lines of the socket.

use lianmai_mixer_control::scene::Rgb;
use serde::{Deserialize, Serialize};

/// Of this protocol.
pub(super) const VERSION: u32 = 1;

/// The longest line of a program.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// Boxes of one picture.
pub(super) const MAX_BOXES: usize = 16;

/// Characters of a label.
const MAX_LABEL: usize = 64;

/// Boxes of programs that do not say a colour.
const USUAL: Rgb = Rgb([0x30, 0xe0, 0x60]);

/// What rounding may do to a box along the edge of the picture.
const SLACK: f32 = 1e-3;

/// To the program.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToProgram<'a> {
    /// The first line. The descriptor of the memory comes with it.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// Bytes of the memory.
        bytes: usize,
        /// `i420`: Y, U and V of a picture, one after the other, without padding.
        format: &'static str,
    },
    /// There is a picture to look at.
    Frame {
        /// Its number, which stands in the slot's first eight bytes, little endian.
        frame: u64,
        /// Whose it is.
        host: u32,
        /// What people see as the host's name.
        name: &'a str,
        /// Where in the memory its samples begin.
        offset: usize,
        /// Even.
        width: usize,
        /// Even.
        height: usize,
    },
}

/// From the program: what it saw in a picture, which it does not need any more.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) frame: u64,
    boxes: Vec<Said>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
    #[serde(default)]
    label: String,
    color: Option<Rgb>,
}

/// A box over a host's picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// Left, top, width, height, in fractions of the picture.
    pub(crate) part: [f32; 4],
    /// What stands at it.
    pub(crate) label: String,
    /// Its colour.
    pub(crate) color: Rgb,
}

/// Why a line is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("no answer: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("a line of more than {MAX_LINE} bytes")]
    TooLong,
    #[error("{0} boxes; {MAX_BOXES} are drawn at most")]
    TooMany(usize),
    #[error("a box at {0:?} is not within the picture: left, top, width and height are fractions of it")]
    Outside([f32; 4]),
    #[error("a label of {0} characters; {MAX_LABEL} are shown at most")]
    Label(usize),
    #[error("picture {0} is not waited for")]
    Unknown(u64),
}

impl Answer {
    pub(super) fn read(line: &[u8]) -> Result<(u64, Vec<Mark>), Refused> {
        let answer: Self = serde_json::from_slice(line)?;
        if answer.boxes.len() > MAX_BOXES {
            return Err(Refused::TooMany(answer.boxes.len()));
        }
        let marks = answer.boxes.into_iter().map(Said::check);
        Ok((answer.frame, marks.collect::<Result<_, _>>()?))
    }
}

impl Said {
    fn check(self) -> Result<Mark, Refused> {
        let Self {
            x, y, width, height, ..
        } = self;
        let part = [x, y, width, height];
        let inside = |at: f32, len: f32| at >= -SLACK && len > 0.0 && at + len <= 1.0 + SLACK;
        if !inside(x, width) || !inside(y, height) {
            return Err(Refused::Outside(part));
        }
        let length = self.label.chars().count();
        if length > MAX_LABEL {
            return Err(Refused::Label(length));
        }
        Ok(Mark {
            part,
            label: self.label,
            color: self.color.unwrap_or(USUAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, MAX_BOXES, Refused, USUAL};
    use lianmai_mixer_control::scene::Rgb;
    use proptest::prelude::{any, prop, proptest};

    fn read(line: &str) -> Result<(u64, Vec<super::Mark>), Refused> {
        Answer::read(line.as_bytes())
    }

    #[test]
    fn boxes_have_a_place_and_may_have_a_label_and_a_colour() {
        let line = r##"{"frame": 7, "boxes": [
            {"x": 0, "y": 0.5, "width": 1, "height": 0.5},
            {"x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3, "label": "face 脸", "color": "#ff0000"}]}"##;
        let (frame, marks) = read(line).expect("good");
        assert_eq!((frame, marks.len()), (7, 2));
        assert_eq!((marks[0].part, marks[0].color), ([0.0, 0.5, 1.0, 0.5], USUAL));
        assert_eq!(
            (marks[1].label.as_str(), marks[1].color),
            ("face 脸", Rgb([255, 0, 0]))
        );
    }

    #[test]
    fn boxes_that_are_not_in_the_picture_are_refused() {
        for part in [
            [-0.1, 0.0, 0.5, 0.5],
            [0.6, 0.0, 0.5, 0.5],
            [0.0, 0.9, 0.5, 0.5],
            [0.0, 0.0, 0.0, 0.5],
            [0.0, 0.0, 0.5, -0.5],
            [0.0, 0.0, 1e30, 0.5],
        ] {
            let [x, y, width, height] = part;
            let line =
                format!(r#"{{"frame":1,"boxes":[{{"x":{x},"y":{y},"width":{width},"height":{height}}}]}}"#);
            assert!(matches!(read(&line), Err(Refused::Outside(_))), "{line}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        let a_box = r#"{"x":0,"y":0,"width":1,"height":1}"#;
        let many = |count| format!(r#"{{"frame":1,"boxes":[{}]}}"#, vec![a_box; count].join(","));
        assert!(read(&many(MAX_BOXES)).is_ok());
        assert!(matches!(read(&many(17)), Err(Refused::TooMany(17))));
        let label = format!(
            r#"{{"frame":1,"boxes":[{{"x":0,"y":0,"width":1,"height":1,"label":"{}"}}]}}"#,
            "x".repeat(65)
        );
        assert!(matches!(read(&label), Err(Refused::Label(65))));
        for junk in [
            "",
            "7",
            "{}",
            r#"{"frame":1}"#,
            r#"{"frame":1,"boxes":[],"more":1}"#,
            "\u{1}",
        ] {
            assert!(matches!(read(junk), Err(Refused::Malformed(_))), "{junk}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_box_in_the_picture_or_refused(
            line in prop::collection::vec(any::<u8>(), 0..200),
            place in prop::array::uniform4(any::<f32>()),
        ) {
            Answer::read(&line).ok();
            let [x, y, width, height] = place;
            let line = format!(r#"{{"frame":1,"boxes":[{{"x":{x:e},"y":{y:e},"width":{width:e},"height":{height:e}}}]}}"#);
            for mark in read(&line).map(|(_, marks)| marks).unwrap_or_default() {
                let [x, y, width, height] = mark.part;
                assert!(x > -0.01 && y > -0.01 && x + width < 1.01 && y + height < 1.01, "{line}");
            }
        }
    }
}

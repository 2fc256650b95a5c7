use super::{Border, Fit, Layout, Rgb, Scene, SceneError};
use crate::{Canvas, ToMixer, decode, encode};

const HD: Canvas = Canvas {
    width: 1280,
    height: 720,
    fps: 30,
};

fn scene(json: &str) -> Scene {
    serde_json::from_str(json).expect("a scene")
}

fn refused(json: &str) -> SceneError {
    scene(json).check(HD).expect_err("must be refused")
}

fn region(members: &str) -> String {
    format!(r#"{{"layout": {{"type": "custom", "regions": [{{{members}}}]}}}}"#)
}

#[test]
fn nothing_said_is_a_grid() {
    let nothing = scene("{}");
    assert_eq!(nothing, Scene::default());
    assert_eq!((&nothing.layout, nothing.fade_ms), (&Layout::Grid, 300));
    assert_eq!(nothing.check(HD), Ok(()));
}

#[test]
fn every_layout_has_a_name_and_survives_the_socket() {
    for layout in [
        r#"{"type": "grid"}"#,
        r#"{"type": "host", "main": "ann", "side": "bottom"}"#,
        r#"{"type": "picture_in_picture", "corner": "top_left", "percent": 30}"#,
        r#"{"type": "side_by_side"}"#,
        r#"{"type": "screen", "side": "left"}"#,
        r#"{"type": "custom", "regions": [{"host": "ann", "x": 0, "y": 0, "width": 640, "height": 720, "alpha": 0.5}]}"#,
    ] {
        let scene = scene(&format!(
            r##"{{"layout": {layout}, "border": {{"width": 4, "color": "#ff8000"}}, "fit": "stretch"}}"##
        ));
        assert_eq!(scene.check(HD), Ok(()), "{layout}");
        assert_eq!(
            scene.border,
            Some(Border {
                width: 4,
                color: Rgb([255, 128, 0])
            })
        );
        assert_eq!(scene.fit, Some(Fit::Stretch));
        let message = ToMixer::Scene(Box::new(scene));
        let line = encode(&message).expect("it fits");
        assert_eq!(decode::<ToMixer>(&line).expect("what was said"), message);
    }
}

#[test]
fn an_unknown_member_is_refused_by_its_name() {
    for json in [
        r#"{"layuot": {"type": "grid"}}"#,
        r#"{"layout": {"type": "host", "mian": "ann"}}"#,
        r#"{"layout": {"type": "circle"}}"#,
        r#"{"border": {"width": 1, "color": "red"}}"#,
    ] {
        let error = serde_json::from_str::<Scene>(json)
            .expect_err("unknown")
            .to_string();
        assert!(
            ["layuot", "mian", "circle", "red"]
                .iter()
                .any(|word| error.contains(word)),
            "{error}"
        );
    }
}

#[test]
fn a_region_lies_on_the_canvas() {
    assert_eq!(
        scene(&region(r#""x": 640, "y": 360, "width": 640, "height": 360"#)).check(HD),
        Ok(())
    );
    for beyond in [
        r#""x": 641, "y": 0, "width": 640, "height": 360"#,
        r#""x": 0, "y": 700, "width": 640, "height": 21"#,
        r#""x": 4294967295, "y": 0, "width": 4294967295, "height": 16"#,
    ] {
        let error = refused(&region(beyond));
        assert!(
            matches!(error, SceneError::OutOfCanvas { index: 0, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("1280x720"), "{error}");
    }
    let flat = refused(&region(r#""x": 0, "y": 0, "width": 640, "height": 2"#));
    assert!(matches!(flat, SceneError::TooSmall { height: 2, .. }), "{flat}");
}

#[test]
fn an_alpha_is_a_share() {
    for alpha in ["-0.1", "1.01", "1e30"] {
        let error = refused(&region(&format!(
            r#""x": 0, "y": 0, "width": 64, "height": 64, "alpha": {alpha}"#
        )));
        assert!(matches!(error, SceneError::Alpha { .. }), "{error}");
    }
}

#[test]
fn an_image_is_a_plain_name_and_nothing_else_of_the_disk() {
    for name in [
        "../secret.png",
        "/etc/passwd",
        "a/b.png",
        ".png",
        ".hidden.png",
        "logo.jpg",
        "a b.png",
        "\u{0}.png",
        &format!("{}.png", "a".repeat(61)),
    ] {
        let scene = Scene {
            placeholder: Some(name.to_owned()),
            ..Scene::default()
        };
        assert!(matches!(scene.check(HD), Err(SceneError::File(_))), "{name}");
    }
    assert_eq!(scene(r#"{"background_image": "stage-2.png"}"#).check(HD), Ok(()));
}

#[test]
fn everything_has_a_bound() {
    let many = |what: &str, count: usize| vec![what; count].join(",");
    let place = r#"{"x": 0, "y": 0, "width": 64, "height": 64}"#;
    let regions = |count| {
        format!(
            r#"{{"layout": {{"type": "custom", "regions": [{}]}}}}"#,
            many(place, count)
        )
    };
    assert_eq!(refused(&regions(17)), SceneError::Regions(17));
    assert_eq!(refused(&regions(0)), SceneError::Regions(0));
    let clock = r#"{"content": {"type": "clock"}}"#;
    let marks = format!(r#"{{"watermarks": [{}]}}"#, many(clock, 9));
    assert_eq!(refused(&marks), SceneError::Watermarks(9));
    assert_eq!(refused(r#"{"fade_ms": 2001}"#), SceneError::Fade(2001));
    assert_eq!(refused(r#"{"corner_radius": 201}"#), SceneError::Radius(201));
    assert_eq!(
        refused(r##"{"speaker": {"width": 0, "color": "#ffffff"}}"##),
        SceneError::Border(0)
    );
    assert_eq!(
        refused(r#"{"layout": {"type": "picture_in_picture", "percent": 51}}"#),
        SceneError::Percent(51)
    );
    let text = |text: &str| {
        refused(&format!(
            r#"{{"watermarks": [{{"content": {{"type": "text", "text": "{text}"}}}}]}}"#
        ))
    };
    assert_eq!(text(&"a".repeat(201)), SceneError::Text(201));
    assert_eq!(text("two\\nlines"), SceneError::Text(9));
}

#[test]
fn a_host_has_one_region() {
    let place = r#"{"host": "ann", "x": 0, "y": 0, "width": 64, "height": 64}"#;
    let twice = format!(r#"{{"layout": {{"type": "custom", "regions": [{place}, {place}]}}}}"#);
    assert_eq!(refused(&twice), SceneError::Twice("ann".to_owned()));
}

//! What players are told of the layout, inside the stream: JSON in the shape that Agora documents for its media push
//! (`canvas`, `regions`, `ver`, `ts`, `app_data`), so that their parsers read it.

use lianmai_compositor::{Rect, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{SeiKind, Volume};
use lianmai_rtmp::flv::sei;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Tells this JSON from other `user_data_unregistered`; made at random once.
pub(crate) const UUID: [u8; 16] = *b"\x5b\x1e\x90\x2a\x6c\x4f\x4d\x0b\x9f\x27\x3a\xd8\x11\x6e\xc5\x74";

/// The payload type under which Agora sends it.
const AGORA: u8 = 100;

/// The version of the shape.
const VERSION: &str = "20190611";

/// Where one host is on the canvas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Region {
    /// The host.
    pub host: HostId,
    /// Where.
    pub rect: Rect,
    /// Of 0 to 100; higher ones lie above lower ones.
    pub z_order: u8,
    /// 0.0 is not seen, 1.0 hides what is below.
    pub alpha: f32,
}

/// Says when the layout goes into the stream: with each key frame, and when it changed.
pub(crate) struct LayoutSei {
    kind: SeiKind,
    canvas: Size,
    background: String,
    names: BTreeMap<HostId, String>,
    muted: BTreeSet<HostId>,
    volumes: BTreeMap<HostId, Volume>,
    told: Option<Vec<Region>>,
}

#[derive(Serialize)]
struct Json<'a> {
    canvas: JsonCanvas<'a>,
    regions: Vec<JsonRegion<'a>>,
    ver: &'a str,
    ts: u64,
    app_data: &'a str,
}

#[derive(Serialize)]
struct JsonCanvas<'a> {
    w: usize,
    h: usize,
    bgnd: &'a str,
}

#[derive(Serialize)]
struct JsonRegion<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    suid: Option<&'a str>,
    uid: u32,
    alpha: f32,
    zorder: u8,
    /// In percent, 0 to 200.
    volume: u16,
    x: usize,
    y: usize,
    w: usize,
    h: usize,
}

impl LayoutSei {
    /// For a canvas of this size and colour (red, green, blue).
    #[must_use]
    pub(crate) fn new(kind: SeiKind, canvas: Size, [red, green, blue]: [u8; 3]) -> Self {
        Self {
            kind,
            canvas,
            background: format!("#{red:02x}{green:02x}{blue:02x}"),
            names: BTreeMap::new(),
            muted: BTreeSet::new(),
            volumes: BTreeMap::new(),
            told: None,
        }
    }

    /// Another colour of what no host covers.
    pub(crate) fn set_background(&mut self, [red, green, blue]: [u8; 3]) {
        self.background = format!("#{red:02x}{green:02x}{blue:02x}");
        self.told = None;
    }

    /// How a host is called.
    pub(crate) fn name(&mut self, host: HostId, name: String) {
        self.names.insert(host, name);
        self.told = None;
    }

    /// A host is heard no more, or again.
    pub(crate) fn mute(&mut self, host: HostId, muted: bool) {
        let changed = if muted {
            self.muted.insert(host)
        } else {
            self.muted.remove(&host)
        };
        if changed {
            self.told = None;
        }
    }

    /// A host is louder or softer than it was.
    pub(crate) fn set_volume(&mut self, host: HostId, volume: Volume) {
        if self.volumes.insert(host, volume) != Some(volume) {
            self.told = None;
        }
    }

    /// A host left.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.names.remove(&host);
        self.muted.remove(&host);
        self.volumes.remove(&host);
    }

    /// The NAL unit that goes before this picture's slices, if one is due. `unix_ms` is the picture's time.
    pub(crate) fn poll(
        &mut self,
        key: bool,
        unix_ms: u64,
        regions: impl FnOnce() -> Vec<Region>,
    ) -> Option<bytes::Bytes> {
        if self.kind == SeiKind::Off {
            return None;
        }
        let regions = regions();
        if !key && self.told.as_ref() == Some(&regions) {
            return None;
        }
        let json = self.json(unix_ms, &regions);
        self.told = Some(regions);
        Some(match self.kind {
            SeiKind::Agora => sei::nal(AGORA, &json),
            SeiKind::Off | SeiKind::Unregistered => sei::unregistered(UUID, &json),
        })
    }

    fn volume_of(&self, host: HostId) -> u16 {
        if self.muted.contains(&host) {
            return 0;
        }
        self.volumes.get(&host).copied().unwrap_or_default().percent()
    }

    fn json(&self, ts: u64, regions: &[Region]) -> Vec<u8> {
        let regions = regions
            .iter()
            .map(|region| JsonRegion {
                suid: self.names.get(&region.host).map(String::as_str),
                uid: region.host.0,
                alpha: region.alpha,
                zorder: region.z_order,
                volume: self.volume_of(region.host),
                x: region.rect.x,
                y: region.rect.y,
                w: region.rect.width,
                h: region.rect.height,
            })
            .collect();
        let json = Json {
            canvas: JsonCanvas {
                w: self.canvas.width,
                h: self.canvas.height,
                bgnd: &self.background,
            },
            regions,
            ver: VERSION,
            ts,
            app_data: "",
        };
        // Numbers and texts always have a form in JSON.
        serde_json::to_vec(&json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{LayoutSei, Region, UUID, Volume};
    use lianmai_compositor::{Rect, Size};
    use lianmai_mixer_control::SeiKind;
    use lianmai_mixer_control::media::HostId;
    use serde_json::{Value, json};

    fn sei(kind: SeiKind) -> LayoutSei {
        let mut sei = LayoutSei::new(kind, Size::new(640, 360), [0x10, 0x14, 0x1a]);
        sei.name(HostId(1), "ann".to_owned());
        sei
    }

    fn half(host: u32, x: usize) -> Region {
        Region {
            host: HostId(host),
            rect: Rect {
                x,
                y: 0,
                width: 320,
                height: 360,
            },
            z_order: 1,
            alpha: 1.0,
        }
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let mut sei = sei(SeiKind::Unregistered);
        sei.mute(HostId(2), true);
        let regions = || vec![half(1, 0), half(2, 320)];
        let nal = sei.poll(true, 1_535_385_600_000, regions).expect("a key frame");
        let (start, end) = (nal.iter().position(|byte| *byte == b'{'), nal.len() - 1);
        let start = start.expect("JSON");
        assert_eq!(nal[start - 16..start], UUID);
        let seen: Value = serde_json::from_slice(&nal[start..end]).expect("JSON");
        let expected = json!({
            "canvas": {"w": 640, "h": 360, "bgnd": "#10141a"},
            "regions": [
                {"suid": "ann", "uid": 1, "alpha": 1.0, "zorder": 1, "volume": 100, "x": 0, "y": 0, "w": 320, "h": 360},
                {"uid": 2, "alpha": 1.0, "zorder": 1, "volume": 0, "x": 320, "y": 0, "w": 320, "h": 360},
            ],
            "ver": "20190611",
            "ts": 1_535_385_600_000_u64,
            "app_data": "",
        });
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_volume_is_what_is_heard_and_a_change_is_told_at_once() {
        let mut sei = sei(SeiKind::Unregistered);
        let told = |sei: &mut LayoutSei| {
            let nal = sei.poll(false, 0, || vec![half(1, 0)])?;
            let start = nal.iter().position(|byte| *byte == b'{').expect("JSON");
            let json: Value = serde_json::from_slice(&nal[start..nal.len() - 1]).expect("JSON");
            json["regions"][0]["volume"].as_u64()
        };
        assert_eq!(told(&mut sei), Some(100));
        for percent in [200, 35] {
            let volume = Volume::try_from(percent).expect("a volume");
            sei.set_volume(HostId(1), volume);
            assert_eq!(told(&mut sei), Some(u64::from(percent)));
            sei.set_volume(HostId(1), volume);
            assert_eq!(told(&mut sei), None, "nothing new");
        }
        sei.mute(HostId(1), true);
        assert_eq!(told(&mut sei), Some(0));
        sei.mute(HostId(1), false);
        assert_eq!(told(&mut sei), Some(35), "a mute keeps it");
    }

    #[test]
    fn it_comes_with_each_key_frame_and_when_something_changed() {
        let mut sei = sei(SeiKind::Agora);
        let one = || vec![half(1, 0)];
        assert!(sei.poll(false, 0, one).is_some(), "nobody was told yet");
        assert!(sei.poll(false, 40, one).is_none());
        assert!(sei.poll(true, 80, one).is_some());
        assert!(sei.poll(false, 120, || vec![half(1, 320)]).is_some(), "it moved");
        assert!(sei.poll(false, 160, || vec![half(1, 320)]).is_none());
        sei.name(HostId(1), "anna".to_owned());
        assert!(
            sei.poll(false, 200, || vec![half(1, 320)]).is_some(),
            "it has another name"
        );
    }

    #[test]
    fn the_other_form_is_of_payload_type_100() {
        let nal = sei(SeiKind::Agora).poll(true, 0, Vec::new).expect("a key frame");
        assert_eq!(nal[..2], [6, 100]);
        assert!(sei(SeiKind::Off).poll(true, 0, Vec::new).is_none());
    }
}

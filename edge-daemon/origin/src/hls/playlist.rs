//! The list of segments as text (RFC 8216 §4).

use super::segmenter::Segment;
use std::fmt::Write;

/// Version 7 has fragmented MP4 (§7).
const VERSION: u32 = 7;

/// The list of these segments. `target` is in seconds; `discontinuities` is how many left the list.
pub(super) fn write(target: u64, discontinuities: u64, segments: &[&Segment], ended: bool) -> String {
    let mut text = String::new();
    let first = segments.first().map_or(0, |segment| segment.number);
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{line}");
    };
    line(format_args!("#EXTM3U"));
    line(format_args!("#EXT-X-VERSION:{VERSION}"));
    line(format_args!("#EXT-X-TARGETDURATION:{target}"));
    line(format_args!("#EXT-X-MEDIA-SEQUENCE:{first}"));
    line(format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}"));
    let mut map = None;
    for segment in segments {
        if segment.discontinuity {
            line(format_args!("#EXT-X-DISCONTINUITY"));
        }
        if map.replace(segment.map) != Some(segment.map) {
            line(format_args!("#EXT-X-MAP:URI=\"init-{}.mp4\"", segment.map));
        }
        line(format_args!("#EXTINF:{:.6},", segment.duration.as_secs_f64()));
        line(format_args!("{}.m4s", segment.number));
    }
    if ended {
        line(format_args!("#EXT-X-ENDLIST"));
    }
    text
}

// Writes fragmented MP4 (ISO/IEC 14496-12) for one track: an initialisation segment, then movie fragments.

const UNITY = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];
/** Sample depends on no other. */
const KEY = 0x02000000;
/** Sample depends on others and is no sync sample. */
const DELTA = 0x01010000;

/** What describes a track, by the FourCC of its codec. */
const SAMPLE_ENTRIES = { avc1: (track) => visual(track, "avcC"), av01: (track) => visual(track, "av1C"), mp4a, Opus: opus };

/** @param track {{kind: "video"|"audio", timescale, fourCc, config: Uint8Array, width?, height?, channels?, rate?}} */
export function initSegment(track) {
  return bytes(
    box("ftyp", ascii("iso5"), u32(1), ascii("iso5"), ascii("iso6"), ascii("mp41")),
    box(
      "moov",
      full("mvhd", 0, 0, u32(0, 0, track.timescale, 0, 0x10000), u16(0x100, 0), u32(0, 0), u32(...UNITY), zeros(24), u32(2)),
      trak(track),
      box("mvex", full("trex", 0, 0, u32(1, 1, 0, 0, 0))),
    ),
  );
}

/** @param samples {{duration, offset?, key?, data: Uint8Array}[]} in decoding order; `start` is the first one's time. */
export function fragment(track, sequence, start, samples) {
  const moof = (dataOffset) => bytes(
    box(
      "moof",
      full("mfhd", 0, 0, u32(sequence)),
      box(
        "traf",
        // default-base-is-moof
        full("tfhd", 0, 0x020000, u32(1)),
        full("tfdt", 1, 0, u64(start)),
        trun(track, dataOffset, samples),
      ),
    ),
  );
  const size = moof(0).length;
  return bytes(moof(size + 8), box("mdat", ...samples.map((sample) => sample.data)));
}

function trun(track, dataOffset, samples) {
  const rows = samples.map((sample) => {
    const flags = track.kind === "audio" || sample.key ? KEY : DELTA;
    return u32(sample.duration, sample.data.length, flags, sample.offset ?? 0);
  });
  // data offset, and for each sample: duration, size, flags, composition offset (signed in version 1)
  return full("trun", 1, 0x000f01, u32(samples.length, dataOffset), ...rows);
}

function trak(track) {
  const video = track.kind === "video";
  const size = video ? [track.width << 16, track.height << 16] : [0, 0];
  return box(
    "trak",
    full("tkhd", 0, 3, u32(0, 0, 1, 0, 0, 0, 0), u16(0, 0, video ? 0 : 0x100, 0), u32(...UNITY), u32(...size)),
    box(
      "mdia",
      full("mdhd", 0, 0, u32(0, 0, track.timescale, 0), u16(0x55c4, 0)),
      full("hdlr", 0, 0, u32(0), ascii(video ? "vide" : "soun"), zeros(12), ascii("lianmai\0")),
      box(
        "minf",
        video ? full("vmhd", 0, 1, zeros(8)) : full("smhd", 0, 0, zeros(4)),
        box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1))),
        box(
          "stbl",
          full("stsd", 0, 0, u32(1), SAMPLE_ENTRIES[track.fourCc](track)),
          full("stts", 0, 0, u32(0)),
          full("stsc", 0, 0, u32(0)),
          full("stsz", 0, 0, u32(0, 0)),
          full("stco", 0, 0, u32(0)),
        ),
      ),
    ),
  );
}

/** ISO/IEC 14496-15 §5.4.2.1, AV1 in ISOBMFF §2.2 */
function visual({ fourCc, width, height, config }, name) {
  const resolution = u32(0x480000, 0x480000);
  return box(
    fourCc,
    zeros(6), u16(1), zeros(16), u16(width, height), resolution, u32(0), u16(1), zeros(32), u16(0x18, 0xffff),
    box(name, config),
  );
}

/** Encapsulation of Opus in ISOBMFF §4.3: what an identification header says, with the high bytes first. */
function opus({ channels, rate, preSkip, inputRate, gain }) {
  return box(
    "Opus",
    zeros(6), u16(1), zeros(8), u16(channels, 16, 0, 0), u32(rate << 16 >>> 0),
    box("dOps", Uint8Array.of(0, channels), u16(preSkip), u32(inputRate), u16(gain), zeros(1)),
  );
}

/** ISO/IEC 14496-14 §5.6 */
function mp4a({ channels, rate, config }) {
  const specific = descriptor(5, config);
  const decoder = descriptor(4, Uint8Array.of(0x40, 0x15, 0, 0, 0), u32(0, 0), specific);
  const elementary = descriptor(3, u16(1), Uint8Array.of(0), decoder, descriptor(6, Uint8Array.of(2)));
  return box(
    "mp4a",
    zeros(6), u16(1), zeros(8), u16(channels, 16, 0, 0), u32(rate << 16 >>> 0),
    full("esds", 0, 0, elementary),
  );
}

function descriptor(tag, ...parts) {
  const body = bytes(...parts);
  return bytes(Uint8Array.of(tag, body.length), body);
}

function full(name, version, flags, ...parts) {
  return box(name, u32(version * 0x1000000 + flags), ...parts);
}

function box(name, ...parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 8);
  return bytes(u32(size), ascii(name), ...parts);
}

function bytes(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function u32(...values) {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value));
  return new Uint8Array(view.buffer);
}

function u16(...values) {
  const view = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, i) => view.setUint16(2 * i, value));
  return new Uint8Array(view.buffer);
}

function u64(value) {
  return u32(Math.floor(value / 0x100000000), value % 0x100000000);
}

function ascii(text) {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

function zeros(count) {
  return new Uint8Array(count);
}

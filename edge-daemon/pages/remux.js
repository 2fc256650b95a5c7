// FLV tags to fragmented MP4. FLV carries H.264 with length prefixes, AV1 without temporal delimiters, AAC without ADTS and
// bare packets of Opus, which is what MP4 wants as well, so nothing inside a frame is touched.

import { opusSamples, parseAacConfig, parseAv1Config, parseAvcConfig, parseOpusHead } from "./codecs.js";
import { fragment, initSegment } from "./fmp4.js";

/** FLV counts milliseconds. */
const VIDEO_TIMESCALE = 1000;
/** Samples of one AAC frame. */
const AAC_FRAME = 1024;
/** Audio is counted in samples; it is set to the stamps of the stream again when it is this far off. */
const AUDIO_TOLERANCE_MS = 100;
/** A jump of the stamps beyond this is another stream. */
const MAX_JUMP_MS = 5000;

/** By FourCC: what reads the configuration, and of sound how many samples a frame has. */
const VIDEO = { avc1: parseAvcConfig, av01: parseAv1Config };
const AUDIO = {
  mp4a: { parse: parseAacConfig, samples: () => AAC_FRAME },
  Opus: { parse: parseOpusHead, samples: opusSamples },
};

/** Nobody here knows this codec. */
export class UnsupportedCodec extends Error {}

/** The stream changed in a way that wants a fresh start. */
export class Discontinuity extends Error {}

/**
 * A handler for FlvReader. `take()` returns what can be appended since the last call:
 * `{video: Uint8Array[], audio: Uint8Array[]}`.
 */
export class Remuxer {
  videoTrack = null;
  audioTrack = null;
  expected = { hasAudio: true, hasVideo: true };
  #base = null;
  #last = null;

  header(expected) {
    this.expected = expected;
  }

  videoConfig(config, fourCc) {
    if (this.videoTrack) return requireSame(this.videoTrack.track.config, config);
    const parse = VIDEO[fourCc];
    if (!parse) throw new UnsupportedCodec(`This page cannot play pictures of ${fourCc}.`);
    const known = { kind: "video", timescale: VIDEO_TIMESCALE, fourCc, config };
    this.videoTrack = new VideoTrack({ ...known, ...parse(config) });
  }

  audioConfig(config, fourCc) {
    if (this.audioTrack) return requireSame(this.audioTrack.track.config, config);
    const coding = AUDIO[fourCc];
    if (!coding) throw new UnsupportedCodec(`This page cannot play sound of ${fourCc}.`);
    const parsed = coding.parse(config);
    const { samples } = coding;
    this.audioTrack = new AudioTrack({ kind: "audio", timescale: parsed.rate, fourCc, config, samples, ...parsed });
  }

  video(sample) {
    if (!this.videoTrack || !this.#admit(sample.time, sample.key)) return;
    this.videoTrack.add(sample.time - this.#base, sample);
  }

  audio(sample) {
    if (!this.audioTrack || !this.#admit(sample.time, !this.expected.hasVideo)) return;
    this.audioTrack.add(sample.time - this.#base, sample);
  }

  take() {
    return { video: this.videoTrack?.take() ?? [], audio: this.audioTrack?.take() ?? [] };
  }

  /** The first picture must be a key frame; what comes before it is dropped, and it begins at time 0. */
  #admit(time, mayStart) {
    if (this.#base === null) {
      if (!mayStart) return false;
      this.#base = time;
      this.#last = time;
    }
    if (Math.abs(time - this.#last) > MAX_JUMP_MS) throw new Discontinuity("the time stamps jumped");
    this.#last = time;
    return time >= this.#base;
  }
}

function requireSame(old, now) {
  if (old.length !== now.length || old.some((byte, i) => byte !== now[i])) {
    throw new Discontinuity("the codec configuration changed");
  }
}

class Track {
  track;
  #sequence = 0;
  #initialised = false;

  constructor(track) {
    this.track = track;
  }

  get mime() {
    return `${this.track.kind}/mp4; codecs="${this.track.codec}"`;
  }

  segments(start, samples) {
    const parts = this.#initialised ? [] : [initSegment(this.track)];
    this.#initialised = true;
    if (samples.length > 0) parts.push(fragment(this.track, ++this.#sequence, start, samples));
    return parts;
  }
}

/** A frame's duration is known when the next one comes, so one frame is always kept back. */
class VideoTrack extends Track {
  #frames = [];

  add(time, { offset, key, data }) {
    const previous = this.#frames.at(-1);
    if (previous && time <= previous.time) time = previous.time + 1;
    if (previous) previous.duration = time - previous.time;
    this.#frames.push({ time, offset, key, data });
  }

  take() {
    const ready = this.#frames.splice(0, Math.max(0, this.#frames.length - 1));
    return this.segments(ready[0]?.time ?? 0, ready);
  }
}

class AudioTrack extends Track {
  #frames = [];
  #next = null;

  add(time, { data }) {
    const { rate, samples } = this.track;
    const duration = samples(data);
    const stamped = Math.round((time * rate) / 1000);
    const off = this.#next === null ? Infinity : Math.abs(stamped - this.#next);
    const start = off > (AUDIO_TOLERANCE_MS * rate) / 1000 ? stamped : this.#next;
    this.#frames.push({ start, duration, data });
    this.#next = start + duration;
  }

  /** One fragment for each run without a gap. */
  take() {
    const frames = this.#frames.splice(0);
    if (frames.length === 0) return this.segments(0, []);
    const runs = [];
    for (const frame of frames) {
      const run = runs.at(-1);
      const last = run?.at(-1);
      if (last && last.start + last.duration === frame.start) run.push(frame);
      else runs.push([frame]);
    }
    return runs.flatMap((run) => this.segments(run[0].start, run));
  }
}

// Plays an HTTP-FLV stream in a <video> by Media Source Extensions, near its live edge, and comes back when it breaks.

import { FlvReader } from "./flv.js";
import { Remuxer, UnsupportedCodec } from "./remux.js";

/** Seconds behind the live edge where playback hurries, and where it jumps. */
const HURRY = 1.5;
const JUMP = 3;
/** Where a jump lands, and where hurrying ends. */
const CLOSE = 0.6;
/** Played media that is kept, in seconds. */
const KEEP = 10;
/** Without a byte for so long the connection counts as broken. */
const SILENCE_MS = 8000;
/** How long the second track's configuration is awaited. */
const TRACK_WAIT_MS = 1500;
const MAX_BACK_OFF_MS = 5000;
const OFFLINE_RETRY_MS = 2000;

/** Shorter gaps are not worth a word. */
const PAUSE_MS = 700;

/** States: connecting, offline, playing, waiting (for data), blocked (needs a click), broken, unsupported. */
export class LivePlayer extends EventTarget {
  state = "connecting";
  reason = "";
  /** For tests and the curious: how often it connected, jumped to the edge and failed. */
  counters = { connections: 0, jumps: 0, failures: 0 };
  #video;
  #url;
  #stopped = false;
  #abort = null;

  constructor(video, url) {
    super();
    this.#video = video;
    this.#url = url;
    this.#followGaps();
  }

  async run() {
    const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;
    if (!Source) {
      this.#become("unsupported", "This browser has no Media Source Extensions.");
      return;
    }
    let wait = 0;
    while (!this.#stopped) {
      const outcome = await this.#connection(Source);
      if (this.#stopped || this.state === "unsupported") return;
      if (outcome === "offline") wait = OFFLINE_RETRY_MS;
      else if (outcome === "played") wait = 250;
      else wait = Math.min(Math.max(500, wait * 2), MAX_BACK_OFF_MS);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  stop() {
    this.#stopped = true;
    this.#abort?.abort();
  }

  /** After a click: play with the browser's consent. */
  async play() {
    try {
      await this.#video.play();
      if (this.state === "blocked") this.#become("playing");
    } catch (error) {
      if (error.name === "NotAllowedError") this.#become("blocked", "Press play to watch.");
    }
  }

  /** The connection may live while its stream pauses: between two publishers the origin keeps its players. */
  #followGaps() {
    let timer;
    this.#video.addEventListener("waiting", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.state === "playing" && this.#become("waiting"), PAUSE_MS);
    });
    this.#video.addEventListener("playing", () => {
      clearTimeout(timer);
      if (this.state === "waiting") this.#become("playing");
    });
  }

  /** One connection from request to end: "offline", "played" or "failed". */
  async #connection(Source) {
    const abort = (this.#abort = new AbortController());
    let screen = null;
    try {
      const response = await fetch(this.#url, { signal: abort.signal, cache: "no-store" });
      if (response.status === 404) {
        this.#become("offline");
        return "offline";
      }
      if (!response.ok) throw new Error(`the edge answered ${response.status}`);
      this.counters.connections++;
      screen = new Screen(this.#video, Source, this.counters);
      await this.#feed(response.body.getReader(), screen, abort);
      return screen.started ? "played" : "failed";
    } catch (error) {
      this.counters.failures++;
      if (error instanceof UnsupportedCodec) this.#become("unsupported", error.message);
      else this.#become("broken", error.name === "AbortError" ? "no data came for a while" : error.message);
      return screen?.started ? "played" : "failed";
    } finally {
      abort.abort();
      screen?.close();
    }
  }

  async #feed(reader, screen, abort) {
    const remuxer = new Remuxer();
    const flv = new FlvReader(remuxer);
    let shown = false;
    for (;;) {
      const timer = setTimeout(() => abort.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      flv.push(value);
      await screen.show(remuxer);
      if (screen.started && !shown) {
        shown = true;
        this.#become("playing");
        this.play();
      }
    }
  }

  #become(state, reason = "") {
    if (state === this.state && reason === this.reason) return;
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("change"));
  }
}

/** One MediaSource with a buffer for each track, and the clock that keeps playback near the edge. */
class Screen {
  started = false;
  #video;
  #source;
  #url;
  #opened;
  #begun = performance.now();
  #buffers = {};
  #failed = null;
  #counters;
  #timer;

  constructor(video, Source, counters) {
    this.#video = video;
    this.#counters = counters;
    this.#source = new Source();
    // iPhones play a managed source only where it could not be cast elsewhere.
    video.disableRemotePlayback = true;
    this.#url = URL.createObjectURL(this.#source);
    this.#opened = new Promise((resolve) => this.#source.addEventListener("sourceopen", resolve, { once: true }));
    video.src = this.#url;
    this.#timer = setInterval(() => this.#keepUp(), 250);
  }

  /** Appends what the remuxer has. All tracks must be known at the first call that appends. */
  async show(remuxer) {
    if (this.#failed) throw this.#failed;
    if (!this.started) {
      if (!this.#complete(remuxer)) return;
      await this.#opened;
      this.#addBuffer("video", remuxer.videoTrack);
      this.#addBuffer("audio", remuxer.audioTrack);
      this.started = true;
    }
    const parts = remuxer.take();
    for (const kind of Object.keys(this.#buffers)) {
      this.#buffers[kind].queue.push(...parts[kind]);
      this.#pump(this.#buffers[kind]);
    }
  }

  close() {
    clearInterval(this.#timer);
    this.#video.removeAttribute("src");
    this.#video.load();
    URL.revokeObjectURL(this.#url);
  }

  #complete({ expected, videoTrack, audioTrack }) {
    const all = (videoTrack || !expected.hasVideo) && (audioTrack || !expected.hasAudio);
    const late = performance.now() - this.#begun > TRACK_WAIT_MS;
    return all ? Boolean(videoTrack || audioTrack) : late && Boolean(videoTrack || audioTrack);
  }

  #addBuffer(kind, track) {
    if (!track) return;
    if (!this.#source.constructor.isTypeSupported(track.mime)) {
      throw new UnsupportedCodec(`This browser cannot play ${track.mime}.`);
    }
    const buffer = this.#source.addSourceBuffer(track.mime);
    const entry = { buffer, queue: [] };
    buffer.addEventListener("updateend", () => this.#pump(entry));
    buffer.addEventListener("error", () => (this.#failed = new Error("the browser refused a media segment")));
    this.#buffers[kind] = entry;
  }

  #pump({ buffer, queue }) {
    if (buffer.updating || this.#source.readyState !== "open") return;
    const start = buffer.buffered.length > 0 ? buffer.buffered.start(0) : Infinity;
    const behind = this.#video.currentTime - KEEP;
    if (start < behind - KEEP) {
      buffer.remove(start, behind);
    } else if (queue.length > 0) {
      this.#append(buffer, queue);
    }
  }

  #append(buffer, queue) {
    try {
      buffer.appendBuffer(queue[0]);
      queue.shift();
    } catch (error) {
      this.#failed = error;
    }
  }

  #keepUp() {
    const { buffered, currentTime } = this.#video;
    if (!this.started || buffered.length === 0 || this.#video.error) return;
    const last = buffered.length - 1;
    const edge = buffered.end(last);
    const behind = edge - currentTime;
    const outside = currentTime < buffered.start(last);
    if (behind > JUMP || (outside && behind > 0)) {
      this.#counters.jumps++;
      this.#video.currentTime = Math.max(buffered.start(last), edge - CLOSE);
      this.#video.playbackRate = 1;
    } else if (behind > HURRY) {
      this.#video.playbackRate = 1.1;
    } else if (behind < CLOSE) {
      this.#video.playbackRate = 1;
    }
  }
}

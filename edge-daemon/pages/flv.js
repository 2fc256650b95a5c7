// Reads an FLV stream piece by piece and hands out its tags.
// Sources: Adobe Flash Video File Format Specification 10.1, annex E; Enhanced RTMP v2 for codecs that are named by FourCC.

const TAG_HEADER = 11;
const BACK_POINTER = 4;
/** Tags have 24-bit lengths; one key frame of the mix is far below this. */
const MAX_TAG = 4 << 20;
/** Enhanced RTMP: packet types. */
const SEQUENCE_START = 0;
const CODED_FRAMES = 1;
const CODED_FRAMES_X = 3;

export class FlvError extends Error {}

/**
 * Feed it with `push(bytes)`. It calls, in stream order:
 * `header({hasAudio, hasVideo})`, `videoConfig(bytes, fourCc)`, `video({time, offset, key, data})`,
 * `audioConfig(bytes, fourCc)`, `audio({time, data})`. Times are milliseconds; AVC and AAC are avc1 and mp4a.
 */
export class FlvReader {
  #handler;
  #rest = new Uint8Array(0);
  #started = false;

  constructor(handler) {
    this.#handler = handler;
  }

  push(chunk) {
    let bytes = join(this.#rest, chunk);
    if (!this.#started) {
      const start = this.#header(bytes);
      if (start === 0) {
        this.#rest = bytes;
        return;
      }
      bytes = bytes.subarray(start);
    }
    this.#rest = this.#tags(bytes).slice();
  }

  /** Returns the length of the file header, or 0 while it is incomplete (E.2). */
  #header(bytes) {
    if (bytes.length < 9) return 0;
    if (bytes[0] !== 0x46 || bytes[1] !== 0x4c || bytes[2] !== 0x56) {
      throw new FlvError("the stream is not FLV");
    }
    const start = view(bytes).getUint32(5) + BACK_POINTER;
    if (start > 1024) throw new FlvError("the FLV header is too long");
    if (bytes.length < start) return 0;
    this.#started = true;
    this.#handler.header({ hasAudio: (bytes[4] & 4) !== 0, hasVideo: (bytes[4] & 1) !== 0 });
    return start;
  }

  /** Returns what is left: the beginning of the next tag (E.4.1). */
  #tags(bytes) {
    while (bytes.length >= TAG_HEADER) {
      const head = view(bytes);
      const size = head.getUint32(0) & 0xffffff;
      if (size > MAX_TAG) throw new FlvError(`an FLV tag of ${size} bytes is too long`);
      const end = TAG_HEADER + size;
      if (bytes.length < end + BACK_POINTER) break;
      const time = (head.getUint32(4) >>> 8) | (bytes[7] << 24);
      this.#tag(bytes[0] & 0x1f, time, bytes.subarray(TAG_HEADER, end));
      bytes = bytes.subarray(end + BACK_POINTER);
    }
    return bytes;
  }

  #tag(type, time, body) {
    if (type === 8) this.#audio(time, body);
    else if (type === 9) this.#video(time, body);
    // 18 is script data: nothing in it is needed to play.
  }

  /** E.4.2: AAC, whose byte 1 tells configuration (0) from frames (1); sound format 9 means that a FourCC follows. */
  #audio(time, body) {
    if (body.length < 2) return;
    if (body[0] >> 4 === 9) return this.#namedAudio(time, body[0] & 0x0f, body.subarray(1));
    if (body[0] >> 4 !== 10) throw new FlvError(`audio codec ${body[0] >> 4} is not AAC`);
    const data = body.slice(2);
    if (body[1] === 0) this.#handler.audioConfig(data, "mp4a");
    else if (body[1] === 1 && data.length > 0) this.#handler.audio({ time, data });
  }

  #namedAudio(time, type, body) {
    const fourCc = name(body);
    const data = body.slice(4);
    if (type === SEQUENCE_START) this.#handler.audioConfig(data, fourCc);
    else if (type === CODED_FRAMES && data.length > 0) this.#handler.audio({ time, data });
  }

  /**
   * E.4.3: AVC, whose byte 1 tells configuration (0) from frames (1) and bytes 2 to 4 are the composition offset; the first
   * bit means that a FourCC follows.
   */
  #video(time, body) {
    if (body.length < 5) return;
    if (body[0] & 0x80) return this.#namedVideo(time, body[0], body.subarray(1));
    if ((body[0] & 0x0f) !== 7) throw new FlvError(`video codec ${body[0] & 0x0f} is not H.264`);
    const data = body.slice(5);
    if (body[1] === 0) {
      this.#handler.videoConfig(data, "avc1");
    } else if (body[1] === 1 && data.length > 0) {
      const offset = (view(body).getUint32(1) << 8) >> 8;
      this.#handler.video({ time, offset, key: body[0] >> 4 === 1, data });
    }
  }

  #namedVideo(time, first, body) {
    const fourCc = name(body);
    const type = first & 0x0f;
    if (type === SEQUENCE_START) return this.#handler.videoConfig(body.slice(4), fourCc);
    if (type !== CODED_FRAMES && type !== CODED_FRAMES_X) return;
    const timed = type === CODED_FRAMES && fourCc === "avc1" && body.length >= 7;
    const offset = timed ? (view(body).getUint32(3) << 8) >> 8 : 0;
    const data = body.slice(timed ? 7 : 4);
    const key = ((first >> 4) & 7) === 1;
    if (data.length > 0) this.#handler.video({ time, offset, key, data });
  }
}

function name(body) {
  return String.fromCharCode(...body.subarray(0, 4));
}

function join(a, b) {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

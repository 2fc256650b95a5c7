// What the configuration records of H.264, AV1, AAC and Opus say about the stream.

/**
 * AVCDecoderConfigurationRecord, ISO/IEC 14496-15 §5.3.3.1.
 * @returns {{codec: string, width: number, height: number}}
 */
export function parseAvcConfig(record) {
  if (record.length < 8 || record[0] !== 1) throw new Error("the H.264 configuration is malformed");
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  const codec = `avc1.${hex(record[1])}${hex(record[2])}${hex(record[3])}`;
  const length = (record[6] << 8) | record[7];
  const sps = record.subarray(8, 8 + length);
  if ((record[5] & 0x1f) === 0 || sps.length < length || length < 4) throw new Error("the H.264 stream has no SPS");
  return { codec, ...pictureSize(sps) };
}

const RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/**
 * AudioSpecificConfig, ISO/IEC 14496-3 §1.6.2.1.
 * @returns {{codec: string, rate: number, channels: number}}
 */
export function parseAacConfig(config) {
  const bits = new Bits(config);
  const type = bits.read(5);
  const index = bits.read(4);
  const rate = index === 15 ? bits.read(24) : RATES[index];
  const channels = bits.read(4);
  if (!rate || !type || !channels) throw new Error("the AAC configuration is malformed");
  return { codec: `mp4a.40.${type}`, rate, channels: channels === 7 ? 8 : channels };
}

/**
 * AV1CodecConfigurationRecord, AV1 in ISOBMFF §2.3.3.
 * @returns {{codec: string, width: number, height: number}}
 */
export function parseAv1Config(record) {
  if (record.length < 5 || record[0] !== 0x81) throw new Error("the AV1 configuration is malformed");
  const two = (number) => String(number).padStart(2, "0");
  const depth = record[2] & 0x40 ? (record[2] & 0x20 ? 12 : 10) : 8;
  const level = `${two(record[1] & 0x1f)}${record[2] & 0x80 ? "H" : "M"}`;
  return { codec: `av01.${record[1] >> 5}.${level}.${two(depth)}`, ...sequenceSize(record.subarray(4)) };
}

/** AV1 §5.5.1, the first OBU of the record: width and height. */
function sequenceSize(obu) {
  if (((obu[0] >> 3) & 0x0f) !== 1) throw new Error("the AV1 stream has no sequence header");
  let start = obu[0] & 0x04 ? 2 : 1;
  if (obu[0] & 0x02) {
    while (obu[start] & 0x80) start++;
    start++;
  }
  const bits = new Bits(obu.subarray(start));
  bits.read(4);
  if (bits.read(1)) bits.read(5);
  else skipOperatingPoints(bits);
  const [columns, rows] = [bits.read(4) + 1, bits.read(4) + 1];
  return { width: bits.read(columns) + 1, height: bits.read(rows) + 1 };
}

function skipOperatingPoints(bits) {
  let delay = 0;
  if (bits.read(1)) {
    bits.read(64);
    if (bits.read(1)) bits.ue();
    if (bits.read(1)) {
      delay = bits.read(5) + 1;
      bits.read(42);
    }
  }
  const displayDelay = bits.read(1);
  for (let left = bits.read(5) + 1; left > 0; left--) {
    bits.read(12);
    if (bits.read(5) > 7) bits.read(1);
    if (delay && bits.read(1)) bits.read(2 * delay + 1);
    if (displayDelay && bits.read(1)) bits.read(4);
  }
}

/**
 * The identification header of Opus, RFC 7845 §5.1.
 * @returns {{codec: string, rate: number, channels: number, preSkip: number, inputRate: number, gain: number}}
 */
export function parseOpusHead(head) {
  if (head.length < 19 || String.fromCharCode(...head.subarray(0, 8)) !== "OpusHead" || head[18] !== 0) {
    throw new Error("the Opus configuration is malformed, or has more than two channels");
  }
  const fields = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const [preSkip, inputRate, gain] = [fields.getUint16(10, true), fields.getUint32(12, true), fields.getUint16(16, true)];
  return { codec: "opus", rate: 48000, channels: head[9], preSkip, inputRate, gain };
}

/** How many samples of 48 kHz a packet of Opus has, RFC 6716 §3.1. */
export function opusSamples(packet) {
  const mode = packet[0] >> 3;
  const lengths = mode < 12 ? [480, 960, 1920, 2880] : mode < 16 ? [480, 960, 480, 960] : [120, 240, 480, 960];
  const frames = [1, 2, 2, (packet[1] ?? 0) & 0x3f][packet[0] & 3];
  return lengths[mode & 3] * frames;
}

/** ITU-T H.264 §7.3.2.1.1: width and height in luma samples, cropped. */
function pictureSize(sps) {
  const bits = new Bits(unescape(sps.subarray(1)));
  const profile = bits.read(8);
  bits.read(16);
  bits.ue();
  let chroma = 1;
  if ([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].includes(profile)) {
    chroma = highProfile(bits);
  }
  bits.ue();
  skipPictureOrder(bits);
  bits.ue();
  bits.read(1);
  const columns = bits.ue() + 1;
  const rows = bits.ue() + 1;
  const frames = bits.read(1);
  if (!frames) bits.read(1);
  bits.read(1);
  const crop = bits.read(1) ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : [0, 0, 0, 0];
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (2 - frames);
  return {
    width: 16 * columns - unitX * (crop[0] + crop[1]),
    height: 16 * rows * (2 - frames) - unitY * (crop[2] + crop[3]),
  };
}

function highProfile(bits) {
  const chroma = bits.ue();
  if (chroma === 3) bits.read(1);
  bits.ue();
  bits.ue();
  bits.read(1);
  if (bits.read(1)) {
    for (let list = 0; list < (chroma === 3 ? 12 : 8); list++) {
      if (bits.read(1)) skipScalingList(bits, list < 6 ? 16 : 64);
    }
  }
  return chroma;
}

function skipScalingList(bits, size) {
  let last = 8;
  for (let next = 8, i = 0; i < size && next !== 0; i++) {
    next = (last + bits.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
}

function skipPictureOrder(bits) {
  const type = bits.ue();
  if (type === 0) {
    bits.ue();
  } else if (type === 1) {
    bits.read(1);
    bits.se();
    bits.se();
    for (let left = Math.min(bits.ue(), 255); left > 0; left--) bits.se();
  }
}

/** Takes the emulation prevention bytes out (§7.4.1). */
function unescape(bytes) {
  return bytes.filter((byte, i) => !(byte === 3 && i > 1 && bytes[i - 1] === 0 && bytes[i - 2] === 0));
}

class Bits {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  read(count) {
    let value = 0;
    for (; count > 0; count--) {
      if (this.#at >> 3 >= this.#bytes.length) throw new Error("a codec configuration ends too early");
      value = value * 2 + ((this.#bytes[this.#at >> 3] >> (7 - (this.#at & 7))) & 1);
      this.#at++;
    }
    return value;
  }

  /** Exp-Golomb, §9.1. */
  ue() {
    let zeros = 0;
    while (this.read(1) === 0) zeros++;
    return 2 ** zeros - 1 + this.read(zeros);
  }

  se() {
    const code = this.ue();
    return code & 1 ? (code + 1) / 2 : -code / 2;
  }
}

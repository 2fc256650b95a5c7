// How loud a local microphone is, for the meter and the speaking mark of our own tile.

const INTERVAL_MS = 100;
/** The mark stays on over the pauses between words. */
const HOLD_MS = 600;
const SPEAKING_DB = -45;

/** Calls `report({level, speaking})` ten times a second, level from 0 to 1. Returns a function that ends it. */
export function watchLevel(stream, report) {
  const [track] = stream.getAudioTracks();
  if (!track || !globalThis.AudioContext) return () => {};
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let last = -Infinity;
  // Some browsers let audio run only after the first touch or key.
  const wake = () => context.resume();
  addEventListener("pointerdown", wake, { once: true });
  addEventListener("keydown", wake, { once: true });
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const db = track.enabled ? 10 * Math.log10(power + 1e-10) : -100;
    const now = performance.now();
    if (db > SPEAKING_DB) last = now;
    report({ level: Math.min(1, Math.max(0, (db + 60) / 60)), speaking: now - last < HOLD_MS });
  }, INTERVAL_MS);
  return () => {
    clearInterval(timer);
    removeEventListener("pointerdown", wake);
    removeEventListener("keydown", wake);
    context.close();
  };
}

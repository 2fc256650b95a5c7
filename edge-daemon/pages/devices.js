// Camera and microphone: asking for them, listing them, and saying in plain words why one is missing.

import { options } from "./options.js";

/** No device of this kind. */
export const NONE = "none";
/** Whatever the browser thinks best. */
export const DEFAULT = "";

const REASONS = {
  NotAllowedError: "The browser was not allowed to use it. Allow it in the address bar, then choose it here.",
  NotFoundError: "None was found.",
  NotReadableError: "Another program is using it, or it is broken.",
  OverconstrainedError: "It cannot deliver the picture that was asked for.",
  AbortError: "It could not be started.",
};

/**
 * Opens what was chosen. One failing device does not take the other with it.
 * @returns {Promise<{stream: MediaStream, problems: string[]}>}
 */
export async function openDevices({ camera, microphone }) {
  const stream = new MediaStream();
  const problems = [];
  if (!navigator.mediaDevices) {
    const secure = "Browsers give pages camera and microphone only over https or on localhost.";
    return { stream, problems: camera === NONE && microphone === NONE ? [] : [secure] };
  }
  const wanted = {
    ...(microphone === NONE ? {} : { audio: audioConstraints(microphone) }),
    ...(camera === NONE ? {} : { video: videoConstraints(camera) }),
  };
  for (const part of await attempts(wanted)) {
    if (part.tracks) part.tracks.forEach((track) => stream.addTrack(track));
    else problems.push(`${part.kind === "video" ? "Camera" : "Microphone"}: ${explain(part.error)}`);
  }
  return { stream, problems };
}

/** The devices to choose from; labels are known once one was allowed. */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const of = (kind, name) =>
    all.filter((device) => device.kind === kind && device.deviceId)
      .map(({ deviceId, label }, i) => ({ id: deviceId, label: label || `${name} ${i + 1}` }));
  return { cameras: of("videoinput", "Camera"), microphones: of("audioinput", "Microphone") };
}

/** Both in one question to the user; one by one if that fails. */
async function attempts(wanted) {
  const kinds = Object.keys(wanted);
  if (kinds.length === 0) return [];
  const both = await open(wanted);
  if (both.tracks || kinds.length === 1) return [{ kind: kinds[0], ...both }];
  return Promise.all(kinds.map(async (kind) => ({ kind, ...(await open({ [kind]: wanted[kind] })) })));
}

async function open(constraints) {
  try {
    return { tracks: (await navigator.mediaDevices.getUserMedia(constraints)).getTracks() };
  } catch (error) {
    return { error };
  }
}

function audioConstraints(id) {
  const on = options.processing;
  return { ...device(id), echoCancellation: on, noiseSuppression: on, autoGainControl: on };
}

function videoConstraints(id) {
  const { width, height, fps } = options;
  return { ...device(id), width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps, max: fps } };
}

function device(id) {
  return id === DEFAULT ? {} : { deviceId: { exact: id } };
}

function explain(error) {
  return REASONS[error.name] ?? error.message;
}

// A kurento-room client made of kurento-jsonrpc and kurento-utils as they are, configured as KurentoRoom.js does.
// `join(...)` is called by the test; `window.lianmai.peers` has the shape that our own page gives its tests.
import { clients } from "kurento-jsonrpc";
import { WebRtcPeer } from "kurento-utils";

const peers = {};
const events = [];
let rpc;
let self;

function send(method, params) {
  return new Promise((resolve, reject) =>
    rpc.send(method, params, (error, result) => (error ? reject(new Error(`${method}: ${error.code} ${error.message}`)) : resolve(result))));
}

function video(name) {
  const element = document.createElement("video");
  Object.assign(element, { autoplay: true, playsInline: true, width: 320, height: 180, muted: name === self });
  element.dataset.user = name;
  document.getElementById("videos").append(element);
  return element;
}

function candidateSender(name) {
  return (candidate) =>
    send("onIceCandidate", {
      endpointName: name,
      candidate: candidate.candidate,
      sdpMid: candidate.sdpMid,
      sdpMLineIndex: candidate.sdpMLineIndex,
    });
}

async function negotiate(kind, name, options, exchange) {
  const element = video(name);
  const peer = await new Promise((resolve, reject) => {
    const made = kind({ ...options(element), onicecandidate: candidateSender(name) }, (error) => (error ? reject(error) : resolve(made)));
  });
  peers[name] = { pc: peer.peerConnection, peer, video: element };
  const offer = await new Promise((resolve, reject) => peer.generateOffer((error, sdp) => (error ? reject(error) : resolve(sdp))));
  const { sdpAnswer } = await exchange(offer);
  await new Promise((resolve, reject) => peer.processAnswer(sdpAnswer, (error) => (error ? reject(error) : resolve())));
}

function receive(name) {
  return negotiate(
    WebRtcPeer.WebRtcPeerRecvonly,
    name,
    (element) => ({ remoteVideo: element }),
    (sdpOffer) => send("receiveVideoFrom", { sender: `${name}_webcam`, sdpOffer }),
  );
}

// A picture that turns white for a tenth of each second of wall-clock time, and a tone that sounds meanwhile, in every browser of
// this machine at once.
function flashing({ width, height, fps, tone }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  setInterval(() => {
    context.fillStyle = Date.now() % 1000 < 100 ? "white" : "black";
    context.fillRect(0, 0, width, height);
    // Something has to change for every frame to be captured.
    context.fillStyle = "gray";
    context.fillRect(0, 0, 4 + (performance.now() % 8), 4);
  }, 1000 / fps / 2);
  const stream = canvas.captureStream(fps);
  stream.addTrack(beeping(tone).getAudioTracks()[0]);
  return stream;
}

function beeping(frequency) {
  const audio = new AudioContext();
  const gate = new GainNode(audio, { gain: 0 });
  const sink = audio.createMediaStreamDestination();
  const tone = new OscillatorNode(audio, { frequency });
  tone.connect(gate).connect(sink);
  tone.start();
  let planned = 0;
  setInterval(() => {
    const now = Date.now();
    const second = Math.ceil(now / 1000) * 1000;
    if (second === planned || second - now < 100) return;
    planned = second;
    const at = audio.currentTime + (second - now) / 1000;
    gate.gain.setValueAtTime(1, at);
    gate.gain.setValueAtTime(0, at + 0.1);
  }, 100);
  return sink.stream;
}

function publish(constraints, flash) {
  const media = flash ? { videoStream: flashing(flash) } : { mediaConstraints: constraints };
  return negotiate(
    WebRtcPeer.WebRtcPeerSendonly,
    self,
    (element) => ({ localVideo: element, ...media }),
    (sdpOffer) => send("publishVideo", { sdpOffer, doLoopback: false }),
  );
}

function drop(name) {
  peers[name]?.peer.dispose();
  peers[name]?.video.remove();
  delete peers[name];
}

const handlers = {
  participantPublished: ({ id }) => receive(id),
  participantUnpublished: ({ name }) => drop(name),
  participantLeft: ({ name }) => drop(name),
  iceCandidate: ({ endpointName, ...candidate }) => peers[endpointName]?.peer.addIceCandidate(candidate),
};

function notified(name) {
  return (params) => {
    events.push([name, params]);
    Promise.resolve(handlers[name]?.(params)).catch((error) => events.push(["failed", String(error)]));
  };
}

const NOTIFICATIONS = ["participantJoined", "participantPublished", "participantUnpublished", "participantLeft",
  "participantEvicted", "sendMessage", "iceCandidate", "mediaError", "custonNotification"];

function connect(uri) {
  return new Promise((resolve, reject) => {
    rpc = new clients.JsonRpcClient({
      heartbeat: 3000,
      sendCloseMessage: false,
      ws: { uri, useSockJS: false, onconnected: (error) => (error ? reject(error) : resolve()), ondisconnect: () => events.push(["disconnected"]) },
      rpc: { requestTimeout: 15000, ...Object.fromEntries(NOTIFICATIONS.map((name) => [name, notified(name)])) },
    });
  });
}

window.lianmai = {
  peers,
  events,
  send,
  async join({ uri, room, user, constraints, flash }) {
    self = user;
    await connect(uri);
    const { value } = await send("joinRoom", { user, room, dataChannels: false });
    await publish(constraints, flash);
    await Promise.all(value.filter(({ streams }) => streams?.length).map(({ id }) => receive(id)));
  },
  async leave() {
    await send("leaveRoom", {});
    rpc.close();
    Object.keys(peers).forEach(drop);
  },
};

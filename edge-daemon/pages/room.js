// The kurento-room protocol as this page needs it: join, publish, receive, chat, leave, and come back after a break.

import { Peer } from "./peer.js";
import { Rpc } from "./rpc.js";

const PING_MS = 5000;
/** The edge keeps a participant without a socket for 10 s. */
const REATTACH_MS = 9500;
const RETRY_MS = [0, 500, 1000, 2000, 3000];
const UNKNOWN_SESSION = 40007;
const NAME_TAKEN = 104;

/**
 * Events:
 * `state` — joining, joined, reconnecting, left;
 * `member` and `gone` (detail: name) — participants other than us;
 * `peer` (detail: {user, peer, stream}) — a connection began, ours or another's; `unpeer` (detail: user);
 * `speaking` (detail: {user, speaking}); `chat` (detail: {user, message}); `notice` (detail: text);
 * `ended` (detail: why) — we were put out.
 */
export class Room extends EventTarget {
  state = "joining";
  peers = new Map();
  members = new Set();
  #url;
  #user;
  #room;
  #media;
  #codec;
  #rpc = null;
  #session = null;
  #pinger = null;

  /** `media` is the MediaStream to publish, or null to watch only; `codec` the MIME type of its video, or whatever fits. */
  constructor({ url, user, room, media, codec }) {
    super();
    this.#url = url;
    this.#user = user;
    this.#room = room;
    this.#media = media;
    this.#codec = codec;
  }

  /** Rejects when the edge refuses or cannot be reached. */
  async join() {
    this.#attach(await Rpc.open(this.#url));
    try {
      await this.#enter();
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async leave() {
    const rpc = this.#rpc;
    this.#end();
    await rpc?.call("leaveRoom").catch(() => {});
    rpc?.close();
  }

  say(message) {
    return this.#rpc.call("sendMessage", { userMessage: this.#user, roomMessage: this.#room, message });
  }

  /** Closes the WebSocket as a broken network would. For tests. */
  interrupt() {
    this.#rpc?.close();
  }

  async #enter() {
    this.#keepAlive();
    const params = { user: this.#user, room: this.#room, dataChannels: false, capabilities: ["activeSpeaker"] };
    const { value = [], sessionId } = await this.#rpc.call("joinRoom", params);
    this.#session = sessionId;
    this.#become("joined");
    if (this.#media) this.#publish();
    for (const { id, streams = [] } of value) {
      this.#member(id);
      if (streams.length > 0) this.#receive(id);
    }
  }

  #attach(rpc) {
    this.#rpc = rpc;
    rpc.addEventListener("notification", ({ detail }) => this.#notified(detail));
    rpc.addEventListener("close", () => rpc === this.#rpc && this.#lost());
  }

  /** The edge takes the interval from the first ping of the session on this socket. */
  #keepAlive() {
    const rpc = this.#rpc;
    let first = true;
    const ping = () => {
      const params = first ? { interval: PING_MS } : undefined;
      first = false;
      // A ping without an answer means that the socket is dead, whatever it thinks of itself.
      rpc.call("ping", params).catch(() => rpc.close());
    };
    clearInterval(this.#pinger);
    this.#pinger = setInterval(ping, PING_MS);
    ping();
  }

  async #lost() {
    clearInterval(this.#pinger);
    if (this.state !== "joined") return;
    this.#become("reconnecting");
    const since = performance.now();
    for (let attempt = 0; this.state === "reconnecting"; attempt++) {
      await pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
      if (this.state !== "reconnecting") return;
      try {
        await this.#comeBack(performance.now() - since < REATTACH_MS);
        return;
      } catch (error) {
        if (error.code !== undefined && error.code !== NAME_TAKEN) return this.#putOut(error.message);
      }
    }
  }

  async #comeBack(inTime) {
    const rpc = await Rpc.open(this.#url);
    if (inTime && this.#session && (await this.#reattached(rpc))) return;
    this.#forgetPeers();
    this.#attach(rpc);
    await this.#enter().catch((error) => {
      this.#rpc = null;
      rpc.close();
      throw error;
    });
  }

  /** Media goes on during all this: only the socket was lost. */
  async #reattached(rpc) {
    // Notifications that were missed come right after the answer, so the listeners must be there before.
    this.#attach(rpc);
    try {
      await rpc.call("connect", { sessionId: this.#session });
      this.#keepAlive();
      this.#become("joined");
      return true;
    } catch (error) {
      if (error.code === UNKNOWN_SESSION) return false;
      this.#rpc = null;
      rpc.close();
      throw new Error(error.message);
    }
  }

  #notified({ method, params }) {
    const emit = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
    switch (method) {
      case "participantJoined":
        return this.#member(params.id);
      case "participantPublished":
        this.#member(params.id);
        return this.#receive(params.id);
      case "participantUnpublished":
        return this.#drop(params.name);
      case "participantLeft":
        this.#drop(params.name);
        return this.members.delete(params.name) && emit("gone", params.name);
      case "iceCandidate":
        return this.peers.get(params.endpointName)?.candidate({
          candidate: params.candidate,
          sdpMid: params.sdpMid,
          sdpMLineIndex: params.sdpMLineIndex,
        });
      case "activeSpeaker":
        return emit("speaking", { user: params.id, speaking: params.speaking });
      case "sendMessage":
        return emit("chat", { user: params.user, message: params.message });
      case "mediaError":
        return emit("notice", params.error);
      case "participantEvicted":
        return this.#putOut("You were removed from the room.");
      case "roomClosed":
        return this.#putOut("The room was closed.");
    }
  }

  #member(name) {
    if (this.members.has(name)) return;
    this.members.add(name);
    this.dispatchEvent(new CustomEvent("member", { detail: name }));
  }

  #publish() {
    const prepare = (pc) => {
      for (const kind of ["audio", "video"]) {
        const [track] = this.#media.getTracks().filter((candidate) => candidate.kind === kind);
        const transceiver = pc.addTransceiver(track ?? kind, { direction: "sendonly", streams: [this.#media] });
        if (kind === "video" && this.#codec) transceiver.setCodecPreferences(only(this.#codec));
      }
    };
    this.#start(this.#user, this.#media, prepare, {
      offer: async (sdpOffer) => (await this.#rpc.call("publishVideo", { sdpOffer, doLoopback: false })).sdpAnswer,
      release: () => this.#rpc.call("unpublishVideo"),
    });
  }

  #receive(user) {
    if (this.peers.has(user)) return;
    const stream = new MediaStream();
    const prepare = (pc) => {
      stream.getTracks().forEach((track) => stream.removeTrack(track));
      pc.addEventListener("track", ({ track }) => stream.addTrack(track));
      pc.addTransceiver("audio", { direction: "recvonly" });
      pc.addTransceiver("video", { direction: "recvonly" });
    };
    const sender = `${user}_webcam`;
    this.#start(user, stream, prepare, {
      offer: async (sdpOffer) => (await this.#rpc.call("receiveVideoFrom", { sender, sdpOffer })).sdpAnswer,
      release: () => this.#rpc.call("unsubscribeFromVideo", { sender }),
    });
  }

  #start(user, stream, prepare, signal) {
    const candidate = ({ candidate, sdpMid, sdpMLineIndex }) =>
      this.#rpc.call("onIceCandidate", { endpointName: user, candidate, sdpMid, sdpMLineIndex });
    const peer = new Peer({ ...signal, candidate }, prepare);
    this.peers.set(user, peer);
    this.dispatchEvent(new CustomEvent("peer", { detail: { user, peer, stream } }));
    peer.start();
  }

  #drop(user) {
    this.peers.get(user)?.close();
    if (this.peers.delete(user)) this.dispatchEvent(new CustomEvent("unpeer", { detail: user }));
  }

  #forgetPeers() {
    for (const user of [...this.peers.keys()]) this.#drop(user);
    for (const name of [...this.members]) {
      this.members.delete(name);
      this.dispatchEvent(new CustomEvent("gone", { detail: name }));
    }
  }

  #putOut(why) {
    if (this.state === "left") return;
    const rpc = this.#rpc;
    this.#end();
    rpc?.close();
    this.dispatchEvent(new CustomEvent("ended", { detail: why }));
  }

  #end() {
    clearInterval(this.#pinger);
    this.#rpc = null;
    this.#become("left");
    this.#forgetPeers();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** A video codec that this browser sends, with what repairs its losses. */
function only(mimeType) {
  const { codecs } = RTCRtpSender.getCapabilities("video");
  const wanted = codecs.filter((codec) => codec.mimeType.toLowerCase() === mimeType.toLowerCase());
  if (wanted.length === 0) throw new Error(`this browser sends no ${mimeType}`);
  return [...wanted, ...codecs.filter((codec) => codec.mimeType === "video/rtx")];
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

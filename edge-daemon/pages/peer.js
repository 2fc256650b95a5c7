// One PeerConnection for one stream: ours to the edge, or another's from it. The client offers, the edge answers, and
// nothing is renegotiated; a broken connection is replaced by a new one.

/** How often a broken connection is tried again by itself, and after which waits. */
const RETRY_MS = [1000, 3000, 8000];
/** ICE and DTLS take a second or two; when they take longer than this, the reason is worth telling. */
const CONNECT_LIMIT_MS = 12000;

/**
 * Events: `change` when `state` or `reason` did. States: connecting, connected, interrupted, failed, closed.
 *
 * `signal` has three async functions: `offer(sdp)` returns the answer's SDP, `candidate(candidate)`, and `release()`,
 * which tells the edge to forget the connection before it is tried again.
 */
export class Peer extends EventTarget {
  state = "connecting";
  reason = "";
  pc = null;
  #signal;
  #prepare;
  #attempt = 0;
  #wasConnected = false;
  #early = [];
  #timers = [];

  /** `prepare(pc)` adds the transceivers of each new connection. */
  constructor(signal, prepare) {
    super();
    this.#signal = signal;
    this.#prepare = prepare;
  }

  /** Never rejects: what goes wrong is in `state` and `reason`. */
  async start() {
    const pc = (this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    this.#wasConnected = false;
    // While it is tried again, what went wrong stays readable.
    this.#become("connecting", this.reason);
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) this.#signal.candidate(candidate).catch(() => {});
    });
    pc.addEventListener("connectionstatechange", () => this.#follow(pc));
    this.#timers.push(setTimeout(() => this.#overdue(pc), CONNECT_LIMIT_MS));
    try {
      this.#prepare(pc);
      await pc.setLocalDescription(await pc.createOffer());
      const sdp = await this.#signal.offer(pc.localDescription.sdp);
      if (pc !== this.pc) return;
      await pc.setRemoteDescription({ type: "answer", sdp });
      for (const candidate of this.#early.splice(0)) await this.#add(candidate);
    } catch (error) {
      if (pc === this.pc) this.#fail(error.message);
    }
  }

  /** A candidate of the edge; it may come before its answer. */
  async candidate(candidate) {
    if (this.pc?.remoteDescription) await this.#add(candidate);
    else if (this.#early.length < 64) this.#early.push(candidate);
  }

  /** Forgets the broken connection and makes another. */
  async retry() {
    this.#drop();
    // The edge may have forgotten it already.
    await this.#signal.release().catch(() => {});
    if (this.state !== "closed") await this.start();
  }

  close() {
    this.#become("closed");
    this.#drop();
  }

  #drop() {
    this.#timers.splice(0).forEach(clearTimeout);
    this.#early = [];
    this.pc?.close();
    this.pc = null;
  }

  async #add(candidate) {
    // An edge's candidate that this browser cannot use is no reason to give up.
    await this.pc?.addIceCandidate(candidate).catch(() => {});
  }

  #follow(pc) {
    if (pc !== this.pc) return;
    switch (pc.connectionState) {
      case "connected":
        this.#attempt = 0;
        this.#wasConnected = true;
        this.#become("connected");
        break;
      case "disconnected":
        this.#become("interrupted", "No packets are getting through. Waiting for the network…");
        break;
      case "failed":
        this.#fail(this.#diagnosis(pc));
        break;
    }
  }

  #overdue(pc) {
    if (pc === this.pc && !this.#wasConnected && this.state === "connecting") this.#fail(this.#diagnosis(pc));
  }

  #diagnosis(pc) {
    const target = addresses(pc.remoteDescription?.sdp).join(" or ") || "the edge";
    if (["connected", "completed"].includes(pc.iceConnectionState)) {
      return `Packets reach ${target}, but the encrypted connection could not be set up. Reload the page; if that does not help, tell the operator.`;
    }
    if (this.#wasConnected) return `The connection to ${target} broke. Check your network.`;
    return `UDP packets to ${target} get no answer. A firewall may block UDP, or that address cannot be reached from here: try another network, or ask the operator to advertise another address.`;
  }

  #fail(reason) {
    const wait = RETRY_MS[this.#attempt++];
    this.#become("failed", reason);
    if (wait !== undefined) this.#timers.push(setTimeout(() => this.state === "failed" && this.retry(), wait));
  }

  #become(state, reason = "") {
    if (this.state === "closed") return;
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("change"));
  }
}

/** Where the edge says that it is (RFC 8839 §5.1). */
function addresses(sdp = "") {
  const found = sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ/gim);
  return [...new Set([...found].map(([, host, port]) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)))];
}

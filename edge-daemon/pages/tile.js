// One participant on the stage: picture, name, speaking mark, state of its connection and what to do about it.

import { element } from "./dom.js";

const TEXT = {
  watching: "Watching, sends nothing",
  connecting: "Connecting…",
  again: "Trying again…",
  connected: "",
  interrupted: "Interrupted",
  failed: "Not connected",
  closed: "",
};

export class Tile {
  node;
  video;
  #state;
  #reason;
  #retry;
  #sound;
  #peer = null;

  constructor(user, { local = false } = {}) {
    this.video = element("video", { autoplay: true, playsinline: true, muted: local, "aria-label": `Picture of ${user}` });
    // The attribute sets only the default; autoplay rules look at the property.
    this.video.muted = local;
    this.#state = element("p", { class: "tile-state" });
    this.#reason = element("p", { class: "tile-reason" });
    this.#retry = element("button", { type: "button", hidden: true, onclick: () => this.#peer?.retry() }, "Try again");
    this.#sound = element("button", { type: "button", hidden: true, class: "primary" }, "Hear and see");
    const name = element("p", { class: "tile-name" },
      element("span", { class: "mark", "aria-hidden": "true" }),
      local ? `${user} (you)` : user,
      element("span", { class: "mark-text visually-hidden" }),
      element("span", { class: "muted-text" }, "muted"));
    this.node = element("li", { class: "tile", "data-user": user, "data-state": "watching", "data-local": local },
      this.video,
      element("div", { class: "tile-problem", role: "status" }, this.#state, this.#reason, this.#retry, this.#sound),
      name);
    this.#show("watching", "");
  }

  /** Shows this stream and follows the connection that carries it. */
  connect(peer, stream) {
    this.#peer = peer;
    this.video.srcObject = stream;
    const follow = () => peer === this.#peer && this.#show(peer.state, peer.reason);
    peer.addEventListener("change", follow);
    // Tracks are added later; some browsers then want to be told to play.
    stream.addEventListener("addtrack", () => this.play());
    this.play();
    follow();
  }

  disconnect() {
    this.#peer = null;
    this.video.srcObject = null;
    this.#show("watching", "");
  }

  set speaking(speaking) {
    this.node.toggleAttribute("data-speaking", speaking);
    this.node.querySelector(".mark-text").textContent = speaking ? " is speaking" : "";
  }

  get pc() {
    return this.#peer?.pc ?? null;
  }

  /** Whether the browser waits for a click. */
  get blocked() {
    return !this.#sound.hidden;
  }

  /** Browsers may refuse sound before the first click on the page. */
  async play() {
    try {
      await this.video.play();
      this.#sound.hidden = true;
    } catch (error) {
      this.#sound.hidden = error.name !== "NotAllowedError";
    }
  }

  #show(state, reason) {
    this.node.dataset.state = state;
    this.#state.textContent = TEXT[state === "connecting" && reason ? "again" : state];
    this.#reason.textContent = reason;
    this.#retry.hidden = state !== "failed";
  }
}

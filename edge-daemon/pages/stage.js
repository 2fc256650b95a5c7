// All tiles, and how many of them stand side by side.

import { Tile } from "./tile.js";

export class Stage {
  #list;
  #tiles = new Map();

  constructor(list) {
    this.#list = list;
    // One click on the page is the consent that browsers want for the sound of all.
    document.addEventListener("click", () => this.#tiles.forEach((tile) => tile.blocked && tile.play()));
  }

  add(user, kind) {
    if (this.#tiles.has(user)) return;
    const tile = new Tile(user, kind);
    this.#tiles.set(user, tile);
    this.#list.append(tile.node);
    this.#arrange();
  }

  remove(user) {
    this.#tiles.get(user)?.node.remove();
    this.#tiles.delete(user);
    this.#arrange();
  }

  clear() {
    for (const user of [...this.#tiles.keys()]) this.remove(user);
  }

  connect(user, peer, stream) {
    this.#tiles.get(user)?.connect(peer, stream);
  }

  disconnect(user) {
    this.#tiles.get(user)?.disconnect();
  }

  speaking(user, speaking) {
    const tile = this.#tiles.get(user);
    if (tile) tile.speaking = speaking;
  }

  muted(user, muted) {
    this.#tiles.get(user)?.node.toggleAttribute("data-muted", muted);
  }

  /** By user name: {pc, video}. */
  peers() {
    const peers = Object.create(null);
    for (const [user, tile] of this.#tiles) {
      if (tile.pc) peers[user] = { pc: tile.pc, video: tile.video };
    }
    return peers;
  }

  #arrange() {
    const count = Math.max(1, this.#tiles.size);
    const columns = Math.ceil(Math.sqrt(count));
    this.#list.style.setProperty("--columns", columns);
    this.#list.style.setProperty("--rows", Math.ceil(count / columns));
    this.#list.toggleAttribute("data-many", count > 2);
  }
}

// Chat beside the stage: a log and a line to write in.

import { byId, element } from "./dom.js";

/** Older lines go. */
const MAX_LINES = 200;

export class Chat {
  #send = null;

  constructor() {
    byId("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Starts empty; `send` takes a text and returns a promise. */
  open(send) {
    this.#send = send;
    byId("chat-log").replaceChildren();
  }

  add(user, message) {
    const line = element("p", {}, element("b", {}, `${user}: `), message);
    const log = byId("chat-log");
    log.append(line);
    while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  }

  async #submit() {
    const input = byId("chat-text");
    const text = input.value.trim();
    if (text === "") return;
    input.value = "";
    try {
      await this.#send?.(text);
    } catch (error) {
      input.value = text;
      byId("notice").textContent = `Not sent: ${error.message}`;
    }
  }
}

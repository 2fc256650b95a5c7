// JSON-RPC 2.0 over one WebSocket, as kurento-room speaks it: requests with integer ids from here, notifications from
// the server. A socket is used once; whoever wants another makes another Rpc.

const TIMEOUT_MS = 15000;

export class RpcError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Events: `notification` (detail: {method, params}), `close` (detail: reason), once. */
export class Rpc extends EventTarget {
  #socket;
  #next = 1;
  #pending = new Map();
  #closed = false;

  /** Resolves when the socket is open. */
  static open(url) {
    return new Promise((resolve, reject) => {
      const rpc = new Rpc(new WebSocket(url));
      rpc.#socket.addEventListener("open", () => resolve(rpc), { once: true });
      rpc.addEventListener("close", () => reject(new Error("the edge does not answer")), { once: true });
    });
  }

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#receive(event.data));
    socket.addEventListener("close", (event) => this.#end(event.reason));
  }

  call(method, params = {}) {
    if (this.#closed) return Promise.reject(new Error("the connection to the edge is closed"));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`the edge did not answer ${method} in time`));
      }, TIMEOUT_MS);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  close() {
    this.#socket.close(1000);
    // A dead network would delay the event by a minute.
    this.#end("");
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.method !== undefined) {
      const { method, params = {} } = message;
      this.dispatchEvent(new CustomEvent("notification", { detail: { method, params } }));
      return;
    }
    const waiting = this.#pending.get(message.id);
    if (!waiting) return;
    this.#pending.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) waiting.reject(new RpcError(message.error.code, message.error.message));
    else waiting.resolve(message.result ?? {});
  }

  #end(reason) {
    if (this.#closed) return;
    this.#closed = true;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error("the connection to the edge broke"));
    }
    this.#pending.clear();
    this.dispatchEvent(new CustomEvent("close", { detail: reason }));
  }
}

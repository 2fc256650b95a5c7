// A conversation of two clients with an edge, both of them kurento-jsonrpc as it comes from npm, in Node.
// Usage: node conversation.mjs ws://127.0.0.1:PORT/room. Ends with 0 when all went as the protocol says.
import assert from "node:assert/strict";
import jsonrpc from "kurento-jsonrpc";

const uri = process.argv[2];
const EVENTS = ["participantJoined", "participantPublished", "participantUnpublished", "participantLeft",
  "participantEvicted", "sendMessage", "iceCandidate", "mediaError"];

function client() {
  const events = [];
  const waiting = [];
  const take = (name) => {
    const at = events.findIndex(([event]) => event === name);
    return at < 0 ? undefined : events.splice(at, 1)[0][1];
  };
  const heard = (name) => (params = {}) => {
    events.push([name, params]);
    waiting.splice(0).forEach((look) => look());
  };
  return new Promise((resolve, reject) => {
    const rpc = new jsonrpc.clients.JsonRpcClient({
      heartbeat: 3000,
      sendCloseMessage: false,
      ws: {
        uri,
        useSockJS: false,
        onconnected: (error) => (error ? reject(error) : resolve(self)),
        onreconnecting: heard("disconnected"),
      },
      rpc: { requestTimeout: 15000, ...Object.fromEntries(EVENTS.map((name) => [name, heard(name)])) },
    });
    const self = {
      close: () => rpc.close(),
      ask: (method, params) =>
        new Promise((resolve, reject) => rpc.send(method, params, (error, result) => (error ? reject(error) : resolve(result)))),
      refused: (method, params) => self.ask(method, params).then(
        (result) => assert.fail(`${method} was not refused: ${JSON.stringify(result)}`),
        (error) => error.code,
      ),
      async event(name) {
        const deadline = setTimeout(() => { throw new Error(`no ${name}`); }, 10_000);
        for (;;) {
          const found = take(name);
          if (found !== undefined) {
            clearTimeout(deadline);
            return found;
          }
          await new Promise((resolve) => waiting.push(resolve));
        }
      },
    };
  });
}

const ann = await client();
const bob = await client();
assert.equal((await ann.ask("ping", { interval: 3000 })).value, "pong");
assert.equal(await ann.refused("publishVideo", { sdpOffer: "v=0", doLoopback: false }), 102, "before joining");
const joined = await ann.ask("joinRoom", { user: "ann", room: "talk", dataChannels: false });
assert.deepEqual(joined.value, []);
assert.match(joined.sessionId, /^.{20,}$/);
assert.equal(await bob.refused("joinRoom", { user: "ann", room: "talk" }), 104, "a name in use");
assert.equal(await bob.refused("joinRoom", { user: "", room: "talk" }), 999, "an empty name");
assert.equal(await bob.refused("joinRoom", { user: "bob" }), -1, "a missing parameter");
assert.deepEqual((await bob.ask("joinRoom", { user: "bob", room: "talk" })).value, [{ id: "ann", streams: [] }]);
assert.equal((await ann.event("participantJoined")).id, "bob");
await bob.ask("sendMessage", { userMessage: "bob", roomMessage: "talk", message: "hello" });
for (const one of [ann, bob]) {
  assert.deepEqual(await one.event("sendMessage"), { room: "talk", user: "bob", message: "hello" });
}
assert.equal(await bob.refused("sendMessage", { userMessage: "ann", roomMessage: "talk", message: "x" }), 102, "another's name");
assert.equal(await bob.refused("sendMessage", { userMessage: "bob", roomMessage: "elsewhere", message: "x" }), 202, "another room");
assert.equal(await bob.refused("publishVideo", { sdpOffer: "this is not SDP", doLoopback: false }), 302, "no SDP");
assert.equal(await bob.refused("receiveVideoFrom", { sender: "ann_webcam", sdpOffer: "v=0" }), 105, "nobody publishes");
assert.equal(await bob.refused("receiveVideoFrom", { sender: "eve_webcam", sdpOffer: "v=0" }), 102, "nobody of this name");
assert.equal(await bob.refused("unpublishVideo", {}), 105, "nothing to unpublish");
assert.equal(await bob.refused("customRequest", {}), -1, "unsupported");
assert.equal(await bob.refused("noSuchMethod", {}), -32601, "unknown");
await bob.ask("leaveRoom", {});
assert.equal((await ann.event("participantLeft")).name, "bob");
await bob.event("disconnected");
ann.close();
console.log("the conversation went as the protocol says");
process.exit(0);

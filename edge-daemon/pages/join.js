// The join page: the lobby with its preview, and the stage with its tiles.

import { Chat } from "./chat.js";
import { DEFAULT, NONE, listDevices, openDevices } from "./devices.js";
import { announce, byId, element } from "./dom.js";
import { watchLevel } from "./level.js";
import { options } from "./options.js";
import { Room } from "./room.js";
import { Stage } from "./stage.js";

const CONNECTION = {
  idle: "",
  joining: "Joining…",
  joined: "Connected",
  reconnecting: "Connection to the edge lost. Reconnecting…",
  left: "",
};

const stage = new Stage(byId("tiles"));
const chat = new Chat();
let media = new MediaStream();
let stopLevel = () => {};
let opening = Promise.resolve();
let room = null;
let me = "";

// ---- lobby

function chosen() {
  return { camera: byId("camera").value, microphone: byId("microphone").value };
}

async function openMedia() {
  stopLevel();
  media.getTracks().forEach((track) => track.stop());
  const { stream, problems } = await openDevices(chosen());
  media = stream;
  byId("preview").srcObject = stream;
  byId("preview-note").textContent = note(problems);
  byId("preview-box").toggleAttribute("data-video", stream.getVideoTracks().length > 0);
  stopLevel = watchLevel(stream, showLevel);
  await listChoices();
}

function note(problems) {
  if (problems.length > 0) return problems.join(" ");
  if (media.getTracks().length === 0) return "Without camera and microphone you join as a viewer.";
  return media.getVideoTracks().length === 0 ? "Camera is off." : "";
}

function showLevel({ level, speaking }) {
  byId("preview-level").value = level;
  stage.speaking(me, speaking);
}

async function listChoices() {
  const { cameras, microphones } = await listDevices();
  fill(byId("camera"), cameras, "No camera");
  fill(byId("microphone"), microphones, "No microphone");
}

function fill(select, devices, none) {
  const value = select.value;
  const choices = [{ id: DEFAULT, label: "Default" }, ...devices.filter((device) => device.id !== "default"), { id: NONE, label: none }];
  select.replaceChildren(...choices.map(({ id, label }) => element("option", { value: id }, label)));
  select.value = choices.some(({ id }) => id === value) ? value : DEFAULT;
}

// ---- stage

async function join(event) {
  event?.preventDefault();
  if (room) return;
  me = byId("name").value.trim();
  const roomName = byId("room").value.trim();
  byId("join-error").textContent = "";
  byId("join").disabled = true;
  await opening;
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/room`;
  const tracks = media.getTracks().length > 0 ? media : null;
  room = new Room({ url, user: me, room: roomName, media: tracks, codec: options.codec });
  follow(room);
  enter(roomName);
  try {
    await room.join();
    announce(`You joined ${roomName}.`);
  } catch (error) {
    exit(`Could not join: ${error.message}`);
  }
}

function follow(it) {
  const on = (type, act) => it.addEventListener(type, ({ detail }) => it === room && act(detail));
  on("state", showConnection);
  on("member", (user) => {
    stage.add(user);
    announce(`${user} joined.`);
  });
  on("gone", (user) => {
    stage.remove(user);
    announce(`${user} left.`);
  });
  on("peer", ({ user, peer, stream }) => stage.connect(user, peer, stream));
  on("unpeer", (user) => stage.disconnect(user));
  on("speaking", ({ user, speaking }) => user !== me && stage.speaking(user, speaking));
  on("chat", ({ user, message }) => chat.add(user, message));
  on("notice", (text) => (byId("notice").textContent = text));
  on("ended", exit);
}

function enter(roomName) {
  document.title = `${roomName} · Lianmai`;
  byId("lobby").hidden = true;
  byId("stage").hidden = false;
  byId("room-title").textContent = roomName;
  byId("watch").href = `/watch/${encodeURIComponent(roomName)}`;
  stage.add(me, { local: true });
  chat.open((message) => room.say(message));
  showTrackButtons();
  showConnection();
  byId("room-title").focus();
}

/** Back to the lobby, with a reason or without. */
function exit(reason) {
  room = null;
  stage.clear();
  byId("lobby").hidden = false;
  byId("stage").hidden = true;
  byId("join").disabled = false;
  byId("join-error").textContent = reason ?? "";
  byId("notice").textContent = "";
  showConnection();
  byId("join").focus();
}

async function leave() {
  const leaving = room;
  exit();
  announce("You left the room.");
  await leaving?.leave();
}

function showConnection() {
  const state = room?.state ?? "idle";
  byId("connection").dataset.state = state;
  byId("connection").textContent = CONNECTION[state];
}

function toggle(kind) {
  const tracks = media.getTracks().filter((track) => track.kind === kind);
  tracks.forEach((track) => (track.enabled = !track.enabled));
  showTrackButtons();
}

function showTrackButtons() {
  for (const [id, kind, name] of [["mute", "audio", "Microphone"], ["hide", "video", "Camera"]]) {
    const [track] = media.getTracks().filter((candidate) => candidate.kind === kind);
    const on = Boolean(track?.enabled);
    byId(id).disabled = !track;
    byId(id).setAttribute("aria-pressed", String(on));
    byId(id).textContent = track ? `${name} ${on ? "on" : "off"}` : `No ${name.toLowerCase()}`;
  }
  const audio = media.getAudioTracks();
  stage.muted(me, audio.length > 0 && audio.every((track) => !track.enabled));
}

// ---- start

byId("name").value = options.name || (sessionStorage.getItem("name") ?? "");
byId("room").value = options.room;
byId("form").addEventListener("submit", (event) => {
  sessionStorage.setItem("name", byId("name").value);
  join(event);
});
byId("camera").addEventListener("change", () => (opening = openMedia()));
byId("microphone").addEventListener("change", () => (opening = openMedia()));
byId("mute").addEventListener("click", () => toggle("audio"));
byId("hide").addEventListener("click", () => toggle("video"));
byId("leave").addEventListener("click", leave);
addEventListener("pagehide", () => room?.leave());
// A page restored from the back/forward cache has left its room.
addEventListener("pageshow", (event) => event.persisted && location.reload());
navigator.mediaDevices?.addEventListener?.("devicechange", listChoices);

/** Read-only, for tests: `lianmai.peers.alice.pc`, `.video`. `interrupt()` breaks the signalling socket. */
window.lianmai = Object.freeze({
  get state() {
    return room?.state ?? "idle";
  },
  get user() {
    return me;
  },
  get peers() {
    return stage.peers();
  },
  interrupt: () => room?.interrupt(),
});

fill(byId("camera"), [], "No camera");
fill(byId("microphone"), [], "No microphone");
if (!options.camera) byId("camera").value = NONE;
if (!options.microphone) byId("microphone").value = NONE;
// A <video> without data would hold the page's load event back.
if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve));
opening = openMedia();
if (options.autojoin && options.name && options.room) join();

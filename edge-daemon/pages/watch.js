// The watch page: the mixed stream of one room.

import { byId } from "./dom.js";
import { LivePlayer } from "./player.js";

const TEXT = {
  connecting: "Connecting…",
  offline: "Nobody is live in this room yet. The stream starts here by itself.",
  playing: "Live",
  waiting: "The stream pauses. It goes on here by itself.",
  blocked: "Press play to watch.",
  broken: "The stream broke off. Connecting again…",
  unsupported: "This browser cannot play the stream.",
};

const room = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const video = byId("screen");
const player = new LivePlayer(video, `/live/${encodeURIComponent(room)}.flv`);

document.title = `${room} · Lianmai`;
byId("room-name").textContent = room;
byId("join").href = `/?room=${encodeURIComponent(room)}`;

function show() {
  const { state, reason } = player;
  byId("player").dataset.state = state;
  byId("state").textContent = reason && state !== "blocked" ? `${TEXT[state]} (${reason})` : TEXT[state];
  byId("play").hidden = state !== "blocked";
  const shown = state === "playing" || state === "waiting";
  byId("sound").hidden = !shown;
  byId("full").hidden = !shown || !byId("player").requestFullscreen;
}

function showSound() {
  byId("sound").textContent = video.muted ? "Unmute" : "Mute";
  byId("sound").classList.toggle("primary", video.muted);
}

player.addEventListener("change", show);
video.addEventListener("volumechange", showSound);
byId("play").addEventListener("click", () => player.play());
byId("sound").addEventListener("click", () => (video.muted = !video.muted));
byId("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("player").requestFullscreen();
});
addEventListener("pagehide", () => player.stop());
// A page restored from the back/forward cache has no connection any more.
addEventListener("pageshow", (event) => event.persisted && location.reload());

window.lianmai = Object.freeze({
  get state() {
    return player.state;
  },
  get counters() {
    return { ...player.counters };
  },
});

show();
showSound();
player.run();

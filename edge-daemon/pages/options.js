// What the page's address asks for:
// ?room= &name=      fill the form in
// &autojoin=1        join at once
// &width= &height= &fps=   ask the camera for this picture
// &processing=off    no echo cancellation, noise suppression, gain control
// &camera=off &microphone=off   join without
// &codec=vp8         send VP8, for a room where somebody cannot decode H.264; or h264, and nothing else

const query = new URLSearchParams(location.search);

const number = (name, otherwise) => {
  const value = Number(query.get(name));
  return Number.isFinite(value) && value > 0 ? value : otherwise;
};

export const options = Object.freeze({
  room: query.get("room") ?? "",
  name: query.get("name") ?? "",
  autojoin: query.get("autojoin") === "1",
  width: number("width", 640),
  height: number("height", 360),
  fps: number("fps", 30),
  codec: { vp8: "video/VP8", h264: "video/H264" }[query.get("codec")],
  processing: query.get("processing") !== "off",
  camera: query.get("camera") !== "off",
  microphone: query.get("microphone") !== "off",
});

import { tellWorth, watchMachine } from "./about.js";
import { place } from "./areas.js";
import { classroom, largeLetters } from "./classroom.js";
import { Crowd } from "./crowd.js";
import { colourOf, paint, plot } from "./draw.js";
import { ask, pause, post, Refusal } from "./talk.js";
import { keepForTraining } from "./training.js";

const LAST = 120; // frames in the plot
const RETRY = 1000; // milliseconds
const STATE_EVERY = 1000;
const BOXES_EVERY = 100;
const at = (id) => document.getElementById(id);
const view = at("view"), canvas = at("canvas");
const parts = { line: at("latency-line"), area: at("latency-area"), inference: at("inference-line") };

const crowd = new Crowd(at("found"), at("nothing"));
const MANY = 12; // names: a field to search in them
const own = { shown: null, state: null, frames: [], hidden: new Set(), still: false, connected: false, trouble: "connecting …" };
// `shown` is what is on the canvas: { bitmap, data, since }; `still` while it is the visitor's own picture

const CURRENT_FOR = 5; // seconds, until the server says how long
const least = () => Number(at("threshold").value);
const wanted = (each) => each.score >= least() - 1e-9 && !own.hidden.has(each.name);

/** The age of what is on the canvas, in seconds. */
const age = () => (Date.now() - own.shown.since) / 1000;

/** Whether what is on the canvas no longer shows what is there now. */
function stale() {
  const { state, shown, still, trouble } = own;
  if (!shown || still) return false;
  if (trouble || !state) return age() > CURRENT_FOR;
  if (state.paused) return false;
  return (!state.current && !state.resting) || age() > state.current_for + CURRENT_FOR;
}

/** `12:03:04, 25 s ago`, by this computer's clock. */
function ago() {
  const seconds = age();
  const span = seconds < 120 ? `${Math.round(seconds)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
  return `${new Date(own.shown.since).toLocaleTimeString()}, ${span} ago`;
}

// Drawing

let due = false;
function redraw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (own.shown) render();
  });
}

function render() {
  const { bitmap, data } = own.shown;
  view.style.aspectRatio = `${data.width} / ${data.height}`;
  const old = stale();
  view.classList.toggle("stale", old);
  const visible = old ? [] : data.detections.filter(wanted);
  place(data.width, data.height);
  paint(canvas, bitmap, data.width, data.height, visible, own.large ? largeLetters(canvas) : undefined);
  if (old) crowd.anew();
  crowd.show(visible);
  at("nothing").textContent = old ? "unknown: there is no current picture" : "nothing";
  canvas.setAttribute("aria-label", old ? "an old picture" : `${own.still ? "your picture" : "the camera's picture"}: ${visible.map((each) => each.name).join(", ") || "nothing found"}`);
}

function text(tag, words, kind = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  made.className = kind;
  return made;
}

function dot(kind) {
  const made = text("span", "", "dot");
  made.style.background = colourOf(kind);
  return made;
}

function show(bitmap, data) {
  const first = !own.shown;
  own.shown?.bitmap.close();
  own.shown = { bitmap, data, since: Date.now() - (data.age ?? 0) * 1000 };
  view.classList.remove("empty");
  if (first) tell();
  redraw();
}

// The camera

async function follow() {
  let number = -1;
  for (;;) {
    if (document.hidden || own.still || !own.state) {
      await pause(own.state ? 200 : 20);
      continue;
    }
    try {
      if (own.state.counts_only) {
        number = await boxes(number);
        continue;
      }
      const answer = await ask(`api/frame?after=${number}&threshold=0`, { headers: { Accept: "multipart/form-data" } });
      connected();
      if (answer.status === 204) continue;
      const form = await answer.formData();
      const data = JSON.parse(form.get("frame"));
      const bitmap = await createImageBitmap(form.get("picture"));
      number = data.frame;
      if (own.still) bitmap.close();
      else show(bitmap, data);
      count(data.milliseconds);
    } catch (error) {
      lost(error);
      await pause(RETRY);
      number = -1;
    }
  }
}

/** The newest detections on grey, of a Pi that gives no pictures; their frame's number. */
async function boxes(number) {
  const data = await (await ask("api/detections?threshold=0")).json();
  connected();
  if (data.frame !== number && !own.still) {
    const grey = new OffscreenCanvas(1, 1);
    grey.getContext("2d").fillStyle = "#808080";
    grey.getContext("2d").fillRect(0, 0, 1, 1);
    show(await createImageBitmap(grey), data);
    count(data.milliseconds);
  }
  await pause(BOXES_EVERY);
  return data.frame;
}

function count(milliseconds) {
  own.frames.push(milliseconds);
  if (own.frames.length > LAST) own.frames.shift();
  const recent = own.frames.slice(-15);
  for (const name of ["latency", "inference"]) {
    const mean = recent.reduce((sum, each) => sum + each[name], 0) / recent.length;
    at(name).replaceChildren(mean < 10 ? mean.toFixed(1) : String(Math.round(mean)), text("small", " ms"));
  }
  plot(own.frames, parts, at("top"));
}

function connected() {
  if (own.connected) return;
  own.connected = true;
  own.trouble = "";
  tell();
}

function lost(error) {
  if (error.status === 401) location.reload(); // the page with the field for the token
  own.connected = false;
  own.trouble = error instanceof Refusal ? error.message : "no connection to the server: trying again …";
  tell();
}

async function watch() {
  for (;;) {
    try {
      if (!document.hidden) {
        const state = await (await ask("api/state", {}, 10)).json();
        if (state.model !== own.state?.model) begin(state);
        own.state = state;
        connected();
      }
    } catch (error) {
      lost(error);
    }
    tell();
    await pause(STATE_EVERY);
  }
}

// What the badge says of a status: [class, word]
const WORDS = {
  failed: ["bad", "failed"], "wrong results": ["bad", "wrong results"], ended: ["", "ended"], paused: ["", "paused"], resting: ["", "resting"], waiting: ["", "waiting"],
};

/** Show the state in words. */
function tell() {
  const { state, trouble, still } = own;
  const [kind, word] = trouble
    ? ["bad", "not connected"]
    : !state
      ? ["", "connecting"]
      : WORDS[state.status] || ["live", "live"];
  at("status").className = `badge ${kind}`;
  if (at("status").textContent !== word) at("status").textContent = word;
  const since = own.shown && !still && (stale() || state?.paused) ? ` (picture of ${ago()})` : "";
  const why = trouble || !state ? trouble : state.problem ? `${state.frames === "waiting" ? "waiting for the camera: " : ""}${state.problem}` : state.paused ? "paused" : "";
  const notice = why || since ? `${why || "no new picture"}${since}` : "";
  if (stale() !== view.classList.contains("stale")) redraw();
  at("notice").textContent = notice;
  at("notice").hidden = !notice || still;
  if (!state) return;
  const warning = state.warning && `Warning: ${state.warning}${state.keeps_snapshots ? ". Nothing is kept for training" : ""}`;
  if (at("warning").textContent !== warning) at("warning").textContent = warning;
  at("warning").hidden = !state.warning;
  document.title = [state.warning && "⚠ wrong results", state.name, state.model, "litekiln"].filter(Boolean).join(" · ");
  at("fps").textContent = trouble || stale() ? "–" : state.fps.toFixed(1);
  at("camera").textContent = `${state.source}: ${state.captured_fps.toFixed(1)} a second captured, ${state.dropped} dropped for newer ones${state.damaged ? `, ${state.damaged} damaged` : ""}`;
  at("threads").textContent = `${state.threads} thread${state.threads === 1 ? "" : "s"}`;
  at("private").hidden = !state.counts_only;
  at("snapshot").hidden = state.counts_only;
  at("keep").hidden = !state.keeps_snapshots || state.counts_only || state.wrong_results;
  at("pause").textContent = state.paused ? "Resume" : "Pause";
  at("pause").setAttribute("aria-pressed", String(state.paused));
}

/** Show a new model: its name, its labels, its threshold. */
function begin(state) {
  at("model").textContent = state.model;
  at("name").textContent = state.name || "litekiln";
  at("search").hidden = state.labels.length <= MANY;
  tellWorth(at("worth")).catch(() => {}); // the page works without it
  if (!own.state) at("threshold").value = state.threshold;
  level();
  own.hidden.clear();
  const kinds = state.labels.map((name, kind) => {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.value = name;
    label.append(box, dot(state.kinds[kind]), text("span", name));
    return label;
  });
  at("labels").replaceChildren(...kinds);
}

// Controls

function level() {
  at("threshold-value").textContent = least().toFixed(2);
  crowd.anew();
  redraw();
}

/** Show only labels that contain the searched words. Hidden ones keep their state. */
function search() {
  const words = at("search").value.trim().toLowerCase();
  for (const label of at("labels").children) label.hidden = !label.textContent.toLowerCase().includes(words);
}

function choose(all) {
  for (const box of at("labels").querySelectorAll("label:not([hidden]) input")) box.checked = all;
  chosen();
}

function chosen() {
  own.hidden = new Set([...at("labels").querySelectorAll("input:not(:checked)")].map((box) => box.value));
  crowd.anew();
  redraw();
}

function message(words, bad = false) {
  at("message").textContent = words;
  at("message").hidden = !words;
  at("message").classList.toggle("bad", bad);
}

/** Do a button's work; meanwhile the button is disabled. An error is shown. */
async function doing(button, work) {
  button.disabled = true;
  message("");
  try {
    await work();
  } catch (error) {
    message(error instanceof Refusal ? error.message : "the server did not answer", true);
  } finally {
    button.disabled = false;
  }
}

async function togglePause() {
  own.state = await (await post("api/state", JSON.stringify({ paused: !own.state?.paused }), "application/json")).json();
  tell();
}

async function snapshot() {
  const query = new URLSearchParams({ threshold: least() });
  for (const name of own.hidden) query.append("hide", name);
  const answer = await post(`api/snapshot?${query}`);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "snapshot.jpg";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  message(`${name} is saved${own.state?.keeps_snapshots ? ", here and on the Pi" : ""}`);
}

async function look(file) {
  message(`looking at ${file.name} …`);
  try {
    const answer = await post("api/detect?threshold=0.05", file, file.type || "application/octet-stream");
    const data = await answer.json();
    const bitmap = await createImageBitmap(file);
    own.still = true;
    at("back").hidden = false;
    crowd.anew();
    show(bitmap, data);
    message(`${file.name}: looked at in ${Math.round(data.milliseconds.latency)} ms`);
    tell();
  } catch (error) {
    message(`${file.name}: ${error instanceof Refusal ? error.message : "it could not be looked at"}`, true);
  }
}

function back() {
  own.still = false;
  at("back").hidden = true;
  crowd.anew();
  message("");
  tell();
  at("pause").focus();
}

at("threshold").addEventListener("input", level);
at("labels").addEventListener("change", chosen);
at("search").addEventListener("input", search);
at("all").addEventListener("click", () => choose(true));
at("none").addEventListener("click", () => choose(false));
at("pause").addEventListener("click", () => doing(at("pause"), togglePause));
at("snapshot").addEventListener("click", () => doing(at("snapshot"), snapshot));
at("keep").addEventListener("click", () => doing(at("keep"), async () => message(await keepForTraining(least()))));
at("back").addEventListener("click", back);
at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  if (file) look(file);
  at("file").value = "";
});

let inside = 0; // entered elements: a drag enters and leaves each one that it crosses
const hasFile = (event) => event.dataTransfer?.types.includes("Files");
const dropping = (change) => {
  inside = change ? Math.max(0, inside + change) : 0;
  document.body.classList.toggle("dropping", inside > 0);
};
addEventListener("dragenter", (event) => hasFile(event) && dropping(1));
addEventListener("dragleave", (event) => hasFile(event) && dropping(-1));
addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  dropping(0);
  const [file] = event.dataTransfer.files;
  if (file) look(file);
});
new ResizeObserver(redraw).observe(canvas);
view.classList.add("empty");
classroom(at("enlarge"), at("leave"), (large) => {
  own.large = large;
  redraw();
});
level();
follow();
watch();
watchMachine(at("machine"));

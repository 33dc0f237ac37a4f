// Lines and zones on the picture: shown, drawn, kept by the server; and what they count.

import { fitted } from "./draw.js";
import { ask, pause, post, Refusal } from "./talk.js";

const EVERY = 1000; // milliseconds
const LEAST_POINTS = 3, MOST_POINTS = 20; // of a zone
const NEAR = 14; // pixels: so near to its first corner a click closes a zone
const ARROW = 16; // pixels
const at = (id) => document.getElementById(id);
const overlay = at("overlay");

const own = { settings: null, counts: null, size: null, drawing: null, shown: "" };
// `drawing` is { kind, points } while the visitor draws; `shown` is the list's settings as text

// On the picture

/** Put the lines and zones over a picture of this size. */
export function place(width, height) {
  own.size = [width, height];
  const { left, top, fit } = fitted(at("canvas"), width, height);
  Object.assign(overlay.style, { left: `${left}px`, top: `${top}px`, width: `${width * fit}px`, height: `${height * fit}px` });
  overlay.setAttribute("viewBox", `0 0 ${Math.max(1, width * fit)} ${Math.max(1, height * fit)}`);
  sketch(width * fit, height * fit);
}

const again = () => own.size && place(...own.size);

function part(tag, attributes, words = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = words;
  return made;
}

function sketch(across, down) {
  const on = ([x, y]) => [x * across, y * down];
  const drawn = [];
  const named = ([x, y], words) => drawn.push(part("text", { x: Math.min(Math.max(x, 4), across - 40), y: Math.max(y, 16) }, words));
  for (const { name, points } of own.settings?.zones ?? []) {
    drawn.push(part("polygon", { points: points.map(on).join(" ") }));
    named(on(points[0]), name);
  }
  for (const { name, from, to } of own.settings?.lines ?? []) {
    const [x, y] = on(from), [right, bottom] = on(to);
    drawn.push(part("path", { d: `M${x} ${y}L${right} ${bottom}` }), part("path", { class: "in", d: arrow(x, y, right, bottom) }));
    named([(x + right) / 2 + 6, (y + bottom) / 2 - 6], name);
  }
  const { kind, points } = own.drawing ?? { points: [] };
  if (points.length) {
    drawn.push(part(kind === "zone" ? "polygon" : "polyline", { class: "new", points: points.map(on).join(" ") }));
    drawn.push(...points.map(on).map(([cx, cy]) => part("circle", { class: "new", cx, cy, r: 5 })));
  }
  overlay.replaceChildren(...drawn);
}

/** The way in: a quarter turn clockwise from the way to the line's end. */
function arrow(x, y, right, bottom) {
  const length = Math.hypot(right - x, bottom - y) || 1;
  const [across, down] = [(-(bottom - y) / length) * ARROW, ((right - x) / length) * ARROW];
  const [middle, height] = [(x + right) / 2, (y + bottom) / 2];
  const [tip, foot] = [middle + across, height + down];
  const side = (turn) => `L${tip - across / 2 + (turn * down) / 2} ${foot - down / 2 - (turn * across) / 2}`;
  return `M${middle} ${height}L${tip} ${foot}${side(1)}M${tip} ${foot}${side(-1)}`;
}

// Drawing

function begin(kind) {
  own.drawing = { kind, points: [] };
  note(kind === "line" ? "Click where the line begins, then where it ends." : "Click the corners; Done, or a click on the first one, closes the zone.");
  tools();
}

function end() {
  own.drawing = null;
  tools();
  again();
}

function tools() {
  const { kind, points } = own.drawing ?? {};
  overlay.classList.toggle("drawing", Boolean(kind));
  at("draw-line").hidden = at("draw-zone").hidden = Boolean(kind);
  at("cancel").hidden = !kind;
  at("done").hidden = kind !== "zone" || points.length < LEAST_POINTS;
}

function click(event) {
  if (!own.drawing || event.button) return;
  event.preventDefault();
  const box = overlay.getBoundingClientRect();
  const share = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;
  const point = [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
  const { kind, points } = own.drawing;
  const gap = points.length ? Math.hypot((point[0] - points[0][0]) * box.width, (point[1] - points[0][1]) * box.height) : Infinity;
  if (kind === "zone" && points.length >= LEAST_POINTS && gap < NEAR) return finish();
  points.push(point);
  tools();
  again();
  if ((kind === "line" && points.length === 2) || points.length === MOST_POINTS) return finish();
}

function finish() {
  const { kind, points } = own.drawing;
  const changed = structuredClone(own.settings);
  if (kind === "line") changed.lines.push({ name: unused("line"), from: points[0], to: points[1] });
  else changed.zones.push({ name: unused("zone"), points });
  end();
  return save(changed);
}

function unused(kind) {
  const names = [...own.settings.lines, ...own.settings.zones].map((each) => each.name);
  for (let number = 1; ; number++) if (!names.includes(`${kind} ${number}`)) return `${kind} ${number}`;
}

// Keeping

function note(words, bad = false) {
  at("areas-note").textContent = words;
  at("areas-note").classList.toggle("bad", bad);
}

async function save(changed) {
  try {
    const told = await (await post("api/events/settings", JSON.stringify(changed), "application/json")).json();
    own.settings = told.settings;
    note(told.kept ? "Kept in the Pi's file." : `In use until the Pi stops: ${told.why}.`);
    offer(told.kept ? null : told.settings);
  } catch (error) {
    note(error instanceof Refusal ? error.message : "the server did not answer", true);
  }
  list();
  again();
}

/** Offer the settings as a file, where the Pi can't keep them. */
function offer(settings) {
  const link = at("areas-file");
  if (link.href) URL.revokeObjectURL(link.href);
  link.hidden = !settings;
  if (settings) link.href = URL.createObjectURL(new Blob([`${JSON.stringify(settings, null, 1)}\n`], { type: "application/json" }));
}

// The list

const sum = (counts) => Object.values(counts ?? {}).reduce((all, each) => all + each, 0);
const some = (counts) => Object.entries(counts ?? {}).filter(([, count]) => count).map(([name, count]) => `${name} × ${count}`).join(", ");

function list() {
  if (!own.settings) return;
  const { lines, zones } = own.settings;
  const text = JSON.stringify([lines, zones]);
  if (text !== own.shown) {
    own.shown = text;
    at("areas").replaceChildren(...lines.map((each, row) => item("lines", each, row)), ...zones.map((each, row) => item("zones", each, row)));
  }
  const rows = [...at("areas").querySelectorAll(".count")];
  const words = [
    ...lines.map(({ name }) => `in ${sum(own.counts?.lines[name]?.in)}, out ${sum(own.counts?.lines[name]?.out)}`),
    ...zones.map(({ name }) => some(own.counts?.zones[name]) || "empty"),
  ];
  rows.forEach((row, number) => (row.textContent = words[number]));
  const now = some(own.counts?.now), total = some(own.counts?.appeared);
  at("counted").textContent = now || "nothing";
  at("counted-total").textContent = total ? `since the start: ${total}` : "";
}

function item(kind, area, row) {
  const made = document.createElement("li"), name = document.createElement("input"), count = document.createElement("span");
  name.value = area.name;
  name.maxLength = 40;
  name.setAttribute("aria-label", kind === "lines" ? "the line's name" : "the zone's name");
  name.addEventListener("change", () => alter((changed) => (changed[kind][row].name = name.value)));
  count.className = "count";
  made.append(name, count);
  if (kind === "lines") made.append(button("turn", `turn ${area.name}: in becomes out`, (changed) => turn(changed.lines[row])));
  made.append(button("delete", `delete ${area.name}`, (changed) => changed[kind].splice(row, 1)));
  return made;
}

function button(words, label, change) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "link";
  made.textContent = words;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", () => alter(change));
  return made;
}

const turn = (line) => ([line.from, line.to] = [line.to, line.from]);

function alter(change) {
  const changed = structuredClone(own.settings);
  change(changed);
  own.shown = ""; // a refused name goes back to what it was
  return save(changed);
}

async function follow() {
  for (;;) {
    if (!document.hidden) {
      try {
        if (!own.settings) own.settings = (await (await ask("api/events/settings", {}, 10)).json()).settings;
        own.counts = (await (await ask("api/events?after=999999999999999", {}, 10)).json()).counts;
        list();
        if (!own.drawing) again();
      } catch {
        own.settings = null; // the server may come back with others; the page says that it is gone
      }
    }
    await pause(EVERY);
  }
}

overlay.addEventListener("pointerdown", click); // the picture is drawn anew meanwhile: a click would need the same element twice
at("draw-line").addEventListener("click", () => own.settings && begin("line"));
at("draw-zone").addEventListener("click", () => own.settings && begin("zone"));
at("done").addEventListener("click", finish);
at("cancel").addEventListener("click", () => (end(), note("")));
addEventListener("keydown", (event) => event.key === "Escape" && own.drawing && (end(), note("")));
new ResizeObserver(again).observe(at("canvas"));
follow();

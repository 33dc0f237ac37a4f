// The page of a room: a card for each Pi, in an order that doesn't change. All texts come from other machines and stay texts.
import { ask, pause, Refusal } from "./talk.js";

const EVERY = 2500; // milliseconds
const at = (id) => document.getElementById(id);
const cards = new Map(); // id of a Pi -> its elements
let count = 0; // of cards that were made
// What a badge looks like in a state; others are careful if the Pi is well, else bad
const KINDS = { ok: "live" };

function made(tag, kind = "", words = "") {
  const element = document.createElement(tag);
  element.className = kind;
  element.textContent = words;
  return element;
}

function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** `since 12:03 (5 min)`, by this computer's clock. Short times would only flicker. */
function since(seconds) {
  if (seconds === null || seconds < 10) return "";
  const span = seconds < 120 ? `${Math.floor(seconds / 10) * 10} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
  const clock = new Date(Date.now() - seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `since ${clock} (${span})`;
}

/** Why a Pi needs somebody. The summary begins with the state, which a card's badge has already. */
function why(pi, ...state) {
  return pi.well ? "" : [[...state, since(pi.since)].filter(Boolean).join(" "), pi.why].filter(Boolean).join(": ");
}

function card(pi) {
  const root = made("article", "card pi"), top = made("div", "top"), title = made("h3"), link = made("a");
  const small = made("div", "small"), canvas = made("canvas"), none = made("p", "none"), facts = made("div", "facts");
  const parts = {
    root, title, link, canvas, none, badge: made("p", "badge"), figures: made("p", "figures"), model: made("p"), verdict: made("p"),
    board: made("p", "soft"), why: made("p", "why"), drawn: "",
  };
  root.id = `pi-${(count += 1)}`;
  root.tabIndex = -1; // for the summary's links
  if (pi.address) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  canvas.setAttribute("role", "img");
  title.append(link);
  top.append(title, parts.badge);
  small.append(canvas, none);
  facts.append(parts.figures, parts.model, parts.verdict, parts.board);
  root.append(top, small, facts, parts.why);
  cards.set(pi.id, parts);
  return parts;
}

function fill(parts, pi) {
  parts.root.classList.toggle("ill", !pi.well);
  say(parts.link, pi.name);
  parts.link.href = pi.address || "./";
  if (!pi.address && pi.how === "this one" && !location.pathname.endsWith("/fleet")) parts.link.removeAttribute("href");
  say(parts.badge, pi.words);
  parts.badge.className = `badge ${KINDS[pi.state] && pi.well ? KINDS[pi.state] : pi.well ? "" : "bad"}`;
  const heat = pi.temperature === null ? "" : `${Math.round(pi.temperature)} °C`;
  say(parts.figures, pi.fps === null ? "" : [`${pi.fps.toFixed(1)} frames/s`, heat].filter(Boolean).join(" · "));
  say(parts.model, [`${pi.model} ${pi.variant}`.trim(), pi.version && `litekiln ${pi.version}`].filter(Boolean).join(" · "));
  parts.model.title = pi.sha256 && `the model's sha256 begins with ${pi.sha256}`;
  say(parts.verdict, pi.verdict && `verdict ${pi.verdict}`);
  parts.verdict.classList.toggle("careful", pi.verdict !== "ok");
  say(parts.board, [pi.board, pi.address.replace(/^https?:\/\/|\/$/g, ""), pi.how === "found" ? "found by mDNS" : ""].filter(Boolean).join(" · "));
  say(parts.why, why(pi));
  draw(parts, pi);
}

async function draw(parts, pi) {
  const none = pi.picture ? "" : pi.counts_only ? "counts only: it gives no picture" : "no picture";
  say(parts.none, none);
  parts.canvas.hidden = !pi.picture;
  parts.canvas.setAttribute("aria-label", `the camera's picture of ${pi.name}`);
  if (parts.drawn === pi.picture || !pi.picture) return;
  parts.drawn = pi.picture;
  try {
    const bytes = Uint8Array.from(atob(pi.picture), (each) => each.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    parts.canvas.width = bitmap.width;
    parts.canvas.height = bitmap.height;
    parts.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
  } catch {
    parts.canvas.hidden = true;
    say(parts.none, "its picture can't be shown");
  }
}

/** The summary's list. It keeps its links, so that one of them can keep the focus. */
function list(pis) {
  const ill = pis.filter((pi) => !pi.well), items = at("needs").children;
  while (items.length > ill.length) items[items.length - 1].remove();
  ill.forEach((pi, place) => {
    if (!items[place]) {
      const item = made("li"), link = made("a");
      item.append(link, made("span"));
      at("needs").append(item);
    }
    const [link, words] = items[place].children;
    say(link, pi.name);
    link.href = `#${cards.get(pi.id).root.id}`;
    say(words, ` ${why(pi, pi.words)}`);
  });
}

function show(told) {
  const there = new Set(told.pis.map((pi) => pi.id));
  for (const [id, parts] of cards) {
    if (there.has(id)) continue;
    parts.root.remove();
    cards.delete(id);
  }
  told.pis.forEach((pi, place) => {
    const parts = cards.get(pi.id) ?? card(pi);
    fill(parts, pi);
    if (at("pis").children[place] !== parts.root) at("pis").insertBefore(parts.root, at("pis").children[place] ?? null);
  });
  list(told.pis);
  const ill = told.pis.filter((pi) => !pi.well).length, waiting = told.pis.filter((pi) => pi.state === "asked").length;
  say(at("well"), head(told.well, told.of, ill, waiting));
  at("summary").hidden = !told.of;
  at("summary").classList.toggle("bad", ill > 0);
  say(at("about"), `${told.of} ${told.of === 1 ? "Pi" : "Pis"}${told.finds ? ", listed or found by mDNS" : ""}`);
  document.title = `${ill ? `⚠ ${ill} of ${told.of}` : `${told.of} well`} · the room · litekiln`;
  say(at("hint"), hint(told));
  at("hint").hidden = !hint(told);
}

function head(well, of, ill, waiting) {
  const told = `${well} of ${of} ${of === 1 ? "is" : "are"} well`;
  if (ill) return `${told}; ${ill} ${ill === 1 ? "needs" : "need"} you:`;
  return waiting ? `${told}; ${waiting} ${waiting === 1 ? "has" : "have"} not answered yet` : `${told}.`;
}

function hint({ finds, pis }) {
  if (pis.some((pi) => pi.how !== "this one")) return "";
  if (finds) return "No other Pi has been found yet. They must announce themselves (--announce, or their Avahi), in the same network.";
  return "Only this Pi is known. Start it with --fleet and the addresses of the others, or with --fleet mdns.";
}

function connected(kind, word) {
  at("status").className = `badge ${kind}`;
  say(at("status"), word);
}

for (;;) {
  if (!document.hidden) {
    try {
      show(await (await ask("api/fleet", {}, 15)).json());
      connected("live", "up to date");
    } catch (error) {
      if (error.status === 401) location.assign("./"); // the page with the field for the token
      connected("bad", error instanceof Refusal ? error.message : "no connection: what you see is old");
    }
  }
  await pause(document.hidden ? 300 : EVERY);
}

// What is in the picture, counted: "person × 3". Rows keep their places, so that the list can be read while it changes.
import { colourOf, percent } from "./draw.js";

const HOLD = 4000; // milliseconds that a name stays after it was last seen: detections flicker

export class Crowd {
  #rows = new Map(); // name -> { item, count, score, seen }
  #list;
  #nothing;
  #anew = false;

  constructor(list, nothing) {
    this.#list = list;
    this.#nothing = nothing;
  }

  /** Forget names that the next picture doesn't have: it is another one, or the visitor hides them. */
  anew() {
    this.#anew = true;
  }

  show(detections, now = performance.now()) {
    const here = new Map();
    for (const { name, class: kind, score } of detections) {
      const known = here.get(name) ?? { kind, count: 0, best: 0 };
      here.set(name, { kind, count: known.count + 1, best: Math.max(known.best, score) });
    }
    for (const [name, { kind, count, best }] of [...here].sort((one, other) => one[1].kind - other[1].kind)) {
      const row = this.#rows.get(name) ?? this.#row(name, kind);
      row.seen = now;
      fill(row, count, percent(best));
    }
    for (const [name, row] of this.#rows) {
      if (here.has(name)) continue;
      if (this.#anew || now - row.seen > HOLD) {
        row.item.remove();
        this.#rows.delete(name);
      } else {
        fill(row, 0, "");
      }
    }
    this.#anew = false;
    this.#nothing.hidden = this.#rows.size > 0;
  }

  #row(name, kind) {
    const item = document.createElement("li"), dot = made("dot", ""), count = made("count", ""), score = made("score", "");
    dot.style.background = colourOf(kind);
    item.append(dot, made("name", name), " ", count, " ", score);
    this.#list.append(item);
    const row = { item, count, score, seen: 0 };
    this.#rows.set(name, row);
    return row;
  }
}

function made(kind, words) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = words;
  return span;
}

function fill(row, count, score) {
  row.item.classList.toggle("gone", !count);
  if (row.count.textContent !== `× ${count}`) row.count.textContent = `× ${count}`;
  if (row.score.textContent !== score) row.score.textContent = score;
}

// A picture with boxes and names on a canvas, and the plot of how long frames took.

// The same as in stills.py: a name has one colour everywhere.
export const COLOURS = ["#e6194b", "#2a7f3b", "#4363d8", "#c4550a", "#911eb4", "#00757a", "#8c5a1e", "#6b6b00", "#b0186f", "#3d5a80"];
export const colourOf = (kind) => COLOURS[kind % COLOURS.length];
export const percent = (score) => `${Math.round(score * 100)} %`;

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const TAG = 1.57; // the height of a name, in its letters' size

/** Where a picture of width x height is on the canvas, in pixels of the page. */
export function fitted(canvas, width, height) {
  const across = canvas.clientWidth, down = canvas.clientHeight;
  const fit = Math.min(across / width, down / height);
  return { left: (across - width * fit) / 2, top: (down - height * fit) / 2, fit };
}

/** Draw at the screen's own resolution. Boxes are in pixels of an original of width x height; letters are `size` pixels high. */
export function paint(canvas, bitmap, width, height, detections, size = 14) {
  const scale = devicePixelRatio || 1;
  const across = canvas.clientWidth, down = canvas.clientHeight;
  if (!across || !down) return;
  canvas.width = Math.round(across * scale);
  canvas.height = Math.round(down * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  const { left, top, fit } = fitted(canvas, width, height);
  pen.drawImage(bitmap, left, top, width * fit, height * fit);
  pen.translate(left, top);
  pen.font = `600 ${size}px ${FONT}`;
  pen.textBaseline = "middle";
  for (const each of [...detections].sort((one, other) => one.score - other.score)) box(pen, each, fit, width * fit, size);
}

function box(pen, { name, class: kind, score, box: sides }, fit, across, size) {
  const [left, top, right, bottom] = sides.map((side) => side * fit);
  pen.strokeStyle = pen.fillStyle = colourOf(kind);
  pen.lineWidth = size / 5 + 0.2;
  pen.strokeRect(left, top, right - left, bottom - top);
  const text = `${name} ${percent(score)}`;
  const tag = Math.round(size * TAG), wide = pen.measureText(text).width + size * 0.86;
  const x = Math.max(0, Math.min(left - 1.5, across - wide));
  const y = top >= tag ? top - tag : top;
  pen.fillRect(x, y, wide, tag);
  pen.fillStyle = "#fff";
  pen.fillText(text, x + size * 0.43, y + tag / 2 + 1);
}

/** Two lines over the last frames: SVG paths in a field of 120 x 40. */
export function plot(frames, parts, note) {
  const sorted = frames.map((each) => each.latency).sort((one, other) => one - other);
  const usual = sorted[Math.floor(sorted.length * 0.95)] ?? 0;
  const most = Math.max(1, usual) * 1.5; // much longer times are cut off, so that the rest stays readable
  const height = (ms) => (40 - Math.min(1, ms / most) * 39).toFixed(2);
  const line = (name) => frames.map((each, place) => `${place ? "L" : "M"}${120.5 - frames.length + place} ${height(each[name])}`).join("");
  const latency = line("latency");
  parts.line.setAttribute("d", latency);
  parts.inference.setAttribute("d", line("inference"));
  parts.area.setAttribute("d", frames.length > 1 ? `${latency}V40H${120.5 - frames.length}Z` : "");
  note.textContent = frames.length ? `95 % ≤ ${Math.ceil(usual)} ms` : "";
}

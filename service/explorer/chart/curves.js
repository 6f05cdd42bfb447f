// Curves, and what lies on them: workers' dots and the cursor.

import { crisp, line } from "./frame.js";
import { DASHES } from "./style.js";

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").Series} Series */

/** @param {Frame} frame @param {Series} series */
export function drawSeries({ pen, box, style, across, up, ratio }, series) {
  const first = series.first ?? 0, end = first + series.values.length;
  const from = Math.max(first, Math.floor(across.step(box.left)) - 1), to = Math.min(end, Math.ceil(across.step(box.right)) + 2);
  pen.strokeStyle = pen.fillStyle = style.colors[series.color % style.colors.length];
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.setLineDash(DASHES[series.color % DASHES.length]);
  pen.beginPath();
  trace(series, from, to, across, up, 1 / ratio, (x, y) => pen.lineTo(x, y));
  pen.stroke();
  pen.setLineDash([]);
  if ((box.right - box.left) / (to - from) > 9) {
    for (let step = from; step < to; step++) {
      pen.beginPath();
      pen.arc(across.place(step), up.place(series.values[step - first]), 2.5, 0, 7);
      pen.fill();
    }
  }
}

/** Marks that lie on the first curve: where workers are. @param {Frame} frame */
export function drawDots({ pen, style, picture, across, up }) {
  const [first] = picture.series;
  for (const { step, dot } of picture.marks) {
    const value = first?.values[step - (first.first ?? 0)];
    if (!dot || value === undefined) continue;
    pen.fillStyle = style.colors[dot % style.colors.length];
    pen.strokeStyle = style.paper;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(across.place(step), up.place(value), 6, 0, 7);
    pen.fill();
    pen.stroke();
  }
}

/** The cursor, and the part that a drag selects. @param {Frame} frame @param {number} cursor @param {[number, number] | null} selection in pixels */
export function drawCursor({ pen, box, style, picture, across, up }, cursor, selection) {
  if (selection) {
    pen.fillStyle = style.selection;
    pen.fillRect(Math.min(...selection), box.top, Math.abs(selection[1] - selection[0]), box.bottom - box.top);
  }
  const at = across.place(cursor);
  if (at < box.left - 1 || at > box.right + 1) return;
  pen.strokeStyle = style.axis;
  pen.lineWidth = 1;
  line(pen, crisp(at), box.top, crisp(at), box.bottom);
  for (const series of picture.series) {
    const value = series.values[cursor - (series.first ?? 0)];
    if (value === undefined) continue;
    pen.beginPath();
    pen.arc(at, up.place(value), 4.5, 0, 7);
    pen.fillStyle = style.paper;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = style.colors[series.color % style.colors.length];
    pen.stroke();
  }
}

/**
 * Follow a series with a pen: each pixel column by its first, lowest, highest and last value.
 * @param {Series} series @param {number} from @param {number} to rows, the last one excluded
 * @param {import("./types.js").Across} across @param {import("./types.js").Up} up
 * @param {number} pixel width of a column
 * @param {(x: number, y: number) => void} pen
 */
export function trace(series, from, to, across, up, pixel, pen) {
  const { values, extremes } = series, first = series.first ?? 0;
  for (let step = from; step < to; ) {
    const x = across.place(step), column = Math.floor(x / pixel);
    let next = Math.min(to, Math.max(step + 1, Math.ceil(across.step((column + 1) * pixel))));
    if (next === step + 1 || next <= step) {
      pen(x, up.place(values[step - first]));
      step += 1;
      continue;
    }
    const [low, high] = extremes.between(step - first, next - first);
    const begin = values[step - first], end = values[next - 1 - first];
    pen(x, up.place(begin));
    if (low < Math.min(begin, end) || high > Math.max(begin, end)) { // else a straight line shows them all
      const middle = (column + 0.5) * pixel;
      for (const value of end >= begin ? [low, high] : [high, low]) pen(middle, up.place(value));
    }
    pen(across.place(next - 1), up.place(end));
    step = next;
  }
}

// Drawn over the curve while a change is prepared: roughly what it will be, and once it is known what keeps its bits.

import { count } from "../common/format.js";

const POINTS = 240; // of a sketch
const BAR = 4; // pixels

/** The falling part of each shape, from 1 to 0. The exact values are the server's. @type {Record<string, (t: number) => number>} */
const SHAPES = { linear: (t) => 1 - t, cosine: (t) => (1 + Math.cos(Math.PI * t)) / 2, "1-sqrt": (t) => 1 - Math.sqrt(t) };

/**
 * A template's curve as a function of the row, roughly; null for one that is not drawn.
 * @param {string} template @param {import("./types.js").Amendment} values @param {number} from first row that changes @param {Float64Array} rates of the run
 * @returns {{ end: number, rate: (row: number) => number } | null}
 */
export function sketchOf(template, values, from, rates) {
  const now = rates[from], rows = rates.length;
  if (now === undefined) return null;
  if (template === "hold") return { end: rows, rate: () => now };
  const { factor = 0, total_steps: longest, shape: named = "", length = 0, rate: low = NaN } = values;
  if (template === "scale" && factor > 0) return { end: rows, rate: (row) => rates[Math.min(row, rows - 1)] * factor };
  if (template === "extend" && longest && longest > rows) {
    const longer = longest - rows;
    return { end: longest, rate: (row) => (row < from + longer ? now : rates[Math.min(row - longer, rows - 1)]) };
  }
  const shape = SHAPES[named];
  if (template !== "cooldown" || !shape || !(length >= 1) || !(low >= 0)) return null;
  return { end: from + length, rate: (row) => low + (now - low) * shape(Math.min(1, (row - from) / length)) };
}

/**
 * @typedef {import("../chart/types.js").Frame} Frame
 * @typedef {{ from: number, end: number, rate: (row: number) => number }} Curve
 * @typedef {{ until: number, rows: number }} Kept
 */

/** What is drawn over the first chart. */
export class Sketch {
  /** @param {import("./types.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {Curve | null} */
    this.curve = null;
    /** @type {Kept | null} */
    this.kept = null;
    /** @type {(() => void) | null} takes the layer off the chart */
    this.remove = null;
  }

  /** @param {Curve | null} curve @param {Kept | null} kept */
  show(curve, kept) {
    Object.assign(this, { curve, kept });
    if (Boolean(curve || kept) === Boolean(this.remove)) return this.page.stage.chart?.draw();
    this.remove?.();
    this.remove = this.remove ? null : this.page.stage.addLayer({ column: "lr", draw: (frame) => this.draw(frame) });
  }

  /** @param {Frame} frame */
  draw(frame) {
    if (this.curve) this.drawCurve(frame, this.curve);
    if (this.kept) this.drawKept(frame, this.kept);
  }

  /** @param {Frame} frame @param {Curve} curve */
  drawCurve({ pen, box, across, up, style }, { from, end, rate }) {
    const left = across.place(from), right = Math.min(across.place(end - 1), box.right);
    pen.strokeStyle = style.colors[1];
    pen.lineWidth = 2;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    for (let point = 0; point <= POINTS; point++) {
      const x = left + ((right - left) * point) / POINTS;
      pen.lineTo(x, up.place(rate(Math.min(end - 1, Math.max(from, Math.round(across.step(x)))))));
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  /** A bar along the axis: the rows that keep their bits, and those that change. @param {Frame} frame @param {Kept} kept */
  drawKept({ pen, box, across, style }, { until, rows }) {
    for (const [start, stop, text, color] of /** @type {[number, number, string, number][]} */ ([[0, until, `${count(until)} rows keep their bits`, 2], [until, rows, "changes", 1]])) {
      const left = Math.max(box.left, across.place(start)), right = Math.min(box.right, across.place(stop));
      if (right <= left) continue;
      pen.fillStyle = style.colors[color];
      pen.fillRect(left, box.bottom - BAR, right - left, BAR);
      if (right - left < pen.measureText(text).width + 40) continue; // beside a handle
      pen.textAlign = "center";
      pen.textBaseline = "alphabetic";
      pen.fillText(text, (left + right) / 2, box.bottom - BAR - 5);
    }
  }
}

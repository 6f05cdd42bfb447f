// What lies around and behind the curves: shaded parts, axes, and the marks of boundaries.

import { count, short } from "../common/format.js";

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").Pen} Pen */

export const MARGIN = { left: 64, right: 14, top: 22, bottom: 28 };

/** @param {Frame} frame */
export function drawPhases({ pen, box, style, picture, across }) {
  for (const { start, stop, name } of picture.phases) {
    const left = Math.max(box.left, across.place(start)), right = Math.min(box.right, across.place(stop));
    if (right <= left) continue;
    pen.fillStyle = style.phases[name] ?? "transparent";
    pen.fillRect(left, box.top, right - left, box.bottom - box.top);
    const wide = pen.measureText(name).width;
    if (right - left > wide + 16) {
      pen.fillStyle = style.soft;
      pen.textAlign = "center";
      pen.textBaseline = "alphabetic";
      pen.fillText(name, (left + right) / 2, box.bottom - 6);
    }
  }
}

/** @param {Frame} frame */
export function drawAxes({ pen, box, style, picture, across, up }) {
  pen.lineWidth = 1;
  pen.strokeStyle = style.grid;
  pen.fillStyle = style.soft;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const { at, text } of up.ticks) {
    line(pen, box.left, crisp(at), box.right, crisp(at));
    pen.fillText(text, box.left - 8, at);
  }
  pen.textBaseline = "top";
  pen.textAlign = "center";
  const texts = across.ticks.map((value) => short(value * picture.stride)), differ = new Set(texts).size === texts.length;
  for (const [place, value] of across.ticks.entries()) {
    const at = across.place(value), text = differ ? texts[place] : count(value * picture.stride);
    const half = pen.measureText(text).width / 2;
    line(pen, crisp(at), box.bottom, crisp(at), box.bottom + 4);
    pen.fillText(text, Math.min(Math.max(at, half), box.right + MARGIN.right - half), box.bottom + 7);
  }
  pen.strokeStyle = style.axis;
  line(pen, box.left, crisp(box.bottom), box.right, crisp(box.bottom));
  pen.textAlign = "left";
  pen.textBaseline = "top";
  pen.fillText(picture.unit, 4, 3);
}

/** @param {Frame} frame */
export function drawMarks({ pen, box, style, picture, across }) {
  let free = box.left + pen.measureText(picture.unit).width - MARGIN.left + 12;
  pen.setLineDash([2, 3]);
  pen.strokeStyle = style.mark;
  pen.textBaseline = "top";
  pen.textAlign = "left";
  let last = -Infinity;
  for (const [place, { step, label }] of picture.marks.entries()) {
    if (picture.marks[place + 1]?.step === step + 1) continue; // the last step of a part: the next mark begins another
    const at = across.place(step);
    if (at < box.left - 0.5 || at > box.right + 0.5 || at - last < 3) continue;
    last = at;
    line(pen, crisp(at), box.top, crisp(at), box.bottom);
    const wide = pen.measureText(label).width, begin = Math.min(Math.max(at - wide / 2, box.left), box.right - wide);
    if (begin < free || wide > 160) continue;
    pen.fillStyle = style.soft;
    pen.fillText(label, begin, 3);
    free = begin + wide + 10;
  }
  pen.setLineDash([]);
}

/** A straight line. @param {Pen} pen @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
export function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

/** The middle of a pixel, on which a line of one pixel is sharp. @param {number} x */
export function crisp(x) {
  return Math.round(x) + 0.5;
}

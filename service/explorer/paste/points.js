// Logged rates as points over the plan: a ring for one that is the plan's, a cross for one that is not.

import { Extremes } from "../chart/decimate.js";

const SIZE = 3; // pixels from the middle of a point to its rim
const COLOR = 1; // of the style sheet's

/** @typedef {{ rows: Float64Array, values: Float64Array, wrong: Uint8Array }} Points in ascending order of their rows */

/** Those of a column that can be drawn, in order. @param {import("./logs/audit.js").Series} series @param {import("./logs/audit.js").Finding} found @returns {Points} */
function pointsOf({ values }, { rows, wrong }) {
  const order = Array.from(rows.keys()).filter((index) => Number.isFinite(values[index]) && rows[index] >= 0).sort((a, b) => rows[a] - rows[b]);
  return { rows: Float64Array.from(order, (index) => rows[index]), values: Float64Array.from(order, (index) => values[index]), wrong: Uint8Array.from(order, (index) => wrong[index]) };
}

/**
 * The layer of the chart that draws columns of a log.
 * @param {import("./logs/audit.js").Series[]} series @param {import("./logs/audit.js").Finding[]} found
 * @returns {import("../chart/types.js").Layer}
 */
export function pointLayer(series, found) {
  const all = series.map((each, place) => pointsOf(each, found[place])), extremes = all.map(({ values }) => new Extremes(values));
  return {
    column: "lr",
    draw: (frame) => all.forEach((points) => drawPoints(frame, points)),
    extent(from, to) {
      let [low, high] = [Infinity, -Infinity];
      all.forEach(({ rows }, place) => {
        const [least, most] = extremes[place].between(firstAt(rows, from), firstAt(rows, to));
        [low, high] = [Math.min(low, least), Math.max(high, most)];
      });
      return low <= high ? [low, high] : null;
    },
  };
}

/** The index of the first point at a row or after it. @param {Float64Array} rows @param {number} row */
function firstAt(rows, row) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {import("../chart/types.js").Frame} frame @param {Points} points */
function drawPoints({ pen, box, across, up, style }, { rows, values, wrong }) {
  const start = firstAt(rows, across.step(box.left - SIZE)), stop = firstAt(rows, across.step(box.right + SIZE) + 1);
  const drawn = new Set(); // places that have a point already: many fall on one
  pen.lineWidth = 1.5;
  for (const isWrong of [0, 1]) {
    pen.strokeStyle = style.colors[isWrong ? COLOR : 0];
    pen.fillStyle = style.paper;
    for (let index = start; index < stop; index++) {
      if (wrong[index] !== isWrong) continue;
      const x = across.place(rows[index]), y = up.place(values[index]), place = Math.round(x / 2) * 100_000 + Math.round(y / 2);
      if (drawn.has(place)) continue;
      drawn.add(place);
      pen.beginPath();
      if (isWrong) cross(pen, x, y);
      else {
        pen.arc(x, y, SIZE, 0, 7);
        pen.fill();
      }
      pen.stroke();
    }
  }
}

/** @param {import("../chart/types.js").Pen} pen @param {number} x @param {number} y */
function cross(pen, x, y) {
  pen.moveTo(x - SIZE, y - SIZE);
  pen.lineTo(x + SIZE, y + SIZE);
  pen.moveTo(x - SIZE, y + SIZE);
  pen.lineTo(x + SIZE, y - SIZE);
}

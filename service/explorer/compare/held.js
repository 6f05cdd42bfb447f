// The worker's part of `Beside`: copies of the page's columns, and what takes a pass over all of their values.

import { boundsOf } from "../chart/decimate.js";
import { summaryOf } from "../data/columns.js";
import { difference, differences } from "./difference.js";
import { verdict } from "./verdict.js";

/**
 * @typedef {{ task: "hold", name: string, rows: number, start: number, part: Float64Array }
 *   | { task: "describe", column: string } | { task: "compare", left: string, right: string }
 *   | { task: "differences", left: string, right: string, way: string }} ColumnTask
 */

/** @type {Map<string, Float64Array>} */
const held = new Map();

/** What the page would have to read a whole column for. @param {Float64Array} values */
export function described(values) {
  return { bounds: boundsOf(values), summary: summaryOf(values) };
}

/** @param {ColumnTask} request */
export function answerAbout(request) {
  switch (request.task) {
    case "hold": return hold(request);
    case "describe": return described(valuesOf(request.column));
    case "compare": return compared(...pairOf(request));
    case "differences": return differing(...pairOf(request), request.way);
  }
}

/** Keep a part of a column; the first one makes room for all of it. @param {{ name: string, rows: number, start: number, part: Float64Array }} request */
function hold({ name, rows, start, part }) {
  if (start === 0) held.set(name, new Float64Array(rows));
  valuesOf(name).set(part, start);
  return {};
}

/** @param {string} name */
function valuesOf(name) {
  const values = held.get(name);
  if (!values) throw new Error(`the worker holds no column ${name}`);
  return values;
}

/** As much of two columns as both have. @param {{ left: string, right: string }} names @returns {[Float64Array, Float64Array]} */
function pairOf({ left, right }) {
  const [a, b] = [valuesOf(left), valuesOf(right)], rows = Math.min(a.length, b.length);
  return [a.subarray(0, rows), b.subarray(0, rows)];
}

/** @param {Float64Array} left @param {Float64Array} right */
function compared(left, right) {
  const found = difference(left, right);
  return { found, said: verdict(left, right, found), ratio: summaryOf(right).sum / summaryOf(left).sum };
}

/** @param {Float64Array} left @param {Float64Array} right @param {string} way */
function differing(left, right, way) {
  const values = differences(left, right, way);
  return { values, bounds: boundsOf(values) };
}

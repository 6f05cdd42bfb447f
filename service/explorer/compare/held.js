// The worker's part of `Beside`: copies of the page's columns, and what takes a pass over all of their values.

import { boundsOf } from "../chart/decimate.js";
import { summaryOf } from "../data/columns.js";
import { Sha256 } from "../kernel/sha256.js";
import { bytesOf, lineOf } from "../kernel/table.js";
import { difference, differences } from "./difference.js";
import { verdict } from "./verdict.js";

/**
 * @typedef {{ task: "hold", name: string, rows: number, start: number, part: Float64Array }
 *   | { task: "describe", column: string } | { task: "compare", left: string, right: string }
 *   | { task: "differences", left: string, right: string, way: string }
 *   | { task: "hash", layout?: Layout, part?: Float64Array } | { task: "hashed" }} ColumnTask
 *
 * @typedef {import("../kernel/table.js").Layout} Layout
 */

/** @type {Map<string, Float64Array>} */
const held = new Map();
let hash = new Sha256(); // of the table whose columns are coming

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
    case "hash": return hashOn(request);
    case "hashed": return { digest: hash.digest() };
    case "differences": return differing(...pairOf(request), request.way);
  }
}

/** Keep a part of a column; the first one makes room for all of it. @param {{ name: string, rows: number, start: number, part: Float64Array }} request */
function hold({ name, rows, start, part }) {
  if (start === 0) held.set(name, new Float64Array(rows));
  valuesOf(name).set(part, start);
  return {};
}

/** Begin a table's digest with its layout, or go on with values. @param {{ layout?: Layout, part?: Float64Array }} request */
function hashOn({ layout, part }) {
  if (layout) {
    hash = new Sha256();
    hash.update(lineOf(layout));
  }
  if (part) hash.update(bytesOf(part));
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

// Scales: where rows and values lie on the canvas, and which of them get a label.

import { brief, ticks } from "../common/format.js";

/** @typedef {import("./types.js").Box} Box */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./types.js").Up} Up */

/**
 * The scale of rows, linear or logarithmic.
 * @param {string} mode @param {number} from @param {number} to @param {Box} box
 * @returns {import("./types.js").Across}
 */
export function scaleX(mode, from, to, box) {
  const width = box.right - box.left, most = Math.max(2, Math.floor(width / 100));
  if (mode === "log") {
    const low = Math.log1p(from), span = Math.log1p(to) - low || 1;
    const values = [0, ...Array.from({ length: 11 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()];
    const place = (/** @type {number} */ step) => box.left + (width * (Math.log1p(Math.max(0, step)) - low)) / span;
    return { place, step: (x) => Math.expm1(low + (span * (x - box.left)) / width), ticks: thinned(values.filter((value) => value >= from && value <= to), place, 44) };
  }
  const span = to - from || 1;
  return {
    place: (step) => box.left + (width * (step - from)) / span,
    step: (x) => from + (span * (x - box.left)) / width,
    ticks: ticks(from, to, most).filter((value) => Number.isInteger(value) && value >= from && value <= to),
  };
}

/** @param {number[]} values @param {(value: number) => number} place @param {number} least pixels between two */
function thinned(values, place, least) {
  let last = -Infinity;
  return values.filter((value) => place(value) - last >= least && ((last = place(value)), true));
}

/**
 * The scale of values: linear, logarithmic (0 lies on the bottom line), or asinh, which is both and has a 0.
 * @param {Picture} picture @param {number} from @param {number} to rows in view, the last one excluded @param {Box} box
 * @returns {Up}
 */
export function scaleY(picture, from, to, box) {
  let { low, high, least } = extent(picture, from, to);
  if (low === Infinity) [low, high] = [0, 1];
  const height = box.bottom - box.top, most = Math.max(2, Math.floor(height / 40));
  if (picture.y === "log" && high > 0) return logarithmic(Math.max(least, high * 1e-14), high, box, most);
  if (picture.y === "asinh") return inverseHyperbolic(low, high, box);
  if (low >= 0 && low < high * 0.6) low = 0;
  const pad = high === low ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.05;
  const bottom = low === 0 ? 0 : low - pad, span = high + pad - bottom;
  const place = (/** @type {number} */ value) => box.bottom - (height * (value - bottom)) / span;
  const marks = ticks(bottom, high + pad, most);
  const digits = Math.max(4, Math.ceil(Math.log10(Math.max(Math.abs(high), Math.abs(bottom)) / (marks[1] - marks[0] || 1))) + 1);
  return { place, ticks: marks.map((value) => ({ at: place(value), text: brief(value, Math.min(digits, 15)) })) };
}

/** The lowest and the highest value in view, and the least above 0; Infinity where there is none. @param {Picture} picture @param {number} from @param {number} to */
function extent(picture, from, to) {
  let low = Infinity, high = -Infinity, least = Infinity;
  for (const { values, extremes, first = 0 } of picture.series) {
    const start = Math.max(0, from - first), stop = Math.min(values.length, to - first);
    if (stop <= start) continue;
    const [lowest, highest] = extremes.between(start, stop);
    low = Math.min(low, lowest);
    high = Math.max(high, highest);
    if (picture.y !== "linear") least = Math.min(least, extremes.positive(start, stop));
  }
  for (const layer of picture.layers ?? []) {
    const [lowest, highest] = layer.extent?.(from, to) ?? [Infinity, -Infinity];
    low = Math.min(low, lowest);
    high = Math.max(high, highest);
    if (lowest > 0) least = Math.min(least, lowest);
  }
  return { low, high, least };
}

/** @param {number} low @param {number} high @param {Box} box @returns {Up} */
function inverseHyperbolic(low, high, box) {
  const height = box.bottom - box.top, unit = (Math.max(Math.abs(low), Math.abs(high)) || 1) / 1000;
  const bottom = Math.asinh(Math.min(0, low) / unit), span = Math.asinh(Math.max(0, high) / unit) * 1.04 - bottom || 1;
  const place = (/** @type {number} */ value) => box.bottom - (height * (Math.asinh(value / unit) - bottom)) / span;
  const powers = Array.from({ length: 4 }, (_, k) => 10 ** (Math.floor(Math.log10(unit * 1000)) - k));
  const values = [0, ...powers, ...powers.map((power) => power * 3), ...(low < 0 ? powers.map((power) => -power) : [])].filter((value) => value >= Math.min(0, low) && value <= high * 1.02);
  return { place, ticks: rowsOf(values, place) };
}

/** @param {number} low @param {number} high @param {Box} box @param {number} most ticks @returns {Up} */
function logarithmic(low, high, box, most) {
  const bottom = Math.log(low) - (high === low ? 1 : 0), span = (Math.log(high) - bottom || 1) * 1.04, height = box.bottom - box.top;
  const place = (/** @type {number} */ value) => box.bottom - (height * (Math.log(Math.max(value, Math.exp(bottom))) - bottom)) / span;
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), every = Math.max(1, Math.ceil((last - first) / most));
  const digits = last - first > 3 ? [1] : last - first > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const values = [];
  for (let power = first; power <= last; power += every) for (const digit of digits) values.push(Number(`${digit}e${power}`));
  return { place, ticks: rowsOf(values.filter((value) => value >= Math.exp(bottom) * 0.999 && value <= high * 1.05), place) };
}

/** Ticks that do not touch one another. @param {number[]} values @param {(value: number) => number} place */
function rowsOf(values, place) {
  /** @type {{ at: number, text: string }[]} */
  const kept = [];
  for (const value of values) {
    const at = place(value);
    if (kept.every((other) => Math.abs(other.at - at) > 15)) kept.push({ at, text: brief(value) });
  }
  return kept;
}

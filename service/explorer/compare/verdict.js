// The verdict of a comparison: equal, rounding only, the same curve later or times a factor, or another one.
// The rules are those of `scheduler/views/verdict.py`, where they stand in words; a test holds both to each other.

import { difference, sameBits } from "./difference.js";
import { brief, count } from "../common/format.js";

const CLOSE = 1e-9, NOTHING = 2 ** -46, LEAST = 3, FURTHEST = 1_000_000, PROBES = 16, MOST_CHECKED = 64;

/**
 * @typedef {{ relation: "equal" | "rounding" | "scaled" | "shifted" | "different", first: number, last: number, exact: boolean,
 *   restExact: boolean, factor: number, shift: number }} Verdict
 */

/**
 * Say how one column relates to another of its length.
 * @param {Float64Array} a @param {Float64Array} b
 * @param {ReturnType<typeof difference>} [found] their difference, where known
 * @returns {Verdict}
 */
export function verdict(a, b, found = difference(a, b)) {
  const all = { first: 0, last: a.length - 1, exact: true, restExact: true, factor: 1, shift: 0 };
  if (!found.differing) return { ...all, relation: "equal", last: 0 };
  const floor = NOTHING * Math.max(largest(a), largest(b)), different = apart(a, b, floor);
  if (!different.length) return { ...all, relation: "rounding", exact: false };
  const first = different[0], last = different[different.length - 1], end = a.length - 1, pair = { a, b, floor, different };
  const windows = first === 0 && last === end ? [[0, end]] : [[0, end], [first, last]];
  for (const [begin, stop] of windows) {
    const isAll = begin === 0 && stop === end;
    if (stop - begin + 1 < LEAST && !isAll) continue;
    const said = scaled(pair, begin, stop) ?? shifted(pair, begin, stop);
    if (said) return { ...all, first: begin, last: stop, restExact: sameOutside(a, b, begin, stop), ...said };
  }
  return { ...all, relation: "different", first, last, exact: false, restExact: sameOutside(a, b, first, last) };
}

function largest(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

function isClose(x, y, floor) {
  return Math.abs(x - y) <= Math.max(CLOSE * Math.max(Math.abs(x), Math.abs(y)), floor);
}

/** The rows that are not close. */
function apart(a, b, floor) {
  let counted = 0;
  for (let row = 0; row < a.length; row++) if (!isClose(a[row], b[row], floor)) counted++;
  const rows = new Uint32Array(counted);
  for (let row = 0, place = 0; place < counted; row++) if (!isClose(a[row], b[row], floor)) rows[place++] = row;
  return rows;
}

function scaled({ a, b }, first, last) {
  let at = first;
  for (let row = first; row <= last; row++) if (Math.abs(a[row]) > Math.abs(a[at])) at = row;
  const ratio = a[at] ? b[at] / a[at] : 0, floor = NOTHING * Math.abs(b[at]);
  if (ratio === 0 || !Number.isFinite(ratio)) return null;
  for (let row = first; row <= last; row++) if (!isClose(a[row] * ratio, b[row], floor)) return null;
  const factor = shortest(ratio);
  let exact = true;
  for (let row = first; exact && row <= last; row++) exact = Object.is(a[row] * factor, b[row]);
  return { relation: /** @type {const} */ ("scaled"), factor, exact };
}

function shifted(pair, first, last) {
  const { a, b, floor } = pair;
  for (const shift of candidates(pair, first, last)) {
    const begin = first + Math.max(shift, 0), stop = Math.min(last, a.length - 1 + shift) + 1;
    let holds = true;
    for (let row = begin; holds && row < stop; row++) holds = isClose(a[row - shift], b[row], floor);
    if (holds) return { relation: /** @type {const} */ ("shifted"), shift, exact: sameBits(a.subarray(begin - shift, stop - shift), b.subarray(begin, stop)) };
  }
  return null;
}

/** The shifts that a few telling rows allow, the smallest first, of two the later. */
function candidates(pair, first, last) {
  const { a, b, floor } = pair, furthest = Math.min(Math.floor((last - first + 1) / 2), FURTHEST);
  let kept = new Int32Array(2 * furthest);
  for (let size = 1, place = 0; size <= furthest; size++) {
    kept[place++] = size;
    kept[place++] = -size;
  }
  for (const row of probes(pair, first, last)) {
    let length = 0;
    for (const shift of kept) {
      const from = row - shift, isKnown = row >= first + Math.max(shift, 0) && from >= 0 && from < a.length;
      if (!isKnown || isClose(a[from], b[row], floor)) kept[length++] = shift;
    }
    kept = kept.subarray(0, length);
  }
  const likely = [];
  for (const shift of kept) {
    if (isTelling(pair, shift, first, last) && likely.push(shift) === MOST_CHECKED) break;
  }
  return likely;
}

/** Rows that tell shifts apart: at the largest change of b, and spread over the differences and the window. */
function probes({ b, different }, first, last) {
  let steepest = first;
  for (let row = first, most = -1; row < last; row++) {
    const change = Math.abs(b[row + 1] - b[row]);
    if (change > most) [most, steepest] = [change, row];
  }
  const spread = spaced(0, different.length - 1).map((place) => different[place]);
  return new Set([steepest, Math.min(steepest + 1, last), ...spread, ...spaced(first, last)]);
}

function spaced(from, to) {
  return Array.from({ length: PROBES }, (_, n) => (n === PROBES - 1 ? to : Math.trunc(from + n * ((to - from) / (PROBES - 1)))));
}

/** Whether a shift that holds would explain enough: see the rules. */
function isTelling({ a, b, floor, different }, shift, first, last) {
  const begin = first + Math.max(shift, 0), end = Math.min(last, a.length - 1 + shift);
  if (2 * (below(different, end + 1) - below(different, begin)) < different.length) return false;
  if (first === 0 && last === a.length - 1) return true;
  if (end - begin + 1 < LEAST) return false;
  for (let row = begin; row <= end; row++) if (!isClose(b[row], b[begin], floor)) return true;
  return false;
}

/** How many of ascending rows are below one. */
function below(rows, row) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameOutside(a, b, first, last) {
  return sameBits(a.subarray(0, first), b.subarray(0, first)) && sameBits(a.subarray(last + 1), b.subarray(last + 1));
}

/** The value in as few digits as are close to it. */
function shortest(value) {
  for (let digits = 1; digits < 17; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.abs(text - value) <= CLOSE * Math.abs(value)) return text;
  }
  return value;
}

/**
 * A verdict in words.
 * @param {Verdict} said @param {ReturnType<typeof difference>} found @param {string} name of the second curve
 */
export function inWords(said, found, name) {
  const { relation, first, last, exact, restExact, factor, shift } = said, end = found.rows - 1;
  if (relation === "equal") return "equal bit for bit";
  if (relation === "rounding") return `the same curve, rounding only: at most ${found.relative > CLOSE ? `${brief(found.absolute, 2)}, next to nothing beside the largest value` : `${ulpText(found.ulp)} ULP`}`;
  const steps = Math.abs(shift) === 1 ? "one step" : `${count(Math.abs(shift))} steps`;
  const whole = relation !== "different" && first === 0 && last === end;
  const place = whole ? "" : first === last ? ` in step ${count(first)} only` : last === end ? ` from step ${count(first)} on` : ` in steps ${count(first)} to ${count(last)}`;
  const where = first > 0 && last < end ? "elsewhere" : first > 0 ? "before that" : last < end ? "after that" : "";
  const rest = where && `; ${restExact ? "equal" : "equal to rounding"} ${where}`;
  if (relation === "different") return `${name} is a different curve${place}${rest}`;
  const words = relation === "scaled" ? `${name} is the same curve times ${factor}` : `${name} is the same curve ${steps} ${shift > 0 ? "later" : "earlier"}`;
  return `${words}${place}, ${exact ? "bit for bit" : "to rounding"}${rest}`;
}

/** A number of ULP: a large one is not exact, and nobody reads its digits. @param {number} ulp */
export function ulpText(ulp) {
  return ulp < 1e6 ? count(ulp) : brief(ulp, 3);
}

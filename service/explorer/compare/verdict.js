// The verdict of a comparison: equal, rounding only, the same curve later or times a factor, or another one.
// The rules are those of `scheduler/views/verdict.py`, where they stand in words; a test holds both to each other.

import { difference, sameBits } from "./difference.js";

const CLOSE = 1e-9, NOTHING = 2 ** -46, EIGHTH = 8, RESIDUE = 2 ** -50, CUT_OFF = 64;
const LEAST = 3, FURTHEST = 1_000_000, PROBES = 16, MOST_CHECKED = 64;

/**
 * @typedef {import("./difference.js").Difference} Difference
 * @typedef {{ relation: "equal" | "rounding" | "scaled" | "shifted" | "different", first: number, last: number, exact: boolean,
 *   restExact: boolean, factor: number, shift: number }} Verdict
 *
 * Two columns of one length, which of their values are residue, and the rows that are not close.
 * @typedef {{ a: Float64Array, b: Float64Array, floor: number, ofA: Uint8Array, ofB: Uint8Array, different: Uint32Array }} Pair
 */

/**
 * Say how one column relates to another of its length.
 * @param {Float64Array} a @param {Float64Array} b
 * @param {Difference} [found] their difference, where known
 * @returns {Verdict}
 */
export function verdict(a, b, found = difference(a, b)) {
  const all = { first: 0, last: a.length - 1, exact: true, restExact: true, factor: 1, shift: 0 };
  if (!found.differing) return { ...all, relation: "equal", last: 0 };
  const pair = pairOf(a, b), { different } = pair;
  if (!different.length) return { ...all, relation: "rounding", exact: false };
  const first = different[0], last = different[different.length - 1], end = a.length - 1;
  const windows = first === 0 && last === end ? [[0, end]] : [[0, end], [first, last]];
  for (const [begin, stop] of windows) {
    const isAll = begin === 0 && stop === end;
    if (stop - begin + 1 < LEAST && !isAll) continue;
    const said = scaled(pair, begin, stop) ?? shifted(pair, begin, stop);
    if (said) return { ...all, first: begin, last: stop, restExact: sameOutside(a, b, begin, stop), ...said };
  }
  return { ...all, relation: "different", first, last, exact: false, restExact: sameOutside(a, b, first, last) };
}

/** @param {Float64Array} a @param {Float64Array} b @returns {Pair} */
function pairOf(a, b) {
  const peak = Math.max(largest(a), largest(b)), floor = NOTHING * peak, ofA = residueOf(a, peak), ofB = residueOf(b, peak);
  const differs = (/** @type {number} */ row) => !isClose(a[row], b[row], floor, ofA[row] & ofB[row]);
  let counted = 0;
  for (let row = 0; row < a.length; row++) if (differs(row)) counted++;
  const different = new Uint32Array(counted);
  for (let row = 0, place = 0; place < counted; row++) if (differs(row)) different[place++] = row;
  return { a, b, floor, ofA, ofB, different };
}

/** @param {Float64Array} values */
function largest(values) {
  let most = 0;
  for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** Which values are what a cancellation leaves of 0: see the rules. @param {Float64Array} values @param {number} peak */
function residueOf(values, peak) {
  const residue = new Uint8Array(values.length), most = RESIDUE * peak;
  for (let first = 0, stop; first < values.length; first = stop) {
    stop = first + 1;
    if (!(Math.abs(values[first]) <= most)) continue;
    while (stop < values.length && values[stop] === values[first]) stop++; // a run of one value
    const far = CUT_OFF * Math.abs(values[first]), isCutOff = (/** @type {number} */ beside) => beside === 0 || Math.abs(beside) >= far;
    if (isCutOff(values[first - 1] ?? 0) && isCutOff(values[stop] ?? 0)) residue.fill(1, first, stop);
  }
  return residue;
}

/** Whether two values are close. @param {number} x @param {number} y @param {number} floor @param {number} residue whether both are, 0 or 1 */
function isClose(x, y, floor, residue) {
  const apart = Math.abs(x - y), size = Math.max(Math.abs(x), Math.abs(y));
  return apart <= CLOSE * size || (apart <= floor && (EIGHTH * apart <= size || residue === 1));
}

/** @param {Pair} pair @param {number} first @param {number} last */
function scaled({ a, b, ofA, ofB }, first, last) {
  let at = first;
  for (let row = first; row <= last; row++) if (Math.abs(a[row]) > Math.abs(a[at])) at = row;
  const ratio = a[at] ? b[at] / a[at] : 0, floor = NOTHING * Math.abs(b[at]);
  if (ratio === 0 || !Number.isFinite(ratio)) return null;
  for (let row = first; row <= last; row++) if (!isClose(a[row] * ratio, b[row], floor, ofA[row] & ofB[row])) return null;
  const factor = shortest(ratio);
  let exact = true;
  for (let row = first; exact && row <= last; row++) exact = Object.is(a[row] * factor, b[row]);
  return { relation: /** @type {const} */ ("scaled"), factor, exact };
}

/** @param {Pair} pair @param {number} first @param {number} last */
function shifted(pair, first, last) {
  const { a, b, floor, ofA, ofB } = pair;
  for (const shift of candidates(pair, first, last)) {
    const begin = first + Math.max(shift, 0), stop = Math.min(last, a.length - 1 + shift) + 1;
    let holds = true;
    for (let row = begin; holds && row < stop; row++) holds = isClose(a[row - shift], b[row], floor, ofA[row - shift] & ofB[row]);
    if (holds) return { relation: /** @type {const} */ ("shifted"), shift, exact: sameBits(a.subarray(begin - shift, stop - shift), b.subarray(begin, stop)) };
  }
  return null;
}

/** The shifts that a few telling rows allow, the smallest first, of two the later. @param {Pair} pair @param {number} first @param {number} last */
function candidates(pair, first, last) {
  const { a, b, floor, ofA, ofB } = pair, furthest = Math.min(Math.floor((last - first + 1) / 2), FURTHEST);
  let kept = new Int32Array(2 * furthest);
  for (let size = 1, place = 0; size <= furthest; size++) {
    kept[place++] = size;
    kept[place++] = -size;
  }
  for (const row of probes(pair, first, last)) {
    let length = 0;
    for (const shift of kept) {
      const from = row - shift, isKnown = row >= first + Math.max(shift, 0) && from >= 0 && from < a.length;
      if (!isKnown || isClose(a[from], b[row], floor, ofA[from] & ofB[row])) kept[length++] = shift;
    }
    kept = kept.subarray(0, length);
  }
  const likely = [];
  for (const shift of kept) {
    if (isTelling(pair, shift, first, last) && likely.push(shift) === MOST_CHECKED) break;
  }
  return likely;
}

/** Rows that tell shifts apart: at the largest change of b, and spread over the differences and the window. @param {Pair} pair @param {number} first @param {number} last */
function probes({ b, different }, first, last) {
  let steepest = first;
  for (let row = first, most = -1; row < last; row++) {
    const change = Math.abs(b[row + 1] - b[row]);
    if (change > most) [most, steepest] = [change, row];
  }
  const spread = spaced(0, different.length - 1).map((place) => different[place]);
  return new Set([steepest, Math.min(steepest + 1, last), ...spread, ...spaced(first, last)]);
}

/** @param {number} from @param {number} to */
function spaced(from, to) {
  return Array.from({ length: PROBES }, (_, n) => (n === PROBES - 1 ? to : Math.trunc(from + n * ((to - from) / (PROBES - 1)))));
}

/** Whether a shift that holds would explain enough: see the rules. @param {Pair} pair @param {number} shift @param {number} first @param {number} last */
function isTelling({ a, b, floor, ofB, different }, shift, first, last) {
  const begin = first + Math.max(shift, 0), end = Math.min(last, a.length - 1 + shift);
  if (2 * (below(different, end + 1) - below(different, begin)) < different.length) return false;
  if (first === 0 && last === a.length - 1) return true;
  if (end - begin + 1 < LEAST) return false;
  for (let row = begin; row <= end; row++) if (!isClose(b[row], b[begin], floor, ofB[row] & ofB[begin])) return true;
  return false;
}

/** How many of ascending rows are below one. @param {Uint32Array} rows @param {number} row */
function below(rows, row) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {Float64Array} a @param {Float64Array} b @param {number} first @param {number} last */
function sameOutside(a, b, first, last) {
  return sameBits(a.subarray(0, first), b.subarray(0, first)) && sameBits(a.subarray(last + 1), b.subarray(last + 1));
}

/** The value in as few digits as are close to it. @param {number} value */
function shortest(value) {
  for (let digits = 1; digits < 17; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.abs(text - value) <= CLOSE * Math.abs(value)) return text;
  }
  return value;
}

// How exactly the numbers of a log are written, as scheduler/audit/logs/precision.py finds it.

import { frexp, powerOfTwo } from "../../kernel/numerics/bits.js";

const ROUNDING = 1e-12; // how far doubles of one formula may lie apart, as a share of the largest
const DOUBLE = 15; // significant digits from which on a number was not rounded for reading
const FLOAT32 = [7, 9]; // float32 numbers as they are written: more digits than the first, as a rule
const FEW = { digits: 3, numbers: 10 }; // fewer digits in fewer different numbers: nothing was rounded
const LEAST_FILLED = 0.3; // share whose last bit is 1
const WRITTEN = /^[-+]?(\d*)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$/;
const HALVES = /** @type {const} */ ({
  float16: { bits: 11, smallest: 2 ** -14, largest: 65504 },
  bfloat16: { bits: 8, smallest: 2 ** -126, largest: 3.3895e38 },
});

/** @typedef {{ kind: "float64" | "float32" | "float16" | "bfloat16" | "digits" | "places", count: number }} Precision */

/** @param {Precision} precision */
export function precisionText({ kind, count }) {
  if (kind === "digits") return `${count} significant digit${count > 1 ? "s" : ""}`;
  return kind === "places" ? `${count} decimal place${count > 1 ? "s" : ""}` : kind;
}

/** The precision of numbers as they are written. @param {string[]} words @param {Float64Array} values the same as numbers @returns {Precision} */
export function precisionOf(words, values) {
  const near = values.map(Math.fround), isFloat32 = near.every((value, index) => value === values[index] || !Number.isFinite(values[index]));
  for (const kind of /** @type {const} */ (["float16", "bfloat16"])) if (isHalf(near, HALVES[kind])) return { kind, count: 0 };
  const float64 = /** @type {Precision} */ ({ kind: "float64", count: 0 });
  const written = new Set(words.filter((_, index) => values[index] && Number.isFinite(values[index])));
  if (!written.size) return float64;
  const counts = new Map([...written].map((word) => [word, countsOf(word)]));
  let digits = 0, places = -Infinity;
  for (const [significant, decimal] of counts.values()) {
    digits = Math.max(digits, significant);
    places = Math.max(places, decimal);
  }
  if (digits > FLOAT32[1] && isFloat32) return { kind: "float32", count: 0 };
  const zeros = [...new Set(words.filter((word, index) => values[index] === 0 && isPadded(word)))];
  const padded = zeros.length > 0 || [...written].some(isPadded);
  if (FLOAT32[0] < digits && digits <= FLOAT32[1] && !padded && [...counts].every(([word, [count]]) => isShortFloat32(word, count))) return { kind: "float32", count: 0 };
  if (digits >= DOUBLE || (digits < FEW.digits && written.size < FEW.numbers && !padded)) return float64;
  let filledDigits = 0, filledPlaces = 0;
  for (const [significant, decimal] of counts.values()) {
    filledDigits += Number(significant === digits);
    filledPlaces += Number(decimal === places);
  }
  if (zeros.some((word) => countsOf(word)[1] === places)) filledDigits = 0;
  return filledDigits >= filledPlaces || places < 1 ? { kind: "digits", count: digits } : { kind: "places", count: places };
}

/**
 * The least and the largest rate that rounds to each value.
 * @param {Precision} precision @param {Float64Array} values
 * @returns {{ low: Float64Array, high: Float64Array }}
 */
export function boundsOf(precision, values) {
  const low = new Float64Array(values.length), high = new Float64Array(values.length), half = halfOf(precision, values);
  values.forEach((value, index) => {
    if (precision.kind === "float32") {
      const near = Math.fround(value);
      low[index] = (near + nextFloat32(near, -1)) / 2;
      high[index] = (near + nextFloat32(near, 1)) / 2;
    } else {
      const by = half(value);
      low[index] = value - by;
      high[index] = value + by;
    }
  });
  return { low, high };
}

/** How far a rate may lie from a value that it was rounded to. @param {Precision} precision @param {Float64Array} values @returns {(value: number) => number} */
function halfOf({ kind, count }, values) {
  if (kind === "float16" || kind === "bfloat16") return (value) => spacing(value, HALVES[kind]) / 2 + Math.abs(value) * 2 ** -24;
  const largest = values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  if (kind === "float64") return () => ROUNDING * largest;
  const of = kind === "places" ? () => 0.5 * 10 ** -count : (/** @type {any} */ value) => (value ? 0.5 * 10 ** (Math.floor(Math.log10(Number.isFinite(value) ? Math.abs(value) : 1) + 1e-12) - (count - 1)) : 0);
  return (value) => of(value) * (1 + 1e-9) + (Number.isFinite(value) ? Math.abs(value) : 0) * 2 ** -24 + ROUNDING * largest;
}

/** Whether numbers are floats of two bytes, and so many with a last bit that this is no chance. @param {any} values @param {any} half */
function isHalf(values, half) {
  const some = [...new Set(values)].filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const different = [...new Set(some)];
  if (different.length < FEW.numbers || different.some((value) => value > half.largest)) return false;
  let filled = 0, regular = 0;
  for (const value of different) {
    const steps = value / spacing(value, half);
    if (!Number.isInteger(steps)) return false;
    if (value < half.smallest) continue;
    regular += 1;
    filled += steps % 2;
  }
  return regular >= FEW.numbers && filled / regular >= LEAST_FILLED;
}

/** How far the floats of two bytes lie apart at a value. @param {any} value @param {any} from1 */
function spacing(value, { bits, smallest }) {
  const size = Number.isFinite(value) ? Math.max(Math.abs(value), smallest) : 1;
  return powerOfTwo(frexp(size)[1] - bits);
}

/** Significant digits and decimal places of a number as it is written. @param {string} word @returns {[number, number]} */
function countsOf(word) {
  const found = WRITTEN.exec(word.trim().replace(/_/g, ""));
  if (!found) return [DOUBLE, 0];
  const [, whole = "", fraction = "", exponent = "0"] = found;
  const digits = fraction ? `${whole}${fraction}`.replace(/^0+/, "") : withoutZeros(whole);
  return [digits.length, fraction.length - Number(exponent)];
}

/** Whether a number ends in a zero that says how many digits were kept: 1.0e-3 and 0.00100, but not 1.0. @param {string} word */
function isPadded(word) {
  const found = WRITTEN.exec(word.trim());
  if (!found || !(found[2] ?? "").endsWith("0")) return false;
  return found[2].length > 1 || found[3] !== undefined;
}

/** Whether a number is written as short as identifies a float32. @param {string} word @param {number} digits */
function isShortFloat32(word, digits) {
  const value = Number(word), near = Math.fround(value);
  if (digits > FLOAT32[1]) return false;
  for (let length = 1; length <= FLOAT32[1]; length++) {
    const written = Number(near.toPrecision(length));
    if (Math.fround(written) === near) return written === value;
  }
  return false;
}

const single = new Float32Array(1), bits = new Int32Array(single.buffer);

/** The float32 beside another one. @param {number} value a float32 @param {1 | -1} way */
function nextFloat32(value, way) {
  single[0] = value;
  if (!Number.isFinite(value)) return value;
  if (value === 0) bits[0] = way > 0 ? 1 : -0x7fffffff;
  else bits[0] += value > 0 === way > 0 ? 1 : -1;
  return single[0];
}

/** Digits without the zeros at both ends. @param {string} digits */
function withoutZeros(digits) {
  let end = digits.length;
  while (end && digits[end - 1] === "0") end -= 1;
  return digits.slice(0, end).replace(/^0+/, "");
}

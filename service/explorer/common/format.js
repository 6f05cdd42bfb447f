// Numbers as text.

/** @type {Record<string, number>} */
const POWERS = { "": 0, k: 3, m: 6, g: 9, b: 9, t: 12 };
/** @type {[number, string][]} */
const SIZES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]];
const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A count with separators: 100,000. @param {number} n */
export function count(n) {
  return WHOLE.format(n);
}

/** A double with 17 significant digits: enough to tell it from every other. @param {number} value */
export function exact(value) {
  if (!Number.isFinite(value) || value === 0) return Object.is(value, -0) ? "-0" : String(value);
  const size = Math.abs(value);
  return tidy(size < 1e-4 || size >= 1e16 ? value.toExponential(16) : value.toPrecision(17));
}

/** A double with few digits, for an axis or a label. @param {number} value @param {number} [digits] */
export function brief(value, digits = 4) {
  if (!Number.isFinite(value) || value === 0) return String(value);
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return String(Number(value.toPrecision(digits)));
  return tidy(Number(value.toPrecision(digits)).toExponential());
}

/** A number as people type it, without loss: 5e-4, 10000. @param {unknown} value */
export function typed(value) {
  if (typeof value !== "number" || value === 0) return String(value ?? "");
  const size = Math.abs(value);
  const wanted = size < 1e-3 || size >= 1e15 ? value.toExponential() : String(value);
  return tidy(wanted);
}

/** The number that a text means; NaN for none: "5e-4", "10_000", "10,000", "20k", "3M". @param {string} text */
export function parsed(text) {
  const plain = text.trim().replace(/[_,\s]/g, "");
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([kMGTB]?)$/i.exec(plain);
  if (!match) return NaN;
  const power = POWERS[match[2].toLowerCase()];
  // the digits and the exponent as one text, so that 0.3M is 300000 and no product is rounded
  const [digits, exponent = "0"] = match[1].toLowerCase().split("e");
  return Number(`${digits}e${Number(exponent) + power}`);
}

/** @param {string} text */
function tidy(text) {
  return text.replace("e+", "e");
}

/**
 * Round numbers for an axis from `low` to `high`.
 * @param {number} low @param {number} high @param {number} most
 */
export function ticks(low, high, most) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const rough = span / Math.max(1, most), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** A time in the words of the reader's zone. @param {string} text as the server writes it */
export function when(text) {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The same without the date where that is today's. @param {string} text */
export function clock(text) {
  const date = new Date(text);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString(undefined, { timeStyle: "medium" }) : when(text);
}

/** A size in steps for an axis: 0, 500, 20k, 1.5M. @param {number} n */
export function short(n) {
  for (const [size, letter] of SIZES) {
    if (Math.abs(n) >= size) return `${Number((n / (letter === "k" ? 1e3 : size)).toPrecision(4))}${letter}`;
  }
  return count(n);
}

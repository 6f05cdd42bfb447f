// Values as literals of Python.

import { typed } from "../../common/format.js";

/** @typedef {Record<string, any>} Schedule JSON data with its kind */

/** A text as a literal of Python. @param {string} value */
export function text(value) {
  return JSON.stringify(value);
}

/** A number as a float of Python: 0.1, 5e-4, 1.0. @param {number} value */
export function float(value) {
  const written = typed(value);
  return /[.e]/.test(written) ? written : `${written}.0`;
}

/** JSON data as a literal of Python. @param {any} value @param {boolean} [isCount] whether a whole number is an int @returns {string} */
export function literal(value, isCount = false) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return isCount ? String(value) : float(value);
  if (Array.isArray(value)) return `[${value.map((each) => literal(each, isCount)).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${text(name)}: ${literal(each, isCount)}`).join(", ")}}`;
  return text(value);
}

/**
 * A call on one line where it fits, else with an argument on each.
 * @param {string} name @param {string[]} given arguments as they are written @param {string} indent of the line that it begins in
 * @param {number} [begins] characters before it on its line
 */
export function call(name, given, indent = "", begins = indent.length) {
  const short = `${name}(${given.join(", ")})`;
  if (!short.includes("\n") && begins + short.length <= 88) return short;
  return `${name}(\n${given.map((each) => `${indent}    ${each},\n`).join("")}${indent})`;
}

/** Whether each row of a spec is the rate of one step, and nothing else is driven. @param {any} spec @param {string[]} [axes] */
export function isPlain(spec, axes = ["step"]) {
  return axes.includes(spec.axis ?? "step") && (spec.stride ?? 1) === 1 && !Object.keys(spec.columns ?? {}).length;
}

// The columns of two tables side by side, as `lrtables compare` pairs them.

import { baseOf, inOrder } from "../data/columns.js";

/** @typedef {import("../common/types.js").Column} Column */

/**
 * Each column that both have, cut to `rows`, and the names of those that only one has. A column that one side has for all
 * groups goes with each group of the other.
 * @param {Column[]} left @param {Column[]} right @param {number} rows
 */
export function pairsOf(left, right, rows) {
  const of = (/** @type {Column[]} */ columns) => new Map(columns.map(({ name, values }) => [name, values.subarray(0, rows)]));
  const one = of(left), other = of(right), names = new Set([...one.keys(), ...other.keys()]);
  for (const name of [...names]) if (name.includes(".")) names.delete(baseOf(name));
  /** @type {{ name: string, left: Float64Array, right: Float64Array }[]} */
  const pairs = [];
  /** @type {{ name: string, isLeft: boolean }[]} */
  const lacking = [];
  for (const name of [...names].sort(inOrder)) {
    const a = one.get(name) ?? one.get(baseOf(name)), b = other.get(name) ?? other.get(baseOf(name));
    if (a && b) pairs.push({ name, left: a, right: b });
    else lacking.push({ name, isLeft: a !== undefined });
  }
  return { pairs, lacking };
}

// How much the page takes on: what more there is would fill the memory of a tab.

import { count } from "../common/format.js";
import { MAX_ROWS } from "./state.js";

/** @typedef {import("../common/types.js").Spec} Spec */

const MOST_OF_ONE = 2 * MAX_ROWS;
const MOST_OF_ALL = 4 * MAX_ROWS; // 640 MB, and while two curves are compared as much as these again

/** The values of a spec's table, over all columns. @param {Spec} spec */
function valuesIn({ schedule, columns, total_steps }) {
  return total_steps * [schedule].flat().length * (1 + Object.keys(columns ?? {}).length);
}

/**
 * Why a table is not made, as a sentence; null if it is.
 * @param {Spec} spec @param {Spec[]} before of the curves before it
 */
export function tooLarge(spec, before) {
  const rows = spec.total_steps, values = valuesIn(spec), all = before.reduce((sum, other) => sum + valuesIn(other), values);
  if (rows > MAX_ROWS) return `total_steps must be at most ${count(MAX_ROWS)} here, got ${count(rows)}`;
  if (values > MOST_OF_ONE) return `the page shows at most ${count(MOST_OF_ONE)} values, got ${values / rows} columns of ${count(rows)}`;
  if (all > MOST_OF_ALL) return `the page holds at most ${count(MOST_OF_ALL)} values of all curves together, got ${count(all)}`;
  return null;
}

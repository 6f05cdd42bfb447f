// What a change of a run would do, and what it provably does not: each row of both tables is compared, bit for bit.

import { el } from "../common/dom.js";
import { brief, count } from "../common/format.js";

/** @typedef {import("../data/engine.js").Table} Table */

/**
 * The first row in which two tables differ in a bit, in each column; where none does, the rows of the shorter.
 * @param {Table} one @param {Table} other @returns {Map<string, number>} by column
 */
export function sameUntil(one, other) {
  const rows = Math.min(one.rows, other.rows), found = new Map();
  for (const [name, groups] of one.columns) {
    let until = rows;
    groups.forEach((values, group) => {
      const right = bits(other.columns.get(name)?.[group] ?? new Float64Array(0)), left = bits(values);
      let row = 0;
      while (row < until && left[row] === right[row]) row++;
      until = row;
    });
    found.set(name, until);
  }
  return found;
}

function bits(values) {
  return new BigUint64Array(values.buffer, values.byteOffset, values.length);
}

/** The largest factor between the rates of a row in both tables, from a row on. @param {Table} one @param {Table} other @param {number} from */
export function largestFactor(one, other, from) {
  let largest = 1;
  const rows = Math.min(one.rows, other.rows);
  for (const [group, values] of (one.columns.get("lr") ?? []).entries()) {
    const others = other.columns.get("lr")?.[group] ?? values;
    for (let row = from; row < rows; row++) {
      const a = Math.abs(values[row]), b = Math.abs(others[row]);
      if (a !== b) largest = Math.max(largest, Math.max(a, b) / Math.min(a, b));
    }
  }
  return largest;
}

/**
 * The outcome in sentences.
 * @param {{ run: any, found: any, before: Table, after: Table, same: Map<string, number>, highest: number | null, proven: boolean }} change
 *   `found` as a dry run says it, `same` of `sameUntil`, `highest` the position of the worker that is farthest, `proven` whether
 *   the server has proven it as well
 */
export function outcome({ run, found, before, after, same, highest, proven }) {
  const least = Math.min(...same.values()), from = found.from_step ?? least;
  const more = found.total_steps - run.total_steps, differs = least < Math.max(before.rows, after.rows);
  const whole = [...same].filter(([, until]) => until === Math.max(before.rows, after.rows)).map(([name]) => name);
  const last = Object.entries(found.last_steps ?? lastOf(after)).map(([name, value]) => `${name} ${brief(value, 6)}`).join(", ");
  const row = highest === null ? null : Math.floor(highest / run.stride);
  return [
    el("p", { class: least >= from ? "same" : "differs" }, least < from ? `✗ Row ${count(least)} differs, before ${count(from)}.`
      : `✓ Every row before ${count(from)} keeps its bits: ${proven ? "the server proves it, and " : ""}this page has compared all ${count(from)}.`),
    differs && whole.length > 0 && el("p", { class: "same" }, `✓ ${whole.join(", ")} keeps every bit, to the last row.`),
    el("p", {}, differs ? `Rows change from ${count(least)} on, by a factor of ${brief(found.largest_factor ?? largestFactor(before, after, least), 6)} at most${more ? `; ${count(Math.abs(more))} rows ${more > 0 ? "more" : "fewer"}` : ""}. The last row: ${last}.` : "No row changes."),
    row !== null && differs && el("p", {}, least > row ? `The worker that is farthest is at row ${count(row)}, ${count(least - row)} before the first change.` : `The worker that is farthest is at row ${count(row)}: it has passed the first change.`),
  ];
}

function lastOf(table) {
  return Object.fromEntries([...table.columns].flatMap(([name, groups]) => groups.map((values, group) => [groups.length > 1 ? `${name}.${group}` : name, values.at(-1)])));
}

// What a change of a run would do, and what it provably does not: each row of both tables is compared, bit for bit.

import { el } from "../common/dom.js";
import { brief, count } from "../common/format.js";
import { originOf, remember } from "../data/origins.js";
import { labelOf } from "./calls.js";

/**
 * @typedef {import("../common/types.js").Table} Table
 * @typedef {import("./types.js").Run} Run
 * @typedef {import("./types.js").Found} Found
 */

/** The changed curve beside the run's, among the curves of the page. */
export class Preview {
  /** @param {import("./types.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {string | null} the spec that is drawn */
    this.drawn = null;
  }

  /** The run's curve and the changed one, to compare. @param {Run} run @param {Found} found */
  show(run, found) {
    const now = remember("run", `${run.namespace}/${run.name}`, run, labelOf(run));
    const next = remember("table", found.digest, { ...found, axis: run.axis, stride: run.stride }, "preview");
    const specs = [structuredClone(now), structuredClone(next)];
    this.drawn = JSON.stringify(next);
    if (JSON.stringify(specs) !== JSON.stringify(this.page.state.specs)) this.page.change({ specs, active: 0, ...(found.total_steps > run.total_steps ? { view: null } : {}) }, "preview");
  }

  /** Take the changed curve off the page. */
  clear() {
    const { specs } = this.page.state, kept = specs.filter((spec, place) => !place || (originOf(spec)?.label !== "preview" && JSON.stringify(spec) !== this.drawn));
    if (kept.length && kept.length < specs.length) this.page.change({ specs: kept, active: 0, against: "overlay" }, "preview");
  }
}

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

/** @param {Float64Array} values */
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
 * @param {{ run: Run, found: Found, before: Table, after: Table, same: Map<string, number>, highest: number | null, proven: boolean }} change
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

/** The values of the last row. @param {Table} table @returns {Record<string, number>} */
function lastOf(table) {
  return Object.fromEntries([...table.columns].flatMap(([name, groups]) => groups.map((values, group) => [groups.length > 1 ? `${name}.${group}` : name, values[values.length - 1]])));
}

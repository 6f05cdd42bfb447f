// What a canvas cannot say to a screen reader, and numbers to copy: the boundaries, and every row.

import { button, el, fill, newId } from "../common/dom.js";
import { count, exact, parsed } from "../common/format.js";

const PAGE = 25;
const MOST_BOUNDARIES = 40;

/**
 * The columns of a table, flat: `lr`, or `lr.0`, `lr.1` for groups.
 * @param {import("../data/engine.js").Table} table
 * @returns {{ name: string, values: Float64Array }[]}
 */
export function flat(table) {
  return table.names.flatMap((name) => {
    const groups = table.columns.get(name) ?? [];
    return groups.map((values, group) => ({ name: groups.length > 1 ? `${name}.${group}` : name, values }));
  });
}

/**
 * The parts of a curve between its boundaries, named by what the values do there.
 * @param {Float64Array} values
 * @param {number[]} steps boundaries, ascending
 * @param {boolean} isRate whether a first rise is a warmup
 */
export function phasesOf(values, steps, isRate = true) {
  const last = values.length - 1, inner = steps.filter((step) => step > 0 && step < last);
  const cuts = [0, ...inner.slice(0, MOST_BOUNDARIES), last];
  const phases = cuts.slice(1).map((stop, place) => {
    const start = cuts[place];
    const way = wayOf(values, start, stop === last ? last : stop - 1);
    return { start, stop, name: isRate && way === "rise" && place === 0 && cuts.length > 2 ? "warmup" : way };
  });
  return phases.filter(({ start, stop }) => stop > start).reduce((joined, phase) => {
    const before = joined.at(-1);
    if (before && before.name === "stable" && phase.name === "stable" && values[before.start] === values[phase.start]) before.stop = phase.stop;
    else joined.push(phase);
    return joined;
  }, /** @type {{ start: number, stop: number, name: string }[]} */ ([]));
}

/** What the values do from one row to another: seen at 64 of them, since only the shading depends on it. */
function wayOf(values, start, stop) {
  let up = false, down = false;
  const width = Math.max(1, (stop - start) / 64);
  for (let at = start, next; at < stop; at = next) {
    next = Math.min(stop, at + width);
    const gap = values[Math.floor(next)] - values[Math.floor(at)];
    up ||= gap > 0;
    down ||= gap < 0;
  }
  return up && down ? "" : up ? "rise" : down ? "decay" : "stable";
}

/** The sum of a column, the highest value and its first row. @param {Float64Array} values */
export function summaryOf(values) {
  let sum = 0, lost = 0, peak = 0;
  for (let row = 0; row < values.length; row++) {
    if (values[row] > values[peak]) peak = row;
    const term = values[row] - lost, next = sum + term; // compensated, so that 20 million terms keep their digits
    lost = next - sum - term;
    sum = next;
  }
  return { sum, peak, highest: values[peak], first: values[0], last: values[values.length - 1] };
}

/**
 * The table of boundaries: each with the values before, at and after it.
 * @param {Float64Array} values @param {{ step: number, label: string }[]} boundaries @param {number} stride
 * @param {(step: number) => void} go
 */
export function boundaryTable(values, boundaries, stride, go) {
  const cell = (row) => el("td", { class: "number" }, row < 0 || row >= values.length ? "" : exact(values[row]));
  const rows = boundaries.slice(0, MOST_BOUNDARIES).map(({ step, label }) =>
    el("tr", {}, el("th", { scope: "row" }, button(count(step * stride), () => go(step), { class: "link", "aria-label": `Go to ${label}, ${step * stride}` })), el("td", {}, label), cell(step - 1), cell(step), cell(step + 1)));
  const more = boundaries.length - rows.length;
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Boundaries" },
    el("table", {}, el("caption", {}, more > 0 ? `Boundaries: the first ${rows.length} of ${count(boundaries.length)}` : "Boundaries"),
      el("thead", {}, el("tr", {}, ...["k", "what", "k − 1", "k", "k + 1"].map((text, place) => el("th", { scope: "col", class: place > 1 ? "number" : null }, text)))),
      el("tbody", {}, ...rows)));
}

/** The rows of a table, a page at a time. */
export class Rows {
  constructor() {
    this.start = 0;
    this.columns = [];
    this.stride = 1;
    this.axis = "step";
    const id = newId();
    this.jump = el("input", { id, type: "text", inputmode: "numeric", autocomplete: "off", size: 12 });
    this.where = el("span", { role: "status" });
    this.body = el("tbody", {});
    this.head = el("tr", {});
    this.jump.addEventListener("keydown", (event) => {
      const row = Math.floor(parsed(this.jump.value) / this.stride);
      if (event.key === "Enter") this.to(Number.isFinite(row) ? row : 0);
    });
    this.table = el("table", {}, el("caption", {}, "Values"), el("thead", {}, this.head), this.body);
    this.root = el("section", { class: "rows", "aria-label": "Table of values", hidden: true, tabindex: "-1" },
      el("div", { class: "bar" },
        button("« First", () => this.to(0)), button("‹ Back", () => this.to(this.start - PAGE)),
        button("Next ›", () => this.to(this.start + PAGE)), button("Last »", () => this.to(this.length - 1)),
        el("label", { for: id }, "Go to"), this.jump, this.where),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Values" }, this.table));
  }

  get length() {
    return Math.max(0, ...this.columns.map(({ values }) => values.length));
  }

  /** @param {{ name: string, values: Float64Array }[]} columns @param {string} axis @param {number} stride */
  show(columns, axis, stride) {
    Object.assign(this, { columns, axis, stride });
    this.to(this.start);
  }

  /** Show the page that has a row. @param {number} row */
  to(row) {
    this.start = Math.floor(Math.min(Math.max(0, row), Math.max(0, this.length - 1)) / PAGE) * PAGE;
    if (this.root.hidden) return;
    const stop = Math.min(this.length, this.start + PAGE);
    fill(this.head, el("th", { scope: "col" }, this.axis), ...this.columns.map(({ name }) => el("th", { scope: "col", class: "number" }, name)));
    fill(this.body, ...Array.from({ length: stop - this.start }, (_, place) => this.rowOf(this.start + place)));
    this.where.textContent = `rows ${count(this.start)} to ${count(stop - 1)} of ${count(this.length)}`;
  }

  rowOf(row) {
    return el("tr", {}, el("th", { scope: "row" }, count(row * this.stride)),
      ...this.columns.map(({ values }) => el("td", { class: "number" }, row < values.length ? exact(values[row]) : "")));
  }

  /** Show the table with a row, or hide it. @param {number} row */
  toggle(row) {
    this.root.hidden = !this.root.hidden;
    this.to(row);
    if (!this.root.hidden) this.root.focus();
  }
}

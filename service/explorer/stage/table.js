// What a canvas cannot say to a screen reader, and numbers to copy: the boundaries, and every row.

import { button, el, fill, newId } from "../common/dom.js";
import { count, exact, parsed } from "../common/format.js";

const PAGE = 25;
const MOST_BOUNDARIES = 40;

/**
 * The table of boundaries: each with the values before, at and after it.
 * @param {Float64Array} values @param {{ step: number, label: string }[]} boundaries @param {number} stride
 * @param {(step: number) => void} go
 */
export function boundaryTable(values, boundaries, stride, go) {
  const cell = (/** @type {number} */ row) => el("td", { class: "number" }, row < 0 || row >= values.length ? "" : exact(values[row]));
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
    /** @type {import("../common/types.js").Column[]} */
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

  /** @param {number} row */
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

// Several curves beside the first one, in numbers.

import { Extremes } from "../chart/decimate.js";
import { button, el, fill, later } from "../common/dom.js";
import { brief, count } from "../common/format.js";
import { summaryOf } from "../data/columns.js";
import { difference, differences } from "./difference.js";
import { pairsOf } from "./pairs.js";
import { verdict } from "./verdict.js";
import { inWords, ulpText } from "./words.js";

const MOST_COLUMNS = 24; // of one curve: each takes a moment
const HEADS = ["curve", "column", "in short", "first differing", "largest absolute", "relative", "ULP", "sum"];

/**
 * @typedef {import("../chart/types.js").Series} Series
 * @typedef {import("../common/types.js").Ready} Ready
 * @typedef {{ name: string, left: Float64Array, right: Float64Array }} Pair
 */

/** @type {WeakMap<Float64Array, Map<string, { base: Float64Array, values: Float64Array, extremes: Extremes }>>} differences that were made, by the second curve */
const made = new WeakMap();

/**
 * The differences of curves to the first of them, as curves.
 * @param {Series[]} series @param {string} way
 * @returns {Series[]}
 */
export function differenceSeries(series, way) {
  const [base, ...others] = series;
  return others.map((other) => {
    const kept = made.get(other.values) ?? new Map();
    made.set(other.values, kept);
    const found = kept.get(way);
    if (found?.base === base.values) return { ...found, label: `${other.label} − ${base.label}`, color: other.color };
    const values = differences(base.values, other.values, way);
    const entry = { base: base.values, values, extremes: new Extremes(values) };
    kept.set(way, entry);
    return { ...entry, label: `${other.label} − ${base.label}`, color: other.color };
  });
}

/** The table that compares: a line for each column of each curve, and what the layouts have apart. */
export class Comparison {
  /** @param {(step: number) => void} go */
  constructor(go) {
    this.go = go;
    this.root = el("section", { "aria-label": "Comparison", hidden: true });
    this.fill = later((/** @type {Ready[]} */ entries, /** @type {string} */ letters) => this.compare(entries, letters), 200);
    this.shown = "";
  }

  /** @param {Ready[]} entries @param {string} letters */
  show(entries, letters) {
    this.root.hidden = entries.length < 2;
    const key = entries.map(({ text, table }) => `${text} ${table.source}`).join("\n");
    if (this.root.hidden || key === this.shown) return;
    this.shown = key;
    this.fill(entries, letters);
  }

  /** @param {Ready[]} entries @param {string} letters */
  async compare(entries, letters) {
    const [base, ...others] = entries, name = letters[base.place], { shown } = this;
    const body = el("tbody", {}), apart = el("div", {});
    fill(this.root, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences" }, el("table", {},
      el("caption", {}, `Compared with ${name}`),
      el("thead", {}, el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col" }, text)))),
      body)), apart);
    for (const other of others) {
      const own = letters[other.place], { pairs, lacking } = pairsOf(base.flat, other.flat, Math.min(base.table.rows, other.table.rows));
      for (const pair of pairs.slice(0, MOST_COLUMNS)) {
        if (this.shown !== shown) return; // other curves have come meanwhile
        body.append(this.row(pair, own));
        await new Promise((resolve) => setTimeout(resolve)); // the page stays quick between long columns
      }
      const more = pairs.length > MOST_COLUMNS ? [`${count(pairs.length - MOST_COLUMNS)} more columns are not compared`] : [];
      const lines = [...lacking.map((column) => `only ${column.isLeft ? name : own} has the column ${column.name}`), ...layoutsOf(base, other, name, own), ...more];
      if (lines.length) apart.append(el("p", { class: "about" }, `${own}: ${lines.join("; ")}.`));
    }
  }

  /** @param {Pair} pair @param {string} own letter of the curve */
  row({ name, left, right }, own) {
    const found = difference(left, right), ratio = summaryOf(right).sum / summaryOf(left).sum;
    const at = (/** @type {number} */ step) => step >= 0 && button(count(step), () => this.go(step), { class: "link", "aria-label": `Go to step ${step}` });
    const cell = (/** @type {string} */ text, /** @type {number} */ step) => el("td", { class: "number" }, text, " ", at(step));
    return el("tr", {}, el("th", { scope: "row" }, own), el("td", {}, name), el("td", {}, inWords(verdict(left, right, found), found, own)),
      el("td", { class: "number" }, found.first < 0 ? "none" : at(found.first)),
      cell(brief(found.absolute, 6), found.absoluteAt), cell(`${brief(found.relative * 100, 4)} %`, found.relativeAt), cell(ulpText(found.ulp), found.ulpAt),
      el("td", { class: "number" }, Number.isFinite(ratio) ? `× ${brief(ratio, 6)}` : "—"));
  }
}

/** Differences of two tables beside their values, in sentences. @param {Ready} base @param {Ready} other @param {string} name @param {string} own */
function layoutsOf({ spec: left }, { spec: right }, name, own) {
  const fields = /** @type {const} */ ([["axis", "step"], ["stride", 1], ["after", "hold"], ["total_steps", 0]]);
  return fields.flatMap(([field, usual]) => {
    const a = left[field] ?? usual, b = right[field] ?? usual;
    return a === b ? [] : [`${field}: ${name} has ${a}, ${own} has ${b}`];
  });
}

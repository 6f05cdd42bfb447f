// Several curves beside the first one, in numbers.

import { Extremes } from "../chart/decimate.js";
import { difference, differences } from "./difference.js";
import { button, el, fill, later } from "../common/dom.js";
import { brief, count } from "../common/format.js";
import { summaryOf } from "../stage/table.js";
import { inWords, ulpText, verdict } from "./verdict.js";

/** @type {WeakMap<Float64Array, Map<string, any>>} differences that were made, by the second curve */
const made = new WeakMap();

/**
 * The differences of curves to the first of them, as curves.
 * @param {any[]} series @param {string} way
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

/** The table that compares. */
export class Comparison {
  /** @param {(step: number) => void} go */
  constructor(go) {
    this.go = go;
    this.root = el("section", { "aria-label": "Comparison", hidden: true });
    this.fill = later((entries, letters) => this.compare(entries, letters), 200);
    this.shown = "";
  }

  /** @param {any[]} entries @param {string} letters */
  show(entries, letters) {
    this.root.hidden = entries.length < 2;
    const key = entries.map(({ text }) => text).join("\n");
    if (this.root.hidden || key === this.shown) return;
    this.shown = key;
    this.fill(entries, letters);
  }

  compare(entries, letters) {
    const [base, ...others] = entries, name = letters[base.place];
    fill(this.root, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences" }, el("table", {},
      el("caption", {}, `Compared with ${name}`),
      el("thead", {}, el("tr", {}, ...["curve", "in short", "first differing", "largest absolute", "relative", "ULP", "sum of rates"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...others.map((other) => this.row(base, other, name, letters[other.place]))))));
  }

  row(base, other, name, own) {
    const rows = Math.min(base.table.rows, other.table.rows);
    const left = base.flat[0].values.subarray(0, rows), right = other.flat[0].values.subarray(0, rows), found = difference(left, right);
    const length = base.table.rows === other.table.rows ? "" : `; ${own} has ${count(other.table.rows)} rows, ${name} ${count(base.table.rows)}`;
    const at = (step) => (step < 0 ? "" : button(count(step), () => this.go(step), { class: "link", "aria-label": `Go to step ${step}` }));
    const cell = (text, step) => el("td", { class: "number" }, text, " ", at(step));
    const ratio = summaryOf(right).sum / summaryOf(left).sum;
    return el("tr", {}, el("th", { scope: "row" }, own), el("td", {}, inWords(verdict(left, right, found), found, own) + length),
      el("td", { class: "number" }, found.first < 0 ? "none" : at(found.first)),
      cell(brief(found.absolute, 6), found.absoluteAt), cell(`${brief(found.relative * 100, 4)} %`, found.relativeAt), cell(ulpText(found.ulp), found.ulpAt),
      el("td", { class: "number" }, Number.isFinite(ratio) ? `× ${brief(ratio, 6)}` : "—"));
  }
}

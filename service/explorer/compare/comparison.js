// Several curves beside the first one, in numbers.

import { button, el, fill, later } from "../common/dom.js";
import { brief, count } from "../common/format.js";
import { pairsOf } from "./pairs.js";
import { inWords, ulpText } from "./words.js";

const MOST_COLUMNS = 24; // of one curve: each takes a moment
const HEADS = ["curve", "column", "in short", "first differing", "largest absolute", "relative", "ULP", "sum"];

/**
 * @typedef {import("../chart/types.js").Series} Series
 * @typedef {import("../common/types.js").Ready} Ready
 */

/** The differences of curves to the first of them, as curves. */
export class Differences {
  /** @param {import("./beside.js").Beside} beside @param {() => void} redraw when one is made */
  constructor(beside, redraw) {
    this.beside = beside;
    this.redraw = redraw;
    /** @type {Map<string, { asked: [Float64Array, Float64Array, string], shown?: Omit<Series, "label" | "color"> }>} by label: what was asked for last, and what is shown, which may be older */
    this.made = new Map();
  }

  /**
   * Those that are there; the others are drawn once they are made.
   * @param {Series[]} series @param {string} way
   * @returns {Series[]}
   */
  series([base, ...others], way) {
    return others.flatMap(({ values, label: name, color }) => {
      const label = `${name} − ${base.label}`, kept = this.made.get(label);
      if (!kept || kept.asked[0] !== base.values || kept.asked[1] !== values || kept.asked[2] !== way) this.make(label, [base.values, values, way], kept?.shown);
      return kept?.shown ? [{ ...kept.shown, label, color }] : [];
    });
  }

  /** @param {string} label @param {[Float64Array, Float64Array, string]} asked @param {Omit<Series, "label" | "color">} [before] */
  async make(label, asked, before) {
    this.made.set(label, { asked, shown: before });
    const shown = await this.beside.differences(`difference ${label}`, ...asked).catch(() => null);
    if (!shown || this.made.get(label)?.asked !== asked) return;
    this.made.set(label, { asked, shown });
    this.redraw();
  }

  /** Give up the memory of all. */
  clear() {
    this.made.clear();
  }
}

/** The table that compares: a line for each column of each curve, and what the layouts have apart. */
export class Comparison {
  /** @param {import("./beside.js").Beside} beside @param {(step: number) => void} go */
  constructor(beside, go) {
    this.beside = beside;
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
        const compared = await this.beside.compared("comparison", pair.left, pair.right);
        if (this.shown !== shown || !compared) return; // other curves have come meanwhile
        body.append(this.row(pair.name, compared, own));
      }
      const more = pairs.length > MOST_COLUMNS ? [`${count(pairs.length - MOST_COLUMNS)} more columns are not compared`] : [];
      const lines = [...lacking.map((column) => `only ${column.isLeft ? name : own} has the column ${column.name}`), ...layoutsOf(base, other, name, own), ...more];
      if (lines.length) apart.append(el("p", { class: "about" }, `${own}: ${lines.join("; ")}.`));
    }
  }

  /** @param {string} name @param {import("./beside.js").Compared} compared @param {string} own letter of the curve */
  row(name, { found, said, ratio }, own) {
    const at = (/** @type {number} */ step) => step >= 0 && button(count(step), () => this.go(step), { class: "link", "aria-label": `Go to step ${step}` });
    const cell = (/** @type {string} */ text, /** @type {number} */ step) => el("td", { class: "number" }, text, " ", at(step));
    return el("tr", {}, el("th", { scope: "row" }, own), el("td", {}, name), el("td", {}, inWords(said, found, own)),
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

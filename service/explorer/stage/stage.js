// The large part of the page: the curves, what the cursor reads, the facts, and the tables below.

import { Chart } from "../chart/chart.js";
import { Beside } from "../compare/beside.js";
import { Comparison, Differences } from "../compare/comparison.js";
import { Extremes } from "../chart/decimate.js";
import { button, byId, el, fill, later, messageOf, refill, say } from "../common/dom.js";
import { baseOf, flat, phasesOf } from "../data/columns.js";
import { TokenError } from "../data/engine.js";
import { RefusedError } from "../data/workers.js";
import { brief, count, exact } from "../common/format.js";
import { tooLarge } from "../data/limits.js";
import { tokenForm } from "../data/token.js";
import { isEmbedded, openLink } from "../share/embed.js";
import { Share } from "../share/share.js";
import { MAX_CURVES } from "../data/state.js";
import { aboutRecipe, labelOf, LETTERS, nameOf, recipeOf, unchecked, unknownKind } from "./names.js";
import { Proof } from "./proof.js";
import { Rows, boundaryTable } from "./table.js";

/** @type {Record<Mode, string[]>} */
const MODES = { y: ["linear", "log", "asinh"], x: ["linear", "log"], against: ["overlay", "absolute", "relative", "ulp"] };

/**
 * @typedef {"y" | "x" | "against"} Mode
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {import("../common/types.js").State} State
 * @typedef {import("../common/types.js").Table} Table
 * @typedef {import("../common/types.js").Entry} Entry
 * @typedef {import("../common/types.js").Ready} Ready
 * @typedef {import("../chart/types.js").Picture} Picture
 *
 * A curve whose table is there, or is still to come.
 * @typedef {Partial<Entry> & { wanted?: string }} Curve
 *
 * What the stage needs of the page: `refuse` shows an error of the active curve at its field, and says whether there is one.
 * @typedef {object} Page
 * @property {import("../data/engine.js").Engine} engine
 * @property {import("../common/types.js").Catalogue} catalogue
 * @property {(change: Partial<State>, key?: string) => void} change
 * @property {(problem: import("../common/types.js").Problem | null) => boolean} refuse
 */

/** The curves of the page, and what belongs to them. */
export class Stage {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    /** @type {State} */
    this.state = { specs: [], active: 0, y: MODES.y[0], x: MODES.x[0], against: MODES.against[0], view: null };
    /** @type {Curve[]} */
    this.tables = [];
    /** @type {Chart[]} */
    this.charts = [];
    /** @type {Picture[]} what the charts show */
    this.pictures = [];
    /** @type {Table | null} the table that the facts are of */
    this.painted = null;
    /** @type {import("../chart/types.js").Mark[]} beside the boundaries; `dot` is the colour of one on the curve */
    this.marks = [];
    /** @type {Set<import("../chart/types.js").Layer>} what other modules draw over the curves */
    this.layers = new Set();
    this.cursor = 0;
    /** @type {Map<string, HTMLElement>} */
    this.notices = new Map();
    this.title = byId("title");
    this.readout = el("dl", { class: "readout" });
    this.modes = el("div", { class: "bar modes" });
    this.facts = el("dl", { class: "facts" });
    this.about = el("div", { class: "recipe" });
    this.bounds = el("div", {});
    this.rows = new Rows();
    this.beside = new Beside();
    this.proof = new Proof({ engine: page.engine, beside: this.beside, askForToken: (message) => this.askForToken(message) });
    this.differences = new Differences(this.beside, () => this.paint());
    this.comparison = new Comparison(this.beside, (step) => this.chart?.moveTo(step));
    this.share = new Share({ stage: this });
    this.plots = el("div", { class: "plots" });
    fill(byId("charts"), this.readout, this.plots, this.modes, isEmbedded() && openLink());
    this.toggleTable = this.tableButton();
    fill(byId("below"), this.about, this.facts, this.proof.root, this.comparison.root, this.bounds, el("div", { class: "bar" }, this.toggleTable), this.rows.root, this.share.root);
    this.prove = later(() => this.proveNow(), 300);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.charts.forEach((chart) => chart.draw()));
    matchMedia("(forced-colors: active)").addEventListener("change", () => this.charts.forEach((chart) => chart.draw()));
    addEventListener("beforeprint", () => this.charts.forEach((chart) => chart.paint()));
  }

  get chart() {
    return this.charts[0];
  }

  tableButton() {
    const toggle = button("Table of all values", () => {
      this.rows.toggle(this.cursor);
      toggle.setAttribute("aria-expanded", String(!this.rows.root.hidden));
    }, { "aria-expanded": "false", "aria-keyshortcuts": "T", class: "quiet" });
    return toggle;
  }

  /** Say something above the curve, or take it back. @param {string} name @param {string | null} text @param {...(Node | string)} more */
  notice(name, text, ...more) {
    if (text === null) this.notices.delete(name);
    else this.notices.set(name, el("p", { class: "notice", role: "alert" }, text, ...more));
    fill(byId("notices"), ...this.notices.values());
  }

  /** @param {State} state @param {boolean} done */
  show(state, done) {
    this.state = state;
    this.tables.length = Math.min(this.tables.length, state.specs.length);
    const { specs, active, x, y, against, view } = state;
    refill(this.title, JSON.stringify([specs.map((spec) => nameOf(spec, this.page.catalogue)), active]), () => this.chips());
    const recipe = recipeOf(specs[active], this.page.catalogue);
    refill(this.about, recipe?.name ?? "", () => (recipe ? aboutRecipe(recipe) : []));
    refill(this.modes, JSON.stringify([specs.length > 1, x, y, against, view === null]), () => this.modeButtons());
    state.specs.forEach((spec, place) => this.load(spec, place, done));
    this.paint();
  }

  /** Make the table of a curve, unless it is there. @param {Spec} spec @param {number} place @param {boolean} done */
  async load(spec, place, done) {
    const text = JSON.stringify(spec), present = this.tables[place];
    const isFinal = present?.settled || !done || present?.table?.source !== "preview"; // else the server has the bits
    if (present?.text === text && present.table && isFinal) return;
    const active = place === this.state.active;
    const refused = tooLarge(spec, this.state.specs.slice(0, place)) ?? unknownKind(spec, this.page.catalogue);
    if (refused) return this.refuse(place, text, new Error(`${refused}${unchecked(spec)}`));
    if (this.page.engine.worker === undefined && !this.page.engine.fault) return; // it starts
    this.tables[place] = { ...present, wanted: text };
    try {
      const table = await this.page.engine.table(`curve ${place}`, spec, done);
      if (!table || JSON.stringify(this.state.specs[place]) !== text) return;
      const columns = await this.described(table, place);
      if (!columns || JSON.stringify(this.state.specs[place]) !== text) return;
      this.tables[place] = { spec, text, table, flat: columns, settled: done };
      if (active) this.accept();
      if (table.lacking instanceof TokenError) this.askForToken(table.lacking.message);
      else if (table.lacking) this.notice("spec", `${messageOf(table.lacking)}: this is a preview.`);
      this.paint();
      this.prove();
    } catch (error) {
      if (JSON.stringify(this.state.specs[place]) === text) this.refuse(place, text, error);
    }
  }

  /** The columns of a table with their extremes and summaries: from the worker that made them, or from another one. @param {Table} table @param {number} place */
  async described(table, place) {
    const columns = flat(table).map(async ({ name, values }) => {
      const known = table.described?.get(baseOf(name))?.[Number(name.split(".")[1] ?? 0)];
      if (known) return { name, values, extremes: new Extremes(values, known.bounds), summary: known.summary };
      const found = await this.beside.described(`curve ${place} ${name}`, values);
      return found && { name, values, ...found };
    });
    const found = await Promise.all(columns), there = found.filter((column) => column !== null);
    return there.length === found.length ? there : null; // else a newer table has come
  }

  accept() {
    this.notice("spec", null);
    this.notice("token", null);
    this.page.refuse(null);
  }

  /** @param {number} place @param {string} text of the spec @param {unknown} error */
  refuse(place, text, error) {
    const present = this.tables[place], kind = (/** @type {Spec} */ spec) => JSON.stringify([spec.schedule].flat().map((each) => each.kind));
    if (present?.spec && kind(present.spec) !== kind(this.state.specs[place])) this.tables[place] = {}; // it would mislead
    this.tables[place] = { ...this.tables[place], text, failed: messageOf(error) };
    if (error instanceof TokenError) return this.askForToken(error.message);
    const pointer = error instanceof RefusedError ? error.pointer : null;
    const shown = place === this.state.active && this.page.refuse({ message: messageOf(error), pointer });
    this.notice("spec", shown ? null : `${this.state.specs.length > 1 ? `${LETTERS[place]}: ` : ""}${messageOf(error)}`);
    this.paint();
  }

  /** @param {string} message */
  askForToken(message) {
    if (isEmbedded()) return this.notice("token", message); // a page around this one could look as if it asked for it
    const asked = tokenForm("Token", "Use it in this tab", () => {
      this.notice("token", null);
      this.tables = this.tables.map((entry) => (entry.table && entry.table.source !== "preview" ? entry : {}));
      this.show(this.state, true);
    });
    this.notice("token", `${message} `, asked);
  }

  /** The curves as buttons: the pressed one is in the form. */
  chips() {
    const { specs, active } = this.state;
    if (isEmbedded()) return specs.map((spec, place) => el("span", { class: `chip c${place}` }, `${specs.length > 1 ? `${LETTERS[place]}  ` : ""}${nameOf(spec, this.page.catalogue)}`));
    const chips = specs.map((spec, place) => el("span", { class: `chip c${place}` },
      button(`${specs.length > 1 ? `${LETTERS[place]}  ` : ""}${nameOf(spec, this.page.catalogue)}`, () => this.page.change({ active: place }), { "aria-pressed": String(place === active) }),
      specs.length > 1 && button("×", () => this.removeCurve(place), { "aria-label": `Remove curve ${LETTERS[place]}`, class: "quiet" })));
    const add = specs.length < MAX_CURVES && button("+ Compare", () => this.copyCurve(), { class: "quiet", title: "Add a copy of this curve, to change and compare" });
    return [el("h1", { class: "unseen" }, nameOf(specs[active], this.page.catalogue)), ...chips, add];
  }

  copyCurve() {
    const { specs, active } = this.state; // as it is when the button is pressed: the buttons stay while parameters change
    this.page.change({ specs: [...specs, structuredClone(specs[active])], active: specs.length });
  }

  /** @param {number} place */
  removeCurve(place) {
    const { specs, against } = this.state;
    this.page.change({ specs: specs.toSpliced(place, 1), active: 0, against: specs.length === 2 ? "overlay" : against });
  }

  modeButtons() {
    const group = (/** @type {Mode} */ name, /** @type {string} */ label) => el("span", { role: "group", "aria-label": label, class: "choice" }, el("span", { "aria-hidden": "true" }, label),
      ...MODES[name].map((mode) => button(mode === "ulp" ? "ULP" : mode, () => this.page.change({ [name]: mode }), { "aria-pressed": String(this.state[name] === mode) })));
    return [
      group("y", "y"), group("x", "x"), this.state.specs.length > 1 && group("against", "difference to A"),
      el("span", { role: "group", "aria-label": "zoom", class: "choice" },
        button("−", () => this.chart?.zoomBy(2), { "aria-label": "Zoom out" }), button("+", () => this.chart?.zoomBy(0.5), { "aria-label": "Zoom in" }),
        button("Whole table", () => this.page.change({ view: null }, "view"), { disabled: this.state.view === null })),
    ];
  }

  // -- drawing --------------------------------------------------------------------------------------------------------

  get active() {
    return this.tables[this.state.active];
  }

  /** Show the tables that are there. */
  paint() {
    const ready = this.tables.map((entry, place) => ({ ...entry, place })).filter(isReady);
    const pictures = this.picturesOf(ready);
    while (this.charts.length > pictures.length) this.charts.pop()?.remove();
    pictures.forEach((picture, place) => {
      if (!this.charts[place]) this.addChart(picture.name, place);
      this.charts[place].root.setAttribute("aria-label", `Cursor on the curve of ${picture.name}`);
      this.charts[place].show(picture, this.state.view, this.cursor);
    });
    this.pictures = pictures;
    for (const id of ["charts", "below"]) byId(id).hidden = !this.active?.table;
    this.read();
    const entry = ready.find(({ place }) => place === this.state.active);
    if (!entry) return;
    byId("stage").classList.toggle("stale", entry.text !== JSON.stringify(this.state.specs[this.state.active]) || Boolean(entry.failed));
    this.comparison.show(ready, LETTERS);
    this.share.follow();
    if (this.painted === entry.table) return;
    this.painted = entry.table;
    const { values: main, summary } = entry.flat[0], { spec } = entry;
    fill(this.facts, ...this.factRows(summary, spec));
    fill(this.bounds, boundaryTable(main, entry.table.boundaries, spec.stride ?? 1, (step) => this.chart?.moveTo(step)));
    this.rows.show(entry.flat, spec.axis ?? "step", spec.stride ?? 1);
    this.share.show(entry);
  }

  /** Draw a layer over the curves of its column, until the function that this returns is called. @param {import("../chart/types.js").Layer} layer */
  addLayer(layer) {
    this.layers.add(layer);
    this.paint();
    return () => {
      this.layers.delete(layer);
      this.paint();
    };
  }

  /** @param {string} name @param {number} place */
  addChart(name, place) {
    const chart = new Chart(name, {
      view: (view) => this.page.change({ view }, "view"),
      cursor: (step) => this.moved(step),
    }, place === 0);
    this.charts.push(chart);
    this.plots.append(chart.root);
  }

  /** One picture for each column name; groups and compared curves share it. @param {Ready[]} ready @returns {Picture[]} */
  picturesOf(ready) {
    if (!ready.length) return [];
    if (this.state.against === "overlay") this.differences.clear();
    const { x, y, against, specs } = this.state;
    const names = [...new Set(ready.flatMap(({ table }) => table.names))];
    const spec = specs[this.state.active], rows = Math.max(...ready.map(({ table }) => table.rows));
    return names.map((name) => {
      const own = ready.filter(({ table }) => table.names.includes(name));
      const all = own.flatMap((entry) => entry.flat.filter((column) => column.name.split(".")[0] === name)
        .map((column, group) => ({ ...column, label: labelOf(entry.place, ready.length, column.name), color: ready.length > 1 ? entry.place : group })));
      const differs = against !== "overlay" && all.length > 1;
      const series = differs ? this.differences.series(all, against) : all;
      const first = own.find(({ place }) => place === this.state.active) ?? own[0];
      const marks = first.table.boundaries.filter(({ step }) => step > 0 && step < first.table.rows - 1);
      const more = name === "lr" ? this.marks.filter(({ step }) => step < rows) : [];
      const values = first.flat.find((column) => baseOf(column.name) === name)?.values ?? new Float64Array(0);
      const phases = ready.length > 1 ? [] : phasesOf(values, marks.map(({ step }) => step), name === "lr");
      return { name, series, rows, marks: [...marks, ...more].sort((a, b) => a.step - b.step), phases, layers: differs ? [] : [...this.layers].filter(({ column }) => column === name), x, y: differs ? "linear" : y, stride: spec.stride ?? 1, axis: spec.axis ?? "step", unit: differs ? `${name}: ${against} difference` : name };
    });
  }

  /** @param {import("../common/types.js").Summary} summary @param {Spec} spec */
  factRows(summary, spec) {
    const stride = spec.stride ?? 1, at = `${spec.axis ?? "step"} ${count(summary.peak * stride)}`;
    const rows = [
      ["rows", `${count(spec.total_steps)}${stride > 1 ? ` of ${count(stride)} ${spec.axis}s` : ""}`],
      ["highest", `${brief(summary.highest, 6)} at ${at}`], ["first", brief(summary.first, 6)], ["last", brief(summary.last, 6)], ["sum", brief(summary.sum, 9)],
    ];
    return rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)));
  }

  /** What the cursor reads. */
  read() {
    const [picture] = this.pictures;
    if (!picture) return;
    const rows = this.pictures.flatMap(({ series }) => series).slice(0, 12).map((series) => {
      const value = series.values[this.cursor - (series.first ?? 0)];
      return el("div", { class: `c${series.color}` }, el("dt", {}, series.label), el("dd", {}, value === undefined ? "—" : exact(value)));
    });
    fill(this.readout, el("div", { class: "where" }, el("dt", {}, picture.axis), el("dd", {}, count(this.cursor * picture.stride))), ...rows);
  }

  /** Show the cursor at a row. @param {number} step */
  moved(step) {
    this.cursor = step;
    this.pictures.forEach((picture, place) => this.charts[place].show(picture, this.state.view, step));
    this.read();
  }

  proveNow() {
    const entry = this.active;
    if (entry && isReady({ ...entry, place: 0 }) && !entry.failed) this.proof.show(/** @type {Entry} */ (entry), () => this.active?.text === entry.text);
  }

  // -- keys -----------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  key(event) {
    const chart = this.chart;
    if (!chart?.picture) return;
    const onChart = event.target instanceof Element && event.target.closest(".chart"), [from, to] = chart.range, by = event.shiftKey ? 100 : 1;
    /** @type {Record<string, () => void>} */
    const anywhere = {
      j: () => this.toBoundary(1), k: () => this.toBoundary(-1), t: () => this.toggleTable.click(),
      "+": () => chart.zoomBy(0.5), "=": () => chart.zoomBy(0.5), "-": () => chart.zoomBy(2), 0: () => this.page.change({ view: null }, "view"),
    };
    /** @type {Record<string, () => void>} */
    const here = {
      ArrowLeft: () => chart.moveTo(this.cursor - by), ArrowRight: () => chart.moveTo(this.cursor + by),
      ArrowDown: () => chart.moveTo(this.cursor - by), ArrowUp: () => chart.moveTo(this.cursor + by),
      Home: () => chart.moveTo(0), End: () => chart.moveTo(chart.last),
      PageDown: () => chart.moveTo(this.cursor + (to - from) / 10), PageUp: () => chart.moveTo(this.cursor - (to - from) / 10),
    };
    const act = anywhere[event.key.toLowerCase()] ?? (onChart ? here[event.key] : undefined);
    if (!act) return;
    event.preventDefault();
    act();
    this.tell();
  }

  /** Go to the next boundary, or the one before. @param {number} way 1 or -1 */
  toBoundary(way) {
    const steps = [...new Set(this.active?.table?.boundaries.map(({ step }) => step) ?? [])].sort((a, b) => a - b);
    const next = way > 0 ? steps.find((step) => step > this.cursor) : steps.findLast((step) => step < this.cursor);
    if (next !== undefined) this.chart?.moveTo(next);
  }

  tell() {
    const [picture] = this.pictures, label = this.active?.table?.boundaries.find(({ step }) => step === this.cursor)?.label;
    const values = picture.series.map((series) => `${series.label} ${exact(series.values[this.cursor - (series.first ?? 0)] ?? NaN)}`);
    say(`${label ? `${label}, ` : ""}${picture.axis} ${this.cursor * picture.stride}: ${values.join(", ")}`);
  }
}

/** Whether a curve's table is there. @param {Curve & { place: number }} curve @returns {curve is Ready} */
function isReady(curve) {
  return curve.table !== undefined;
}

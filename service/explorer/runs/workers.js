// Where the workers of a run are: a table, and marks on the curve. One that is gone can be forgotten.

import { button, el, fill, newId, refill, say } from "../common/dom.js";
import { clock, count } from "../common/format.js";
import { forget, inWords } from "./calls.js";

const FEW = 12; // that need no search
const MOST = 200; // rows of the table

/** @typedef {[string, import("./types.js").Worker]} Named */

/** The workers of a run. */
export class Workers {
  /** @param {import("./types.js").Page} page @param {() => void} changed */
  constructor(page, changed) {
    this.page = page;
    this.changed = changed;
    /** @type {string | null} of the run */
    this.name = null;
    /** @type {import("./types.js").Progress} */
    this.progress = { workers: {}, highest: null };
    /** @type {{ axis: string, stride: number }} */
    this.run = { axis: "step", stride: 1 };
    this.may = false;
    const id = newId();
    this.find = el("input", { id, type: "text", autocomplete: "off", spellcheck: "false", on: { input: () => this.draw() } });
    this.search = el("div", { hidden: true }, el("label", { for: id, class: "about" }, "Find a worker"), this.find);
    this.about = el("p", { class: "about" });
    this.table = el("div", {});
    this.asking = el("div", { class: "asking" });
    this.root = el("div", { hidden: true }, el("h3", {}, "Workers"), this.about, this.search, this.table, this.asking);
  }

  /** @param {string | null} name of the run @param {import("./types.js").Progress} [progress] @param {{ axis: string, stride: number }} [run] @param {boolean} [may] forget one */
  show(name, progress, run, may = false) {
    if (name !== this.name) {
      this.find.value = "";
      fill(this.asking);
    }
    this.root.hidden = name === null || !progress;
    Object.assign(this, { name, may }, progress && { progress }, run && { run });
    if (!this.root.hidden) this.draw();
  }

  draw() {
    const { progress: { workers, highest }, run, may } = this, wanted = this.find.value.trim().toLowerCase();
    const all = Object.entries(workers).sort(([, one], [, other]) => other.step - one.step);
    const found = all.filter(([name]) => name.toLowerCase().includes(wanted)), shown = found.slice(0, MOST);
    this.search.hidden = all.length <= FEW && !wanted;
    const text = !all.length ? "None has reported its position." : `The one that is farthest is at ${run.axis} ${count(highest ?? 0)}.`;
    this.about.textContent = `${text}${shown.length < all.length ? ` ${count(shown.length)} of ${count(all.length)} are shown, the farthest first.` : ""}`;
    refill(this.table, JSON.stringify([shown, may, run.axis, run.stride]), () => shown.length ? [this.tableOf(shown)] : []);
  }

  /** @param {Named[]} shown */
  tableOf(shown) {
    const { run, may } = this;
    const rows = shown.map(([name, { step, version, reported_at: at }]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, goTo(this.page, step, run.stride)), el("td", {}, version === null ? "" : `v${version}`), el("td", {}, clock(at)),
        may && el("td", {}, button("Forget", () => this.ask(name), { "aria-label": `Forget ${name}`, class: "quiet" }))));
    const heads = ["worker", run.axis, "follows", "reported"].map((text) => el("th", { scope: "col" }, text));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Workers" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads, may && el("th", { scope: "col" }, el("span", { class: "unseen" }, "actions")))), el("tbody", {}, ...rows)));
  }

  /** Ask whether to forget a worker; below the table, which is drawn anew with each report. @param {string} worker */
  ask(worker) {
    const said = el("p", { class: "error", role: "alert" }), { name } = this;
    const close = () => {
      fill(this.asking);
      /** @type {HTMLElement | null} */ (this.table.querySelector("[role=region]"))?.focus();
    };
    const yes = button("Forget it", async () => {
      said.textContent = "";
      try {
        const { forgotten } = await forget(name ?? "", worker);
        say(forgotten.length ? `${worker} is forgotten.` : `${worker} had reported nothing.`);
        close();
        this.changed();
      } catch (error) {
        said.textContent = inWords(error, "forgotten");
      }
    });
    fill(this.asking, el("p", { id: "forget" }, `Forget what ${worker} has reported? Changes may then land behind it, until it reports again.`), el("span", { class: "choice" }, yes, button("Keep it", close)), said);
    yes.setAttribute("aria-describedby", "forget");
    yes.focus();
  }
}

/** A button that moves the cursor to a position. @param {import("./types.js").Page} page @param {number} step @param {number} stride */
export function goTo(page, step, stride) {
  return button(count(step), () => page.stage.chart?.moveTo(Math.floor(step / stride)), { class: "link", "aria-label": `Go to ${step}` });
}

/** The workers as marks: those at one row are one. @param {import("./types.js").Progress} progress @param {number} stride */
export function marksOf({ workers }, stride) {
  /** @type {Map<number, string[]>} */
  const rows = new Map();
  for (const [name, { step }] of Object.entries(workers)) {
    const row = Math.floor(step / stride);
    rows.set(row, [...(rows.get(row) ?? []), name]);
  }
  return [...rows].map(([step, names]) => ({ step, label: names.length > 1 ? `${count(names.length)} workers` : names[0].slice(0, 24), dot: 3 }));
}

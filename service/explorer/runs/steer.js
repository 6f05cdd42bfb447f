// A run is changed from a step on: a template, what it would do, then proposed or made.

import { button, el, fill, later, newId, say } from "../common/dom.js";
import { storedTable } from "../data/engine.js";
import { brief, count, parsed, typed } from "../common/format.js";
import { amend, dryRun, dryRunsAt, inWords, propose } from "./calls.js";
import { Handle } from "./handle.js";
import { originOf, remember } from "../data/origins.js";

const SHAPES = ["linear", "cosine", "1-sqrt", "geometric", "inverse_sqrt"];
const TEMPLATES = {
  cooldown: { title: "Cool down from here", fields: ["length", "rate", "shape"] },
  extend: { title: "Extend", fields: ["total_steps"] },
  hold: { title: "Hold", fields: [] },
  scale: { title: "Scale", fields: ["factor"] },
};
const LABELS = { from_step: "first row that changes", length: "rows of the cool-down", rate: "down to the rate", shape: "shape", total_steps: "rows in all", factor: "all later rates times" };
const WHOLE = new Set(["from_step", "length", "total_steps"]);

export class Steer {
  /** @param {any} page @param {() => void} changed */
  constructor(page, changed) {
    this.page = page;
    this.changed = changed;
    this.run = null;
    this.template = "cooldown";
    this.values = {};
    this.seen = null; // what the preview shows: { run, amendment }. Only that is proposed or made
    this.given = null; // an amendment to look at once the form is open
    this.other = null; // an amendment of a proposal that no template here makes
    this.handle = new Handle(page, (step, done) => this.moved(step, done));
    this.preview = later(() => this.look(), 350);
    this.choice = el("div", { class: "choice", role: "group", "aria-label": "Template" });
    this.fields = el("div", {});
    const id = newId();
    this.reason = el("input", { id, type: "text", class: "wide", maxlength: "4000", autocomplete: "off" });
    this.outcome = el("div", { class: "outcome", role: "status" });
    this.said = el("p", { class: "error", role: "alert" });
    this.buttons = [button("Propose", () => this.act(propose, "proposed")), button("Amend now", () => this.act(amend, "amended"))];
    this.see(null);
    this.root = el("details", { class: "steer", hidden: true, on: { toggle: () => this.toggled() } }, el("summary", {}, "Steer: change it from a step on"),
      this.choice, this.fields, this.outcome,
      el("div", { class: "field" }, el("label", { for: id }, "reason"), el("div", { class: "controls" }, this.reason)),
      el("div", { class: "bar" }, ...this.buttons), this.said);
  }

  /** @param {any} run as it is now; null for none */
  show(run) {
    const before = this.run;
    this.run = run;
    this.root.hidden = run === null;
    if (run === null) this.root.open = false;
    else if (before && this.root.open && before.version !== run.version) this.again();
  }

  /** The preview is not of these values any more; make another. */
  again() {
    this.see(null);
    this.preview();
  }

  see(seen) {
    this.seen = seen;
    for (const each of this.buttons) each.disabled = !seen;
  }

  shown(isShown) {
    if (!isShown) this.root.open = false;
  }

  toggled() {
    if (!this.root.open) {
      this.aborter?.abort();
      this.handle.show(null);
      this.clear();
      return;
    }
    this.begin();
  }

  /** Fill the fields for the cursor's step, or from an amendment that is to be looked at. */
  begin() {
    const rows = this.run.total_steps, from = Math.min(Math.max(1, this.page.stage.cursor || Math.floor(rows / 2)), rows - 1);
    this.values = { from_step: from, length: Math.max(1, Math.round((rows - from) / 4)), rate: 0, shape: "linear", total_steps: rows + Math.max(1, Math.round(rows / 10)), factor: 0.5 };
    const { template = "tail", ...values } = this.given ?? { template: this.template };
    this.other = Object.hasOwn(TEMPLATES, template) ? null : this.given;
    if (!this.other) this.template = template;
    Object.assign(this.values, values);
    this.given = null;
    this.draw();
  }

  /** Look at an amendment that was proposed. @param {any} amendment */
  take(amendment) {
    this.given = amendment;
    if (this.root.open) this.begin();
    else this.root.open = true; // which begins
  }

  draw() {
    fill(this.choice, ...Object.entries(TEMPLATES).map(([name, { title }]) => button(title, () => this.choose(name), { "aria-pressed": String(!this.other && name === this.template), data: { template: name } })));
    this.controls = new Map();
    fill(this.fields, ...(this.other ? [] : ["from_step", ...TEMPLATES[this.template].fields].map((name) => this.field(name))));
    this.handle.show(this.other ? null : this.values.from_step);
    this.again();
  }

  choose(template) {
    this.template = template;
    this.other = null;
    this.draw();
    this.choice.querySelector(`[data-template=${template}]`).focus();
  }

  field(name) {
    const id = newId(), error = el("p", { class: "error", id: `${id}-error` });
    const given = { id, "aria-describedby": error.id };
    const control = name === "shape"
      ? el("select", given, ...SHAPES.map((shape) => el("option", { value: shape, selected: shape === this.values.shape }, shape)))
      : el("input", { ...given, type: "text", inputmode: "decimal", autocomplete: "off", value: typed(this.values[name]) });
    control.addEventListener("input", () => this.typed(name, control, error));
    this.controls.set(name, { control, error });
    const here = name === "from_step" && button("At the cursor", () => this.moved(this.page.stage.cursor, true));
    return el("div", { class: "field" }, el("label", { for: id }, LABELS[name]), el("div", { class: "controls" }, control, here), error);
  }

  typed(name, control, error) {
    const value = name === "shape" ? control.value : parsed(control.value);
    const wrong = name === "shape" ? null : Number.isNaN(value) ? "must be a number" : WHOLE.has(name) && !Number.isInteger(value) ? "must be a whole number" : null;
    error.textContent = wrong ? `${LABELS[name]} ${wrong}, got ${JSON.stringify(control.value.slice(0, 60))}` : "";
    control.setAttribute("aria-invalid", String(Boolean(wrong)));
    this.values[name] = value;
    if (name === "from_step" && !wrong) this.handle.show(value);
    this.again();
  }

  /** The handle, or the cursor's button, says the step. */
  moved(step, done) {
    this.values.from_step = Math.min(Math.max(0, step), this.run.total_steps - 1);
    const { control, error } = this.controls.get("from_step");
    control.value = typed(this.values.from_step);
    control.setAttribute("aria-invalid", "false");
    error.textContent = "";
    this.handle.show(this.values.from_step);
    this.see(null);
    if (done) this.preview();
  }

  get amendment() {
    if (this.other) return this.other;
    const names = ["from_step", ...TEMPLATES[this.template].fields];
    return { template: this.template, ...Object.fromEntries(names.map((name) => [name, this.values[name]])) };
  }

  // -- what it would do -----------------------------------------------------------------------------------------------

  async look() {
    const { run, amendment } = this;
    this.aborter?.abort();
    if (!this.root.open || !run || Object.values(amendment).some((value) => Number.isNaN(value))) return;
    const { signal } = (this.aborter = new AbortController());
    this.said.textContent = "";
    for (const { error } of this.controls.values()) error.textContent = "";
    try {
      const found = await dryRun(`${run.namespace}/${run.name}`, run.version, amendment, await dryRunsAt(), signal);
      const [before, after] = await Promise.all([storedTable(run.digest, run.total_steps), storedTable(found.digest, found.total_steps)]);
      if (signal.aborted) return;
      this.picture(run, found);
      fill(this.outcome, ...this.outcomeOf(found, sameUntil(before, after), run));
      this.see({ run, amendment });
    } catch (error) {
      if (signal.aborted) return;
      fill(this.outcome);
      this.said.textContent = this.atField(error) ?? inWords(error, "previewed");
      if (error.status === 412) this.changed();
    }
  }

  /** Say an error at the field that it is about. Null where that was done. */
  atField(error) {
    const known = this.controls.get(error.pointer?.slice(1));
    if (!known) return null;
    known.error.textContent = error.message;
    known.control.setAttribute("aria-invalid", "true");
    return "";
  }

  /** The run's curve and the amended one, to compare. */
  picture(run, found) {
    const now = remember("run", `${run.namespace}/${run.name}`, run, `${run.namespace}/${run.name} v${run.version}`);
    if (found.digest === run.digest) return this.clear();
    const next = remember("table", found.digest, { ...found, axis: run.axis, stride: run.stride }, "preview");
    const specs = [structuredClone(now), structuredClone(next)];
    if (JSON.stringify(specs) !== JSON.stringify(this.page.state.specs)) this.page.change({ specs, active: 0, ...(found.total_steps > run.total_steps ? { view: null } : {}) }, "preview");
  }

  /** Take the preview off the chart. */
  clear() {
    fill(this.outcome);
    const { specs } = this.page.state, kept = specs.filter((spec) => originOf(spec)?.label !== "preview");
    if (kept.length && kept.length < specs.length) this.page.change({ specs: kept, active: 0, against: "overlay" }, "preview");
  }

  outcomeOf(found, same, run) {
    const kept = same >= found.from_step, rows = found.total_steps - run.total_steps;
    const last = Object.entries(found.last_steps).map(([name, value]) => `${name} ${brief(value, 6)}`).join(", ");
    return [
      el("p", { class: kept ? "same" : "differs" }, kept ? `✓ Every row before ${count(found.from_step)} keeps its bits: the server proves it, and this page has compared all ${count(found.from_step)}.` : `✗ Row ${count(same)} differs, before ${count(found.from_step)}.`),
      el("p", {}, found.first_step === null ? "No row changes." : `Rows change from ${count(found.first_step)} on, by a factor of ${brief(found.largest_factor, 6)} at most${rows ? `; ${count(Math.abs(rows))} rows ${rows > 0 ? "more" : "fewer"}` : ""}. The last row: ${last}.`),
      ...found.refusals.map(({ detail }) => el("p", { class: "error" }, `It would be refused now: ${detail}`)),
    ];
  }

  async act(way, doing) {
    const { run, amendment } = this.seen;
    this.said.textContent = "";
    this.see(null);
    try {
      const done = await way(`${run.namespace}/${run.name}`, run.version, amendment, this.reason.value.trim());
      say(doing === "proposed" ? `Proposal ${done.proposal} is made.` : `The run is at version ${done.version}.`);
      this.reason.value = "";
      this.root.open = false;
    } catch (error) {
      this.said.textContent = inWords(error, doing);
      this.see({ run, amendment });
    }
    this.changed();
  }
}

/** The first row in which two tables differ in a bit; where none does, the rows of the shorter. */
function sameUntil(one, other) {
  let until = Math.min(one.rows, other.rows);
  for (const [name, groups] of one.columns) {
    groups.forEach((values, group) => {
      const left = new BigUint64Array(values.buffer), right = new BigUint64Array(other.columns.get(name)?.[group]?.buffer ?? new ArrayBuffer(0));
      let row = 0;
      while (row < until && left[row] === right[row]) row++;
      until = row;
    });
  }
  return until;
}

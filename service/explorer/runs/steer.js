// A run is changed from a step on: a template, what it would do, then proposed or made.

import { button, el, fail, fill, later, messageOf, newId } from "../common/dom.js";
import { answered, storedTable } from "../data/engine.js";
import { RefusedError } from "../data/workers.js";
import { TailForm } from "../form/tail.js";
import { brief, count, parsed, typed } from "../common/format.js";
import { allowedOn, amend, dryRun, inWords, openVersion, propose, rollBack } from "./calls.js";
import { Handle } from "./handle.js";
import { Preview, outcome, sameUntil } from "./preview.js";
import { Sketch, sketchOf } from "./sketch.js";
import { FROM, TEMPLATES, beginning, tailFrom } from "./templates.js";

const PAUSE = 350; // milliseconds from the last letter that was typed to the preview

/**
 * @typedef {import("./types.js").Amendment} Amendment
 * @typedef {import("./types.js").Run} Run
 * @typedef {import("./types.js").Found} Found
 * @typedef {import("./types.js").Control} Control
 * @typedef {import("./templates.js").Field} Field
 */

/** The form of a change. */
export class Steer {
  /** @param {import("./types.js").Page} page @param {() => void} changed @param {(text: string) => void} told what was done */
  constructor(page, changed, told) {
    this.page = page;
    this.changed = changed;
    this.told = told;
    /** @type {Run | null} */
    this.run = null;
    /** @type {import("./types.js").Version[]} */
    this.versions = [];
    /** @type {number | null} the position of the worker that is farthest */
    this.highest = null;
    this.template = "cooldown";
    this.from = 0; // first row that changes; NaN while it is none
    /** @type {Record<string, Amendment>} the other values, by template */
    this.values = {};
    this.isOwnTail = false;
    /** @type {Float64Array | undefined} of the run */
    this.rates = undefined;
    /** @type {Map<string, Control>} */
    this.controls = new Map();
    /** @type {TailForm | null} */
    this.tailForm = null;
    /** @type {AbortController | null} */
    this.aborter = null;
    this.may = { propose: true, publish: true, who: "" };
    /** @type {{ run: Run, asked: Amendment } | null} what the preview shows. Only that is proposed or made */
    this.seen = null;
    /** @type {Amendment | null} */
    this.given = null; // an amendment to look at once the form is open
    this.line = new Handle(page, "line", "First row that changes", "⇔", (row, done) => this.moved(row, done));
    this.end = new Handle(page, "line", "Last row", "⇥", (row, done) => this.stretched(row, done));
    this.knob = new Handle(page, "knob", "Rate that it leads to", "⇕", (rate, done) => this.raised(rate, done));
    this.end.root.classList.add("end");
    this.sketch = new Sketch(page);
    this.beside = new Preview(page);
    /** @type {import("./sketch.js").Kept | null} */
    this.kept = null; // which rows the preview has shown to keep their bits
    this.preview = later(() => this.look(), PAUSE);
    this.choice = el("div", { class: "choice", role: "group", "aria-label": "Template" });
    this.fields = el("div", {});
    const id = newId();
    this.reason = el("input", { id, type: "text", class: "wide", maxlength: "4000", autocomplete: "off" });
    this.outcome = el("div", { class: "effect", role: "status" });
    this.said = el("p", { class: "error", role: "alert" });
    this.proposing = button("Propose", () => this.act("proposed"));
    this.making = button("Amend now", () => this.act("amended"));
    this.see(null);
    this.root = el("details", { class: "steer", hidden: true, on: { toggle: () => this.toggled() } }, el("summary", {}, "Steer: change it from a step on"),
      this.choice, this.fields, this.outcome,
      el("div", { class: "field" }, el("label", { for: id }, "reason"), el("div", { class: "controls" }, this.reason)),
      el("div", { class: "bar" }, this.proposing, this.making), this.said);
  }

  /** @param {Run | null} run as it is now; null for none @param {import("./types.js").Data} [data] its `progress`, its `versions` and what the token `may` do */
  show(run, data) {
    const before = this.run, mayBefore = JSON.stringify(this.may);
    Object.assign(this, { run, versions: data?.versions ?? [], highest: data?.progress.highest ?? null, may: data?.may ?? this.may });
    this.root.hidden = run === null;
    if (run === null) {
      this.root.open = false;
      this.reason.value = "";
    } else if (before && this.root.open && before.version !== run.version) {
      this.read();
      if (this.isRollBack) this.draw(); // there is one version more to go back to
      else this.again();
    } else if (this.root.open && mayBefore !== JSON.stringify(this.may)) this.again();
  }

  /** The preview is not of these values any more; make another. @param {boolean} [soon] */
  again(soon = false) {
    this.see(null);
    if (soon) this.look();
    else this.preview();
  }

  /** There is another token. */
  renewed() {
    if (this.root.open) this.again(true);
  }

  /** @param {Steer["seen"]} seen */
  see(seen) {
    this.seen = seen;
    if (!seen) this.kept = null;
    this.outcome.classList.toggle("past", !seen);
    this.proposing.disabled = !seen || !this.may.propose;
    this.making.disabled = !seen || !this.may.publish;
  }

  /** @param {boolean} isShown */
  shown(isShown) {
    if (!isShown) this.root.open = false;
  }

  toggled() {
    if (this.root.open) return this.begin();
    this.aborter?.abort();
    this.place(null);
    this.clear();
  }

  /** Fill the fields for the cursor's step, or from an amendment that is to be looked at. */
  begin() {
    const { run, given } = this;
    if (!run) return;
    const rows = run.total_steps, margin = run.rules.margin_steps ?? 100;
    const ahead = this.highest === null ? 0 : Math.floor(this.highest / run.stride) + margin + 1; // the first row that may change
    const from = Math.min(Math.max(1, this.page.stage.cursor || Math.max(Math.floor(rows / 2), ahead)), Math.max(1, rows - 1));
    const { template = given ? "tail" : this.template, from_step: step = from, ...values } = given ?? {};
    this.template = template;
    this.values = beginning(run, step);
    this.from = step;
    this.isOwnTail = !given;
    Object.assign(this.own, values);
    this.given = null;
    this.draw();
    this.read();
  }

  /** The run's rates, which handles and sketches start from. Without them these are not there. */
  async read() {
    const { run } = this;
    if (!run) return;
    const table = await storedTable(run.digest, run.total_steps).catch(() => null);
    if (this.run?.digest !== run.digest) return;
    this.rates = table?.columns.get("lr")?.[0];
    if (this.root.open) this.place();
  }

  /** Look at an amendment that was proposed, or at a roll-back. @param {Amendment} amendment */
  take(amendment) {
    this.given = amendment;
    if (this.root.open) this.begin();
    else this.root.open = true; // which begins
    this.root.scrollIntoView({ block: "nearest" });
    this.root.querySelector("summary")?.focus({ preventScroll: true });
  }

  // -- the fields -----------------------------------------------------------------------------------------------------

  get own() {
    return (this.values[this.template] ??= {});
  }

  get isRollBack() {
    return this.template === "rollback";
  }

  draw() {
    const { about, fields } = TEMPLATES[this.template];
    const templates = Object.entries(TEMPLATES).filter(([name]) => name !== "rollback" || (this.run?.version ?? 0) > 1);
    fill(this.choice, ...templates.map(([name, { title }]) => button(title, () => this.choose(name), { "aria-pressed": String(name === this.template), data: { template: name } })));
    this.controls.clear();
    fill(this.fields, el("p", { class: "about" }, about), ...[...(this.isRollBack ? [] : [FROM]), ...fields].map((field) => this.field(field)));
    this.proposing.hidden = this.isRollBack;
    this.making.textContent = this.isRollBack ? "Roll back now" : "Amend now";
    this.again();
    this.place();
  }

  /** @param {string} template */
  choose(template) {
    this.template = template;
    this.said.textContent = "";
    this.draw();
    /** @type {HTMLElement | null} */ (this.choice.querySelector(`[data-template=${template}]`))?.focus();
  }

  /** @param {Field} field @returns {HTMLElement} */
  field(field) {
    const { name, label, choices } = field, id = newId(), error = el("p", { class: "error", id: `${id}-error` });
    if (name === "tail") return this.tailField(error);
    const value = field === FROM ? this.from : new Map(Object.entries(this.own)).get(name), given = { id, "aria-describedby": error.id };
    const options = name === "version" ? this.versions.filter(({ version, action }) => version !== this.run?.version && action !== "delete").map(({ version }) => String(version)).reverse() : choices;
    const control = options ? el("select", given, ...options.map((each) => el("option", { value: each, selected: each === String(value) }, name === "version" ? `v${each}` : each)))
      : name === "rewind" ? el("input", { ...given, type: "checkbox", checked: value })
        : el("input", { ...given, type: "text", inputmode: "decimal", autocomplete: "off", value: typed(value) });
    control.addEventListener("input", () => this.typed(field, control, error));
    this.controls.set(name, { control, error });
    const here = name === "from_step" && button("At the cursor", () => this.moved(this.page.stage.cursor, true));
    if (name === "rewind") return el("div", { class: "field" }, el("label", { for: id }, control, " ", label), error);
    return el("div", { class: "field" }, el("label", { for: id }, label), el("div", { class: "controls" }, control, here), error);
  }

  /** The tail has the form that every schedule has. @param {HTMLElement} error */
  tailField(error) {
    const place = el("div", { class: "tail" });
    const form = (this.tailForm = new TailForm(place, this.page.catalogue, (spec) => {
      this.own.tail = spec.schedule;
      this.isOwnTail = false;
      form.show(spec);
      this.again();
    }));
    this.showTail();
    this.controls.set("tail", { control: place, error });
    return el("div", { class: "field" }, place, error);
  }

  showTail() {
    if (this.own.tail) this.tailForm?.show({ schedule: this.own.tail, total_steps: 0 }); // 0 is no length of a part
  }

  /** Set a value of the template, or the first row. @param {string} name @param {unknown} value */
  set(name, value) {
    if (name === "from_step") this.from = Number(value);
    else Object.assign(this.own, { [name]: value });
  }

  /** @param {Field} field @param {HTMLInputElement | HTMLSelectElement} control @param {HTMLElement} error */
  typed(field, control, error) {
    const { name, label, whole, optional } = field, text = control.value.trim();
    const isText = field.choices || name === "rewind", value = name === "rewind" ? control instanceof HTMLInputElement && control.checked : name === "version" ? Number(text) : isText ? text : optional && !text ? null : parsed(text);
    const wrong = isText || typeof value !== "number" ? null : Number.isNaN(value) ? "must be a number" : whole && !Number.isInteger(value) ? "must be a whole number" : null;
    fail({ control, error }, wrong && `${label} ${wrong}, got ${JSON.stringify(control.value.slice(0, 60))}`);
    this.set(name, value);
    if (field === FROM && !wrong) this.followed();
    this.again();
    if (!wrong) this.place();
  }

  /** What the handles and buttons say goes into its field. @param {string} name @param {number} value @param {boolean} done */
  put(name, value, done) {
    const known = this.controls.get(name);
    this.set(name, value);
    if (known?.control instanceof HTMLInputElement) known.control.value = typed(value);
    if (known) fail(known, null);
    if (name === "from_step") this.followed();
    this.see(null);
    this.place();
    if (done) this.preview();
  }

  /** A tail that nobody has touched goes on to the table's end. */
  followed() {
    if (!this.isOwnTail || !this.run) return;
    for (const template of ["tail", "rewind"]) this.values[template].tail = tailFrom(this.run, this.from);
    this.showTail();
  }

  // -- the handles ----------------------------------------------------------------------------------------------------

  /** @param {number} row @param {boolean} done */
  moved(row, done) {
    if (this.isRollBack || !this.run) return;
    this.put("from_step", Math.min(Math.max(0, row), this.run.total_steps - 1), done);
  }

  /** @param {number} row @param {boolean} done */
  stretched(row, done) {
    if (!this.run) return;
    if (this.template === "extend") this.put("total_steps", Math.max(this.run.total_steps + 1, row + 1), done);
    else this.put("length", Math.max(1, row + 1 - this.from), done);
  }

  /** @param {number} rate @param {boolean} done */
  raised(rate, done) {
    if (this.template === "cooldown") return this.put("rate", rate, done);
    const now = this.rates?.[this.from] ?? 0;
    if (now > 0 && rate > 0) this.put("factor", Number((rate / now).toPrecision(3)), done);
  }

  /** Put the handles where the values are. @param {null} [nowhere] */
  place(nowhere) {
    const { from, own, rates } = this, { length = NaN, total_steps: longest = NaN, rate = NaN, factor = NaN } = own, isSet = nowhere === undefined && !this.isRollBack && Number.isInteger(from);
    this.line.show(isSet ? { row: from } : null);
    const rows = !isSet ? NaN : this.template === "cooldown" ? from + length : this.template === "extend" ? longest ?? NaN : NaN;
    this.end.show(Number.isInteger(rows) ? { row: rows - 1, text: `last row ${count(rows - 1)}` } : null);
    if (isSet && this.template === "cooldown" && Number.isInteger(rows) && Number.isFinite(rate)) this.knob.show({ row: rows - 1, rate });
    else if (isSet && this.template === "scale" && rates && factor > 0) this.knob.show({ row: from, rate: rates[from] * factor, text: `times ${brief(factor, 6)}, to ${brief(rates[from] * factor, 6)}` });
    else this.knob.show(null);
    this.draft();
  }

  /** What it will be, roughly, until the preview is there; then what keeps its bits. */
  draft() {
    const { from, rates } = this, isOpen = this.root.open && Number.isInteger(from);
    const curve = !isOpen || !rates || this.seen || this.isRollBack ? null : sketchOf(this.template, this.own, from, rates);
    this.sketch.show(curve && { from, ...curve }, this.root.open ? this.kept : null);
  }

  // -- what it would do -----------------------------------------------------------------------------------------------

  /** What is asked of the server. @returns {Amendment} */
  get asked() {
    const set = Object.entries(this.own).filter(([, value]) => value !== null);
    return this.isRollBack ? this.own : { template: this.template, from_step: this.from, ...Object.fromEntries(set) };
  }

  async look() {
    const { run } = this, asked = structuredClone(this.asked);
    this.aborter?.abort();
    if (!this.root.open || !run || Object.values(asked).some((value) => Number.isNaN(value))) return;
    const { signal } = (this.aborter = new AbortController());
    this.said.textContent = "";
    for (const each of this.controls.values()) fail(each, null);
    this.tailForm?.fail(null, null);
    const name = `${run.namespace}/${run.name}`;
    try {
      this.may = await allowedOn(name);
      if (!this.may.publish && (this.isRollBack || !this.may.propose)) throw new Error(`${this.may.who} may ${this.may.propose ? "propose amendments, and not roll back" : "neither propose nor change anything here"}`);
      /** @type {Found} */
      const found = this.isRollBack ? await openVersion(`${name}@${asked.version}`) : await dryRun(name, run.version, asked, signal);
      const [before, after] = await Promise.all([storedTable(run.digest, run.total_steps), storedTable(found.digest, found.total_steps)]);
      if (signal.aborted) return;
      if (found.digest === run.digest) this.clear();
      else this.beside.show(run, found);
      const same = sameUntil(before, after), until = Math.min(...same.values()), rows = Math.max(before.rows, after.rows);
      const { from_step: from = null, ...shown } = found; // of a version it is the step of its own change
      fill(this.outcome, ...outcome({ run, found: this.isRollBack ? shown : { ...shown, from_step: from }, before, after, same, highest: this.highest, proven: !this.isRollBack }));
      for (const refusal of found.refusals ?? []) this.refuse(refusal);
      this.see({ run, asked });
      this.kept = until < rows ? { until, rows } : null;
      this.draft();
    } catch (error) {
      if (signal.aborted) return;
      fill(this.outcome);
      this.said.textContent = this.atFields(error) ? "" : inWords(error, "previewed");
      if (answered(error).status === 412) this.changed();
    }
  }

  /** Why it would be refused now: at the field that the refusal names, else below the outcome. @param {import("./types.js").Refusal} refusal */
  refuse({ detail, from_step: step }) {
    const text = `It would be refused now: ${detail}`, known = step === undefined ? undefined : this.controls.get("from_step");
    if (known) fail(known, text);
    else this.outcome.append(el("p", { class: "error" }, text));
  }

  /** Say what an error is about at its fields; false where it names none. @param {unknown} error */
  atFields(error) {
    const known = answered(error).problem?.errors ?? [];
    const problems = known.length ? known : [{ pointer: (error instanceof RefusedError && error.pointer) || "", detail: messageOf(error) }];
    return problems.map(({ pointer = "", detail = "" }) => this.atField(pointer, detail)).every(Boolean);
  }

  /** @param {string} pointer @param {string} detail */
  atField(pointer, detail) {
    const name = pointer.split("/")[1], known = this.controls.get(name);
    if (name === "tail" && this.tailForm?.fail(detail, pointer.replace(/^\/tail/, "/schedule"))) return true;
    if (known) fail(known, detail);
    return Boolean(known);
  }

  /** Take the preview off the chart. */
  clear() {
    fill(this.outcome);
    this.beside.clear();
  }

  /** @param {"proposed" | "amended"} doing */
  async act(doing) {
    if (!this.seen) return;
    const { run, asked } = this.seen, name = `${run.namespace}/${run.name}`, reason = this.reason.value.trim();
    const way = this.isRollBack ? rollBack : doing === "proposed" ? propose : amend;
    this.said.textContent = "";
    this.see(null);
    try {
      /** @type {{ proposal?: number, version?: number | null, refusals?: import("./types.js").Refusal[] }} */
      const done = await way(name, run.version, asked, reason);
      const refused = (done.refusals ?? []).map(({ detail }) => ` It would be refused now: ${detail}.`).join("");
      this.told(doing === "proposed" ? `Proposal ${done.proposal} is made.${refused}` : `The run is at version ${done.version}.`);
      this.reason.value = "";
      this.root.open = false;
      this.root.querySelector("summary")?.focus();
    } catch (error) {
      this.said.textContent = inWords(error, this.isRollBack ? "rolled back" : doing);
      this.see({ run, asked });
    }
    this.changed();
  }
}

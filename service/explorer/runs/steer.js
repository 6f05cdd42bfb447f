// A run is changed from a step on: a template, what it would do, then proposed or made.

import { button, el, fill, later, newId } from "../common/dom.js";
import { storedTable } from "../data/engine.js";
import { Form } from "../form/form.js";
import { brief, count, parsed, typed } from "../common/format.js";
import { allowedOn, amend, dryRun, inWords, labelOf, openVersion, propose, rollBack } from "./calls.js";
import { Handle } from "./handle.js";
import { originOf, remember } from "../data/origins.js";
import { outcome, sameUntil } from "./preview.js";
import { Sketch, sketchOf } from "./sketch.js";
import { FROM, TEMPLATES, beginning, tailFrom } from "./templates.js";

const PAUSE = 350; // milliseconds from the last letter that was typed to the preview

/** The form of a tail: schedules alone. The table around them is the run's. */
class TailForm extends Form {
  columns() {
    return [];
  }

  layout() {
    return /** @type {any} */ (null);
  }
}

export class Steer {
  /** @param {any} page @param {() => void} changed @param {(text: string) => void} told what was done */
  constructor(page, changed, told) {
    this.page = page;
    this.changed = changed;
    this.told = told;
    this.run = null;
    this.template = "cooldown";
    this.values = {}; // from_step, and those of each template by its name
    this.may = { propose: true, publish: true, who: "" };
    this.seen = null; // what the preview shows: { run, asked }. Only that is proposed or made
    this.given = null; // an amendment to look at once the form is open
    this.line = new Handle(page, "line", "First row that changes", "⇔", (row, done) => this.moved(row, done));
    this.end = new Handle(page, "line", "Last row", "⇥", (row, done) => this.stretched(row, done));
    this.knob = new Handle(page, "knob", "Rate that it leads to", "⇕", (rate, done) => this.raised(rate, done));
    this.end.root.classList.add("end");
    this.sketch = new Sketch(page);
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

  /** @param {any} run as it is now; null for none @param {any} [data] its `progress`, its `versions` and what the token `may` do */
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

  see(seen) {
    this.seen = seen;
    if (!seen) this.kept = null;
    this.outcome.classList.toggle("past", !seen);
    this.proposing.disabled = !seen || !this.may.propose;
    this.making.disabled = !seen || !this.may.publish;
  }

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
    const { run, given } = this, rows = run.total_steps, margin = run.rules.margin_steps ?? 100;
    const ahead = this.highest === null ? 0 : Math.floor(this.highest / run.stride) + margin + 1; // the first row that may change
    const from = Math.min(Math.max(1, this.page.stage.cursor || Math.max(Math.floor(rows / 2), ahead)), Math.max(1, rows - 1));
    const { template = given ? "tail" : this.template, from_step: step = from, ...values } = given ?? {};
    this.template = template;
    this.values = { ...beginning(run, step), from_step: step };
    this.isOwnTail = !given;
    Object.assign(this.values[template], values);
    this.given = null;
    this.draw();
    this.read();
  }

  /** The run's rates, which handles and sketches start from. Without them these are not there. */
  async read() {
    const { run } = this, table = await storedTable(run.digest, run.total_steps).catch(() => null);
    if (this.run?.digest !== run.digest) return;
    this.rates = table?.columns.get("lr")?.[0];
    if (this.root.open) this.place();
  }

  /** Look at an amendment that was proposed, or at a roll-back. @param {any} amendment */
  take(amendment) {
    this.given = amendment;
    if (this.root.open) this.begin();
    else this.root.open = true; // which begins
    this.root.scrollIntoView({ block: "nearest" });
    this.root.querySelector("summary").focus({ preventScroll: true });
  }

  // -- the fields -----------------------------------------------------------------------------------------------------

  get own() {
    return this.values[this.template];
  }

  get isRollBack() {
    return this.template === "rollback";
  }

  draw() {
    const { about, fields } = TEMPLATES[this.template];
    const templates = Object.entries(TEMPLATES).filter(([name]) => name !== "rollback" || this.run.version > 1);
    fill(this.choice, ...templates.map(([name, { title }]) => button(title, () => this.choose(name), { "aria-pressed": String(name === this.template), data: { template: name } })));
    /** @type {Map<string, { control: any, error: any }>} */
    this.controls = new Map();
    fill(this.fields, el("p", { class: "about" }, about), ...[...(this.isRollBack ? [] : [FROM]), ...fields].map((field) => this.field(field)));
    this.proposing.hidden = this.isRollBack;
    this.making.textContent = this.isRollBack ? "Roll back now" : "Amend now";
    this.again();
    this.place();
  }

  choose(template) {
    this.template = template;
    this.said.textContent = "";
    this.draw();
    this.choice.querySelector(`[data-template=${template}]`).focus();
  }

  /** @param {import("./templates.js").Field} field */
  field(field) {
    const { name, label, choices } = field, id = newId(), error = el("p", { class: "error", id: `${id}-error` });
    if (name === "tail") return this.tailField(error);
    const value = field === FROM ? this.values.from_step : this.own[name], given = { id, "aria-describedby": error.id };
    const options = name === "version" ? this.versions.filter(({ version, action }) => version !== this.run.version && action !== "delete").map(({ version }) => version).reverse() : choices;
    const control = options ? el("select", given, ...options.map((each) => el("option", { value: each, selected: each === value }, name === "version" ? `v${each}` : each)))
      : name === "rewind" ? el("input", { ...given, type: "checkbox", checked: value })
        : el("input", { ...given, type: "text", inputmode: "decimal", autocomplete: "off", value: typed(value) });
    control.addEventListener("input", () => this.typed(field, control, error));
    this.controls.set(name, { control, error });
    const here = name === "from_step" && button("At the cursor", () => this.moved(this.page.stage.cursor, true));
    if (name === "rewind") return el("div", { class: "field" }, el("label", { for: id }, control, " ", label), error);
    return el("div", { class: "field" }, el("label", { for: id }, label), el("div", { class: "controls" }, control, here), error);
  }

  /** The tail has the form that every schedule has. */
  tailField(error) {
    const place = el("div", { class: "tail" });
    this.tailForm = new TailForm(place, this.page.catalogue, (spec) => {
      this.own.tail = spec.schedule;
      this.isOwnTail = false;
      this.tailForm.show(spec);
      this.again();
    });
    this.tailForm.show({ schedule: this.own.tail });
    this.controls.set("tail", { control: place, error });
    return el("div", { class: "field" }, place, error);
  }

  typed(field, control, error) {
    const { name, label, whole, optional } = field, text = control.value.trim();
    const isText = field.choices || name === "rewind", value = name === "rewind" ? control.checked : name === "version" ? Number(text) : isText ? text : optional && !text ? null : parsed(text);
    const wrong = isText || value === null ? null : Number.isNaN(value) ? "must be a number" : whole && !Number.isInteger(value) ? "must be a whole number" : null;
    fail({ control, error }, wrong && `${label} ${wrong}, got ${JSON.stringify(control.value.slice(0, 60))}`);
    if (field === FROM) this.values.from_step = value;
    else this.own[name] = value;
    if (field === FROM && !wrong) this.followed();
    this.again();
    if (!wrong) this.place();
  }

  /** What the handles and buttons say goes into its field. */
  put(name, value, done) {
    if (name === "from_step") this.values.from_step = value;
    else this.own[name] = value;
    const known = this.controls.get(name);
    known.control.value = typed(value);
    fail(known, null);
    if (name === "from_step") this.followed();
    this.see(null);
    this.place();
    if (done) this.preview();
  }

  /** A tail that nobody has touched goes on to the table's end. */
  followed() {
    for (const template of this.isOwnTail ? ["tail", "rewind"] : []) this.values[template].tail = tailFrom(this.run, this.values.from_step);
    if (this.isOwnTail && this.own.tail) this.tailForm.show({ schedule: this.own.tail });
  }

  // -- the handles ----------------------------------------------------------------------------------------------------

  moved(row, done) {
    if (this.isRollBack) return;
    this.put("from_step", Math.min(Math.max(0, row), this.run.total_steps - 1), done);
  }

  stretched(row, done) {
    if (this.template === "extend") this.put("total_steps", Math.max(this.run.total_steps + 1, row + 1), done);
    else this.put("length", Math.max(1, row + 1 - this.values.from_step), done);
  }

  raised(rate, done) {
    if (this.template === "cooldown") return this.put("rate", rate, done);
    const now = this.rates?.[this.values.from_step];
    if (now > 0 && rate > 0) this.put("factor", Number((rate / now).toPrecision(3)), done);
  }

  /** Put the handles where the values are. @param {null} [nowhere] */
  place(nowhere) {
    const { from_step: from } = this.values, { own, rates } = this, isSet = nowhere === undefined && !this.isRollBack && Number.isInteger(from);
    this.line.show(isSet ? { row: from } : null);
    const rows = !isSet ? NaN : this.template === "cooldown" ? from + own.length : this.template === "extend" ? own.total_steps : NaN;
    this.end.show(Number.isInteger(rows) ? { row: rows - 1, text: `last row ${count(rows - 1)}` } : null);
    if (isSet && this.template === "cooldown" && Number.isInteger(rows) && Number.isFinite(own.rate)) this.knob.show({ row: rows - 1, rate: own.rate });
    else if (isSet && this.template === "scale" && rates && own.factor > 0) this.knob.show({ row: from, rate: rates[from] * own.factor, text: `times ${brief(own.factor, 6)}, to ${brief(rates[from] * own.factor, 6)}` });
    else this.knob.show(null);
    this.draft();
  }

  /** What it will be, roughly, until the preview is there; then what keeps its bits. */
  draft() {
    const { from_step: from } = this.values, isOpen = this.root.open && this.rates && Number.isInteger(from);
    const curve = !isOpen || this.seen || this.isRollBack ? null : sketchOf(this.template, this.own, from, this.rates);
    this.sketch.show(curve && { from, ...curve }, this.root.open ? this.kept : null);
  }

  // -- what it would do -----------------------------------------------------------------------------------------------

  get asked() {
    const set = Object.entries(this.own).filter(([, value]) => value !== null);
    return this.isRollBack ? this.own : { template: this.template, from_step: this.values.from_step, ...Object.fromEntries(set) };
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
      const found = this.isRollBack ? await openVersion(`${name}@${asked.version}`) : await dryRun(name, run.version, asked, signal);
      const [before, after] = await Promise.all([storedTable(run.digest, run.total_steps), storedTable(found.digest, found.total_steps)]);
      if (signal.aborted) return;
      this.picture(run, found);
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
      if (error.status === 412) this.changed();
    }
  }

  /** Why it would be refused now: at the field that the refusal names, else below the outcome. */
  refuse({ detail, from_step: step }) {
    const text = `It would be refused now: ${detail}`, known = step === undefined ? undefined : this.controls.get("from_step");
    if (known) fail(known, text);
    else this.outcome.append(el("p", { class: "error" }, text));
  }

  /** Say what an error is about at its fields; false where it names none. */
  atFields(error) {
    const problems = error.problem?.errors?.length ? error.problem.errors : [{ pointer: error.pointer, detail: error.message }];
    return problems.map(({ pointer, detail }) => this.atField(pointer ?? "", detail)).every(Boolean);
  }

  atField(pointer, detail) {
    const name = pointer.split("/")[1], known = this.controls.get(name);
    if (name === "tail" && this.tailForm.fail(detail, pointer.replace(/^\/tail/, "/schedule"))) return true;
    if (known) fail(known, detail);
    return Boolean(known);
  }

  /** The run's curve and the amended one, to compare. */
  picture(run, found) {
    const now = remember("run", `${run.namespace}/${run.name}`, run, labelOf(run));
    if (found.digest === run.digest) return this.clear();
    const next = remember("table", found.digest, { ...found, axis: run.axis, stride: run.stride }, "preview");
    const specs = [structuredClone(now), structuredClone(next)];
    this.drawn = JSON.stringify(next);
    if (JSON.stringify(specs) !== JSON.stringify(this.page.state.specs)) this.page.change({ specs, active: 0, ...(found.total_steps > run.total_steps ? { view: null } : {}) }, "preview");
  }

  /** Take the preview off the chart. */
  clear() {
    fill(this.outcome);
    const { specs } = this.page.state, kept = specs.filter((spec, place) => !place || (originOf(spec)?.label !== "preview" && JSON.stringify(spec) !== this.drawn));
    if (kept.length && kept.length < specs.length) this.page.change({ specs: kept, active: 0, against: "overlay" }, "preview");
  }

  async act(doing) {
    const { run, asked } = this.seen, name = `${run.namespace}/${run.name}`, reason = this.reason.value.trim();
    const way = this.isRollBack ? rollBack : doing === "proposed" ? propose : amend;
    this.said.textContent = "";
    this.see(null);
    try {
      const done = await way(name, run.version, asked, reason);
      const refused = (done.refusals ?? []).map(({ detail }) => ` It would be refused now: ${detail}.`).join("");
      this.told(doing === "proposed" ? `Proposal ${done.proposal} is made.${refused}` : `The run is at version ${done.version}.`);
      this.reason.value = "";
      this.root.open = false;
      this.root.querySelector("summary").focus();
    } catch (error) {
      this.said.textContent = inWords(error, this.isRollBack ? "rolled back" : doing);
      this.see({ run, asked });
    }
    this.changed();
  }
}

/** Say an error at a field, or take it back. @param {{ control: any, error: any }} field @param {string | null} text */
function fail({ control, error }, text) {
  error.textContent = text ?? "";
  if (control.matches("input, select")) control.setAttribute("aria-invalid", String(Boolean(text)));
}

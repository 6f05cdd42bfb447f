// The paste box: a text from a training becomes a curve that can be changed, or points over the plan.

import { button, el, fill, later, newId } from "../common/dom.js";
import { brief, count, exact, parsed } from "../common/format.js";
import { MAX_ROWS } from "../data/state.js";
import { Newest } from "../data/workers.js";
import { audit, sentences } from "./logs/audit.js";
import { pointLayer } from "./points.js";

const EXAMPLE = "TrainingArguments(learning_rate=5e-5, max_steps=1000, lr_scheduler_type=\"cosine\")";
const LONGEST = 50_000_000; // characters, or bytes of a file
const LEAST = { count: 1, whole: 0 }; // of a whole number that is asked for
const UNITS = ["sample", "token"]; // axes on which an update makes more than one unit

export class PasteBox {
  /** @param {any} page @param {Element} panel @param {Element} nav */
  constructor(page, panel, nav) {
    this.page = page;
    this.turn = 0;
    this.reader = new Newest(); // a long text holds up neither the curves nor the next text
    this.text = "";
    /** @type {Record<string, any>} what the reader said of this text */
    this.given = {};
    /** @type {import("./logs/audit.js").Log | null} */
    this.log = null;
    /** @type {string[]} what is said of a curve that was pasted: the points of a log stay over it */
    this.curve = [];
    this.perStep = 1;
    this.audited = null; // the table that the log was compared with
    this.removeLayer = () => {};
    this.toggle = button("Paste", () => this.show(this.box.hidden), { class: "quiet", "aria-expanded": "false", "aria-controls": "paste", title: "Arguments, a configuration, a state or a log" });
    nav.prepend(this.toggle);
    const id = newId(), file = newId(), about = newId();
    this.input = el("textarea", { id, rows: "6", spellcheck: "false", autocomplete: "off", placeholder: EXAMPLE, "aria-describedby": about, on: { input: later(() => this.read(this.input.value), 300) } });
    this.file = el("input", { id: file, type: "file", class: "unseen", on: { change: () => this.open(this.file.files?.[0]) } });
    this.said = el("div", { role: "status", class: "outcome" });
    this.asked = el("div", {});
    this.after = el("div", { class: "bar" });
    this.box = el("section", { id: "paste", "aria-label": "Paste", hidden: true },
      el("h2", {}, el("label", { for: id }, "Paste")),
      el("p", { class: "about", id: about }, "TrainingArguments, a DeepSpeed or LightningCLI configuration, a torch scheduler's state_dict(), a spec or a link; or a log: trainer_state.json, TensorBoard, W&B or Lightning CSV, our applied rates. It stays in this page."),
      this.input, el("div", { class: "bar" }, this.file, el("label", { for: file, class: "file" }, "Choose a file"), button("Close", () => this.show(false), { class: "quiet" })), this.said, this.asked, this.after);
    panel.prepend(el("div", {}, this.box)); // what hides the panel's parts leaves the box itself as it is
    this.box.addEventListener("dragover", (event) => event.preventDefault());
    this.box.addEventListener("drop", (event) => this.dropped(event));
    addEventListener("paste", (event) => this.pasted(event));
    document.getElementById("charts")?.addEventListener("drawn", later(() => this.compare(), 200)); // not at each notch of a slider
  }

  /** @param {boolean} isOpen */
  show(isOpen) {
    this.page.runs?.show(false);
    this.box.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    (isOpen ? this.input : this.toggle).focus();
  }

  /** A text that is pasted outside of every field. @param {ClipboardEvent} event */
  pasted(event) {
    const target = /** @type {Element} */ (event.target), text = event.clipboardData?.getData("text/plain") ?? "";
    if (target.closest("input, textarea, select") || !text.trim()) return;
    event.preventDefault();
    this.show(true);
    this.input.value = text;
    this.read(text);
  }

  /** @param {DragEvent} event */
  dropped(event) {
    const file = event.dataTransfer?.files[0];
    if (!file) return; // a text, which the field takes by itself
    event.preventDefault();
    this.open(file);
  }

  /** @param {File | undefined} file */
  async open(file) {
    if (!file) return;
    this.file.value = "";
    if (file.size > LONGEST) return this.fail(`${file.name.slice(0, 80)} is too long: ${count(file.size)} bytes, at most ${count(LONGEST)}`);
    const text = await file.text();
    this.input.value = text.length > 100_000 ? "" : text; // a long one would make the field slow
    this.read(text);
  }

  /** Read a text anew. @param {string} text */
  read(text) {
    this.text = text;
    this.given = {};
    fill(this.asked);
    this.again();
  }

  /** Read the text with what the reader has said of it. */
  async again() {
    const { text, given } = this, turn = ++this.turn;
    this.curve = [];
    this.reader.stop();
    if (!text.trim()) return this.tell([]);
    if (text.length > LONGEST) return this.fail(`the text is too long: ${count(text.length)} characters, at most ${count(LONGEST)}`);
    if (!this.page.engine.worker) return this.fail("The page's worker did not start in this browser, and it reads what is pasted.");
    this.tell(["Reading …"]);
    const names = this.page.stage.active?.table?.columns.get("lr") ?? [], groups = names.length > 1 ? names.length : null;
    try {
      const found = await this.reader.ask({ task: "paste", text, given, groups, facts: this.page.catalogue.reading });
      if (turn !== this.turn) return;
      if (found.needs) this.ask(found.needs);
      else if (found.log) this.drawLog(found.log);
      else if (found.address) this.follow(found.address);
      else this.drawCurve(found);
    } catch (error) {
      if (turn === this.turn) this.fail(/** @type {Error} */ (error).message);
    }
  }

  // -- what it is -----------------------------------------------------------------------------------------------------

  /** A spec: it replaces the active curve. @param {{ spec: any, what: string, why: string, notes: string[], position?: number }} found */
  drawCurve({ spec, what, why, notes, position }) {
    const { specs, active } = this.page.state, rows = `${count(spec.total_steps)} row${spec.total_steps === 1 ? "" : "s"}`;
    if (spec.total_steps > MAX_ROWS) return this.fail(`${what}: total_steps must be at most ${count(MAX_ROWS)} here, got ${count(spec.total_steps)}`);
    this.page.change({ specs: specs.toSpliced(active, 1, spec), view: null }, "");
    this.curve = [`${what}. ${rows}: ${why}. It is the curve now.`, ...notes];
    this.tell(this.curve);
    if (position) fill(this.after, button(`Go to step ${count(position)}, where it was saved`, () => this.page.stage.chart?.moveTo(position)));
  }

  /** @param {string} address */
  follow(address) {
    this.tell(["A link of this page: its curves are shown."]);
    location.hash = address;
  }

  /** A log: points over the active curve. @param {import("./logs/audit.js").Log} log */
  drawLog(log) {
    this.forget();
    this.log = log;
    if (!this.page.stage.active?.table) this.tell([`${log.source}. It is compared with the curve as soon as that has a table.`]);
    this.compare();
  }

  /** Compare the log with the active curve, wherever that has become another one. */
  compare() {
    const { log } = this, entry = this.page.stage.active, table = entry?.table;
    if (!log || !table || table === this.audited || entry.failed) return;
    this.audited = table;
    const { axis = "step", stride = 1 } = entry.spec, plans = table.columns.get("lr") ?? [];
    const compared = { ...log, isExact: log.isExact && table.source !== "preview" }; // a preview's last bits are its own
    const found = log.series.map((series, place) => audit(compared, series, plans[Math.min(place, plans.length - 1)], { stride, perStep: this.perStep }));
    this.removeLayer();
    this.removeLayer = this.page.stage.addLayer(pointLayer(log.series, found));
    const isOther = found.every(({ differing, rows }) => differing === rows.length);
    const plan = isOther ? ["No rate is this curve's: if it is not the run's plan, paste the run's arguments, too, or open its table. The points stay."] : [];
    const preview = table.source === "preview" ? ["The curve is a preview, not the plan's bits: a rate at the edge of its rounding may be told wrongly."] : [];
    this.tell([...this.curve, `${log.source}.`, ...log.series.flatMap((series, place) => sentences(series, found[place], (value) => (log.isExact || /float64/.test(series.precision) ? exact(value) : brief(value, 6)))), ...plan, ...preview]);
    const first = found.flatMap((each) => each.first ?? [])[0];
    fill(this.after,
      first && button(`Go to step ${count(first.step)}`, () => this.page.stage.chart?.moveTo(first.row)),
      button("Remove the points", () => { this.forget(); this.tell(this.curve); this.input.focus(); }));
    if (UNITS.includes(axis)) this.askForPace(axis);
  }

  /** Rows that count samples or tokens: how many an update makes is not in the log. @param {string} axis */
  askForPace(axis) {
    if (this.asked.childElementCount) return;
    this.form([{ name: "per_step", label: `${axis}s that an update makes, of all workers together`, type: "count", value: String(this.perStep) }], (said) => {
      this.perStep = said.per_step;
      this.audited = null;
      this.compare();
    });
  }

  /** Take the points away. */
  forget() {
    this.log = null;
    this.audited = null;
    this.perStep = 1;
    this.removeLayer();
    this.removeLayer = () => {};
    fill(this.after);
  }

  // -- what must be asked ---------------------------------------------------------------------------------------------

  /** @param {{ message: string, fields: import("./needs.js").Field[] }} needs */
  ask({ message, fields }) {
    this.tell([message, fields.length > 1 ? "Give one of these." : "It is asked for below."]);
    this.form(fields, (said) => {
      this.given = { ...this.given, ...said };
      fill(this.asked);
      this.again();
    });
    /** @type {HTMLElement | null} */ (this.asked.querySelector("input, select"))?.focus();
  }

  /** @param {import("./needs.js").Field[]} fields @param {(said: Record<string, any>) => void} use */
  form(fields, use) {
    const problem = el("p", { class: "error", role: "alert" });
    const inputs = fields.map((field) => ({ ...field, id: newId() })).map((field) => ({ ...field, input: field.type === "choice"
      ? el("select", { id: field.id }, ...(field.choices ?? []).map((choice) => el("option", { value: choice }, choice)))
      : el("input", { id: field.id, type: "text", inputmode: field.type === "rate" ? "decimal" : "numeric", autocomplete: "off", value: field.value ?? "" }) }));
    const done = () => {
      /** @type {Record<string, any>} */
      const said = {};
      for (const { name, label, type, input } of inputs) {
        if (!input.value.trim()) continue;
        const number = parsed(input.value), isGood = type === "choice" || (type === "rate" ? number >= 0 && number < Infinity : Number.isInteger(number) && number >= LEAST[type]);
        input.setAttribute("aria-invalid", String(!isGood));
        if (!isGood) return void (problem.textContent = `${label}: must be ${type === "rate" ? "a number from 0" : `a whole number from ${LEAST[type]}`}, got ${input.value.slice(0, 40)}`);
        said[name] = type === "choice" ? input.value : number;
      }
      if (!fields.some(({ name, value }) => name in said && value === undefined) && fields.some(({ value }) => value === undefined)) problem.textContent = "A number is missing.";
      else use(said);
    };
    const rows = inputs.map(({ id, label, input }) => el("div", { class: "field" }, el("label", { for: id }, label), el("div", { class: "controls" }, input)));
    for (const { input } of inputs) input.addEventListener("keydown", (/** @type {any} */ event) => event.key === "Enter" && done());
    fill(this.asked, ...rows, problem, el("div", { class: "bar" }, button("Use it", done)));
  }

  // -- what is said ---------------------------------------------------------------------------------------------------

  /** @param {string[]} texts */
  tell(texts) {
    fill(this.said, ...texts.map((text) => el("p", {}, text)));
  }

  /** @param {string} text */
  fail(text) {
    fill(this.asked);
    fill(this.said, el("p", { class: "error" }, text));
  }
}

// The guard rails and the lock of a run: shown to all who may read it, set by who may publish.

import { button, el, fill, newId } from "../common/dom.js";
import { brief, count, parsed, typed } from "../common/format.js";
import { answered } from "../data/engine.js";
import { inWords, setRun } from "./calls.js";

/** @type {import("./types.js").May} where no token was looked at */
const NOTHING = { who: "", propose: false, publish: false };

/** @type {Record<string, { label: string, about: string, says: (value: number) => string, whole?: boolean }>} */
const RULES = {
  min_lr: { label: "least rate", about: "of any row from the first changed one on", says: (value) => `rates at least ${brief(value, 6)}` },
  max_lr: { label: "largest rate", about: "of such a row", says: (value) => `rates at most ${brief(value, 6)}` },
  max_factor: { label: "largest factor", about: "up or down, between a row of the old table and of the new one", says: (value) => `at most a factor of ${brief(value, 6)}` },
  cooloff_seconds: { label: "seconds between two changes", about: "at least", says: (value) => `${brief(value, 6)} s between two changes` },
  margin_steps: { label: "margin in rows", about: "between the farthest worker and the first row that changes; 100 if empty", says: (value) => `a margin of ${count(value)} rows`, whole: true },
};

/**
 * @typedef {import("./types.js").Run} Run
 * @typedef {import("./types.js").May} May
 */

/** The rules of a run in words. @param {Pick<Run, "rules">} run */
export function rulesInWords({ rules }) {
  return Object.entries(rules).map(([name, value]) => RULES[name]?.says(value) ?? `${name} ${brief(value, 6)}`).join(", ");
}

/** The form of the rules and the lock. */
export class Settings {
  /** @param {() => void} changed @param {(text: string) => void} told what was done */
  constructor(changed, told) {
    this.changed = changed;
    this.told = told;
    /** @type {Run | null} */
    this.run = null;
    /** @type {string | null} what the fields were drawn for */
    this.text = null;
    this.isTyped = false;
    /** @type {Map<string, { control: HTMLInputElement, error: HTMLElement }>} */
    this.controls = new Map();
    this.fields = el("div", {});
    const id = newId();
    this.reason = el("input", { id, type: "text", class: "wide", maxlength: "4000", autocomplete: "off" });
    this.said = el("p", { class: "error", role: "alert" });
    this.saving = button("Save the guard rails", () => this.save());
    this.locking = button("Lock", () => this.set({ locked: !this.run?.locked }, this.run?.locked ? "unlocked" : "locked"));
    this.own = el("div", {}, el("div", { class: "field" }, el("label", { for: id }, "reason for the setting"), el("div", { class: "controls" }, this.reason)), el("div", { class: "bar" }, this.saving, this.locking));
    this.root = el("details", { class: "settings", hidden: true }, el("summary", {}, "Guard rails and lock"), this.fields, this.own, this.said);
  }

  /** @param {Run | null} run as it is now; null for none @param {May} [may] what the token may do */
  show(run, may = NOTHING) {
    const before = this.run, isOther = !before || !run || before.name !== run.name || before.namespace !== run.namespace;
    const text = run && JSON.stringify([run.rules, may]);
    this.run = run;
    this.root.hidden = run === null;
    if (!run) {
      this.root.open = false;
      this.text = "";
      return;
    }
    this.own.hidden = !may.publish;
    this.locking.textContent = run.locked ? "Unlock" : "Lock";
    if (isOther) this.said.textContent = this.reason.value = "";
    if (!isOther && this.text === text) return;
    if (!isOther && this.isTyped && may.publish) {
      this.said.textContent = `The guard rails were set by somebody else meanwhile: ${rulesInWords(run) || "none is set"}. What you have typed stays.`;
    } else this.draw(run, may);
    this.text = text;
  }

  /** @param {Run} run @param {May} may */
  draw(run, may) {
    const { rules } = run, names = [...new Set([...Object.keys(RULES), ...Object.keys(rules)])];
    this.isTyped = false;
    this.controls.clear();
    if (!may.publish) return fill(this.fields, el("p", {}, rulesInWords(run) || "No guard rail is set."), el("p", { class: "about" }, `${may.who} may not set them.`));
    fill(this.fields, el("p", { class: "about" }, "A change that breaks one of them is refused. An empty one does not hold."), ...names.map((name) => this.field(name, rules[name])));
  }

  /** @param {string} name @param {number | undefined} value */
  field(name, value) {
    const { label, about } = RULES[name] ?? { label: name, about: "" }, id = newId(), error = el("p", { class: "error", id: `${id}-error` });
    const control = el("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", value: typed(value), "aria-describedby": `${id}-error ${id}-about`, on: { input: () => (this.isTyped = true) } });
    this.controls.set(name, { control, error });
    return el("div", { class: "field" }, el("label", { for: id }, label), el("div", { class: "controls" }, control), error, el("p", { class: "about", id: `${id}-about` }, about));
  }

  /** Say an error at a rule's field; false where there is none. @param {string} name @param {string} text */
  fail(name, text) {
    const known = this.controls.get(name);
    if (!known) return false;
    known.error.textContent = text;
    known.control.setAttribute("aria-invalid", String(Boolean(text)));
    return true;
  }

  save() {
    /** @type {Record<string, number>} */
    const rules = {};
    let isWrong = false;
    for (const [name, { control }] of this.controls) {
      const text = control.value.trim(), value = text ? parsed(text) : null, whole = RULES[name]?.whole;
      const wrong = value === null ? "" : Number.isNaN(value) ? "must be a number" : whole && !Number.isInteger(value) ? "must be a whole number" : "";
      this.fail(name, wrong && `${name} ${wrong}, got ${JSON.stringify(text.slice(0, 60))}`);
      isWrong ||= Boolean(wrong);
      if (value !== null) rules[name] = value;
    }
    if (!isWrong) this.set({ rules }, "set");
  }

  /** @param {{ locked?: boolean, rules?: Record<string, number> }} settings @param {string} doing */
  async set(settings, doing) {
    if (!this.run) return;
    this.said.textContent = "";
    try {
      const run = await setRun(this.run, settings, this.reason.value.trim());
      this.run = { ...this.run, ...run };
      this.reason.value = "";
      if (settings.rules) this.isTyped = false;
      this.told(settings.rules ? `The guard rails are set: ${rulesInWords(run) || "none"}.` : `The run is ${doing}.`);
    } catch (error) {
      const problems = answered(error).problem?.errors ?? [];
      const placed = problems.map(({ pointer = "", detail = "" }) => pointer.startsWith("/rules/") && this.fail(pointer.split("/")[2], detail));
      if (!placed.length || !placed.every(Boolean)) this.said.textContent = inWords(error, doing);
    }
    this.changed();
  }
}

// The form of a spec: one card for each schedule, made from the schemas of the catalogue.

import { button, el, fill, newId, prose } from "../common/dom.js";
import { fieldOf } from "./fields.js";
import { groupOf } from "./search.js";
import { setAt, valueAt } from "../data/state.js";

const STEPS = { type: "integer", minimum: 1, maximum: 20_000_000 };
/** @typedef {{ name: "total_steps" | "axis" | "stride" | "after", schema: Schema, default?: string | number, about: string }} LayoutField */
/** @type {LayoutField[]} */
const LAYOUT = [
  { name: "total_steps", schema: STEPS, about: "rows of the table" },
  { name: "axis", schema: { enum: ["step", "sample", "token", "epoch"] }, default: "step", about: "what the rows count" },
  { name: "stride", schema: { ...STEPS, maximum: 10_000_000_000 }, default: 1, about: "units of the axis in a row" },
  { name: "after", schema: { enum: ["hold", "error", "release"] }, default: "hold", about: "past the last row: hold the values, raise an error, or leave the rate alone" },
];
const COLUMN = /^[a-z][a-z0-9_]{0,63}$/;

/**
 * @typedef {import("./fields.js").Field} Field
 * @typedef {import("./fields.js").Given} Given
 * @typedef {import("./fields.js").Edit} Edit
 * @typedef {import("../common/types.js").Schema} Schema
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {import("../common/types.js").Schedule} Schedule
 * @typedef {import("../common/types.js").Parameter} Parameter
 * @typedef {import("../common/types.js").Catalogue} Catalogue
 */

/** The form of one spec at a time. */
export class Form {
  /**
   * @param {Element} place
   * @param {Catalogue} catalogue
   * @param {(spec: Spec, key: string, done: boolean) => void} change called with the whole new spec
   */
  constructor(place, catalogue, change) {
    this.place = place;
    this.catalogue = catalogue;
    this.change = change;
    this.shape = "";
    /** @type {Spec} */
    this.spec = { schedule: [], total_steps: 1 };
    /** @type {Map<string, Field>} */
    this.fields = new Map();
  }

  /** Show a spec. What is being typed stays. @param {Spec} spec */
  show(spec) {
    this.spec = spec;
    const shape = JSON.stringify(spec, (key, value) => (typeof value === "number" || typeof value === "boolean" ? 0 : Array.isArray(value) && value.every((each) => typeof each === "number") ? 0 : value));
    if (shape !== this.shape) {
      this.shape = shape;
      this.rebuild();
    } else {
      for (const [pointer, field] of this.fields) {
        const value = valueAt(spec, pointer);
        if (value !== undefined) field.set(value);
      }
    }
  }

  rebuild() {
    const around = document.activeElement?.closest("[data-pointer]"), focused = around instanceof HTMLElement && around.dataset.pointer;
    this.fields.clear();
    fill(this.place, ...this.schedules("/schedule", "schedule"), ...this.columns(), this.layout());
    if (focused) this.focus(focused);
  }

  /** Put the focus into the field of a pointer. @param {string} pointer */
  focus(pointer) {
    const found = this.place.querySelector(`[data-pointer="${CSS.escape(pointer)}"] :is(input, select)`);
    if (found instanceof HTMLElement) found.focus();
  }

  /** Show an error at the field of its pointer, or of the next one around it; false where there is none. @param {string | null} message @param {string | null} pointer */
  fail(message, pointer) {
    for (const field of this.fields.values()) field.fail(null);
    if (message === null || pointer === null) return false;
    for (let at = pointer; at; at = at.slice(0, at.lastIndexOf("/"))) {
      const field = this.fields.get(at) ?? this.named(at, message);
      if (field) {
        field.fail(message);
        return true;
      }
    }
    return false;
  }

  /** The field of a schedule that an error about several of its parameters names first. @param {string} pointer @param {string} message */
  named(pointer, message) {
    const own = [...this.fields.values()].filter((field) => field.pointer.slice(0, field.pointer.lastIndexOf("/")) === pointer);
    const places = own.map((field) => ({ field, at: message.search(new RegExp(`\\b${field.pointer.slice(pointer.length + 1)}\\b`)) }));
    return places.filter(({ at }) => at >= 0).sort((one, other) => one.at - other.at)[0]?.field;
  }

  /** @type {Edit} */
  edit = (pointer, value, done) => {
    const spec = structuredClone(this.spec);
    const before = valueAt(spec, pointer), isLength = typeof before === "number" && before === spec.total_steps && pointer.startsWith("/schedule");
    setAt(spec, pointer, value);
    if (isLength && typeof value === "number") spec.total_steps = value; // a length that was the table's stays it
    this.change(spec, pointer, done);
  };

  /** @param {Given} given */
  field(given) {
    const field = fieldOf(given, this.edit);
    this.fields.set(given.pointer, field);
    return field.row;
  }

  /** A schedule, or one card for each parameter group. @param {string} pointer @param {string} title */
  schedules(pointer, title) {
    const value = valueAt(this.spec, pointer);
    if (!Array.isArray(value)) {
      const more = button("Add a parameter group", () => this.edit(pointer, [value, structuredClone(value)], true), { class: "quiet" });
      return [this.card(pointer, true, title, []), more];
    }
    const cards = value.map((_, group) => this.card(`${pointer}/${group}`, true, `${title}, group ${group}`, [
      button("Remove", () => this.edit(pointer, value.length === 2 ? value[1 - group] : value.toSpliced(group, 1), true), { class: "quiet", "aria-label": `Remove group ${group}` }),
    ]));
    return [...cards, button("Add a parameter group", () => this.edit(pointer, [...value, structuredClone(value.at(-1))], true), { class: "quiet" })];
  }

  /** The other hyperparameters that have schedules. */
  columns() {
    const { columns } = this.spec, names = columns && typeof columns === "object" && !Array.isArray(columns) ? Object.keys(columns) : [];
    const rows = names.flatMap((name) => [
      ...this.schedules(`/columns/${name.replace(/~/g, "~0").replace(/\//g, "~1")}`, name),
      button(`Remove ${name}`, () => this.edit("/columns", without(this.spec.columns ?? {}, name), true), { class: "quiet" }),
    ]);
    const id = newId(), input = el("input", { id, type: "text", placeholder: "weight_decay", autocomplete: "off", spellcheck: "false" });
    const add = button("Add", () => {
      if (!COLUMN.test(input.value) || names.includes(input.value)) return input.setAttribute("aria-invalid", "true");
      this.edit("/columns", { ...this.spec.columns, [input.value]: { kind: "Constant", value: 0.1 } }, true);
    });
    input.addEventListener("keydown", (event) => event.key === "Enter" && add.click());
    return [...rows, el("details", {}, el("summary", {}, "Another hyperparameter"), el("div", { class: "field" }, el("label", { for: id }, "name of the column"), el("div", { class: "controls" }, input, add)))];
  }

  layout() {
    const row = (/** @type {LayoutField} */ { name, schema, default: fallback, about }) =>
      this.field({ pointer: `/${name}`, label: name, schema, value: this.spec[name], fallback, required: fallback === undefined, about });
    const [length, ...others] = LAYOUT, usual = others.every(({ name, default: fallback }) => (this.spec[name] ?? fallback) === fallback);
    return el("fieldset", { class: "card" }, el("legend", {}, "table"), row(length),
      el("details", { open: !usual }, el("summary", {}, "axis, stride, past the end"), ...others.map(row)));
  }

  /**
   * A schedule with its kind and parameters. `kinds` is a list, or true for all.
   * @param {string} pointer @param {true | string[]} kinds @param {string} title @param {HTMLElement[]} actions
   * @returns {HTMLElement}
   */
  card(pointer, kinds, title, actions) {
    const schedule = /** @type {Schedule} */ (valueAt(this.spec, pointer) ?? { kind: "" }), entry = this.catalogue.kinds[schedule.kind];
    const select = this.kindSelect(pointer, kinds, schedule.kind, title);
    const head = el("div", { class: "kind", data: { pointer: `${pointer}/kind` } }, select, ...actions);
    const summary = el("p", { class: "about" }, ...(entry ? prose(entry.summary) : [`There is no kind of schedule called ${JSON.stringify(String(schedule.kind)).slice(0, 80)}.`]));
    const texts = entry?.description.split("\n\n").slice(1).map((part) => el("p", { class: "formula" }, ...prose(part.replace(/\n(?![ ])/g, " ")))) ?? [];
    const more = texts.length > 0 && el("details", {}, el("summary", {}, "formula, values, source", el("span", { class: "unseen" }, ` of ${title}`)), ...texts);
    const body = entry ? this.parameters(pointer, entry.parameters, schedule) : [];
    return el("fieldset", { class: "card" }, el("legend", {}, title), head, summary, more, ...body);
  }

  /** @param {string} pointer @param {true | string[]} kinds @param {string} present @param {string} title */
  kindSelect(pointer, kinds, present, title) {
    const names = Object.keys(this.catalogue.kinds).filter((kind) => kinds === true || kinds.includes(kind));
    const groups = Map.groupBy(names, groupOf);
    const select = el("select", { "aria-label": `Kind of ${title}` }, ...[...groups].map(([group, members]) => el("optgroup", { label: group }, ...members.map((kind) => el("option", { value: kind }, kind)))));
    select.value = present;
    select.addEventListener("change", () => {
      const example = this.catalogue.kinds[select.value].example, before = valueAt(this.spec, pointer);
      this.edit(pointer, inherited(/** @type {Schedule} */ (structuredClone(example.schedule)), /** @type {Schedule | undefined} */ (before)), true);
    });
    return select;
  }

  /** The required parameters, the first two others, and the rest where one looks for it. @param {string} pointer @param {Parameter[]} all @param {Schedule} schedule */
  parameters(pointer, all, schedule) {
    const optional = all.filter(({ required }) => !required).slice(2), shown = all.filter((each) => !optional.includes(each));
    const row = (/** @type {Parameter} */ parameter) => this.parameter(`${pointer}/${parameter.name}`, parameter, schedule);
    if (optional.length < 2) return all.map(row);
    const usual = optional.every(({ name, default: fallback }) => schedule[name] === undefined || JSON.stringify(schedule[name]) === JSON.stringify(fallback));
    return [...shown.map(row), el("details", { open: !usual }, el("summary", {}, `${optional.length} more parameters`), ...optional.map(row))];
  }

  /** @param {string} pointer @param {Parameter} parameter @param {Schedule} schedule */
  parameter(pointer, { name, schema, default: fallback, required, description }, schedule) {
    if (schema.schedule) return this.card(pointer, schema.schedule, name, []);
    if (schema.items?.schedule) return this.members(pointer, schema, schema.items.schedule, name);
    return this.field({ pointer, label: name, schema, value: schedule[name], fallback, required, about: description });
  }

  /** A list of schedules. @param {string} pointer @param {Schema} schema @param {true | string[]} kinds @param {string} name */
  members(pointer, { minItems = 0, maxItems = Infinity }, kinds, name) {
    const given = valueAt(this.spec, pointer);
    /** @type {Schedule[]} */
    const list = Array.isArray(given) ? given : [];
    const put = (/** @type {Schedule[]} */ value) => this.edit(pointer, value, true);
    const cards = list.map((member, place) => this.card(`${pointer}/${place}`, kinds, `${name} ${place + 1}`, [
      button("↑", () => put(list.toSpliced(place - 1, 2, member, list[place - 1])), { class: "quiet", "aria-label": `Move ${name} ${place + 1} up`, disabled: place === 0 }),
      button("×", () => put(list.toSpliced(place, 1)), { class: "quiet", "aria-label": `Remove ${name} ${place + 1}`, disabled: list.length <= minItems }),
    ]));
    const add = button(`Add to ${name}`, () => put([...list, structuredClone(list.at(-1) ?? { kind: "Constant", value: 0.001 })]), { class: "quiet", disabled: list.length >= maxItems });
    return el("div", { class: "members" }, ...cards, add);
  }
}

/** A schedule of another kind, with the parameters that have the same names. @param {Schedule} schedule @param {Schedule | undefined} before */
function inherited(schedule, before) {
  for (const name of Object.keys(schedule)) {
    if (name !== "kind" && typeof schedule[name] === "number" && typeof before?.[name] === "number") schedule[name] = before[name];
  }
  return schedule;
}

/** @param {Record<string, unknown>} columns @param {string} name */
function without(columns, name) {
  const { [name]: _, ...rest } = columns;
  return rest;
}

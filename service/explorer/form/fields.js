// One field of the form for each shape of a parameter's JSON schema.

import { el, newId, prose } from "../common/dom.js";
import { brief, parsed, typed } from "../common/format.js";

const NOTCHES = 1000;

/**
 * @typedef {import("../common/types.js").Schema} Schema
 * @typedef {{ pointer: string, label: string, schema: Schema, value: unknown, fallback: unknown, required: boolean, about: string }} Given
 * @typedef {{ row: HTMLElement, pointer: string, set: (value: unknown) => void, fail: (message: string | null) => void }} Field
 * @typedef {(pointer: string, value: unknown, done: boolean) => void} Edit `done` is false while a slider is held
 * @typedef {{ toValue: (at: number) => number, toPlace: (value: number) => number }} Scale
 */

/**
 * The scale of a slider: from a position, 0 to 1000, to a value and back.
 * The limits of rates and lengths are those of the arithmetic (1e12), so a slider spans what people use, and the value.
 * @param {Schema} schema @param {number} value
 * @returns {Scale}
 */
export function scaleOf(schema, value) {
  const whole = schema.type === "integer";
  const least = schema.minimum ?? schema.exclusiveMinimum ?? 0, most = schema.maximum ?? 1e12;
  if (least < 0 || most <= 1) return linear(least, most, whole, schema.exclusiveMinimum !== undefined);
  if (whole && most <= 100) return linear(least, most, true, false);
  const size = Math.abs(value) || (whole ? 1000 : 1e-3);
  const low = Math.max(least, Math.min(whole ? 1 : most <= 1e6 ? 1e-3 : 1e-8, size / 10)) || 1e-8;
  const high = Math.min(most, Math.max(whole ? 1e6 : most <= 1e6 ? 100 : 1, size * 10));
  return logarithmic(low, high, whole, least === 0 && schema.exclusiveMinimum === undefined);
}

/** @param {number} low @param {number} high @param {boolean} whole @param {boolean} open @returns {Scale} */
function linear(low, high, whole, open) {
  const step = (high - low) / NOTCHES;
  return {
    toValue: (at) => (whole ? Math.round(low + (high - low) * (at / NOTCHES)) : rounded(low + step * (open ? Math.max(1, at) : at))),
    toPlace: (value) => Math.round(((value - low) / (high - low)) * NOTCHES),
  };
}

/** Where 0 is allowed it is the leftmost notch. @param {number} low @param {number} high @param {boolean} whole @param {boolean} withZero @returns {Scale} */
function logarithmic(low, high, whole, withZero) {
  const first = withZero ? 1 : 0, span = Math.log(high / low);
  return {
    toValue(at) {
      if (at < first) return 0;
      const value = rounded(low * Math.exp((span * (at - first)) / (NOTCHES - first)));
      return Math.min(high, Math.max(low, whole ? Math.round(value) : value));
    },
    toPlace: (value) => (value < low ? 0 : Math.round(first + ((NOTCHES - first) * Math.log(value / low)) / span)),
  };
}

/** Three digits: what a hand on a slider can mean. @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(3));
}

/** The field of a parameter. Nested schedules are not its business. @param {Given} given @param {Edit} edit @returns {Field} */
export function fieldOf(given, edit) {
  const { schema } = given;
  if (schema.anyOf) return optional(given, edit);
  if (schema.type === "number" || schema.type === "integer") return numeric(given, edit);
  if (schema.enum) return choice(given, edit, schema.enum);
  if (schema.type === "boolean") return toggle(given, edit);
  if (schema.type === "array") return list(given, edit);
  return text(given, edit);
}

/**
 * The row around controls, with a label, a description and a place for an error.
 * @param {Given} given @param {string} id of the main control @param {...HTMLElement} controls
 * @returns {Omit<Field, "set">}
 */
function rowOf(given, id, ...controls) {
  const error = el("p", { class: "error", id: `${id}-error`, hidden: true });
  const about = given.about && el("p", { class: "about", id: `${id}-about` }, ...prose(given.about));
  const row = el("div", { class: "field", data: { pointer: given.pointer } }, el("label", { for: id }, given.label), el("div", { class: "controls" }, ...controls), error, about);
  const main = row.querySelector(`[id="${id}"]`) ?? row;
  if (about) main.setAttribute("aria-describedby", `${id}-about`);
  return {
    row,
    pointer: given.pointer,
    fail(message) {
      error.textContent = message ?? "";
      error.hidden = !message;
      main.setAttribute("aria-invalid", String(Boolean(message)));
      main.setAttribute("aria-describedby", [message && error.id, about && `${id}-about`].filter(Boolean).join(" "));
    },
  };
}

/** @param {Given} given @param {Edit} edit @returns {Field} */
function numeric(given, edit) {
  const id = newId(), whole = given.schema.type === "integer";
  const input = el("input", { id, type: "text", inputmode: whole ? "numeric" : "decimal", autocomplete: "off", spellcheck: "false" });
  const slider = el("input", { type: "range", min: 0, max: NOTCHES, step: 1, "aria-label": `${given.label}, slider` });
  /** @type {Scale | undefined} */
  let scale;
  const field = rowOf(given, id, input, slider);

  /** @param {number} value */
  function place(value) {
    scale ??= scaleOf(given.schema, value);
    slider.value = String(scale.toPlace(value));
    slider.setAttribute("aria-valuetext", brief(value));
  }
  /** @param {unknown} value */
  function set(value) {
    if (document.activeElement !== input || parsed(input.value) !== value) input.value = typed(value);
    if (typeof value === "number" && document.activeElement !== slider) {
      scale = scaleOf(given.schema, value);
      place(value);
    }
  }
  input.addEventListener("input", () => {
    const value = parsed(input.value);
    const wrong = problemOf(given, value, input.value);
    field.fail(wrong);
    if (wrong) return;
    scale = undefined;
    place(value);
    edit(given.pointer, value, true);
  });
  input.addEventListener("keydown", (event) => {
    const up = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (!up) return;
    event.preventDefault();
    const value = nudged(parsed(input.value) || 0, up * (event.shiftKey ? 10 : 1), given.schema);
    input.value = typed(value);
    input.dispatchEvent(new Event("input"));
  });
  const chosen = () => (scale ??= scaleOf(given.schema, parsed(input.value) || 0)).toValue(Number(slider.value));
  slider.addEventListener("input", () => {
    const value = chosen();
    input.value = typed(value);
    slider.setAttribute("aria-valuetext", brief(value));
    field.fail(null);
    edit(given.pointer, value, false);
  });
  slider.addEventListener("change", () => edit(given.pointer, chosen(), true));
  set(given.value ?? given.fallback);
  return { ...field, set };
}

/** The next value of the third digit, within the limits. @param {number} value @param {number} by @param {Schema} schema */
function nudged(value, by, schema) {
  const whole = schema.type === "integer";
  const unit = value === 0 ? (whole ? 1 : 1e-6) : 10 ** (Math.floor(Math.log10(Math.abs(value))) - 1);
  const next = Number((value + by * (whole ? Math.max(1, unit) : unit)).toPrecision(12));
  return Math.min(schema.maximum ?? Infinity, Math.max(schema.minimum ?? -Infinity, whole ? Math.round(next) : next));
}

/** @param {Pick<Given, "label" | "schema">} given @param {number} value @param {string} written */
function problemOf({ label, schema }, value, written) {
  if (Number.isNaN(value)) return `${label} must be a number, got ${JSON.stringify(written.slice(0, 40))}`;
  if (schema.type === "integer" && !Number.isInteger(value)) return `${label} must be a whole number, got ${typed(value)}`;
  const { minimum = -Infinity, exclusiveMinimum = -Infinity, maximum = Infinity } = schema;
  if (value < minimum) return `${label} must be >= ${typed(minimum)}, got ${typed(value)}`;
  if (value <= exclusiveMinimum) return `${label} must be > ${typed(exclusiveMinimum)}, got ${typed(value)}`;
  if (value > maximum) return `${label} must be <= ${typed(maximum)}, got ${typed(value)}`;
  return null;
}

/** @param {Given} given @param {Edit} edit @param {(string | number)[]} options @returns {Field} */
function choice(given, edit, options) {
  const id = newId();
  const select = el("select", { id }, ...options.map((option) => el("option", { value: option }, String(option))));
  select.addEventListener("change", () => edit(given.pointer, options[select.selectedIndex], true));
  const set = (/** @type {unknown} */ value) => { select.value = String(value); };
  set(given.value ?? given.fallback);
  return { ...rowOf(given, id, select), set };
}

/** @param {Given} given @param {Edit} edit @returns {Field} */
function toggle(given, edit) {
  const id = newId();
  const box = el("input", { id, type: "checkbox", role: "switch" });
  box.addEventListener("change", () => edit(given.pointer, box.checked, true));
  const set = (/** @type {unknown} */ value) => { box.checked = Boolean(value); };
  set(given.value ?? given.fallback);
  return { ...rowOf(given, id, box), set };
}

/** Numbers with commas between. @param {Given} given @param {Edit} edit @returns {Field} */
function list(given, edit) {
  const id = newId(), { items = {} } = given.schema, whole = items.type === "integer";
  const input = el("input", { id, type: "text", class: "wide", autocomplete: "off", spellcheck: "false", inputmode: "text" });
  const field = rowOf(given, id, input);
  input.addEventListener("input", () => {
    const words = input.value.split(/[,;\s]+/).filter(Boolean), values = words.map(parsed);
    const place = values.findIndex((value) => problemOf({ label: "", schema: items }, value, "") !== null);
    const wrong = place < 0 ? null : problemOf({ label: `number ${place + 1}`, schema: { ...items, type: whole ? "integer" : "number" } }, values[place], words[place]);
    field.fail(wrong);
    if (!wrong) edit(given.pointer, values, true);
  });
  const set = (/** @type {unknown} */ value) => {
    if (document.activeElement !== input) input.value = Array.isArray(value) ? value.map(typed).join(", ") : "";
  };
  set(given.value ?? given.fallback);
  return { ...field, set };
}

/** @param {Given} given @param {Edit} edit @returns {Field} */
function text(given, edit) {
  const id = newId();
  const input = el("input", { id, type: "text", class: "wide", autocomplete: "off", spellcheck: "false" });
  const field = rowOf(given, id, input);
  const pattern = given.schema.pattern && new RegExp(given.schema.pattern);
  input.addEventListener("input", () => {
    const wrong = pattern && !pattern.test(input.value) ? `${given.label} has another form, got ${JSON.stringify(input.value.slice(0, 40))}` : null;
    field.fail(wrong);
    if (!wrong) edit(given.pointer, input.value, true);
  });
  const set = (/** @type {unknown} */ value) => {
    if (document.activeElement !== input) input.value = String(value ?? "");
  };
  set(given.value ?? given.fallback);
  return { ...field, set };
}

/** A value or a word in its place: none, or the value that came before. @param {Given} given @param {Edit} edit @returns {Field} */
function optional(given, edit) {
  const { anyOf = [] } = given.schema, main = anyOf.find((schema) => schema.type !== "null" && schema.const === undefined) ?? { type: "string" };
  const other = anyOf.find((schema) => schema.const !== undefined)?.const ?? null;
  const value = given.value === undefined ? given.fallback : given.value, is = value === other;
  const id = newId();
  const box = el("input", { id, type: "checkbox", role: "switch", "aria-label": other === null ? `${given.label}: set` : `${given.label}: ${other}` });
  box.checked = other === null ? !is : is;
  box.addEventListener("change", () => edit(given.pointer, box.checked === (other === null) ? beginning(main) : other, true));
  const mark = el("span", { class: "aside" }, box, el("span", {}, other === null ? "set" : String(other)));
  if (is) {
    box.id = id;
    return { ...rowOf(given, id, mark), set: () => {} };
  }
  const field = fieldOf({ ...given, schema: main, value }, edit);
  field.row.querySelector(".controls")?.append(mark);
  return field;
}

/** A value to begin with, where there was none. @param {Schema} schema */
function beginning(schema) {
  if (schema.type === "integer") return Math.max(schema.minimum ?? 0, 100);
  if (schema.type === "number") return Math.max(schema.minimum ?? 0, Math.min(schema.maximum ?? 1, 1e-3));
  return schema.type === "array" ? [0.001] : "0".repeat(64);
}

// What the page shows, as one value: it is kept in the address behind `#`, which no server sees, and can be undone.

import { messageOf } from "../common/dom.js";
import { originOf, specNamed } from "./origins.js";

export const MAX_CURVES = 8;
export const MAX_ROWS = 20_000_000;
const LONGEST = 200_000; // characters of a fragment that is read
const DEEPEST = 60;
const KEPT = 200; // steps of undo
/** @typedef {"y" | "x" | "against"} Choice */
/** @type {Record<Choice, string[]>} */
const CHOICES = {
  y: ["linear", "log", "asinh"],
  x: ["linear", "log"],
  against: ["overlay", "absolute", "relative", "ulp"],
};

/**
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {import("../common/types.js").State} State
 * @typedef {import("../common/types.js").Catalogue} Catalogue
 */

/** @param {Spec} spec @returns {State} */
export function initial(spec) {
  return { specs: [spec], active: 0, y: "linear", x: "linear", against: "overlay", view: null };
}

/** The fragment of a state, without `#`. @param {State} state */
export function written(state) {
  const parts = state.specs.map((spec) => {
    const origin = originOf(spec);
    return origin ? [origin.word, origin.value] : ["spec", JSON.stringify(spec)];
  });
  if (state.active) parts.push(["active", String(state.active)]);
  for (const name of choices()) if (state[name] !== CHOICES[name][0]) parts.push([name, state[name]]);
  if (state.view) parts.push(["view", state.view.join("-")]);
  return parts.map(([name, value]) => `${name}=${encoded(value)}`).join("&");
}

function choices() {
  return /** @type {Choice[]} */ (Object.keys(CHOICES));
}

/** @param {string} name @returns {name is Choice} */
function isChoice(name) {
  return Object.hasOwn(CHOICES, name);
}

/** Like encodeURIComponent, but what a fragment may hold stays legible. @param {string} text */
function encoded(text) {
  return encodeURIComponent(text).replace(/%(3A|2C|40|24|2F)/g, decodeURIComponent);
}

/**
 * The state that a fragment says. Raises an Error whose message is for the reader.
 * @param {string} fragment without `#`
 * @param {Catalogue} catalogue
 * @returns {State}
 */
export function read(fragment, catalogue) {
  if (fragment.length > LONGEST) {
    throw new Error(`the link is too long: ${fragment.length.toLocaleString("en-US")} characters, at most ${LONGEST.toLocaleString("en-US")}`);
  }
  /** @type {Spec[]} */
  const specs = [];
  /** @type {Omit<State, "specs">} */
  const state = { active: 0, y: CHOICES.y[0], x: CHOICES.x[0], against: CHOICES.against[0], view: null };
  for (const part of fragment.split("&")) {
    const place = part.indexOf("="), name = part.slice(0, place), value = decoded(part.slice(place + 1));
    if (name === "spec") specs.push(readSpec(value));
    else if (name === "run" || name === "table") specs.push(stored(name, value));
    else if (name === "kind") specs.push(exampleOf(value, catalogue));
    else if (name === "recipe") specs.push(recipeOf(value, catalogue));
    else if (name === "active") state.active = /^\d$/.test(value) ? Number(value) : 0;
    else if (name === "view") state.view = readView(value);
    else if (isChoice(name) && CHOICES[name].includes(value)) state[name] = value;
  }
  if (!specs.length) throw new Error("the link has no schedule: it needs spec=, kind=, recipe=, run= or table=");
  if (specs.length > MAX_CURVES) throw new Error(`the link has ${specs.length} curves, at most ${MAX_CURVES}`);
  return { ...state, specs, active: Math.min(state.active, specs.length - 1) };
}

/** A table or a run, which must have been looked up on the server. @param {"run" | "table"} word @param {string} value */
function stored(word, value) {
  const spec = specNamed(word, value);
  if (!spec) throw new Error(`the ${word} ${clipped(value)} is not known here`);
  return structuredClone(spec);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    const cut = /%(?![0-9a-f]{2})/i.test(text);
    throw new Error(`the link is cut short or damaged: ${cut ? "it has a % without two hexadecimal digits" : "its %XX are not text in UTF-8"}`);
  }
}

/** @param {string} text @returns {[number, number] | null} */
function readView(text) {
  const match = /^(\d{1,9})-(\d{1,9})$/.exec(text);
  return match && Number(match[1]) < Number(match[2]) ? [Number(match[1]), Number(match[2])] : null;
}

/** A spec from its JSON, of a link or of a pasted text. @param {string} text @returns {Spec} */
export function readSpec(text) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new Error(`the spec is not JSON: ${messageOf(error)}`);
  }
  if (!data || typeof data !== "object" || Array.isArray(data)) throw new Error("a spec is a JSON object with schedule and total_steps");
  if (depth(data) > DEEPEST) throw new Error(`the spec is nested more than ${DEEPEST} levels deep`);
  /** @type {unknown[]} */
  const schedules = Array.isArray(data.schedule) ? data.schedule : [data.schedule];
  if (!schedules.length || !schedules.every(hasKind)) {
    throw new Error('the spec needs a schedule with a kind, such as {"kind": "Constant", "value": 0.001}');
  }
  if (!Number.isInteger(data.total_steps) || data.total_steps < 1) throw new Error("total_steps must be a whole number, at least 1");
  return data;
}

/** @param {unknown} schedule */
function hasKind(schedule) {
  return schedule !== null && typeof schedule === "object" && "kind" in schedule && typeof schedule.kind === "string";
}

/** How many levels data has, as far as it matters. @param {unknown} value */
function depth(value) {
  let level = [value], deep = 0;
  for (; level.length && deep <= DEEPEST; deep++) {
    level = level.flatMap((each) => (each && typeof each === "object" ? Object.values(each) : []));
  }
  return deep;
}

/** A spec to begin with, of a kind. @param {string} kind @param {Catalogue} catalogue @returns {Spec} */
export function exampleOf(kind, catalogue) {
  if (!Object.hasOwn(catalogue.kinds, kind)) throw new Error(`there is no kind of schedule called ${clipped(kind)}`);
  return structuredClone(catalogue.kinds[kind].example);
}

/** @param {string} name @param {Catalogue} catalogue @returns {Spec} */
function recipeOf(name, catalogue) {
  const found = catalogue.recipes.find((recipe) => recipe.name === name);
  if (!found) throw new Error(`there is no recipe called ${clipped(name)}`);
  return structuredClone(found.spec);
}

/** @param {string} text */
function clipped(text) {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** The states before and after the present one. Changes of one field, close together, are one step. */
export class History {
  constructor() {
    /** @type {State[]} */
    this.past = [];
    /** @type {State[]} */
    this.future = [];
    this.key = "";
    this.at = 0;
  }

  /**
   * Remember a state that is about to change.
   * @param {State} state
   * @param {string} key what changes; an empty one never joins the change before
   */
  remember(state, key) {
    const now = performance.now(), joins = key !== "" && key === this.key && now - this.at < 1000;
    this.key = key;
    this.at = now;
    if (joins) return;
    this.past.push(structuredClone(state));
    if (this.past.length > KEPT) this.past.shift();
    this.future = [];
  }

  /** @param {State} present @returns {State | undefined} */
  undo(present) {
    return this.move(this.past, this.future, present);
  }

  /** @param {State} present @returns {State | undefined} */
  redo(present) {
    return this.move(this.future, this.past, present);
  }

  /** @param {State[]} from @param {State[]} to @param {State} present */
  move(from, to, present) {
    this.key = "";
    const found = from.pop();
    if (found) to.push(structuredClone(present));
    return found;
  }
}

/** The value at a JSON pointer, such as `/schedule/base_lr`. @param {unknown} data @param {string} pointer @returns {unknown} */
export function valueAt(data, pointer) {
  return keysOf(pointer).reduce((value, key) => /** @type {Record<string, unknown> | null | undefined} */ (value)?.[key], data);
}

/** Set the value at a JSON pointer; undefined removes it. @param {unknown} data @param {string} pointer @param {unknown} value */
export function setAt(data, pointer, value) {
  const keys = keysOf(pointer), last = keys.pop() ?? "";
  const owner = /** @type {Record<string, unknown>} */ (keys.reduce((found, key) => /** @type {Record<string, unknown>} */ (found)[key], data));
  if (value === undefined) delete owner[last];
  else owner[last] = value;
}

/** @param {string} pointer */
function keysOf(pointer) {
  return pointer.split("/").slice(1).map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));
}

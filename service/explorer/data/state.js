// What the page shows, as one value: it is kept in the address behind `#`, which no server sees, and can be undone.

import { originOf, specNamed } from "./origins.js";

export const MAX_CURVES = 8;
export const MAX_ROWS = 20_000_000;
const LONGEST = 200_000; // characters of a fragment that is read
const DEEPEST = 60;
const KEPT = 200; // steps of undo
const CHOICES = {
  y: ["linear", "log", "asinh"],
  x: ["linear", "log"],
  against: ["overlay", "absolute", "relative", "ulp"],
};

/**
 * @typedef {{ schedule: any, columns?: any, total_steps: number, axis?: string, stride?: number, after?: string }} Spec
 * @typedef {{ specs: Spec[], active: number, y: string, x: string, against: string, view: [number, number] | null }} State
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
  for (const name of Object.keys(CHOICES)) if (state[name] !== CHOICES[name][0]) parts.push([name, state[name]]);
  if (state.view) parts.push(["view", state.view.join("-")]);
  return parts.map(([name, value]) => `${name}=${encoded(value)}`).join("&");
}

/** Like encodeURIComponent, but what a fragment may hold stays legible. @param {string} text */
function encoded(text) {
  return encodeURIComponent(text).replace(/%(3A|2C|40|24|2F)/g, decodeURIComponent);
}

/**
 * The state that a fragment says. Raises an Error whose message is for the reader.
 * @param {string} fragment without `#`
 * @param {any} catalogue
 * @returns {State}
 */
export function read(fragment, catalogue) {
  if (fragment.length > LONGEST) {
    throw new Error(`the link is too long: ${fragment.length.toLocaleString("en-US")} characters, at most ${LONGEST.toLocaleString("en-US")}`);
  }
  /** @type {Spec[]} */
  const specs = [];
  const state = initial(/** @type {any} */ (null));
  for (const part of fragment.split("&")) {
    const place = part.indexOf("="), name = part.slice(0, place), value = decoded(part.slice(place + 1));
    if (name === "spec") specs.push(readSpec(value));
    else if (name === "run" || name === "table") specs.push(stored(name, value));
    else if (name === "kind") specs.push(exampleOf(value, catalogue));
    else if (name === "recipe") specs.push(recipeOf(value, catalogue));
    else if (name === "active") state.active = /^\d$/.test(value) ? Number(value) : 0;
    else if (name === "view") state.view = readView(value);
    else if (Object.hasOwn(CHOICES, name) && CHOICES[name].includes(value)) state[name] = value;
  }
  if (!specs.length) throw new Error("the link has no schedule: it needs spec=, kind=, recipe=, run= or table=");
  if (specs.length > MAX_CURVES) throw new Error(`the link has ${specs.length} curves, at most ${MAX_CURVES}`);
  return { ...state, specs, active: Math.min(state.active, specs.length - 1) };
}

/** A table or a run, which must have been looked up on the server. */
function stored(word, value) {
  const spec = specNamed(word, value);
  if (!spec) throw new Error(`the ${word} ${clipped(value)} is not known here`);
  return structuredClone(spec);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error("the link is cut short or damaged: it has a % without two digits");
  }
}

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
    throw new Error(`the spec is not JSON: ${error.message}`);
  }
  if (!data || typeof data !== "object" || Array.isArray(data)) throw new Error("a spec is a JSON object with schedule and total_steps");
  if (depth(data) > DEEPEST) throw new Error(`the spec is nested more than ${DEEPEST} levels deep`);
  const schedules = Array.isArray(data.schedule) ? data.schedule : [data.schedule];
  if (!schedules.length || !schedules.every((each) => each && typeof each === "object" && typeof each.kind === "string")) {
    throw new Error('the spec needs a schedule with a kind, such as {"kind": "Constant", "value": 0.001}');
  }
  if (!Number.isInteger(data.total_steps) || data.total_steps < 1) throw new Error("total_steps must be a whole number, at least 1");
  return data;
}

function depth(value) {
  let level = [value], deep = 0;
  for (; level.length && deep <= DEEPEST; deep++) {
    level = level.flatMap((each) => (each && typeof each === "object" ? Object.values(each) : []));
  }
  return deep;
}

/** A spec to begin with, of a kind. @param {string} kind @param {any} catalogue @returns {Spec} */
export function exampleOf(kind, catalogue) {
  if (!Object.hasOwn(catalogue.kinds, kind)) throw new Error(`there is no kind of schedule called ${clipped(kind)}`);
  return structuredClone(catalogue.kinds[kind].example);
}

/** @param {string} name @param {any} catalogue @returns {Spec} */
function recipeOf(name, catalogue) {
  const found = catalogue.recipes.find((recipe) => recipe.name === name);
  if (!found) throw new Error(`there is no recipe called ${clipped(name)}`);
  return structuredClone(found.spec);
}

function clipped(text) {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** The states before and after the present one. Changes of one field, close together, are one step. */
export class History {
  constructor() {
    this.past = [];
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

  move(from, to, present) {
    this.key = "";
    const found = from.pop();
    if (found) to.push(structuredClone(present));
    return found;
  }
}

/** The value at a JSON pointer, such as `/schedule/base_lr`. @param {any} data @param {string} pointer */
export function valueAt(data, pointer) {
  return keysOf(pointer).reduce((value, key) => value?.[key], data);
}

/** Set the value at a JSON pointer; undefined removes it. @param {any} data @param {string} pointer @param {any} value */
export function setAt(data, pointer, value) {
  const keys = keysOf(pointer), last = keys.pop();
  const owner = keys.reduce((found, key) => found[key], data);
  if (value === undefined) delete owner[last];
  else owner[last] = value;
}

function keysOf(pointer) {
  return pointer.split("/").slice(1).map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));
}

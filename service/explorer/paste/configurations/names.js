// The names of training arguments, as scheduler/libraries/transformers/names.py checks them.

import { nearNames } from "../../kernel/texts.js";
import { Unknown } from "../text/literal.js";
import { PasteError, shown } from "../needs.js";

const LEAST = 4; // letters of a name that is taken for the beginning of another

/** Throws `PasteError` for what changes the rates elsewhere, and for a misspelt name. @param {any} data @param {any} facts @param {string} how it was written, or the call's class */
export function checkNames(data, facts, how) {
  for (const name of facts.other_rates) {
    const value = data[name] ?? false;
    if (value !== false) throw new PasteError(`${name} changes the rates, and is none of Trainer's arguments: got ${shown(value)}`);
  }
  const known = new Set([...facts.names, ...facts.other_rates]), decisive = Object.keys(facts.defaults);
  for (const name of Object.keys(data)) {
    if (known.has(name)) continue;
    const meant = meantBy(name, decisive, facts.alike, how === "flags" ? 1 : LEAST);
    if (meant) throw new PasteError(`${name.slice(0, 80)} is none of Trainer's arguments: is ${meant} meant?`);
    if (facts.classes.includes(how) && !name.startsWith("_")) {
      const [near] = nearNames(name, facts.names, 1);
      throw new PasteError(`${how} has no argument ${name.slice(0, 80)}${near ? `: is ${near} meant?` : ""}`);
    }
  }
}

/** @param {string} name @param {string[]} decisive @param {number} alike @param {number} least letters */
function meantBy(name, decisive, alike, least) {
  const beginning = decisive.filter((each) => name.length >= least && each.startsWith(name)).sort();
  const likely = decisive.filter((each) => 2 * Math.min(each.length, name.length) >= alike * (each.length + name.length)); // more alike they cannot be
  return (beginning.length ? beginning : nearNames(name, likely, 1, alike)).join(" or ");
}

/** Throws `PasteError` for values of a call that say what the text does not. @param {import("../text/code.js").Found} call */
export function checkValues({ name, values }) {
  const hidden = values.find((value) => value instanceof Unknown && (/^\*/.test(value.text) || value.text === "..."));
  if (hidden) throw new PasteError(`${name} has ${shown(hidden)}, which stands for arguments that are not in the text: write them in its place`);
  if (values.length > 1) throw new PasteError(`${name} has ${values.length} arguments without a name: write name=value for all but the first`);
}

// What curves are called, and what is said of their specs.

import { el } from "../common/dom.js";
import { brief } from "../common/format.js";
import { originOf } from "../data/origins.js";

/**
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {import("../common/types.js").Catalogue} Catalogue
 */

export const LETTERS = "ABCDEFGH";

/** What a column of a curve is called beside others. @param {number} place @param {number} curves @param {string} column */
export function labelOf(place, curves, column) {
  return curves > 1 ? (column === "lr" ? LETTERS[place] : `${LETTERS[place]} ${column}`) : column;
}

/** The recipe that a spec is, if it is one. @param {Spec} spec @param {Catalogue} catalogue */
export function recipeOf(spec, catalogue) {
  const text = JSON.stringify(spec);
  return catalogue.recipes.find((each) => JSON.stringify(each.spec) === text);
}

/** Where a recipe comes from, and what its source leaves open. @param {import("../common/types.js").Recipe} recipe */
export function aboutRecipe({ title, source, stated, assumptions }) {
  return [
    el("p", {}, title), el("p", { class: "about" }, `${source.authors}, “${source.title}”, ${source.year}, ${source.identifier}; ${source.where}.`),
    el("p", { class: "about" }, `Stated: warmup ${stated.warmup}; decay ${stated.decay}; length ${stated.length}; highest rate ${brief(stated.peak)}.`),
    el("details", {}, el("summary", {}, "assumptions"), el("ul", { class: "about" }, ...assumptions.map((text) => el("li", {}, text)))),
  ];
}

/** A spec in a word: its recipe, or the kind of its schedule. @param {Spec} spec @param {Catalogue} catalogue */
export function nameOf(spec, catalogue) {
  const recipe = recipeOf(spec, catalogue);
  if (recipe) return recipe.name;
  const origin = originOf(spec);
  if (origin) return origin.label;
  const schedule = Array.isArray(spec.schedule) ? spec.schedule[0] : spec.schedule;
  return String(schedule?.kind ?? "no kind").slice(0, 60);
}

/** What is said of a stored table that is not fetched. @param {Spec} spec */
export function unchecked(spec) {
  const digest = originOf(spec)?.digest;
  return digest ? `. This table is too large to be fetched, so its digest ${digest} is not checked here.` : "";
}

/** What is wrong with a schedule of a kind that there is not; a part of another one is the kernel's to judge. @param {Spec} spec @param {Catalogue} catalogue */
export function unknownKind({ schedule }, catalogue) {
  const unknown = [schedule].flat().find(({ kind }) => !(kind in catalogue.kinds));
  return unknown ? `there is no kind of schedule called ${JSON.stringify(unknown.kind.slice(0, 80))}` : null;
}

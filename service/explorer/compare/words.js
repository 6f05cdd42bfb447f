// Comparisons in the words of `lrtables compare`; a test holds both to each other.

import { pythonFloat, short } from "../kernel/texts.js";
import { count } from "../common/format.js";

/**
 * @typedef {import("./difference.js").Difference} Difference
 * @typedef {import("./verdict.js").Verdict} Verdict
 */

/** A verdict in words. @param {Verdict} said @param {Difference} found @param {string} name of the second curve */
export function inWords(said, found, name) {
  const { relation, exact, factor } = said;
  if (relation === "equal") return "equal bit for bit";
  if (relation === "rounding") return `the same curve, rounding only: ${roundingOf(found)}`;
  if (relation === "different") return `${name} is a different curve${placeOf(said, found)}${restOf(said, found)}`;
  const words = relation === "scaled" ? `times ${pythonFloat(factor).replace(/\.0$/, "")}` : stepsOf(said.shift);
  return `${name} is the same curve ${words}${placeOf(said, found)}, ${exact ? "bit for bit" : "to rounding"}${restOf(said, found)}`;
}

/** @param {number} shift */
function stepsOf(shift) {
  const steps = Math.abs(shift) === 1 ? "one step" : `${count(Math.abs(shift))} steps`;
  return `${steps} ${shift > 0 ? "later" : "earlier"}`;
}

/** The steps of a relation; nothing where it is all of them. @param {Verdict} said @param {Difference} found */
function placeOf({ relation, first, last }, { rows }) {
  const end = rows - 1;
  if (relation !== "different" && first === 0 && last === end) return "";
  if (first === last) return ` in step ${count(first)} only`;
  return last === end ? ` from step ${count(first)} on` : ` in steps ${count(first)} to ${count(last)}`;
}

/** What the steps before and after are. @param {Verdict} said @param {Difference} found */
function restOf({ first, last, restExact }, { rows }) {
  const where = first > 0 && last < rows - 1 ? "elsewhere" : first > 0 ? "before that" : last < rows - 1 ? "after that" : "";
  return where && `; ${restExact ? "equal" : "equal to rounding"} ${where}`;
}

/** How large the rounding is. @param {Difference} found */
function roundingOf({ absolute, relative, zeros, ulp, ulpAt }) {
  if (absolute === 0) return "only signs of zeros differ";
  if (zeros) {
    const counted = ulpAt < 0 ? "" : `at most ${ulpText(ulp)} ULP; `;
    return `${counted}in ${count(zeros)} step${zeros > 1 ? "s" : ""} one of them is 0, the difference at most ${short(absolute, 2)}`;
  }
  if (relative > 1e-9) return `at most ${short(absolute, 2)}, next to nothing beside the largest value`;
  return `at most ${ulpText(ulp)} ULP, ${short(relative, 2)} of the value`;
}

/** A number of ULP: a large one is not exact, and nobody reads its digits. @param {number} ulp */
export function ulpText(ulp) {
  return ulp < 1e6 ? count(ulp) : short(ulp, 3);
}

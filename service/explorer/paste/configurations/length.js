// The rows of a schedule where nobody says how many, as scheduler/importing/lengths.py decides it.

import { AnySchedule } from "../../kernel/fields.js";
import { KINDS } from "../../kernel/kinds.js";
import { SpecError } from "../../kernel/errors.js";
import { FIELDS, NeedsError } from "../needs.js";

const LOOKED_AT = 1_000_000; // steps past the stated ones at most

/** The class of a kind that there is. @param {string} kind @returns {any} */
export const kindOf = (kind) => KINDS.get(kind);

/**
 * The schedules of a spec. Throws `SpecError` where they cannot be.
 * @param {any} schedule one, or a list with one for each parameter group
 */
export function schedulesOf(schedule) {
  /** @type {import("../../kernel/errors.js").Problem[]} */
  const problems = [];
  const made = [schedule].flat().map((each) => AnySchedule.read(each, ["schedule"], problems));
  if (problems.length) throw new SpecError(problems);
  return made;
}

/**
 * The rows of a table of these schedules, and why so many. Throws `NeedsError` where the schedules do not say.
 * @param {any[]} schedules @param {number | undefined} asked what the reader says @param {number} [position] steps that were taken
 * @returns {[number, string]}
 */
export function lengthOf(schedules, asked, position = 0) {
  const [steps, why] = asked !== undefined ? [asked, "as you say"] : ownLength(schedules);
  if (position > steps) throw new NeedsError(`The scheduler is at step ${position} already, which is past ${steps} steps.`, [FIELDS.total_steps]);
  return /** @type {[number, string]} */ ([steps, why]);
}

/** @param {any} schedules @returns {[number, string]} */
function ownLength(schedules) {
  const ends = schedules.map((/** @type {any} */ each) => each.end).filter((/** @type {any} */ end) => end !== null);
  if (ends.length) return [Math.min(...ends), "where the schedule ends"];
  const steps = Math.max(0, ...schedules.map((/** @type {any} */ each) => each.statedSteps ?? 0));
  if (!steps) throw new NeedsError("The schedule has no end, and the text no length.", [FIELDS.total_steps]);
  for (const schedule of schedules) checkHeld(schedule, steps);
  return [steps, "the steps that the schedule is made for"];
}

/** Throws where a later row differs from the last one, unless those steps are the training's. @param {any} schedule @param {number} steps */
function checkHeld(schedule, steps) {
  if ("total_num_steps" in schedule) return; // DeepSpeed's name of all steps of a training
  const ahead = Math.min(2 * steps + 1000, LOOKED_AT), values = new Float64Array(1 + ahead);
  for (const column of schedule.columnNames) {
    schedule.fill(values, steps - 1, column);
    const changed = values.findIndex((value) => value !== values[0]);
    if (changed < 0) continue;
    throw new NeedsError(
      `This ${schedule.kind} names ${steps} steps, and its ${column} still changes after them, from ${values[0]} at step ${steps - 1} to ${values[changed]} at step ${steps - 1 + changed}.`,
      [FIELDS.total_steps],
    );
  }
}

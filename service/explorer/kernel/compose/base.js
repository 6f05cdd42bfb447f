/** @module Composition: schedules made of schedules, each a pure function of its own clock. */

import { CheckError } from "../errors.js";
import { AnySchedule, MAX_STEP, Steps, listOf } from "../fields.js";
import { Schedule } from "../schedule.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */

const MAX_DEPTH = 16; // levels of composition
const MAX_PARTS = 1000; // parts of one composite
const LONGEST = 10 * MAX_STEP; // a length inside a growing cycle

export const Parts = listOf(AnySchedule, 1, MAX_PARTS);
export const Lengths = listOf(Steps, 0, MAX_PARTS);

/**
 * Refuse to scale a length of a growing cycle that far.
 * @param {number} length
 * @param {number} factor
 * @param {number} [most]
 */
export function checkLength(length, factor, most = LONGEST) {
    if (Math.abs(length) * factor > most) {
        const grown = `${length} would grow by ${factor}, to more than ${most}`;
        throw new CheckError(`lengths inside a growing cycle must not be far above its own: ${grown}`);
    }
}

/**
 * A column's value at one step of a part, held from its end on.
 * @param {Schedule} part
 * @param {number} step
 * @param {string} [column]
 */
export function valueAt(part, step, column = "lr") {
    const value = new Float64Array(1);
    part.fillHeld(value, step, column);
    return value[0];
}

/** Base of the composites: checks their parts and merges the parts' columns. */
export class Composite extends Schedule {
    /** The columns of the parts, in the order in which they are first written. @returns {string[]} */
    get columnNames() {
        return [...new Set(this.members.flatMap((part) => part.columnNames))];
    }

    /** Refuse parts that cannot stand here. Where they are `fed`, they may start from the value before them. */
    checkParts(fed = false) {
        if (!fed && this.members.some((part) => part.needsPrevious)) {
            throw new CheckError(`"previous" has no meaning in this place of ${this.kind}: nothing goes before`);
        }
        if (this.depth > MAX_DEPTH) {
            throw new CheckError(`schedules must be nested at most ${MAX_DEPTH} deep, got ${this.depth}`);
        }
    }
}

/** Base of the composites of one schedule. */
export class Wrapper extends Composite {
    /** @type {Schedule} */ schedule;

    check() {
        this.checkParts();
    }

    get members() {
        return [this.schedule];
    }

    /** @returns {number | null} */
    get end() {
        return this.schedule.end;
    }

    /** @returns {number | null} */
    get statedSteps() {
        return this.schedule.statedSteps;
    }

    /** @param {number} factor @returns {Schedule} */
    timeScaled(factor) {
        return this.remade({ schedule: this.schedule.timeScaled(factor) });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        this.schedule.checkTimeScaled(factor);
    }

    /** @param {number} totalSteps @returns {Iterable<Boundary>} */
    innerBoundaries(totalSteps) {
        return this.schedule.boundaries(totalSteps);
    }
}

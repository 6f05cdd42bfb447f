/** @module Schedules one after another: `Sequence`, and `Splice`, which cuts into a schedule. */

import { CheckError, rateOutOfRange } from "../errors.js";
import { AnySchedule, Steps, required } from "../fields.js";
import { ENDLESS, piecewise } from "../numerics/pieces.js";
import { MAX_RATE } from "../numerics/rates.js";
import { Composite, Lengths, Parts, checkLength, valueAt } from "./base.js";

/** @typedef {import("../numerics/pieces.js").Fill} Fill */
/** @typedef {import("../schedule.js").Boundary} Boundary */
/** @typedef {import("../schedule.js").Schedule} Schedule */
/** @typedef {[part: Schedule, length: number]} Piece a part, and how many steps it has */

/** Schedules one after another, each on its own clock from 0. */
export class Sequence extends Composite {
    static kind = "Sequence";
    static fields = { schedules: required(Parts), lengths: required(Lengths) };

    /** @type {Schedule[]} */ schedules;
    /** @type {number[]} */ lengths;

    check() {
        const [parts, lengths] = [this.schedules.length, this.lengths.length];
        if (parts - lengths !== 0 && parts - lengths !== 1) {
            throw new CheckError(`lengths must be as many as schedules or one fewer, got ${lengths} for ${parts}`);
        }
        if (parts === lengths && !this.lengths.some(Boolean)) {
            throw new CheckError("lengths must not all be 0: no part would ever run");
        }
        this.checkParts(true);
    }

    get members() {
        return this.schedules;
    }

    get needsPrevious() {
        return this.schedules[0].needsPrevious;
    }

    /** @param {number} previous */
    after(previous) {
        return this.remade({ schedules: [this.schedules[0].after(previous), ...this.schedules.slice(1)] });
    }

    /** @param {number} factor */
    timeScaled(factor) {
        const schedules = this.schedules.map((part) => part.timeScaled(factor));
        return this.remade({ schedules, lengths: this.lengths.map((length) => length * factor) });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        for (const length of this.lengths) checkLength(length, factor);
        for (const part of this.schedules) part.checkTimeScaled(factor);
    }

    get #allLengths() {
        return this.lengths.reduce((sum, length) => sum + length, 0);
    }

    /** @returns {number | null} */
    get end() {
        if (this.lengths.length === this.schedules.length) return this.#allLengths;
        const last = this.schedules[this.schedules.length - 1].end;
        return last === null ? null : this.#allLengths + last;
    }

    /** @returns {number | null} */
    get statedSteps() {
        return this.end || after(this.#allLengths, this.schedules[this.schedules.length - 1]);
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        let begin = 0;
        for (const [number, part] of this.schedules.entries()) {
            if (begin >= totalSteps) return;
            const length = number < this.schedules.length - 1 ? this.lengths[number] : totalSteps;
            for (const [step, label] of part.boundaries(Math.min(totalSteps - begin, length))) {
                yield [begin + step, step === 0 ? `part ${number + 1}: ${part.kind}` : label];
            }
            begin += length;
        }
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        if (column === "lr") piecewise(out, start, this.rates());
        else piecewise(out, start, piecesOf(column, this.pieces()));
    }

    /** @returns {Generator<[number, Fill]>} */
    *rates() {
        for (const [part, length] of this.fedParts()) yield [length, (out, position) => part.fillHeld(out, position)];
    }

    /** @returns {Piece[]} */
    pieces() {
        const last = this.schedules.length - 1;
        return this.schedules.map((part, number) => [part, number < last ? this.lengths[number] : ENDLESS]);
    }

    /**
     * The parts with their lengths, each "previous" replaced once its part is reached.
     * @returns {Generator<Piece>}
     */
    *fedParts() {
        /** @type {Piece | null} */
        let before = null;
        for (const [part, length] of this.pieces()) {
            /** @type {Schedule} */
            const given = before && part.needsPrevious ? part.after(rateAt(...before)) : part;
            yield [given, length];
            if (length || !(before && before[1])) before = [given, length]; // an empty part hides none that ran
        }
    }
}

/** A schedule until step `at`, then another on its own clock: "cool down now", an extended run. */
export class Splice extends Composite {
    static kind = "Splice";
    static fields = { schedule: required(AnySchedule), at: required(Steps), tail: required(AnySchedule) };

    /** @type {Schedule} */ schedule;
    /** @type {number} */ at;
    /** @type {Schedule} */ tail;

    check() {
        this.checkParts(true);
        if (this.schedule.needsPrevious) {
            throw new CheckError('the schedule of a Splice must not start from "previous": nothing goes before');
        }
    }

    get members() {
        return [this.schedule, this.tail];
    }

    /** @returns {number | null} */
    get end() {
        const end = this.tail.end;
        return end === null ? null : this.at + end;
    }

    /** @returns {number | null} */
    get statedSteps() {
        return this.end || after(this.at, this.tail);
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        yield* this.schedule.boundaries(Math.max(Math.min(this.at, totalSteps), 1));
        yield [this.at, "tail"];
        for (const [step, label] of this.tail.boundaries(Math.max(totalSteps - this.at, 1))) {
            yield [this.at + step, step === 0 ? "tail" : label];
        }
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        if (column === "lr") {
            piecewise(out, start, [
                [this.at, (part, position) => this.schedule.fillHeld(part, position)],
                [ENDLESS, (part, position) => this.fedTail().fillHeld(part, position)],
            ]);
        } else {
            piecewise(
                out,
                start,
                piecesOf(column, [
                    [this.schedule, this.at],
                    [this.tail, ENDLESS],
                ]),
            );
        }
    }

    fedTail() {
        return this.tail.needsPrevious ? this.tail.after(rateAt(this.schedule, this.at)) : this.tail;
    }
}

/**
 * A column beside the rate: that of the parts that drive it, and held elsewhere.
 * @param {string} column
 * @param {Piece[]} parts
 * @returns {Generator<[number, Fill]>}
 */
function* piecesOf(column, parts) {
    const driving = parts.filter(([part]) => part.columnNames.includes(column));
    /** @type {[Schedule, number]} */
    let source = [(driving.find(([, length]) => length) ?? driving[0])[0], 0];
    for (const [part, length] of parts) {
        if (!part.columnNames.includes(column)) {
            const [held, step] = source;
            yield [length, (out) => out.fill(valueAt(held, step, column))];
        } else {
            yield [length, (out, position) => part.fillHeld(out, position, column)];
            if (length) source = [part, length - 1]; // a part that never runs leaves nothing behind
        }
    }
}

/**
 * Number of steps that a composite is made for if its last part begins at step `begin`.
 * @param {number} begin
 * @param {Schedule} part
 */
function after(begin, part) {
    return part.statedSteps === null ? null : begin + part.statedSteps;
}

/**
 * The rate that "previous" stands for, after `step` steps of the part before.
 * @param {Schedule} part
 * @param {number} step
 */
function rateAt(part, step) {
    const value = valueAt(part, step);
    if (!(Math.abs(value) <= MAX_RATE)) throw rateOutOfRange(part.kind, value, step);
    return value > 0 ? value : 0;
}

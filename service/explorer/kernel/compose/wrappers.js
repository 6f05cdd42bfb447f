/** @module Compositions of one schedule, seen otherwise: scaled, clamped, counted in epochs, shifted. */

import { CheckError } from "../errors.js";
import { AnySchedule, MAX_STEP, Rate, StepCount, integer, optional, required } from "../fields.js";
import { BLOCK } from "../numerics/pieces.js";
import { MAX_RATE } from "../numerics/rates.js";
import { pythonFloat } from "../texts.js";
import { Wrapper, checkLength, valueAt } from "./base.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */

/** A schedule times a number: another peak, a layer's share, the linear scaling rule. */
export class Scale extends Wrapper {
    static kind = "Scale";
    static fields = { schedule: required(AnySchedule), factor: required(Rate) };

    /** @type {number} */ factor;

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        this.schedule.fillHeld(out, start, column);
        if (column !== "lr") return;
        for (let index = 0; index < out.length; index += 1) out[index] *= this.factor;
    }
}

/** A schedule kept between a floor and a ceiling. */
export class Clamp extends Wrapper {
    static kind = "Clamp";
    static fields = {
        schedule: required(AnySchedule),
        low: optional(Rate, 0),
        high: optional(Rate, MAX_RATE),
    };

    /** @type {number} */ low;
    /** @type {number} */ high;

    check() {
        super.check();
        if (this.low > this.high) {
            throw new CheckError(`low must be <= high, got ${pythonFloat(this.low)} > ${pythonFloat(this.high)}`);
        }
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        this.schedule.fillHeld(out, start, column);
        if (column !== "lr") return;
        for (let index = 0; index < out.length; index += 1) {
            if (out[index] < this.low) out[index] = this.low;
            else if (out[index] > this.high) out[index] = this.high;
        }
    }
}

/** A schedule that counts epochs, on the axis of steps: each of its values lasts an epoch. */
export class PerEpoch extends Wrapper {
    static kind = "PerEpoch";
    static fields = { schedule: required(AnySchedule), steps_per_epoch: required(StepCount) };

    /** @type {number} */ steps_per_epoch;

    /** @returns {number | null} */
    get end() {
        const epochs = this.schedule.end;
        return epochs === null ? null : epochs * this.steps_per_epoch;
    }

    /** @returns {number | null} */
    get statedSteps() {
        const stated = this.schedule.statedSteps;
        return stated === null ? null : stated * this.steps_per_epoch;
    }

    /** @param {number} factor */
    timeScaled(factor) {
        return this.remade({ steps_per_epoch: this.steps_per_epoch * factor });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        checkLength(this.steps_per_epoch, factor);
    }

    /** @param {number} totalSteps @returns {Boundary[]} */
    innerBoundaries(totalSteps) {
        const epochs = this.schedule.boundaries(Math.ceil(totalSteps / this.steps_per_epoch));
        return epochs.map(([epoch, label]) => [epoch * this.steps_per_epoch, label]);
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        const size = this.steps_per_epoch;
        const stop = start + out.length;
        const [first, last] = [Math.floor(start / size), Math.floor((stop - 1) / size) + 1];
        const values = new Float64Array(Math.min(last - first, BLOCK));
        for (let block = first; block < last; block += BLOCK) {
            const epochs = values.subarray(0, last - block);
            this.schedule.fillHeld(epochs, block, column);
            epochs.forEach((value, index) => {
                const begin = (block + index) * size - start;
                out.fill(value, Math.max(begin, 0), begin + size);
            });
        }
    }
}

/** A schedule begun later, or begun in its middle. */
export class Shift extends Wrapper {
    static kind = "Shift";
    static fields = { schedule: required(AnySchedule), offset: required(integer(-1e8, 1e8)) };

    /** @type {number} */ offset;

    /** @returns {number | null} */
    get end() {
        const end = this.schedule.end;
        return end === null ? null : Math.max(end - this.offset, 1);
    }

    /** @returns {number | null} */
    get statedSteps() {
        const stated = this.schedule.statedSteps;
        return stated === null ? null : Math.max(stated - this.offset, 1);
    }

    /** @param {number} factor */
    timeScaled(factor) {
        return this.remade({ schedule: this.schedule.timeScaled(factor), offset: this.offset * factor });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        checkLength(this.offset, factor, MAX_STEP);
        this.schedule.checkTimeScaled(factor);
    }

    /** @param {number} totalSteps @returns {Boundary[]} */
    innerBoundaries(totalSteps) {
        const inner = this.schedule.boundaries(Math.max(totalSteps + this.offset, 1));
        return inner.map(([step, label]) => [step - this.offset, label]);
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        const waiting = Math.min(Math.max(-this.offset - start, 0), out.length);
        if (waiting) out.fill(valueAt(this.schedule, 0, column), 0, waiting);
        if (waiting < out.length) {
            this.schedule.fillHeld(out.subarray(waiting), start + waiting + this.offset, column);
        }
    }
}

/** @module Twins of DeepSpeed's OneCycle and LRRangeTest. */

import {
    Duration,
    Fraction,
    NonNegative,
    PositiveDuration,
    Rate,
    StepCount,
    Steps,
    Switch,
    nullable,
    optional,
    required,
} from "../../fields.js";
import { Schedule } from "../../schedule.js";

/** @typedef {import("../../schedule.js").Boundary} Boundary */

const SECOND_BETA = 0.99; // the library sets it with the first one
const LISTED_STAIRS = 16; // whose first step is listed

/** A rate that rises for ever, to find the largest that a training bears. */
export class LRRangeTest extends Schedule {
    static kind = "deepspeed.LRRangeTest";
    static fields = {
        lr_range_test_min_lr: optional(Rate, 1e-3),
        lr_range_test_step_size: optional(StepCount, 2000),
        lr_range_test_step_rate: optional(NonNegative, 1),
        lr_range_test_staircase: optional(Switch, false),
    };

    /** @type {number} */ lr_range_test_min_lr;
    /** @type {number} */ lr_range_test_step_size;
    /** @type {number} */ lr_range_test_step_rate;
    /** @type {boolean} */ lr_range_test_staircase;

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const size = this.lr_range_test_step_size;
        const stop = this.lr_range_test_staircase ? Math.min(totalSteps, LISTED_STAIRS * size) : 0;
        for (let step = 0; step < stop; step += size) yield [step, "stair"];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        for (let index = 0; index < out.length; index += 1) {
            const sizes = (start + index) / this.lr_range_test_step_size;
            const grown = this.lr_range_test_staircase ? Math.floor(sizes) : sizes;
            out[index] = (grown * this.lr_range_test_step_rate + 1) * this.lr_range_test_min_lr;
        }
    }
}

/**
 * One triangle from cycle_min_lr to cycle_max_lr and back, smooth or in stairs, then a decay; momentum against it.
 */
export class OneCycle extends Schedule {
    static kind = "deepspeed.OneCycle";
    static fields = {
        cycle_min_lr: required(Rate),
        cycle_max_lr: required(Rate),
        decay_lr_rate: optional(NonNegative, 0),
        cycle_first_step_size: optional(PositiveDuration, 2000),
        cycle_second_step_size: optional(nullable(Duration), null),
        cycle_first_stair_count: optional(Steps, 0),
        cycle_second_stair_count: optional(nullable(Steps), null),
        decay_step_size: optional(Duration, 0),
        cycle_momentum: optional(Switch, true),
        cycle_min_mom: optional(Fraction, 0.8),
        cycle_max_mom: optional(Fraction, 0.9),
        decay_mom_rate: optional(NonNegative, 0),
    };

    /** @type {number} */ cycle_min_lr;
    /** @type {number} */ cycle_max_lr;
    /** @type {number} */ decay_lr_rate;
    /** @type {number} */ cycle_first_step_size;
    /** @type {number | null} */ cycle_second_step_size;
    /** @type {number} */ cycle_first_stair_count;
    /** @type {number | null} */ cycle_second_stair_count;
    /** @type {number} */ decay_step_size;
    /** @type {boolean} */ cycle_momentum;
    /** @type {number} */ cycle_min_mom;
    /** @type {number} */ cycle_max_mom;
    /** @type {number} */ decay_mom_rate;

    /** @returns {string[]} */
    get columnNames() {
        return this.cycle_momentum ? ["lr", "beta1", "beta2"] : ["lr"];
    }

    get second() {
        return this.cycle_second_step_size ?? this.cycle_first_step_size;
    }

    get size() {
        return this.cycle_first_step_size + this.second;
    }

    get statedSteps() {
        return Math.ceil(this.size);
    }

    /** @returns {Boundary[]} */
    innerBoundaries() {
        return [
            [Math.ceil(this.cycle_first_step_size), "fall"],
            [this.statedSteps, "decay"],
        ];
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        if (column === "beta2") {
            out.fill(SECOND_BETA);
            return;
        }
        const value = column === "lr" ? this.#rate : this.#momentum;
        for (let index = 0; index < out.length; index += 1) out[index] = value.call(this, start + index);
    }

    /** @param {number} step */
    #rate(step) {
        if (this.#isInside(step))
            return this.#triangle(step) * (this.cycle_max_lr - this.cycle_min_lr) + this.cycle_min_lr;
        return this.#decays(this.decay_lr_rate)
            ? this.cycle_min_lr / this.#grown(step, this.decay_lr_rate)
            : this.cycle_min_lr;
    }

    /** @param {number} step */
    #momentum(step) {
        if (step === 0) return this.cycle_min_mom;
        if (this.#isInside(step))
            return this.cycle_max_mom - this.#triangle(step) * (this.cycle_max_mom - this.cycle_min_mom);
        return this.#decays(this.decay_mom_rate)
            ? this.#grown(step, this.decay_mom_rate) * this.cycle_max_mom
            : this.cycle_max_mom;
    }

    /** @param {number} step */
    #isInside(step) {
        return step < Math.ceil(this.size) + 1;
    }

    /** @param {number} rate */
    #decays(rate) {
        return this.decay_step_size !== 0 && rate !== 0;
    }

    /**
     * 1 + rate · (t - S) / decay_step_size.
     * @param {number} step
     * @param {number} rate
     */
    #grown(step, rate) {
        return ((step - 1 - this.size + 1) / this.decay_step_size) * rate + 1;
    }

    /** The height, from 0 to 1, at a step of the cycle. @param {number} step */
    #triangle(step) {
        const turns = 1 + step / this.size;
        const turn = turns - Math.floor(turns);
        const ratio = this.cycle_first_step_size / this.size;
        const rising = turn <= ratio;
        const height = rising || ratio >= 1 ? turn / ratio : (turn - 1) / (ratio - 1);
        const up = this.cycle_first_stair_count;
        const count = rising ? up : (this.cycle_second_stair_count ?? up);
        return count ? this.#stair(step % this.size, count) : height;
    }

    /** @param {number} place @param {number} count */
    #stair(place, count) {
        const falling = place > this.cycle_first_step_size;
        const stairs = falling
            ? ((this.size - place) * count) / (this.second || 1)
            : (place * count) / this.cycle_first_step_size;
        return Math.floor(stairs) / count;
    }
}

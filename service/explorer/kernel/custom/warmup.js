/** @module Warmups: the rate rises from next to nothing to `base_lr`, and stays there or decays. */

import { CheckError } from "../errors.js";
import { PositiveRate, Rate, StepCount, Steps, optional, required } from "../fields.js";
import { cosine } from "../numerics/cosine.js";
import { quotient, root } from "../numerics/double_double.js";
import * as portable from "../numerics/portable.js";
import { Schedule } from "../schedule.js";
import { pythonFloat } from "../texts.js";

/** Base of the warmups: the rate rises for `warmup_steps` steps, then something else follows. */
class Warmup extends Schedule {
    /** @type {number} */ base_lr;
    /** @type {number} */ warmup_steps;

    get afterLabel() {
        return "constant";
    }

    /** @param {number} totalSteps @returns {import("../schedule.js").Boundary[]} */
    innerBoundaries(totalSteps) {
        void totalSteps;
        return [
            [this.warmup_steps - 1, "last step of the warmup"],
            [this.warmup_steps, this.afterLabel],
        ];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        // Position k = t + 1: the first step is already one part of the rise, the last of the warmup is base_lr.
        const rising = Math.min(Math.max(this.warmup_steps - start, 0), out.length);
        if (rising) this.rise(out.subarray(0, rising), start + 1);
        if (rising < out.length) this.follow(out.subarray(rising), start + rising - this.warmup_steps);
    }

    /** @param {Float64Array} out @param {number} position */
    rise(out, position) {
        portable.linear(out, position, 0, this.base_lr, this.warmup_steps);
    }

    /**
     * The values from `step` steps after the warmup on.
     * @param {Float64Array} out
     * @param {number} step
     */
    follow(out, step) {
        void step;
        out.fill(this.base_lr);
    }
}

/** Linear warmup to a constant rate. */
export class LinearWarmup extends Warmup {
    static kind = "custom.LinearWarmup";
    static fields = { base_lr: required(Rate), warmup_steps: required(Steps) };
}

/** Exponential warmup to a constant rate: the rate grows by the same factor every step. */
export class ExponentialWarmup extends Warmup {
    static kind = "custom.ExponentialWarmup";
    static fields = {
        base_lr: required(PositiveRate),
        warmup_steps: required(Steps),
        start_lr: optional(PositiveRate, 1e-7),
    };

    /** @type {number} */ start_lr;

    check() {
        if (this.start_lr > this.base_lr) {
            const [start, base] = [pythonFloat(this.start_lr), pythonFloat(this.base_lr)];
            throw new CheckError(`start_lr must be <= base_lr, got ${start} > ${base}`);
        }
    }

    /** @param {Float64Array} out @param {number} position */
    rise(out, position) {
        if (out.length && position + out.length > this.warmup_steps) {
            out[out.length - 1] = this.base_lr; // the last value of the warmup, exactly
            out = out.subarray(0, -1);
        }
        const ratio = root(quotient(this.base_lr, this.start_lr), this.warmup_steps);
        portable.geometric(out, position, this.start_lr, ratio, this.warmup_steps);
    }
}

/** Cosine warmup to a constant rate: slow, fast, slow. */
export class CosineWarmup extends Warmup {
    static kind = "custom.CosineWarmup";
    static fields = { base_lr: required(Rate), warmup_steps: required(Steps) };

    /** @param {Float64Array} out @param {number} position */
    rise(out, position) {
        cosine(out, position, 0, this.base_lr, this.warmup_steps);
    }
}

/** Linear warmup, then half a cosine down to `min_lr`: the usual schedule of transformers. */
export class WarmupWithDecay extends Warmup {
    static kind = "custom.WarmupWithDecay";
    static fields = {
        base_lr: required(Rate),
        warmup_steps: required(Steps),
        total_steps: required(StepCount),
        min_lr: optional(Rate, 0),
    };

    /** @type {number} */ total_steps;
    /** @type {number} */ min_lr;

    check() {
        if (this.warmup_steps > this.total_steps) {
            throw new CheckError(`warmup_steps must be <= total_steps, got ${this.warmup_steps} > ${this.total_steps}`);
        }
        if (this.min_lr > this.base_lr) {
            const [min, base] = [pythonFloat(this.min_lr), pythonFloat(this.base_lr)];
            throw new CheckError(`min_lr must be <= base_lr, got ${min} > ${base}`);
        }
    }

    get end() {
        return this.total_steps;
    }

    get afterLabel() {
        return "decay";
    }

    /** @param {Float64Array} out @param {number} step */
    follow(out, step) {
        const length = this.total_steps - this.warmup_steps;
        const decaying = Math.min(Math.max(length - step, 0), out.length);
        if (decaying) cosine(out.subarray(0, decaying), step, this.base_lr, this.min_lr, length);
        out.fill(this.min_lr, decaying);
    }
}

/** @module Twins of DeepSpeed's schedules that begin with a warmup: WarmupLR, WarmupDecayLR and WarmupCosineLR. */

import { NonNegative, Rate, StepCount, Steps, oneOf, optional, required } from "../../fields.js";
import { Schedule } from "../../schedule.js";

/** @typedef {import("../../schedule.js").Boundary} Boundary */

const WarmupType = oneOf("log", "linear");

/** A warmup over the indices below W, and what follows it. The index of step t is t - 1. */
class Warmup extends Schedule {
    /** @type {number} */ warmup_num_steps;
    /** @type {string} */ warmup_type;

    get isPortable() {
        return this.warmup_type === "linear";
    }

    get warm() {
        return Math.max(2, this.warmup_num_steps);
    }

    /** @returns {Boundary[]} */
    innerBoundaries() {
        const end = this.statedSteps;
        return [
            [1, "warmup"],
            [this.warm + 1, "after the warmup"],
            ...(end === null ? [] : [/** @type {Boundary} */ ([end + 1, "constant"])]),
        ];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        for (let index = 0; index < out.length; index += 1) {
            const step = start + index;
            if (step === 0) out[index] = this.first;
            else out[index] = step < this.warm + 1 ? this.raised(this.#gamma(step - 1)) : this.following(step - 1);
        }
    }

    /** The share of the warmup that is done at an index, from 0 to 1. @param {number} place */
    #gamma(place) {
        if (this.warmup_type === "linear") return place / this.warm;
        return Math.log(Math.max(place + 1, 1)) * (1 / Math.log(this.warm));
    }

    /** The rate of step 0, whose index is -1. */
    get first() {
        return 0;
    }

    /** The rate at a share of the warmup. @param {number} share */
    raised(share) {
        return share;
    }

    /** The rate at an index past the warmup. @param {number} place */
    following(place) {
        return place;
    }
}

/** A warmup from one rate to another. */
class Between extends Warmup {
    /** @type {number} */ warmup_min_lr;
    /** @type {number} */ warmup_max_lr;

    get first() {
        return this.warmup_min_lr;
    }

    /** @param {number} share */
    raised(share) {
        return share * (this.warmup_max_lr - this.warmup_min_lr) + this.warmup_min_lr;
    }
}

/** Warmup by the logarithm of the step, or linear, then constant. */
export class WarmupLR extends Between {
    static kind = "deepspeed.WarmupLR";
    static fields = {
        warmup_max_lr: required(Rate),
        warmup_min_lr: optional(Rate, 0),
        warmup_num_steps: optional(StepCount, 1000),
        warmup_type: optional(WarmupType, "log"),
    };

    following() {
        return this.warmup_min_lr + (this.warmup_max_lr - this.warmup_min_lr);
    }
}

/** Warmup by the logarithm of the step, or linear, then linear decay to the rate of the start. */
export class WarmupDecayLR extends Between {
    static kind = "deepspeed.WarmupDecayLR";
    static fields = {
        total_num_steps: required(Steps),
        warmup_min_lr: optional(Rate, 0),
        warmup_max_lr: optional(Rate, 0.001),
        warmup_num_steps: optional(StepCount, 1000),
        warmup_type: optional(WarmupType, "log"),
    };

    /** @type {number} */ total_num_steps;

    get statedSteps() {
        return this.total_num_steps;
    }

    /** @param {number} place */
    following(place) {
        const left = (this.total_num_steps - place) / Math.max(1, this.total_num_steps - this.warm);
        return this.raised(Math.max(left, 0));
    }
}

/** Warmup by the logarithm of the step, or linear, then a cosine down to a share of the rate. */
export class WarmupCosineLR extends Warmup {
    static kind = "deepspeed.WarmupCosineLR";
    static fields = {
        base_lr: required(Rate),
        total_num_steps: required(Steps),
        warmup_min_ratio: optional(NonNegative, 0),
        warmup_num_steps: optional(StepCount, 1000),
        cos_min_ratio: optional(NonNegative, 0.0001),
        warmup_type: optional(WarmupType, "log"),
    };

    /** @type {number} */ base_lr;
    /** @type {number} */ total_num_steps;
    /** @type {number} */ warmup_min_ratio;
    /** @type {number} */ cos_min_ratio;

    get isPortable() {
        return false;
    }

    get statedSteps() {
        return this.total_num_steps;
    }

    /** @param {number} share */
    raised(share) {
        return (share * (1 - this.warmup_min_ratio) + this.warmup_min_ratio) * this.base_lr;
    }

    /** @param {number} place */
    following(place) {
        const done = Math.min((place - this.warm + 1) / Math.max(1, this.total_num_steps - this.warm), 1);
        const fallen = (Math.cos(done * Math.PI) + 1) / 2;
        return Math.max(fallen * (1 - this.cos_min_ratio) + this.cos_min_ratio, 0) * this.base_lr;
    }
}

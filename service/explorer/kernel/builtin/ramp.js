/** @module Twins that scale the rate over the first total_iters steps, and then leave it. */

import { CheckError } from "../errors.js";
import { Fraction, NonNegative, Rate, Steps, optional, required } from "../fields.js";
import { pythonFloat } from "../texts.js";
import { Product } from "./stepped.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */

const LEAST = 1e-100; // of what a rate is divided by

/** Base of the three: something changes until step total_iters. */
class Ramping extends Product {
    /** @type {number} */ total_iters;

    /** @returns {Boundary[]} */
    innerBoundaries() {
        return [[this.total_iters, "constant"]];
    }

    /** @param {number} clock */
    isConstantFrom(clock) {
        return clock > this.total_iters;
    }
}

/** A part of the rate for total_iters steps, then all of it. */
export class ConstantLR extends Ramping {
    static kind = "torch.ConstantLR";
    static fields = {
        base_lr: required(Rate),
        factor: optional(Fraction, 1 / 3),
        total_iters: optional(Steps, 5),
    };

    /** @type {number} */ factor;

    check() {
        if (this.total_iters > 0 && this.factor < LEAST) {
            const divides = `since step total_iters=${this.total_iters} divides by it`;
            throw new CheckError(`factor must be >= 1e-100, ${divides}, got ${pythonFloat(this.factor)}`);
        }
    }

    /** @param {number} clock */
    stepFactor(clock) {
        if (clock === 0) return this.factor;
        return clock === this.total_iters ? 1 / this.factor : 1;
    }

    /** @param {number} lr */
    firstRate(lr) {
        return lr * this.factor;
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        return this.base_lr * (this.factor + (this.total_iters <= 0 ? 1 - this.factor : 0));
    }

    get maxGrowth() {
        return this.total_iters ? 1 / this.factor : 1;
    }
}

/** A straight line from start_factor to end_factor of the rate in total_iters steps, then constant. */
export class LinearLR extends Ramping {
    static kind = "torch.LinearLR";
    static fields = {
        base_lr: required(Rate),
        start_factor: optional(Fraction, 1 / 3),
        end_factor: optional(Fraction, 1),
        total_iters: optional(Steps, 5),
    };

    /** @type {number} */ start_factor;
    /** @type {number} */ end_factor;

    check() {
        if (this.start_factor < LEAST) {
            const got = `got ${pythonFloat(this.start_factor)}`;
            throw new CheckError(`start_factor must be >= 1e-100, since the ramp divides by it, ${got}`);
        }
    }

    /** @returns {number | null} */
    get statedSteps() {
        return this.start_factor > this.end_factor ? this.total_iters : null;
    }

    /** @param {number} clock */
    stepFactor(clock) {
        if (clock === 0) return this.total_iters >= 0 ? this.start_factor : 1;
        if (clock > this.total_iters) return 1;
        const change = this.end_factor - this.start_factor;
        return change / ((clock - 1) * change + this.total_iters * this.start_factor) + 1;
    }

    /** @param {number} lr */
    firstRate(lr) {
        return lr * this.start_factor;
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        checkRestart(this.total_iters);
        return this.base_lr * (this.start_factor + 0 / this.total_iters);
    }

    get maxGrowth() {
        return 1 / this.start_factor;
    }
}

/** A polynomial decay to 0 in total_iters steps. */
export class PolynomialLR extends Ramping {
    static kind = "torch.PolynomialLR";
    static fields = {
        base_lr: required(Rate),
        total_iters: optional(Steps, 5),
        power: optional(NonNegative, 1),
    };

    /** @type {number} */ power;

    get isPortable() {
        return this.power === 1 || this.power === 0;
    }

    /** @returns {number | null} */
    get statedSteps() {
        return this.power > 0 ? this.total_iters : null;
    }

    /** @param {number} clock */
    stepFactor(clock) {
        if (clock === 0 && this.total_iters === 0) {
            throw new CheckError("total_iters must be >= 1 here, where torch divides by it at step 0, got 0");
        }
        if (clock > this.total_iters) return 1;
        const ratio = (1 - clock / this.total_iters) / (1 - (clock - 1) / this.total_iters);
        return this.power === 1 ? ratio : ratio ** this.power;
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        checkRestart(this.total_iters);
        return this.base_lr;
    }
}

/** @param {number} totalIters */
function checkRestart(totalIters) {
    if (totalIters === 0) {
        throw new CheckError("total_iters must be >= 1 in a later member, where torch divides by it, got 0");
    }
}

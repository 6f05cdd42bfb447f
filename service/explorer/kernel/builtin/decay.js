/** @module Twins that multiply the rate by gamma: at every step, every so many steps, or at milestones. */

import { CheckError } from "../errors.js";
import { NonNegative, Rate, StepCount, optional, required } from "../fields.js";
import { pythonFloat } from "../texts.js";
import { Milestones } from "./composite.js";
import { Product } from "./stepped.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */

const LISTED_DROPS = 16; // drops that are listed

/** The rate is multiplied by gamma every step_size steps. */
export class StepLR extends Product {
    static kind = "torch.StepLR";
    static fields = { base_lr: required(Rate), step_size: required(StepCount), gamma: optional(NonNegative, 0.1) };

    /** @type {number} */ step_size;
    /** @type {number} */ gamma;

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const stop = Math.min(totalSteps, LISTED_DROPS * this.step_size + 1);
        for (let step = this.step_size; step < stop; step += this.step_size) yield [step, "times gamma"];
    }

    /** @param {number} clock */
    stepFactor(clock) {
        return clock !== 0 && clock % this.step_size === 0 ? this.gamma : 1;
    }

    /** @param {number} clock @param {number} lr */
    isConstantFrom(clock, lr) {
        void clock;
        return lr * this.gamma === lr;
    }
}

/** The rate is multiplied by gamma at every milestone. */
export class MultiStepLR extends Product {
    static kind = "torch.MultiStepLR";
    static fields = { base_lr: required(Rate), milestones: required(Milestones), gamma: optional(NonNegative, 0.1) };

    /** @type {number[]} */ milestones;
    /** @type {number} */ gamma;
    /** @type {Map<number, number> | undefined} */
    #drops;

    check() {
        if (this.gamma > 1 && this.milestones.length * Math.log10(this.gamma) > 100) {
            const power = `gamma ** ${this.milestones.length}, one factor per milestone, is at most 1e100`;
            throw new CheckError(`gamma must be small enough that ${power}, got ${pythonFloat(this.gamma)}`);
        }
    }

    /** A milestone that is given once needs no power. */
    get isPortable() {
        return this.gamma === 0 || this.gamma === 1 || new Set(this.milestones).size === this.milestones.length;
    }

    /** @returns {Boundary[]} */
    innerBoundaries() {
        return this.milestones.map((step) => [step, "milestone"]);
    }

    /** The factor of each milestone. */
    get drops() {
        if (this.#drops === undefined) {
            this.#drops = new Map();
            const counts = new Map();
            for (const step of this.milestones) counts.set(step, (counts.get(step) ?? 0) + 1);
            for (const [step, count] of counts) this.#drops.set(step, count === 1 ? this.gamma : this.gamma ** count);
        }
        return this.#drops;
    }

    /** @param {number} clock */
    stepFactor(clock) {
        return this.drops.get(clock) ?? 1;
    }

    /** @param {number} lr */
    firstRate(lr) {
        return this.drops.has(0) ? lr * this.stepFactor(0) : lr;
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        return this.base_lr * this.stepFactor(0);
    }

    /** @param {number} clock */
    isConstantFrom(clock) {
        return this.milestones.every((milestone) => clock > milestone) && clock > 0;
    }

    get maxGrowth() {
        return Math.max(1, this.gamma ** this.milestones.length);
    }
}

/** The rate is multiplied by gamma at every step. */
export class ExponentialLR extends Product {
    static kind = "torch.ExponentialLR";
    static fields = { base_lr: required(Rate), gamma: required(NonNegative) };

    /** @type {number} */ gamma;

    stepFactor() {
        return this.gamma;
    }

    /** @param {number} clock @param {number} lr */
    isConstantFrom(clock, lr) {
        void clock;
        return lr * this.gamma === lr;
    }
}

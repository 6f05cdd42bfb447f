/** @module Twins that anneal along a cosine: CosineAnnealingLR step by step, the warm restarts in closed form. */

import { CheckError } from "../errors.js";
import { Rate, StepCount, optional, required } from "../fields.js";
import { modulo } from "../numerics/bits.js";
import { overlaps, piecewise } from "../numerics/pieces.js";
import { Stepped } from "./stepped.js";
import { ClosedForm } from "./twin.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */

const LISTED_TURNS = 16; // turns, or restarts, that are listed
const LONGEST = 1e8; // steps from the top of a cosine to its bottom

/** A cosine from base_lr to eta_min in T_max steps, and up again in the next T_max: it never stops. */
export class CosineAnnealingLR extends Stepped {
    static kind = "torch.CosineAnnealingLR";
    static fields = { base_lr: required(Rate), T_max: required(StepCount), eta_min: optional(Rate, 0) };

    /** @type {number} */ T_max;
    /** @type {number} */ eta_min;

    check() {
        if (this.T_max > LONGEST) {
            throw new CheckError(
                `T_max must be <= ${LONGEST}, near which torch begins to divide by 0, got ${this.T_max}`,
            );
        }
    }

    get isPortable() {
        return false;
    }

    get statedSteps() {
        return this.T_max;
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const stop = Math.min(totalSteps, LISTED_TURNS * this.T_max + 1);
        for (let step = this.T_max, low = true; step < stop; step += this.T_max, low = !low)
            yield [step, low ? "bottom" : "top"];
    }

    /** @param {number} lr @param {number} clock */
    step(lr, clock) {
        const { T_max: half, base_lr: top, eta_min: bottom } = this;
        if (modulo(clock - 1 - half, 2 * half) === 0) return lr + ((top - bottom) * (1 - Math.cos(Math.PI / half))) / 2;
        return ((1 + this.#wave(clock)) / (1 + this.#wave(clock - 1))) * (lr - bottom) + bottom;
    }

    /** @param {number} step */
    #wave(step) {
        return Math.cos((step * Math.PI) / this.T_max);
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        return this.eta_min + ((this.base_lr - this.eta_min) * (1 + 1)) / 2;
    }

    get maxGrowth() {
        return this.T_max * this.T_max; // from the bottom of the cosine, where it is about (pi / (2 T_max))^2, to 1
    }
}

/** SGDR: half cosines from base_lr towards eta_min, restarted at base_lr, each cycle T_mult times as long. */
export class CosineAnnealingWarmRestarts extends ClosedForm {
    static kind = "torch.CosineAnnealingWarmRestarts";
    static fields = {
        base_lr: required(Rate),
        T_0: required(StepCount),
        T_mult: optional(StepCount, 1),
        eta_min: optional(Rate, 0),
    };

    /** @type {number} */ T_0;
    /** @type {number} */ T_mult;
    /** @type {number} */ eta_min;

    get isPortable() {
        return false;
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const stop = Math.min(totalSteps, LISTED_TURNS * this.T_0 * this.T_mult);
        for (const { piece: length, begin, position } of overlaps(
            0,
            stop,
            this.#cycles((cycle) => cycle),
        )) {
            yield* /** @type {Boundary[]} */ ([
                [begin - position, "restart"],
                [begin - position + length - 1, "last step of the cycle"],
            ]);
        }
    }

    /** @param {Float64Array} out @param {number} start */
    writeRates(out, start) {
        const origin = this.T_mult > 1 ? 0 : start - (start % this.T_0);
        piecewise(
            out,
            start,
            this.#cycles((length) => (part, position) => this.#anneal(part, position, length)),
            origin,
        );
    }

    /** @template T @param {(length: number) => T} made @returns {Generator<[number, T]>} */
    *#cycles(made) {
        for (let length = this.T_0; ; length *= this.T_mult) yield [length, made(length)];
    }

    /**
     * @param {Float64Array} out
     * @param {number} first
     * @param {number} length
     */
    #anneal(out, first, length) {
        for (let index = 0; index < out.length; index += 1) {
            const wave = Math.cos(((first + index) * Math.PI) / length) + 1;
            out[index] = (wave * (this.base_lr - this.eta_min)) / 2 + this.eta_min;
        }
    }
}

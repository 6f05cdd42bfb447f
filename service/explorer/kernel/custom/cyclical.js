/** @module Cycles: the rate rises and falls, once or again and again. */

import { CheckError } from "../errors.js";
import { Decay, Factor, Fraction, Rate, StepCount, integer, oneOf, optional, required } from "../fields.js";
import { integerPower, ldexp } from "../numerics/bits.js";
import { cosine } from "../numerics/cosine.js";
import { decimal } from "../numerics/decimal.js";
import { BLOCK, ENDLESS, inBlocks, piecewise } from "../numerics/pieces.js";
import * as portable from "../numerics/portable.js";
import { Schedule } from "../schedule.js";
import { pythonFloat } from "../texts.js";

/** @typedef {import("../numerics/pieces.js").Fill} Fill */
/** @typedef {import("../schedule.js").Boundary} Boundary */

const LONG = 2 * BLOCK; // steps: a cycle longer than this is computed where it lies, a shorter one once
const LISTED_CYCLES = 8; // cycles whose boundaries are listed

/**
 * The two pieces of a triangular cycle of 2 * size steps.
 * @param {number} size
 * @param {number} low
 * @param {number} high
 * @returns {[number, Fill][]}
 */
function triangle(size, low, high) {
    return [
        [size, (out, position) => portable.linear(out, position, low, high, size)],
        [size, (out, position) => portable.linear(out, position, high, low, size)],
    ];
}

/** @param {[number, Fill][]} pieces */
function lengthOf(pieces) {
    return pieces.reduce((sum, [length]) => sum + length, 0);
}

/** One cycle's values. @param {[number, Fill][]} pieces */
function rowOf(pieces) {
    const row = new Float64Array(lengthOf(pieces));
    piecewise(row, 0, pieces);
    return row;
}

/**
 * The same cycle again and again.
 * @param {[number, Fill][]} pieces
 * @returns {Fill}
 */
function forever(pieces) {
    const period = lengthOf(pieces);
    if (period <= LONG) {
        const row = rowOf(pieces);
        return (out, position) => portable.repeated(out, position, row);
    }
    return (out, start) =>
        piecewise(
            out,
            start,
            again(() => pieces),
            start - (start % period),
        );
}

/**
 * The pieces of cycle after cycle.
 * @param {(cycle: number) => Iterable<[number, Fill]>} cycle
 * @returns {Generator<[number, Fill]>}
 */
function* again(cycle) {
    for (let number = 0; ; number += 1) yield* cycle(number);
}

/**
 * @param {string} low
 * @param {number} lower
 * @param {string} high
 * @param {number} higher
 */
function checkOrder(low, lower, high, higher) {
    if (higher < lower) {
        throw new CheckError(`${high} must be >= ${low}, got ${pythonFloat(higher)} < ${pythonFloat(lower)}`);
    }
}

/** Triangular cycles between `base_lr` and `max_lr`, step_size up and step_size down, for ever. */
export class CyclicLR extends Schedule {
    static kind = "custom.CyclicLR";
    static fields = {
        base_lr: required(Rate),
        max_lr: required(Rate),
        step_size: required(StepCount),
        mode: optional(oneOf("triangular", "triangular2", "exp_range"), "triangular"),
        gamma: optional(Decay, 0.99994),
    };

    /** @type {number} */ base_lr;
    /** @type {number} */ max_lr;
    /** @type {number} */ step_size;
    /** @type {string} */ mode;
    /** @type {number} */ gamma;

    check() {
        checkOrder("base_lr", this.base_lr, "max_lr", this.max_lr);
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const stop = Math.min(totalSteps, 2 * LISTED_CYCLES * this.step_size);
        for (let step = 0, rises = true; step < stop; step += this.step_size, rises = !rises) {
            yield [step, rises ? "rise" : "fall"];
        }
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        if (this.mode === "triangular") forever(triangle(this.step_size, this.base_lr, this.max_lr))(out, start);
        else if (this.mode === "triangular2") this.fillHalving(out, start);
        else this.fillDecaying(out, start);
    }

    /** @param {Float64Array} out @param {number} start */
    fillHalving(out, start) {
        const period = 2 * this.step_size;
        const first = Math.floor(start / period);
        const tops = this.tops(first, Math.floor((start + out.length) / period) + 1);
        if (period <= LONG) {
            const shape = rowOf(triangle(this.step_size, 0, 1));
            portable.cycles(out, start, this.base_lr, tops, [shape, rowOf(triangle(this.step_size, 1, 0))]);
        } else {
            const cycles = again((cycle) => triangle(this.step_size, this.base_lr, tops[cycle]));
            piecewise(out, start, cycles, first * period);
        }
    }

    /**
     * The highest rates of cycles first, first + 1, ..., stop - 1, counted from 0.
     * @param {number} first
     * @param {number} stop
     */
    tops(first, stop) {
        return Float64Array.from({ length: stop - first }, (_, index) => {
            const halvings = Math.min(first + index, 2000); // nothing is left of the amplitude long before
            return halvings === 0 ? this.max_lr : this.base_lr + ldexp(this.max_lr - this.base_lr, -halvings);
        });
    }

    /** @param {Float64Array} out @param {number} start */
    fillDecaying(out, start) {
        portable.geometric(out, start, this.max_lr - this.base_lr, decimal(this.gamma));
        const shapes = forever(triangle(this.step_size, 0, 1));
        const shape = new Float64Array(Math.min(BLOCK, out.length));
        for (const [block, step] of inBlocks(out, start)) {
            shapes(shape.subarray(0, block.length), step);
            for (let index = 0; index < block.length; index += 1)
                block[index] = block[index] * shape[index] + this.base_lr;
        }
    }
}

/** One cycle: a linear rise to `max_lr`, then a cosine or linear fall to far below the start. */
export class OneCycleLR extends Schedule {
    static kind = "custom.OneCycleLR";
    static fields = {
        max_lr: required(Rate),
        total_steps: required(StepCount),
        pct_start: optional(Fraction, 0.3),
        div_factor: optional(Factor, 25),
        final_div_factor: optional(Factor, 1e4),
        anneal_strategy: optional(oneOf("cos", "linear"), "cos"),
    };

    /** @type {number} */ max_lr;
    /** @type {number} */ total_steps;
    /** @type {number} */ pct_start;
    /** @type {number} */ div_factor;
    /** @type {number} */ final_div_factor;
    /** @type {string} */ anneal_strategy;

    check() {
        for (const [name, value] of Object.entries({
            div_factor: this.div_factor,
            final_div_factor: this.final_div_factor,
        })) {
            if (value < 1) throw new CheckError(`${name} must be >= 1, got ${pythonFloat(value)}`);
        }
    }

    get end() {
        return this.total_steps;
    }

    get up() {
        return Math.trunc(this.total_steps * this.pct_start);
    }

    /** @param {number} totalSteps @returns {Boundary[]} */
    innerBoundaries(totalSteps) {
        void totalSteps;
        return [[this.up, "fall"]];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        const { max_lr: top, up } = this;
        const [floor, down] = [top / this.final_div_factor, this.total_steps - up];
        const anneal = this.anneal_strategy === "cos" ? cosine : portable.linear;
        piecewise(out, start, [
            [up, (part, position) => portable.linear(part, position, top / this.div_factor, top, up)],
            [down, (part, position) => anneal(part, position, top, floor, down)],
            [ENDLESS, (part) => part.fill(floor)],
        ]);
    }
}

/** SGDR: half cosines from `max_lr` down to `min_lr`, restarted at `max_lr`, each cycle `t_mult` times as long. */
export class CosineAnnealingWarmRestarts extends Schedule {
    static kind = "custom.CosineAnnealingWarmRestarts";
    static fields = {
        max_lr: required(Rate),
        min_lr: required(Rate),
        t_0: required(StepCount),
        t_mult: optional(integer(1, 100), 2),
    };

    /** @type {number} */ max_lr;
    /** @type {number} */ min_lr;
    /** @type {number} */ t_0;
    /** @type {number} */ t_mult;

    check() {
        if (this.min_lr > this.max_lr) {
            const [min, max] = [pythonFloat(this.min_lr), pythonFloat(this.max_lr)];
            throw new CheckError(`min_lr must be <= max_lr, got ${min} > ${max}`);
        }
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        for (let cycle = 0, restart = 0; cycle < LISTED_CYCLES; cycle += 1) {
            restart += this.t_0 * integerPower(this.t_mult, cycle);
            if (restart < totalSteps)
                yield* [
                    [restart - 1, "last step of the cycle"],
                    [restart, "restart"],
                ];
        }
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        if (this.t_mult === 1) forever([this.cycle(this.t_0)])(out, start);
        else
            piecewise(
                out,
                start,
                again((cycle) => [this.cycle(this.t_0 * integerPower(this.t_mult, cycle))]),
            );
    }

    /** @param {number} length @returns {[number, Fill]} */
    cycle(length) {
        return [length, (out, position) => cosine(out, position, this.max_lr, this.min_lr, length)];
    }
}

/** Cycles that rise and fall exponentially between `base_lr` and a top that decays from cycle to cycle. */
export class ExponentialCyclicLR extends Schedule {
    static kind = "custom.ExponentialCyclicLR";
    static fields = {
        base_lr: required(Rate),
        max_lr: required(Rate),
        cycle_length: required(StepCount),
        decay_rate: optional(Decay, 0.96),
    };

    /** @type {number} */ base_lr;
    /** @type {number} */ max_lr;
    /** @type {number} */ cycle_length;
    /** @type {number} */ decay_rate;

    check() {
        checkOrder("base_lr", this.base_lr, "max_lr", this.max_lr);
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        const stop = Math.min(totalSteps, LISTED_CYCLES * this.cycle_length);
        for (let start = 0; start < stop; start += this.cycle_length) {
            yield [start, "rise"];
            yield [start + Math.floor((this.cycle_length + 1) / 2), "fall"];
        }
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        const first = Math.floor(start / this.cycle_length);
        const tops = new Float64Array(Math.floor((start + out.length) / this.cycle_length) + 1 - first);
        portable.geometric(tops, first, this.max_lr, decimal(this.decay_rate));
        if (this.cycle_length <= LONG) {
            portable.cycles(out, start, this.base_lr, tops, [rowOf(this.cycle(0, 1)), rowOf(this.cycle(1, 0))]);
        } else {
            const cycles = again((cycle) => this.cycle(this.base_lr, tops[cycle]));
            piecewise(out, start, cycles, first * this.cycle_length);
        }
    }

    /**
     * Rise and fall; positions are in half steps of the rise, since an odd cycle's halves end between two steps.
     * @param {number} low
     * @param {number} high
     * @returns {[number, Fill][]}
     */
    cycle(low, high) {
        const length = this.cycle_length;
        const rise = Math.floor((length + 1) / 2);
        const offset = 2 * rise - length;
        return [
            [rise, (out, step) => portable.exponential(out, 2 * step, low, high, length, { stride: 2 })],
            [
                length - rise,
                (out, step) => portable.exponential(out, 2 * step + offset, high, low, length, { stride: 2 }),
            ],
        ];
    }
}

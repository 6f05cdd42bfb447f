/** @module Twins of transformers' `get_scheduler`: every name whose rates are known beforehand. */

import { CheckError } from "../../errors.js";
import {
    NonNegative,
    PositiveDuration,
    PositiveRate,
    Rate,
    Steps,
    nullable,
    optional,
    required,
} from "../../fields.js";
import { pythonFloat } from "../../texts.js";
import * as lambda from "../lambda_lr.js";

/** @typedef {import("../lambda_lr.js").Piece} Piece */

const LISTED_WAVES = 16; // waves whose first step is listed

/** The group's own rate at every step, for ever. */
export class Constant extends lambda.LambdaSchedule {
    static kind = "transformers.constant";
    static fields = { base_lr: required(Rate) };

    /** @returns {Piece[]} */
    pieces() {
        return [[0, lambda.atPeak, "constant"]];
    }
}

/** Base of those that begin with a linear warmup. */
class WithWarmup extends lambda.LambdaSchedule {
    /** @type {number} */ num_warmup_steps;
}

/** Linear warmup, then constant. */
export class ConstantWithWarmup extends WithWarmup {
    static kind = "transformers.constant_with_warmup";
    static fields = { base_lr: required(Rate), num_warmup_steps: required(Steps) };

    /** @returns {Piece[]} */
    pieces() {
        return [lambda.linearWarmup(this.num_warmup_steps), [this.num_warmup_steps, lambda.atPeak, "constant"]];
    }
}

/** Base of those that are made for a training of so many steps. */
class Trained extends WithWarmup {
    /** @type {number} */ num_training_steps;
    /** @type {number} */ num_cycles;

    get statedSteps() {
        return this.num_training_steps;
    }
}

/** Linear warmup, then linear decay to 0: Trainer's default. */
export class Linear extends Trained {
    static kind = "transformers.linear";
    static fields = { base_lr: required(Rate), num_warmup_steps: required(Steps), num_training_steps: required(Steps) };

    /** @returns {Piece[]} */
    pieces() {
        const [first, last] = [this.num_warmup_steps, this.num_training_steps];
        return [
            lambda.linearWarmup(first),
            [first, (step) => (last - step) / Math.max(1, last - first), "decay"],
            [Math.max(first, last), lambda.atZero, "zero"],
        ];
    }
}

/** Linear warmup, then `num_cycles` waves of a cosine: the default half wave falls to 0. */
export class Cosine extends Trained {
    static kind = "transformers.cosine";
    static revision = 2;
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_training_steps: required(Steps),
        num_cycles: optional(NonNegative, 0.5),
    };

    get isPortable() {
        return false;
    }

    get over() {
        return afterLastTurn(this.num_warmup_steps, this.num_training_steps);
    }

    /** @returns {Piece[]} */
    pieces() {
        const [first, last] = [this.num_warmup_steps, this.num_training_steps];
        const wave = lambda.cosine({ first, length: last - first, cycles: this.num_cycles });
        return [lambda.linearWarmup(first), [first, wave, "cosine"], [Math.max(first, last), wave, "past its steps"]];
    }
}

/** Linear warmup, then `num_cycles` half waves of a cosine, each from base_lr towards 0. */
export class CosineWithRestarts extends Trained {
    static kind = "transformers.cosine_with_restarts";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_training_steps: required(Steps),
        num_cycles: optional(NonNegative, 1),
    };

    get isPortable() {
        return false;
    }

    get length() {
        return Math.max(1, this.num_training_steps - this.num_warmup_steps);
    }

    /** @returns {Piece[]} */
    pieces() {
        const { num_warmup_steps: first, num_cycles: cycles, length } = this;
        const waves = (/** @type {number} */ step) => {
            const done = lambda.progress(step, first, length) * cycles;
            return lambda.cosineFall(done - Math.floor(done), Math.PI);
        };
        return [lambda.linearWarmup(first), [first, waves, "cosine"], [first + length, lambda.atZero, "zero"]];
    }

    /** @returns {import("../../schedule.js").Boundary[]} */
    innerBoundaries() {
        const { num_warmup_steps: first, num_cycles: cycles, length } = this;
        /** @type {import("../../schedule.js").Boundary[]} */
        const restarts = [];
        for (let wave = 1; wave < Math.min(Math.ceil(cycles), LISTED_WAVES); wave += 1) {
            restarts.push([first + Math.ceil((wave * length) / cycles), "restart"]);
        }
        return [...super.innerBoundaries(), ...restarts];
    }
}

/** Linear warmup, then a polynomial decay to `lr_end`. */
export class Polynomial extends Trained {
    static kind = "transformers.polynomial";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_training_steps: required(Steps),
        lr_end: optional(Rate, 1e-7),
        power: optional(NonNegative, 1),
        lr_init: optional(nullable(PositiveRate), null),
    };

    /** @type {number} */ lr_end;
    /** @type {number} */ power;
    /** @type {number | null} */ lr_init;

    check() {
        const [name, initial] = initialRate(this.base_lr, this.lr_init);
        if (this.lr_end >= initial) {
            throw new CheckError(
                `lr_end must be < ${name}, got ${pythonFloat(this.lr_end)} >= ${pythonFloat(initial)}`,
            );
        }
        if (this.num_training_steps === this.num_warmup_steps) {
            throw new CheckError(
                `num_training_steps must not equal num_warmup_steps, got ${this.num_training_steps} twice`,
            );
        }
    }

    get isPortable() {
        return this.power === 1 || this.power === 0;
    }

    /** @returns {Piece[]} */
    pieces() {
        const { num_warmup_steps: first, num_training_steps: last, lr_end: end, power } = this;
        const [, initial] = initialRate(this.base_lr, this.lr_init);
        const decay = (/** @type {number} */ step) => {
            const left = 1 - lambda.progress(step, first, last - first);
            return ((power === 1 ? left : left ** power) * (initial - end) + end) / initial;
        };
        const level = () => end / initial;
        return [lambda.linearWarmup(first), [first, decay, "decay"], [Math.max(first, last + 1), level, "constant"]];
    }
}

/** Linear warmup, then a decay by the inverse square root of the step, without an end. */
export class InverseSqrt extends WithWarmup {
    static kind = "transformers.inverse_sqrt";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        timescale: optional(nullable(PositiveDuration), null),
    };

    /** @type {number | null} */ timescale;

    /** @returns {Piece[]} */
    pieces() {
        const first = this.num_warmup_steps;
        const timescale = this.timescale || first || 10_000;
        const shift = timescale - first;
        return [lambda.linearWarmup(first), [first, (step) => 1 / Math.sqrt((step + shift) / timescale), "decay"]];
    }
}

/**
 * The step after the wave has done its turns, and after the warmup, where that comes later.
 * @param {number} warmup
 * @param {number} training
 */
export function afterLastTurn(warmup, training) {
    return Math.max(warmup, training) + 1;
}

/**
 * The rate that the library reads from `optimizer.defaults`, and the field that gives it here.
 * @param {number} base
 * @param {number | null} initial
 * @returns {[string, number]}
 */
export function initialRate(base, initial) {
    return initial === null ? ["base_lr", base] : ["lr_init", initial];
}

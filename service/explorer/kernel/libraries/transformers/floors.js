/**
 * @module Twins of transformers' schedules that fall to a floor: the cosines with `min_lr`, and warmup, stable, decay.
 */

import { CheckError } from "../../errors.js";
import { Duration, NonNegative, PositiveRate, Rate, Steps, nullable, oneOf, optional, required } from "../../fields.js";
import { pythonFloat } from "../../texts.js";
import * as lambda from "../lambda_lr.js";
import { afterLastTurn, initialRate } from "./kinds.js";

/** @typedef {import("../lambda_lr.js").Piece} Piece */

const Shape = oneOf("linear", "cosine", "1-sqrt");

/** Base of the cosines that fall to a floor. */
class Floored extends lambda.LambdaSchedule {
    static revision = 2;

    /** @type {number} */ num_warmup_steps;
    /** @type {number} */ num_training_steps;
    /** @type {number} */ num_cycles;
    /** @type {number | null} */ min_lr;
    /** @type {number | null} */ min_lr_rate;
    /** @type {number | null} */ lr_init;

    get statedSteps() {
        return this.num_training_steps;
    }

    check() {
        void this.floorShare;
    }

    get isPortable() {
        return false;
    }

    /** The floor as a share of base_lr. Throws `CheckError` unless exactly one of its two fields is given. */
    get floorShare() {
        const { min_lr: floor, min_lr_rate: share } = this;
        if (floor === null && share !== null) return share;
        if (floor === null || share !== null) {
            const both = `min_lr=${told(floor)} and min_lr_rate=${told(share)}`;
            throw new CheckError(`exactly one of min_lr and min_lr_rate must be given, got ${both}`);
        }
        const [name, initial] = initialRate(this.base_lr, this.lr_init);
        if (initial <= 1e-100 * floor) {
            const got = `got ${pythonFloat(initial)} with min_lr=${pythonFloat(floor)}, which is divided by it`;
            throw new CheckError(`${name} must be > 1e-100 * min_lr, ${got}`);
        }
        return floor / initial;
    }
}

/** @param {number | null} rate */
function told(rate) {
    return rate === null ? "None" : pythonFloat(rate);
}

/** Linear warmup, then `num_cycles` waves of a cosine down to a floor that is not 0. */
export class CosineWithMinLR extends Floored {
    static kind = "transformers.cosine_with_min_lr";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_training_steps: required(Steps),
        num_cycles: optional(NonNegative, 0.5),
        min_lr: optional(nullable(Rate), null),
        min_lr_rate: optional(nullable(NonNegative), null),
        lr_init: optional(nullable(PositiveRate), null),
    };

    get over() {
        return afterLastTurn(this.num_warmup_steps, this.num_training_steps);
    }

    /** @returns {Piece[]} */
    pieces() {
        const { num_warmup_steps: first, num_training_steps: last, num_cycles: cycles } = this;
        const wave = lambda.cosine({ first, length: last - first, cycles, floor: this.floorShare });
        return [lambda.linearWarmup(first), [first, wave, "cosine"], [Math.max(first, last), wave, "past its steps"]];
    }
}

/** A warmup whose first update already moves, then `num_cycles` waves of a cosine down to a floor that is not 0. */
export class CosineWarmupWithMinLR extends Floored {
    static kind = "transformers.cosine_warmup_with_min_lr";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_training_steps: required(Steps),
        num_cycles: optional(NonNegative, 0.5),
        min_lr: optional(nullable(Rate), null),
        min_lr_rate: optional(nullable(NonNegative), null),
        warmup_lr_rate: optional(nullable(NonNegative), null),
        lr_init: optional(nullable(PositiveRate), null),
    };

    /** @type {number | null} */ warmup_lr_rate;

    get over() {
        return Math.max(this.num_warmup_steps, this.num_training_steps, 1); // the floor is at step T - 1
    }

    /** @returns {Piece[]} */
    pieces() {
        const { num_warmup_steps: first, num_training_steps: last, num_cycles: cycles } = this;
        const wave = lambda.cosine({ first: first - 1, length: last - first, cycles, floor: this.floorShare });
        return [
            [0, this.#rise(), "warmup"],
            [first, wave, "cosine"],
            [Math.max(first, last), wave, "past its steps"],
        ];
    }

    /** @returns {(step: number) => number} */
    #rise() {
        const { num_warmup_steps: steps, warmup_lr_rate: rate } = this;
        if (rate === null) return (step) => lambda.progress(step, -1, steps);
        return (step) => (step * (1 - rate)) / Math.max(1, steps - 1) + rate;
    }
}

/** Warmup, a plateau at base_lr, decay to a floor: WSD, each slope linear, cosine or 1-sqrt. */
export class WarmupStableDecay extends lambda.LambdaSchedule {
    static kind = "transformers.warmup_stable_decay";
    static fields = {
        base_lr: required(Rate),
        num_warmup_steps: required(Steps),
        num_decay_steps: required(Duration),
        num_training_steps: optional(nullable(Steps), null),
        num_stable_steps: optional(nullable(Duration), null),
        warmup_type: optional(Shape, "linear"),
        decay_type: optional(Shape, "cosine"),
        min_lr_ratio: optional(NonNegative, 0),
        num_cycles: optional(NonNegative, 0.5),
    };

    /** @type {number} */ num_warmup_steps;
    /** @type {number} */ num_decay_steps;
    /** @type {number | null} */ num_training_steps;
    /** @type {number | null} */ num_stable_steps;
    /** @type {string} */ warmup_type;
    /** @type {string} */ decay_type;
    /** @type {number} */ min_lr_ratio;
    /** @type {number} */ num_cycles;

    check() {
        const { stable, num_warmup_steps: warm } = this;
        const [start] = this.decay;
        if (this.decay_type === "1-sqrt" && start - warm - stable < 0 && start - warm >= 0) {
            const got = Number.isInteger(stable) ? String(stable) : pythonFloat(stable);
            throw new CheckError(
                `num_stable_steps must not round to fewer steps, got ${got}: 1-sqrt has no root there`,
            );
        }
    }

    get isPortable() {
        return this.warmup_type !== "cosine" && this.decay_type !== "cosine";
    }

    /** Steps between warmup and decay; negative where the decay begins inside the warmup. @returns {number} */
    get stable() {
        if (this.num_stable_steps !== null) return this.num_stable_steps;
        if (this.num_training_steps !== null)
            return this.num_training_steps - this.num_warmup_steps - this.num_decay_steps;
        throw new CheckError("num_training_steps or num_stable_steps must be given, got None for both");
    }

    /** The first step of the decay, and the first after it. @returns {[number, number]} */
    get decay() {
        const start = this.num_warmup_steps + this.stable;
        return [Math.ceil(start), Math.ceil(start + this.num_decay_steps)];
    }

    get statedSteps() {
        return Math.max(this.decay[1], 0);
    }

    /** @returns {Piece[]} */
    pieces() {
        const {
            num_warmup_steps: warm,
            stable,
            num_decay_steps: length,
            min_lr_ratio: floor,
            num_cycles: cycles,
        } = this;
        const [start, end] = this.decay;
        const shape = this.decay_type;
        return [
            [0, lambda.stableWarmup({ length: warm, shape: this.warmup_type, floor }), "warmup"],
            [warm, lambda.atPeak, "stable"],
            [Math.max(warm, start), lambda.stableDecay({ warm, stable, length, shape, cycles, floor }), "decay"],
            [Math.max(warm, end), () => floor, "constant"],
        ];
    }
}

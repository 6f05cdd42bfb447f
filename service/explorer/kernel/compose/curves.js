/** @module The curves that compositions are made of: a constant, a ramp in one of eleven shapes, a power law. */

import { CheckError } from "../errors.js";
import { Exponent, Rate, Steps, either, floating, oneOf, optional, required } from "../fields.js";
import { cosine } from "../numerics/cosine.js";
import { quotient, root } from "../numerics/double_double.js";
import * as portable from "../numerics/portable.js";
import { powerLaw } from "../numerics/power_law.js";
import * as shapes from "../numerics/shapes.js";
import { Schedule } from "../schedule.js";
import { pythonFloat } from "../texts.js";
import { checkLength } from "./base.js";

/** @typedef {number | "previous"} RateOrPrevious */

const RateOrPreviousType = either(Rate, oneOf("previous"));
const SHAPES = /** @type {const} */ ([
    "linear",
    "cosine",
    "1-sqrt",
    "polynomial",
    "power",
    "exponential",
    "geometric",
    "inverse_sqrt",
    "log",
    "tanh",
    "rex",
]);

/** The rate, where it is a number. @param {RateOrPrevious} rate */
function given(rate) {
    if (rate === "previous") {
        throw new CheckError('a schedule that starts from "previous" has no values of its own: nothing goes before it');
    }
    return rate;
}

/** One rate for ever. */
export class Constant extends Schedule {
    static kind = "Constant";
    static fields = { value: required(RateOrPreviousType) };

    /** @type {RateOrPrevious} */ value;

    get needsPrevious() {
        return this.value === "previous";
    }

    /** @param {number} previous @returns {Schedule} */
    after(previous) {
        return this.needsPrevious ? this.remade({ value: previous }) : this;
    }

    /** @param {number} factor @returns {Schedule} */
    timeScaled(factor) {
        void factor;
        return this;
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        void factor;
    }

    /** @param {Float64Array} out */
    fill(out) {
        out.fill(given(this.value));
    }
}

/** From `start` to `stop` over `length` steps, in one of eleven shapes; then `stop`. */
export class Ramp extends Schedule {
    static kind = "Ramp";
    static fields = {
        start: required(RateOrPreviousType),
        stop: required(Rate),
        length: required(Steps),
        shape: optional(oneOf(...SHAPES), "linear"),
        power: optional(Exponent, 2),
        rate: optional(floating(1e-3, 100), 5),
        low: optional(floating(-15, 15), -7),
        high: optional(floating(-15, 15), 3),
    };

    /** @type {RateOrPrevious} */ start;
    /** @type {number} */ stop;
    /** @type {number} */ length;
    /** @type {(typeof SHAPES)[number]} */ shape;
    /** @type {number} */ power;
    /** @type {number} */ rate;
    /** @type {number} */ low;
    /** @type {number} */ high;

    check() {
        if (this.high - this.low < 1e-9) {
            const ends = `${pythonFloat(this.low)} and ${pythonFloat(this.high)}`;
            throw new CheckError(`low must be at least 1e-9 below high, got ${ends}`); // where tanh is a straight line
        }
        if (this.start === "previous") {
            if (this.shape === "geometric" || this.shape === "inverse_sqrt") {
                throw new CheckError(`start must be a number for the shape ${this.shape}, got "previous"`);
            }
            return;
        }
        const ends = `got ${pythonFloat(this.start)} and ${pythonFloat(this.stop)}`;
        if (this.shape === "geometric" && Math.min(this.start, this.stop) < 1e-100) {
            throw new CheckError(`a geometric ramp needs start and stop above 0, ${ends}`);
        }
        if (this.shape === "inverse_sqrt" && !(this.start > this.stop && this.stop >= 1e-100)) {
            throw new CheckError(`an inverse_sqrt ramp needs start > stop > 0, ${ends}`);
        }
    }

    get needsPrevious() {
        return this.start === "previous";
    }

    /** @param {number} previous @returns {Schedule} */
    after(previous) {
        return this.needsPrevious ? this.remade({ start: previous }) : this;
    }

    /** @param {number} factor */
    timeScaled(factor) {
        return this.remade({ length: this.length * factor });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        checkLength(this.length, factor);
    }

    get statedSteps() {
        return this.length;
    }

    /** @param {number} totalSteps @returns {import("../schedule.js").Boundary[]} */
    innerBoundaries(totalSteps) {
        void totalSteps;
        return [[this.length, "end of the ramp"]];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        const ramping = Math.min(Math.max(this.length - start, 0), out.length);
        const first = given(this.start);
        out.fill(this.stop, ramping);
        if (ramping) this.curve(out.subarray(0, ramping), start, first); // past its length a curve may be undefined
    }

    /**
     * @param {Float64Array} out
     * @param {number} first
     * @param {number} start
     */
    curve(out, first, start) {
        const { stop, length } = this;
        switch (this.shape) {
            case "linear":
                return portable.linear(out, first, start, stop, length);
            case "cosine":
                return cosine(out, first, start, stop, length);
            case "exponential":
                return portable.exponential(out, first, start, stop, length, { rate: -this.rate });
            case "geometric":
                return portable.geometric(out, first, start, root(quotient(stop, start), length), length);
            case "inverse_sqrt":
                return shapes.inverseSqrt(out, first, start, stop, length);
            case "tanh":
                return portable.logistic(out, first, start, stop, length, this);
            default:
                return shapes.blend(out, first, start, stop, length, this.blended());
        }
    }

    blended() {
        switch (this.shape) {
            case "1-sqrt":
                return shapes.risingPower(this.length, 0.5);
            case "rex":
                return shapes.rex(this.length);
            case "polynomial":
                return shapes.polynomial(this.length, this.power);
            case "power":
                return shapes.risingPower(this.length, this.power);
            default:
                return shapes.logarithm(this.length);
        }
    }
}

/** A power law that never ends: inverse square root, Noam's tail, inverse time. */
export class Power extends Schedule {
    static kind = "Power";
    static fields = {
        scale: required(Rate),
        exponent: required(floating(-32, 0)),
        timescale: optional(floating(1e-6, 1e12), 1),
        shift: optional(floating(1e-3, 1e6), 1),
    };

    /** @type {number} */ scale;
    /** @type {number} */ exponent;
    /** @type {number} */ timescale;
    /** @type {number} */ shift;

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        const { scale, exponent, timescale, shift } = this;
        const law = {
            values: (/** @type {number} */ step) => shapes.power(shift + step / timescale, exponent),
            pole: -shift * timescale,
            exponent,
        };
        powerLaw(out, start, 0, scale, law);
    }
}

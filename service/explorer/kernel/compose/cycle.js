/** @module A schedule again and again: `Cycle`. */

import { CheckError } from "../errors.js";
import { AnySchedule, Decay, MAX_STEP, Rate, StepCount, integer, nullable, optional, required } from "../fields.js";
import { integerPower } from "../numerics/bits.js";
import { DEFAULT, decimal, toNumber } from "../numerics/decimal.js";
import { wholePower } from "../numerics/double_double.js";
import { BLOCK, ENDLESS, inBlocks, piecewise } from "../numerics/pieces.js";
import * as portable from "../numerics/portable.js";
import { pythonFloat } from "../texts.js";
import { Wrapper, checkLength } from "./base.js";

/** @typedef {import("../numerics/pieces.js").Fill} Fill */

const LISTED_CYCLES = 8; // cycles whose boundaries are listed
const CYCLES = 64; // growing ones: more than can begin within MAX_STEP

/** The first `length` steps of a schedule again and again, each time longer and lower if asked. */
export class Cycle extends Wrapper {
    static kind = "Cycle";
    static fields = {
        schedule: required(AnySchedule),
        length: required(StepCount),
        count: optional(nullable(StepCount), null),
        growth: optional(integer(1, 10), 1),
        amplitude: optional(Decay, 1),
        floor: optional(Rate, 0),
        peak: optional(nullable(Rate), null),
    };

    /** @type {number} */ length;
    /** @type {number | null} */ count;
    /** @type {number} */ growth;
    /** @type {number} */ amplitude;
    /** @type {number} */ floor;
    /** @type {number | null} */ peak;

    check() {
        super.check();
        if (this.peak !== null && this.peak <= this.floor) {
            throw new CheckError(`peak must be > floor, got ${pythonFloat(this.peak)} <= ${pythonFloat(this.floor)}`);
        }
        if (this.growth > 1) {
            let last = 0;
            while (last + 1 < this.atMost(CYCLES) && this.begin(last + 1) <= MAX_STEP) last += 1;
            this.schedule.checkTimeScaled(integerPower(this.growth, last)); // refused here, not in a table
        }
    }

    get end() {
        return this.count === null ? null : this.begin(this.count);
    }

    get statedSteps() {
        return this.end;
    }

    /** So many cycles, or fewer where there are not so many. @param {number} cycles */
    atMost(cycles) {
        return this.count === null ? cycles : Math.min(this.count, cycles);
    }

    /** The step at which a cycle begins; a step out of reach for those that are. @param {number} cycle */
    begin(cycle) {
        if (this.growth === 1) return this.length * cycle;
        return (this.length * (integerPower(this.growth, Math.min(cycle, CYCLES)) - 1)) / (this.growth - 1);
    }

    /** @param {number} factor */
    timeScaled(factor) {
        return this.remade({ schedule: this.schedule.timeScaled(factor), length: this.length * factor });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        checkLength(this.length, factor);
        // Cycle i begins at step (growth^i - 1) / (growth - 1) * length * factor: in reach, or it is the first.
        const reached = Math.floor((MAX_STEP * this.growth) / this.length);
        this.schedule.checkTimeScaled(this.growth === 1 ? factor : Math.max(factor, reached));
    }

    /** @param {number} totalSteps @returns {Generator<import("../schedule.js").Boundary>} */
    *innerBoundaries(totalSteps) {
        const inner = this.schedule.boundaries(this.length);
        for (let cycle = 0; cycle < this.atMost(LISTED_CYCLES); cycle += 1) {
            const begin = this.begin(cycle);
            if (begin >= totalSteps) return;
            for (const [step, label] of inner) {
                yield [begin + step * integerPower(this.growth, cycle), step === 0 ? `cycle ${cycle + 1}` : label];
            }
        }
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        if (this.growth > 1) {
            piecewise(out, start, this.pieces(column));
            return;
        }
        const last = this.count === null ? MAX_STEP : this.count - 1;
        const repeating = Math.min(Math.max((last + 1) * this.length - start, 0), out.length);
        this.repeat(out.subarray(0, repeating), start, column);
        if (repeating < out.length)
            this.fillCycle(out.subarray(repeating), start + repeating - last * this.length, last, column);
    }

    /**
     * Cycles of one length: computed once where they are short.
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    repeat(out, start, column) {
        if (this.length > BLOCK) {
            const first = Math.floor(start / this.length);
            piecewise(out, start, this.equalPieces(first, column), first * this.length);
            return;
        }
        const row = new Float64Array(this.length);
        this.schedule.fillHeld(row, 0, column);
        if (column === "lr") this.repeatRow(out, start, row);
        else portable.repeated(out, start, row);
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {Float64Array} row
     */
    repeatRow(out, start, row) {
        const { floor, peak } = this;
        if (peak === null) {
            portable.scaled(
                out,
                start,
                row.map((rate) => rate - floor),
                decimal(this.amplitude),
            );
            for (let index = 0; index < out.length; index += 1) out[index] += floor;
        } else {
            const first = Math.floor(start / this.length);
            const tops = new Float64Array(Math.floor((start + out.length) / this.length) + 1 - first);
            portable.geometric(tops, first, peak, decimal(this.amplitude));
            portable.cycles(out, start, floor, tops, this.shares(row, peak));
        }
    }

    /**
     * Position of rates between floor and peak, and its complement: 0 to 1, both exact at either end.
     * @param {Float64Array} rates
     * @param {number} peak
     * @returns {[Float64Array, Float64Array]}
     */
    shares(rates, peak) {
        const [floor, span] = [this.floor, peak - this.floor];
        const clipped = rates.map((rate) => Math.min(Math.max(rate, floor), peak));
        return [clipped.map((rate) => (rate - floor) / span), clipped.map((rate) => (peak - rate) / span)];
    }

    /**
     * @param {number} first
     * @param {string} column
     * @returns {Generator<[number, Fill]>}
     */
    *equalPieces(first, column) {
        for (let cycle = first; ; cycle += 1)
            yield [this.length, (out, start) => this.fillCycle(out, start, cycle, column)];
    }

    /** @param {string} column @returns {Generator<[number, Fill]>} */
    *pieces(column) {
        for (let cycle = 0; ; cycle += 1) {
            const last = this.count !== null && cycle + 1 >= this.count;
            const length = last ? ENDLESS : this.length * integerPower(this.growth, cycle);
            yield [length, (out, start) => this.fillCycle(out, start, cycle, column)];
        }
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {number} cycle
     * @param {string} column
     */
    fillCycle(out, start, cycle, column) {
        const part = this.growth > 1 ? this.schedule.timeScaled(integerPower(this.growth, cycle)) : this.schedule;
        part.fillHeld(out, start, column);
        if (column === "lr") this.shrink(out, wholePower(decimal(this.amplitude), cycle));
    }

    /** @param {Float64Array} rates @param {import("../numerics/decimal.js").Decimal} shrunk */
    shrink(rates, shrunk) {
        const { floor, peak } = this;
        if (peak === null) {
            const factor = toNumber(shrunk);
            for (let index = 0; index < rates.length; index += 1)
                rates[index] = (rates[index] - floor) * factor + floor;
        } else {
            const top = Float64Array.of(toNumber(DEFAULT.times(decimal(peak), shrunk)));
            for (const [block] of inBlocks(rates, 0)) portable.cycles(block, 0, floor, top, this.shares(block, peak));
        }
    }
}

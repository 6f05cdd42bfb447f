/** @module Twins that set rate and momentum in closed form: triangular cycles, and one cycle. */

import { CheckError } from "../errors.js";
import {
    Factor,
    Fraction,
    MAX_STEP,
    Rate,
    StepCount,
    Steps,
    Switch,
    nullable,
    oneOf,
    optional,
    required,
} from "../fields.js";
import { ldexp } from "../numerics/bits.js";
import { overlaps } from "../numerics/pieces.js";
import { MAX_RATE } from "../numerics/rates.js";
import { pythonFloat } from "../texts.js";
import { ClosedForm } from "./twin.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */
/** @typedef {import("./twin.js").Group} Group */
/** @typedef {import("./twin.js").Twin} Twin */

const LISTED_CYCLES = 16; // cycles whose boundaries are listed
const MomentumColumn = oneOf("momentum", "beta1");

/** Base of the twins that move the momentum opposite to the rate. */
class Cycling extends ClosedForm {
    static readsRate = false;

    /** @type {boolean} */ cycle_momentum;
    /** @type {number} */ base_momentum;
    /** @type {number} */ max_momentum;
    /** @type {string} */ momentum_column;

    /** @returns {string[]} */
    get columnNames() {
        return this.cycle_momentum ? ["lr", this.momentum_column] : ["lr"];
    }

    /** @param {Group} group @returns {Twin} */
    enterGroup(group) {
        this.enterRate(group);
        if (this.cycle_momentum)
            Object.assign(group, { base_momentum: this.base_momentum, max_momentum: this.max_momentum });
        return this;
    }

    /** Do to the group's rates what torch's constructor does before its first step. @param {Group} group */
    enterRate(group) {
        void group;
    }
}

/** Triangles between base_lr and max_lr, step_size_up steps up and step_size_down steps down, for ever. */
export class CyclicLR extends Cycling {
    static kind = "torch.CyclicLR";
    static fields = {
        base_lr: required(Rate),
        max_lr: required(Rate),
        step_size_up: optional(StepCount, 2000),
        step_size_down: optional(nullable(Steps), null),
        mode: optional(oneOf("triangular", "triangular2", "exp_range"), "triangular"),
        gamma: optional(Fraction, 1),
        cycle_momentum: optional(Switch, true),
        base_momentum: optional(Fraction, 0.8),
        max_momentum: optional(Fraction, 0.9),
        momentum_column: optional(MomentumColumn, "momentum"),
    };

    /** @type {number} */ max_lr;
    /** @type {number} */ step_size_up;
    /** @type {number | null} */ step_size_down;
    /** @type {string} */ mode;
    /** @type {number} */ gamma;

    get isPortable() {
        return this.mode !== "exp_range" || this.gamma === 1 || this.gamma === 0;
    }

    get period() {
        return this.step_size_up + (this.step_size_down ?? this.step_size_up);
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        for (let start = 0; start < Math.min(totalSteps, LISTED_CYCLES * this.period); start += this.period) {
            yield [start, "rise"];
            yield [start + this.step_size_up, "fall"];
        }
    }

    /** @param {Group} group */
    enterRate(group) {
        group.lr = this.base_lr;
        group.initial_lr ??= this.base_lr;
    }

    /** @param {Group} group */
    rateWhenBuilt(group) {
        return group.initial_lr; // torch's constructor notes its own base_lr only after its first step
    }

    /** @param {Float64Array} out @param {number} start */
    writeRates(out, start) {
        this.#swing(out, start, this.base_lr, this.max_lr - this.base_lr);
    }

    /** @param {Float64Array} out @param {number} start */
    writeMomentum(out, start) {
        this.#swing(out, start, this.max_momentum, -(this.max_momentum - this.base_momentum));
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {number} foot
     * @param {number} height
     */
    #swing(out, start, foot, height) {
        const ratio = this.step_size_up / this.period;
        for (let index = 0; index < out.length; index += 1) {
            const turns = (start + index) / this.period + 1;
            const cycle = Math.floor(turns);
            const x = turns - cycle;
            const risen = x > ratio && ratio < 1 ? (x - 1) / (ratio - 1) : x / ratio;
            out[index] = this.#faded(risen * height, start + index, cycle) + foot;
        }
    }

    /**
     * @param {number} height
     * @param {number} step
     * @param {number} cycle
     */
    #faded(height, step, cycle) {
        if (this.mode === "triangular2") return height * ldexp(1, -Math.min(cycle - 1, 2000)); // long before it is 0
        return this.mode === "exp_range" && this.gamma !== 1 ? height * this.gamma ** step : height;
    }
}

/**
 * A phase of the one cycle. Its steps are whole, its ends, which torch does not round, need not be.
 * @typedef {{first: number, stop: number, start: number, end: number}} Phase
 */

/** One cycle: from max_lr / div_factor up to max_lr, then down to far below the start; momentum the other way. */
export class OneCycleLR extends Cycling {
    static kind = "torch.OneCycleLR";
    static revision = 2;
    static fields = {
        max_lr: required(Rate),
        total_steps: optional(nullable(StepCount), null),
        epochs: optional(nullable(StepCount), null),
        steps_per_epoch: optional(nullable(StepCount), null),
        pct_start: optional(Fraction, 0.3),
        anneal_strategy: optional(oneOf("cos", "linear"), "cos"),
        cycle_momentum: optional(Switch, true),
        base_momentum: optional(Fraction, 0.85),
        max_momentum: optional(Fraction, 0.95),
        div_factor: optional(Factor, 25),
        final_div_factor: optional(Factor, 1e4),
        three_phase: optional(Switch, false),
        momentum_column: optional(MomentumColumn, "momentum"),
    };

    /** @type {number} */ max_lr;
    /** @type {number | null} */ total_steps;
    /** @type {number | null} */ epochs;
    /** @type {number | null} */ steps_per_epoch;
    /** @type {number} */ pct_start;
    /** @type {string} */ anneal_strategy;
    /** @type {number} */ div_factor;
    /** @type {number} */ final_div_factor;
    /** @type {boolean} */ three_phase;

    check() {
        if (this.end > MAX_STEP)
            throw new CheckError(`epochs * steps_per_epoch must be <= ${MAX_STEP}, got ${this.end}`);
        for (const [name, rate] of /** @type {const} */ ([
            ["max_lr / div_factor", this.initial],
            ["minimum rate", this.minimum],
        ])) {
            if (rate > MAX_RATE) {
                const last = `final_div_factor=${pythonFloat(this.final_div_factor)}`;
                const factors = `div_factor=${pythonFloat(this.div_factor)} and ${last}`;
                throw new CheckError(`${name} must be <= 1e+12, got ${pythonFloat(rate)} from ${factors}`);
            }
        }
        for (const phase of this.phases()) {
            if (phase.first < phase.stop && phase.start === phase.end) {
                const given = `with pct_start=${pythonFloat(this.pct_start)} and ${this.end} steps`;
                const fails = `torch divides by zero at step ${phase.first}`;
                throw new CheckError(`pct_start must not make a phase of no length: ${given} ${fails}`);
            }
        }
    }

    get isPortable() {
        return this.anneal_strategy === "linear";
    }

    /** @returns {number} */
    get end() {
        if (this.total_steps !== null) return this.total_steps;
        if (this.epochs === null || this.steps_per_epoch === null) {
            const given = `epochs=${this.epochs ?? "None"} and steps_per_epoch=${this.steps_per_epoch ?? "None"}`;
            throw new CheckError(`total_steps, or both epochs and steps_per_epoch, must be given, got ${given}`);
        }
        return this.epochs * this.steps_per_epoch;
    }

    get initial() {
        return this.max_lr / this.div_factor;
    }

    get minimum() {
        return this.initial / this.final_div_factor;
    }

    /** All phases, including those without a step. @returns {Phase[]} */
    phases() {
        const steps = this.end;
        const middle = this.three_phase ? [2 * this.pct_start * steps - 2] : [];
        const ends = [this.pct_start * steps - 1, ...middle, steps - 1];
        let [first, start] = [0, 0];
        return ends.map((end, index) => {
            const whole = Math.min(Math.max(first, Math.floor(end) + 1), steps + 1);
            const phase = { first, stop: index === ends.length - 1 ? steps + 1 : whole, start, end };
            [first, start] = [phase.stop, end];
            return phase;
        });
    }

    /** @returns {Boundary[]} */
    innerBoundaries() {
        const phases = this.phases().map(
            (phase, index) => /** @type {Boundary} */ ([phase.first, `phase ${index + 1}`]),
        );
        return [...phases, [this.end - 1, "last step"]];
    }

    /** @param {Float64Array} out @param {number} start */
    writeRates(out, start) {
        const middle = this.three_phase ? [this.initial] : [];
        this.#anneal(out, start, [this.initial, this.max_lr, ...middle, this.minimum]);
    }

    /** @param {Float64Array} out @param {number} start */
    writeMomentum(out, start) {
        const last = this.three_phase ? [this.max_momentum] : [];
        this.#anneal(out, start, [this.max_momentum, this.base_momentum, this.max_momentum, ...last]);
    }

    /**
     * The phases in the window: each from one of the corners to the next.
     * @param {Float64Array} out
     * @param {number} start
     * @param {number[]} corners
     */
    #anneal(out, start, corners) {
        const pieces = this.phases().map(
            (phase, number) => /** @type {[number, number]} */ ([phase.stop - phase.first, number]),
        );
        const cosine = this.anneal_strategy === "cos";
        for (const { piece, begin, end } of overlaps(start, start + out.length, pieces)) {
            const phase = this.phases()[piece];
            const [before, after] = [corners[piece], corners[piece + 1]];
            for (let step = begin; step < end; step += 1) {
                const share = (step - phase.start) / (phase.end - phase.start);
                out[step - start] = cosine
                    ? (Math.cos(share * Math.PI) + 1) * ((before - after) / 2) + after
                    : share * (after - before) + before;
            }
        }
    }

    // In a composite: torch's class reads its rates and momenta from the group, where the last one built wrote them.

    /** @param {Group} group */
    enterRate(group) {
        const { initial, max_lr, div_factor, final_div_factor } = this;
        Object.assign(group, { initial_lr: initial, max_lr, div_factor, final_div_factor });
    }

    /** @param {Group} group @returns {Twin} */
    asReadFrom(group) {
        const momenta = this.cycle_momentum ? ["base_momentum", "max_momentum"] : [];
        const names = ["max_lr", "div_factor", "final_div_factor", ...momenta];
        const differing = names.filter((name) => group[name] !== /** @type {any} */ (this)[name]);
        if (!differing.length) return this;
        return this.own.of({ ...this, ...Object.fromEntries(differing.map((name) => [name, group[name]])) });
    }
}

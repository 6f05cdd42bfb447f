/**
 * @module The contract every schedule keeps: a pure function from step to value, as `scheduler.schedule.Schedule`.
 */

/**
 * @typedef {[step: number, label: string]} Boundary a step at which a curve changes its formula, and what begins there
 */

import { CheckError } from "./errors.js";

const MAX_BOUNDARIES = 1000;

/** The abstract schedule. A kind names its fields and fills its values; everything else follows, or is overridden. */
export class Schedule {
    static kind = "";
    /** Number of the arithmetic: raised when the values of the same parameters change, and part of the spec id. */
    static revision = 1;
    /** @type {Record<string, import("./fields.js").Field>} */
    static fields = {};

    /**
     * The schedule with these parameters, checked. Throws `CheckError`.
     * @param {Record<string, any>} parameters
     * @returns {any}
     */
    static of(parameters) {
        const made = this.unchecked(parameters);
        made.check();
        return Object.freeze(made);
    }

    /**
     * The schedule with parameters that are computed, not given.
     * @param {Record<string, any>} parameters
     * @returns {any}
     */
    static unchecked(parameters) {
        return Object.assign(new this(), parameters);
    }

    /** @returns {any} the same schedule with other parameters, not checked @param {Record<string, any>} changes */
    remade(changes) {
        return Object.freeze(this.own.unchecked({ ...this, ...changes }));
    }

    /** The class. @returns {typeof Schedule} */
    get own() {
        return /** @type {typeof Schedule} */ (this.constructor);
    }

    get kind() {
        return this.own.kind;
    }

    /** Throw `CheckError` for parameters that do not go together. */
    check() {}

    /**
     * Write the values of steps start, start + 1, ... into `out`.
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        void [out, start, column];
        throw new Error(`${this.kind} must fill its values`);
    }

    /**
     * As `fill`, but from step `over` on the value before it is held, as in a composite.
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} [column]
     */
    fillHeld(out, start, column = "lr") {
        const over = this.over;
        const inside = over === null ? out.length : Math.min(Math.max(over - start, 0), out.length);
        if (inside) this.fill(out.subarray(0, inside), start, column);
        if (inside === out.length || over === null) return;
        const last = new Float64Array(1);
        this.fill(last, over - 1, column);
        out.fill(last[0], inside);
    }

    /**
     * Number of steps after which the schedule only holds its last value; null where it never ends.
     * @returns {number | null}
     */
    get end() {
        return null;
    }

    /**
     * The step from which the schedule is over; null where the kind defines every later value.
     * @returns {number | null}
     */
    get over() {
        return null;
    }

    /** Number of steps that the curve is made for; null where no parameter says so. @returns {number | null} */
    get statedSteps() {
        return this.end;
    }

    /** The schedules this one is made of. @returns {Schedule[]} */
    get members() {
        return [];
    }

    /** Whether its own values have the same bits here as in Python, its members aside. */
    get isPortable() {
        return true;
    }

    /** This schedule, and all that it is made of, at every depth. @returns {Generator<Schedule>} */
    *walk() {
        yield this;
        for (const member of this.members) yield* member.walk();
    }

    /** Levels of composition: 1 where there is none. @returns {number} */
    get depth() {
        return 1 + Math.max(0, ...this.members.map((member) => member.depth));
    }

    /** Whether it starts from a value that only its place in a composition gives it. */
    get needsPrevious() {
        return false;
    }

    /**
     * This schedule, started from `previous` where it needs that.
     * @param {number} previous
     * @returns {Schedule}
     */
    after(previous) {
        void previous;
        return this;
    }

    /**
     * The same curve over `factor` times as many steps.
     * @param {number} factor
     * @returns {Schedule}
     */
    timeScaled(factor) {
        throw new CheckError(this.#notMadeOfLengths(factor));
    }

    /** Throw `CheckError` where `timeScaled` cannot take this factor, or a smaller one. @param {number} factor */
    checkTimeScaled(factor) {
        throw new CheckError(this.#notMadeOfLengths(factor));
    }

    /** @param {number} factor */
    #notMadeOfLengths(factor) {
        return `${this.kind} cannot be scaled in time (by ${factor}): its curve is not made of lengths`;
    }

    /** Names of the columns, `lr` first. @returns {string[]} */
    get columnNames() {
        return ["lr"];
    }

    /**
     * Steps below `totalSteps` at which the curve changes its formula, ascending, the first and the last included.
     * @param {number} totalSteps
     * @returns {Boundary[]}
     */
    boundaries(totalSteps) {
        /** @type {Map<number, string>} */
        const labels = new Map();
        let listed = 0;
        for (const [step, label] of this.innerBoundaries(totalSteps)) {
            if (listed >= MAX_BOUNDARIES) break;
            listed += 1;
            labels.set(step, label);
        }
        if (!labels.has(0)) labels.set(0, "start");
        if (!labels.has(totalSteps - 1)) labels.set(totalSteps - 1, "last step");
        return [...labels].filter(([step]) => step >= 0 && step < totalSteps).sort(([left], [right]) => left - right);
    }

    /**
     * The steps between, roughly ascending, each with what begins there.
     * @param {number} totalSteps
     * @returns {Iterable<Boundary>}
     */
    innerBoundaries(totalSteps) {
        void totalSteps;
        return [];
    }

    /**
     * The schedule as JSON data: `kind`, and every parameter with its default filled in.
     * @returns {Record<string, any>}
     */
    toJson() {
        const names = Object.keys(this.own.fields);
        return {
            kind: this.kind,
            ...Object.fromEntries(names.map((name) => [name, asData(/** @type {any} */ (this)[name])])),
        };
    }
}

/** @param {any} value @returns {any} */
function asData(value) {
    if (value instanceof Schedule) return value.toJson();
    return Array.isArray(value) ? value.map(asData) : value;
}

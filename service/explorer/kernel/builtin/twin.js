/**
 * @module Base classes of the twins of torch's schedulers, alone and inside a composite, as `scheduler.builtin.twin`.
 *
 * A twin whose arithmetic is + - * / and roots has the real class's bits here, too. One that needs the C library's cos
 * or pow takes Math's, and is a preview (`isPortable`).
 */

import { Schedule } from "../schedule.js";

/** @typedef {Record<string, number>} Group the entries of a parameter group that torch's schedulers read and write */

/** A torch scheduler as a function of the step, with the methods by which composites step it. */
export class Twin extends Schedule {
    /** Whether torch's class takes the rate from the optimizer (field `base_lr`), rather than setting it. */
    static readsRate = true;
    /** Whether the clock is the number of calls of step(), which a composite's construction does not turn back. */
    static countsCalls = false;

    /** @type {number} */ base_lr;

    /** @returns {typeof Twin} */
    get own() {
        return /** @type {typeof Twin} */ (this.constructor);
    }

    /** @returns {number | null} */
    get over() {
        return this.end;
    }

    /** Whether the rate follows from the step alone and replaces the rate before it. */
    get isClosed() {
        return false;
    }

    /**
     * Write the rates of steps start, start + 1, ..., none of them past `end`.
     * @param {Float64Array} out
     * @param {number} start
     */
    writeRates(out, start) {
        void [out, start];
    }

    /**
     * The same for the second column.
     * @param {Float64Array} out
     * @param {number} start
     */
    writeMomentum(out, start) {
        void [out, start];
    }

    /** The momentum of one step. @param {number} step */
    momentumAt(step) {
        const momentum = new Float64Array(1);
        this.writeMomentum(momentum, step);
        return momentum[0];
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        const write = column === "lr" ? this.writeRates : this.writeMomentum;
        if (this.end === null || start + out.length <= this.end + 1) {
            write.call(this, out, start);
            return;
        }
        const known = Math.max(this.end + 1 - start, 0);
        const last = new Float64Array(1);
        write.call(this, last, this.end - 1); // not that of step `end`, which no training of `end` steps applies
        if (known) write.call(this, out.subarray(0, known), start);
        out.fill(last[0], known);
    }

    // -- in a composite ------------------------------------------------------------------------------------------

    /**
     * Do what torch's constructor does before its first step. Returns the twin with the group's rate.
     * @param {Group} group
     * @returns {Twin}
     */
    enterGroup(group) {
        group.initial_lr ??= group.lr;
        return group.initial_lr === this.base_lr ? this : this.own.of({ ...this, base_lr: group.initial_lr });
    }

    /**
     * The twin with the parameters that torch reads from the group.
     * @param {Group} group
     * @returns {Twin}
     */
    asReadFrom(group) {
        void group;
        return this;
    }

    /** The rate after the first step, which torch's constructor takes. @param {Group} group */
    rateWhenBuilt(group) {
        return this.asReadFrom(group).firstRate(group.lr);
    }

    /** The rate after a first step taken where the group has the rate `lr`. @param {number} lr */
    firstRate(lr) {
        return lr;
    }

    /**
     * The rate that SequentialLR puts in force at this member's milestone.
     * @param {number} lr
     * @returns {number}
     */
    rateAtMilestone(lr) {
        return lr;
    }

    /**
     * The rate after the step with this clock, `lr` being that before.
     * @param {number} lr
     * @param {number} clock
     */
    step(lr, clock) {
        void clock;
        return lr;
    }

    /**
     * Whether steps from this clock on leave the rate at `lr` for ever.
     * @param {number} clock
     * @param {number} lr
     */
    isConstantFrom(clock, lr) {
        void [clock, lr];
        return false;
    }

    /** Largest factor by which the steps can increase a rate that another member left. */
    get maxGrowth() {
        return 1;
    }
}

/** A twin whose rate follows from the step alone and replaces the rate before it. */
export class ClosedForm extends Twin {
    get isClosed() {
        return true;
    }

    /** @param {number} lr */
    firstRate(lr) {
        return this.rateAtMilestone(lr);
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        const first = new Float64Array(1);
        this.writeRates(first, 0);
        return first[0];
    }
}

/**
 * @module Rates that torch computes from the rate of the step before: products, affine steps, and both in a row.
 *
 * Such a schedule cannot start in the middle. A `Timeline` keeps one rate for every BLOCK steps, and starts from the
 * nearest one before a window.
 */

import { BLOCK, ENDLESS, overlaps } from "../numerics/pieces.js";
import { Twin } from "./twin.js";

/** A twin that computes each rate from the rate before (`step`). */
export class Stepped extends Twin {
    /** @type {Timeline | undefined} */
    #timeline;

    /** @param {Float64Array} out @param {number} start */
    writeRates(out, start) {
        this.#timeline ??= new Timeline(this.firstRate(this.base_lr), [new Segment(1, [{ twin: this, clock: 1 }])]);
        this.#timeline.fill(out, start);
    }

    /** @param {number} lr */
    rateAtMilestone(lr) {
        void lr;
        return this.base_lr;
    }
}

/** A twin whose steps multiply the rate. */
export class Product extends Stepped {
    /** The factor of the step with this clock. @param {number} clock */
    stepFactor(clock) {
        void clock;
        return 1;
    }

    /** @param {number} lr @param {number} clock */
    step(lr, clock) {
        return lr * this.stepFactor(clock);
    }
}

/**
 * A twin that takes part in every step of a segment, its clock at the first of them, and whether SequentialLR restarts
 * it there instead of stepping it.
 * @typedef {{twin: Twin, clock: number, restarts?: boolean}} ActiveMember
 */

/** Steps, from `start` on, in each of which the same twins take part, in order. */
export class Segment {
    /** @param {number} start @param {ActiveMember[]} members */
    constructor(start, members) {
        this.start = start;
        this.members = members;
    }

    /**
     * Write the rates of steps from `step` on, `lr` being that of the step before.
     * @param {Float64Array} out
     * @param {number} lr
     * @param {number} step
     */
    run(out, lr, step) {
        const past = step - this.start;
        if (past === 0 && this.members.some(({ restarts }) => restarts)) {
            out[0] = this.enter(lr);
            if (out.length > 1) this.run(out.subarray(1), out[0], step + 1);
        } else {
            advance(out, lr, this.members, past);
        }
    }

    /** The rate of the first step. @param {number} lr */
    enter(lr) {
        const rate = Float64Array.of(lr);
        for (const member of this.members) {
            if (member.restarts) rate[0] = member.twin.rateAtMilestone(rate[0]);
            else advance(rate, rate[0], [member], 0);
        }
        return rate[0];
    }

    /** The last twin that drives the momentum. */
    get driving() {
        return this.members.findLast(({ twin }) => twin.columnNames.length > 1);
    }

    /** Whether the rates do not depend on those before. */
    get isClosed() {
        return this.members.some(({ twin }) => twin.isClosed);
    }
}

/**
 * Write the rates of steps in each of which all members step once, in order; `lr` is the rate before. A closed-form
 * twin replaces the rate of those before it, so only those after it are stepped.
 * @param {Float64Array} out
 * @param {number} lr
 * @param {ActiveMember[]} members
 * @param {number} past steps since the members' clocks
 */
export function advance(out, lr, members, past) {
    const lastClosed = members.findLastIndex(({ twin }) => twin.isClosed);
    const stepped = members.slice(lastClosed + 1);
    if (lastClosed >= 0) members[lastClosed].twin.writeRates(out, members[lastClosed].clock + past);
    for (let index = 0; index < out.length; index += 1) {
        if (lastClosed >= 0) lr = out[index];
        for (const { twin, clock } of stepped) lr = twin.step(lr, clock + past + index);
        out[index] = lr;
    }
}

/** The segments of a training, and the rates that follow from them. */
export class Timeline {
    /**
     * @param {number} first the rate of step 0
     * @param {Segment[]} segments what happens from step 1 on, by start
     */
    constructor(first, segments) {
        this.segments = [new Segment(0, []), ...segments];
        this.noted = [first]; // the rates just before each block
    }

    /**
     * The window from `start` to `stop`, cut where a segment ends.
     * @param {number} start
     * @param {number} stop
     * @returns {Generator<{number: number, segment: Segment, begin: number, stop: number}>}
     */
    *slices(start, stop) {
        const first = this.#segmentAt(start);
        for (const { piece, begin, end } of overlaps(start, stop, this.#pieces(first), this.segments[first].start)) {
            yield { number: piece, segment: this.segments[piece], begin, stop: end };
        }
    }

    /** @param {number} first @returns {Generator<[number, number]>} */
    *#pieces(first) {
        for (let index = first; index < this.segments.length; index += 1) {
            const stop = this.stop(index);
            yield [stop === null ? ENDLESS : stop - this.segments[index].start, index];
        }
    }

    /** @param {number} step */
    #segmentAt(step) {
        return this.segments.findLastIndex(({ start }) => start <= step);
    }

    /** The step at which this segment is over; null for the last. @param {number} index */
    stop(index) {
        return index + 1 < this.segments.length ? this.segments[index + 1].start : null;
    }

    /**
     * Write the rates of steps start, start + 1, ...
     * @param {Float64Array} out
     * @param {number} start
     */
    fill(out, start) {
        if (out.length === 0) return;
        let [begin, lr] = this.#nearest(start);
        while (begin < start + out.length) {
            if (this.#isConstantFrom(begin, lr)) {
                out.fill(lr, Math.max(begin - start, 0));
                return;
            }
            const stop = Math.min(begin - (begin % BLOCK) + BLOCK, start + out.length);
            const rates = begin >= start ? out.subarray(begin - start, stop - start) : new Float64Array(stop - begin);
            lr = this.#run(rates, lr, begin);
            if (begin < start && start < stop) out.set(rates.subarray(start - begin));
            begin = stop;
            if (begin === this.noted.length * BLOCK) this.noted.push(lr);
        }
    }

    /**
     * The step to begin at, and the rate before it.
     * @param {number} start
     * @returns {[number, number]}
     */
    #nearest(start) {
        const segment = this.segments[this.#segmentAt(start)];
        if (segment.isClosed && start > segment.start) return [start, 0];
        const block = Math.min(Math.floor(start / BLOCK), this.noted.length - 1);
        return [block * BLOCK, this.noted[block]];
    }

    /**
     * @param {Float64Array} out
     * @param {number} lr
     * @param {number} start
     */
    #run(out, lr, start) {
        for (const { segment, begin, stop } of this.slices(start, start + out.length)) {
            const rates = out.subarray(begin - start, stop - start);
            if (segment.members.length) segment.run(rates, lr, begin);
            else rates.fill(lr);
            lr = rates[rates.length - 1];
        }
        return lr;
    }

    /** @param {number} step @param {number} lr */
    #isConstantFrom(step, lr) {
        const segment = this.segments[this.segments.length - 1];
        const past = step - segment.start;
        return past > 0 && segment.members.every(({ twin, clock }) => twin.isConstantFrom(clock + past, lr));
    }
}

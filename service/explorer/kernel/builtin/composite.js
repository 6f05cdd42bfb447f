/** @module Twins of torch's composites: several schedulers on one optimizer, one after the other or all at once. */

import { CheckError } from "../errors.js";
import { Steps, listOf, required, scheduleOf } from "../fields.js";
import { represented, short } from "../texts.js";
import { Chain, Leaf, Series, segments } from "./counters.js";
import { Timeline } from "./stepped.js";
import { Twin } from "./twin.js";

/** @typedef {import("../schedule.js").Boundary} Boundary */
/** @typedef {import("./counters.js").Counter} Counter */
/** @typedef {import("./twin.js").Group} Group */

const MAX_BOUNDARIES = 1000;
const MAX_MEMBERS = 100;
const MAX_GROWTH = 1e200; // by which the steps of a schedule may increase a rate
const MAX_DEPTH = 8; // levels of composition

const Members = listOf(scheduleOf("torch."), 1, MAX_MEMBERS);
export const Milestones = listOf(Steps, 0, 10_000);

/** Base of SequentialLR and ChainedScheduler. */
class Composite extends Twin {
    static readsRate = false;
    static revision = 2;

    /** @type {Twin[]} */ schedulers;
    /** @type {{timeline: Timeline, momentum: number} | undefined} */
    #built;

    /** Every member that is no composite, with its place. @returns {Generator<[string, Twin]>} */
    *leaves() {
        for (const [index, member] of this.schedulers.entries()) {
            const place = `schedulers[${index}]`;
            if (!(member instanceof Composite)) yield [place, member];
            else for (const [inner, leaf] of member.leaves()) yield [`${place}.${inner}`, leaf];
        }
    }

    get members() {
        return this.schedulers;
    }

    check() {
        if (this.depth > MAX_DEPTH) {
            throw new CheckError(`schedulers must be nested at most ${MAX_DEPTH} deep, got ${this.depth}`);
        }
        const leaves = [...this.leaves()];
        checkAgreement(
            "base_lr",
            leaves.filter(([, leaf]) => leaf.own.readsRate),
        );
        checkAgreement(
            "momentum_column",
            leaves.filter(([, leaf]) => leaf.columnNames.length > 1),
        );
        if (this.maxGrowth > MAX_GROWTH) {
            const advice = "their factors are too small, or gamma is too large";
            const rule = `schedulers must together make no rate more than 1e+200 times as large`;
            throw new CheckError(`${rule}, got ${short(this.maxGrowth, 3)}: ${advice}`);
        }
        void this.timeline; // throws where torch would
    }

    /** The steps, and the momentum of step 0. */
    get built() {
        if (this.#built === undefined) {
            const reading = [...this.leaves()].find(([, leaf]) => leaf.own.readsRate);
            /** @type {Group} */
            const group = { lr: reading ? reading[1].base_lr : 0 };
            const built = build(this, group);
            this.#built = { timeline: new Timeline(group.lr, segments(built, group)), momentum: group.momentum };
        }
        return this.#built;
    }

    get timeline() {
        return this.built.timeline;
    }

    /** @returns {string[]} */
    get columnNames() {
        return this.schedulers
            .map((member) => member.columnNames)
            .reduce((most, names) => (names.length > most.length ? names : most));
    }

    /** The first step at which a member is at its end and is to step again right after. @returns {number | null} */
    get end() {
        const ends = this.timeline.segments.flatMap((segment, index) => {
            const last = (this.timeline.stop(index) || Infinity) - 1;
            const steps = segment.members.flatMap(({ twin, clock }) =>
                twin.end === null ? [] : segment.start + twin.end - clock,
            );
            return steps.filter((step) => step < last);
        });
        return ends.length ? Math.min(...ends) : null;
    }

    /** @returns {number | null} */
    get statedSteps() {
        if (this.end) return this.end;
        const last = this.timeline.segments[this.timeline.segments.length - 1];
        const stated = last.members.flatMap(({ twin, clock }) =>
            twin.statedSteps === null ? [] : last.start - clock + twin.statedSteps,
        );
        return stated.length ? Math.max(...stated) : null;
    }

    /** @param {number} totalSteps @returns {Generator<Boundary>} */
    *innerBoundaries(totalSteps) {
        let looked = 0;
        for (const [from, stop, step, label] of this.#membersBoundaries(totalSteps)) {
            if (looked === 100 * MAX_BOUNDARIES) return; // a member's may lie elsewhere
            looked += 1;
            if (Math.max(from, 1) <= step && step < stop) yield [step, label];
        }
    }

    /**
     * Each slice's first step, and the boundaries of its members.
     * @param {number} totalSteps
     * @returns {Generator<[number, number, number, string]>}
     */
    *#membersBoundaries(totalSteps) {
        for (const { segment, begin, stop } of this.timeline.slices(0, totalSteps)) {
            const kinds = segment.members.map(({ twin }) => twin.kind).join(", ");
            yield [begin, stop, begin > 1 ? begin : 0, kinds];
            for (const { twin, clock } of segment.members) {
                const ahead = begin - clock;
                for (const [step, label] of twin.innerBoundaries(stop - ahead))
                    yield [begin, stop, ahead + step, label];
            }
        }
    }

    /** @param {Float64Array} out @param {number} start */
    writeRates(out, start) {
        this.timeline.fill(out, start);
    }

    /** @param {Float64Array} out @param {number} start */
    writeMomentum(out, start) {
        for (const { number, segment, begin, stop } of this.timeline.slices(start, start + out.length)) {
            const momenta = out.subarray(begin - start, stop - start);
            const member = segment.driving;
            if (member) member.twin.writeMomentum(momenta, member.clock + begin - segment.start);
            else momenta.fill(this.#momentumBefore(number));
        }
    }

    /**
     * The momentum in force before this segment, set by an earlier member or by the constructors.
     * @param {number} number
     */
    #momentumBefore(number) {
        for (let index = number - 1; index > 0; index -= 1) {
            const { driving, start } = this.timeline.segments[index];
            if (driving)
                return driving.twin.momentumAt(driving.clock + this.timeline.segments[index + 1].start - 1 - start);
        }
        return this.built.momentum;
    }
}

/**
 * Throw `CheckError` where members differ in a field of their shared optimizer.
 * @param {string} name
 * @param {[string, any][]} leaves
 */
function checkAgreement(name, leaves) {
    for (const [place, leaf] of leaves.slice(1)) {
        const [firstPlace, first] = leaves[0];
        if (leaf[name] !== first[name]) {
            const got = `${represented(first[name])} in ${firstPlace} and ${represented(leaf[name])} in ${place}`;
            throw new CheckError(`${name} must be the same in all schedulers, which drive one optimizer, got ${got}`);
        }
    }
}

/** Schedulers one after the other: the next takes over at each milestone. */
export class SequentialLR extends Composite {
    static kind = "torch.SequentialLR";
    static fields = { schedulers: required(Members), milestones: required(Milestones) };

    /** @type {number[]} */ milestones;

    check() {
        const [milestones, schedulers] = [this.milestones.length, this.schedulers.length];
        if (milestones !== schedulers - 1) {
            const got = `got ${milestones} for ${schedulers} schedulers`;
            throw new CheckError(`milestones must be one fewer than the schedulers, ${got}`);
        }
        for (const [index, after] of this.milestones.slice(1).entries()) {
            const before = this.milestones[index];
            if (after < before) throw new CheckError(`milestones must not decrease, got ${after} after ${before}`);
        }
        super.check();
    }

    /** @returns {number} */
    get maxGrowth() {
        return Math.max(...this.schedulers.map((member) => member.maxGrowth));
    }
}

/** Several schedulers at once: at every step each changes the rate that the one before it left. */
export class ChainedScheduler extends Composite {
    static kind = "torch.ChainedScheduler";
    static fields = { schedulers: required(Members) };

    /** @returns {number} */
    get maxGrowth() {
        return this.schedulers.reduce((product, member) => product * member.maxGrowth, 1);
    }
}

/**
 * Build torch's scheduler on the group.
 * @param {Twin} twin
 * @param {Group} group
 * @returns {Counter}
 */
function build(twin, group) {
    if (!(twin instanceof Composite)) return new Leaf(twin, group);
    const members = twin.schedulers.map((member) => build(member, group));
    if (twin instanceof SequentialLR) return new Series(twin.kind, members, twin.milestones, group);
    return new Chain(twin.kind, members);
}

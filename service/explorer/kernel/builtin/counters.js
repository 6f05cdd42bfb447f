/**
 * @module The counters of torch's scheduler objects, from their construction on: which member steps when, at which
 * count, as `scheduler.builtin.counters` explains.
 */

import { CheckError } from "../errors.js";
import { Segment } from "./stepped.js";

/** @typedef {import("./stepped.js").ActiveMember} ActiveMember */
/** @typedef {import("./twin.js").Group} Group */
/** @typedef {import("./twin.js").Twin} Twin */
/** @typedef {Leaf | Chain | Series} Counter */

const MAX_ACTIVE = 100_000; // members that take part in the segments between all milestones

/**
 * Segments from step 1 on, with the members active in each. Throws `CheckError` above `MAX_ACTIVE` members.
 * @param {Counter} built
 * @param {Group} group
 */
export function segments(built, group) {
    const found = [];
    for (let step = 1, count = 0; ;) {
        const segment = new Segment(step, built.step(group));
        count += segment.members.length;
        if (count > MAX_ACTIVE) {
            const counted = "the members that step at once, counted between every two milestones";
            throw new CheckError(
                `schedulers must be fewer, or have fewer milestones: ${counted}, must be at most ${MAX_ACTIVE}`,
            );
        }
        found.push(segment);
        const ahead = built.untilChange();
        if (ahead === Infinity) return found;
        built.skip(ahead - 1);
        step += ahead;
    }
}

/** A scheduler that is not a composite. */
export class Leaf {
    /** @param {Twin} twin @param {Group} group */
    constructor(twin, group) {
        this.twin = twin.enterGroup(group);
        this.clock = 0;
        group.lr = this.twin.rateWhenBuilt(group);
        this.#driveMomentum(group);
    }

    /** @param {Group} group */
    #driveMomentum(group) {
        if (this.twin.columnNames.length > 1) group.momentum = this.#seen(group).momentumAt(0);
    }

    /** The twin with what it reads from the group, kept until that changes. @param {Group} group */
    #seen(group) {
        this.twin = this.twin.asReadFrom(group);
        return this.twin;
    }

    undo() {
        if (!this.twin.own.countsCalls) this.clock -= 1;
    }

    /** @param {Group} group */
    begin(group) {
        this.clock = 0;
        group.lr = this.#seen(group).firstRate(group.lr);
        this.#driveMomentum(group);
    }

    /** @param {Group} group @returns {ActiveMember[]} */
    restart(group) {
        const twin = this.#seen(group);
        if (twin.own.countsCalls) return [{ twin, clock: this.clock }];
        this.clock = 0;
        twin.rateAtMilestone(0); // throws where it cannot; the rate before it is not known yet
        return [{ twin, clock: 0, restarts: true }];
    }

    /** @param {Group} group @returns {ActiveMember[]} */
    step(group) {
        this.clock += 1;
        return [{ twin: this.#seen(group), clock: this.clock }];
    }

    untilChange() {
        return Infinity;
    }

    /** @param {number} steps */
    skip(steps) {
        this.clock += steps;
    }
}

class Composite {
    /** @param {string} kind @param {Counter[]} members */
    constructor(kind, members) {
        this.kind = kind;
        this.members = members;
    }

    /** @param {Group} group @returns {ActiveMember[]} */
    step(group) {
        void group;
        return [];
    }

    undo() {
        for (const member of this.members) member.undo();
    }

    /** @param {Group} group */
    begin(group) {
        const first = new Segment(0, this.step(group));
        group.lr = first.enter(group.lr);
        if (first.driving) group.momentum = first.driving.twin.momentumAt(first.driving.clock);
    }

    /** @param {Group} group @returns {ActiveMember[]} */
    restart(group) {
        void group;
        throw new CheckError(
            `torch cannot start a ${this.kind} at a milestone; only the first member may be a composite`,
        );
    }
}

/** A ChainedScheduler: every member steps at every step. */
export class Chain extends Composite {
    /** @param {Group} group @returns {ActiveMember[]} */
    step(group) {
        return this.members.flatMap((member) => member.step(group));
    }

    /** @returns {number} */
    untilChange() {
        return Math.min(...this.members.map((member) => member.untilChange()));
    }

    /** @param {number} steps */
    skip(steps) {
        for (const member of this.members) member.skip(steps);
    }
}

/** A SequentialLR: one member steps at a time. */
export class Series extends Composite {
    /**
     * @param {string} kind
     * @param {Counter[]} members
     * @param {number[]} milestones
     * @param {Group} group
     */
    constructor(kind, members, milestones, group) {
        super(kind, members);
        this.milestones = milestones;
        this.clock = 0;
        group.lr = group.initial_lr;
        this.undo();
        this.active.begin(group);
    }

    /** The number of milestones that were reached. */
    get index() {
        return this.milestones.filter((milestone) => milestone <= this.clock).length;
    }

    get active() {
        return this.members[this.index];
    }

    /** @param {Group} group @returns {ActiveMember[]} */
    step(group) {
        this.clock += 1;
        const index = this.index;
        if (index === 0 || this.milestones[index - 1] !== this.clock) return this.active.step(group);
        try {
            return this.active.restart(group);
        } catch (error) {
            if (!(error instanceof CheckError)) throw error;
            throw new CheckError(`schedulers[${index}]: ${error.message}`);
        }
    }

    /** @returns {number} */
    untilChange() {
        const following = this.milestones.slice(this.index, this.index + 1).map((milestone) => milestone - this.clock);
        return Math.min(this.active.untilChange(), ...following);
    }

    /** @param {number} steps */
    skip(steps) {
        this.clock += steps;
        this.active.skip(steps);
    }
}

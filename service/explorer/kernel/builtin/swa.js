/** @module The twin of torch.optim.swa_utils.SWALR, the schedule of stochastic weight averaging. */

import { Rate, Steps, oneOf, optional, required } from "../fields.js";
import { Stepped } from "./stepped.js";

/** @typedef {import("./twin.js").Group} Group */
/** @typedef {import("./twin.js").Twin} Twin */

/** From base_lr to swa_lr in anneal_epochs steps, then constant. */
export class SWALR extends Stepped {
    static kind = "torch.SWALR";
    static countsCalls = true;
    static fields = {
        base_lr: required(Rate),
        swa_lr: required(Rate),
        anneal_epochs: optional(Steps, 10),
        anneal_strategy: optional(oneOf("cos", "linear"), "cos"),
    };

    /** @type {number} */ swa_lr;
    /** @type {number} */ anneal_epochs;
    /** @type {string} */ anneal_strategy;

    get isPortable() {
        return this.anneal_strategy === "linear";
    }

    get statedSteps() {
        return this.anneal_epochs;
    }

    /** @returns {import("../schedule.js").Boundary[]} */
    innerBoundaries() {
        return [[this.anneal_epochs, "constant"]];
    }

    /** @param {number} lr @param {number} clock */
    step(lr, clock) {
        const before = this.#alpha(clock - 1);
        const now = this.anneal_epochs === 0 ? this.#shape(1) : this.#alpha(clock);
        if (1 - before === 0) return (lr - before * this.swa_lr) * 0 + now * this.swa_lr; // torch does not divide by it
        return ((lr - before * this.swa_lr) / (1 - before)) * (1 - now) + now * this.swa_lr;
    }

    /** Progress of the annealing, 0 to 1, at a step. @param {number} step */
    #alpha(step) {
        return this.#shape(Math.min(Math.max(step / Math.max(1, this.anneal_epochs), 0), 1));
    }

    /** @param {number} progress */
    #shape(progress) {
        return this.anneal_strategy === "cos" ? (1 - Math.cos(progress * Math.PI)) / 2 : progress;
    }

    /** @param {Group} group @returns {Twin} */
    enterGroup(group) {
        group.swa_lr = this.swa_lr;
        return super.enterGroup(group);
    }

    /** @param {Group} group @returns {Twin} */
    asReadFrom(group) {
        return group.swa_lr === this.swa_lr ? this : this.own.of({ ...this, swa_lr: group.swa_lr });
    }

    /** @param {number} lr */
    firstRate(lr) {
        return this.step(lr, 0);
    }

    /** @param {number} clock @param {number} lr */
    isConstantFrom(clock, lr) {
        return clock > Math.max(1, this.anneal_epochs) && lr === this.swa_lr;
    }
}

/** @module Schedules combined step by step: products, sums, minima, maxima. */

import { CheckError } from "../errors.js";
import { required } from "../fields.js";
import { BLOCK, inBlocks } from "../numerics/pieces.js";
import { Composite, Parts } from "./base.js";

/** @typedef {import("../schedule.js").Schedule} Schedule */
/** @typedef {import("../schedule.js").Boundary} Boundary */

/** Base of Product, Sum, Minimum and Maximum: combines the parts' rates from left to right. */
class Algebra extends Composite {
    static fields = { schedules: required(Parts) };

    /** @type {Schedule[]} */ schedules;

    /** @param {number} left @param {number} right */
    operation(left, right) {
        void right;
        return left;
    }

    check() {
        this.checkParts();
        for (const column of this.columnNames.slice(1)) {
            const driving = this.schedules.flatMap((part, index) =>
                part.columnNames.includes(column) ? `schedules[${index}]` : [],
            );
            if (driving.length > 1) {
                const rule = `${column} must be driven by one of its parts at most`;
                throw new CheckError(`only rates are combined by ${this.kind}: ${rule}, got ${driving.join(" and ")}`);
            }
        }
    }

    get members() {
        return this.schedules;
    }

    /** @returns {number | null} */
    get end() {
        const ends = this.schedules.flatMap((part) => part.end ?? []);
        return ends.length === this.schedules.length ? Math.max(...ends) : null;
    }

    /** @returns {number | null} */
    get statedSteps() {
        const stated = this.schedules.flatMap((part) => part.statedSteps ?? []);
        return stated.length ? Math.max(...stated) : null;
    }

    /** @param {number} factor */
    timeScaled(factor) {
        return this.remade({ schedules: this.schedules.map((part) => part.timeScaled(factor)) });
    }

    /** @param {number} factor */
    checkTimeScaled(factor) {
        for (const part of this.schedules) part.checkTimeScaled(factor);
    }

    /** @param {number} totalSteps @returns {Boundary[]} */
    innerBoundaries(totalSteps) {
        return this.schedules.flatMap((part) => part.boundaries(totalSteps)).sort(([left], [right]) => left - right);
    }

    /**
     * @param {Float64Array} out
     * @param {number} start
     * @param {string} column
     */
    fill(out, start, column = "lr") {
        if (column !== "lr") {
            const driving = /** @type {Schedule} */ (this.schedules.find((part) => part.columnNames.includes(column)));
            driving.fillHeld(out, start, column);
            return;
        }
        const other = new Float64Array(Math.min(out.length, BLOCK));
        for (const [block, step] of inBlocks(out, start)) {
            this.schedules[0].fillHeld(block, step);
            for (const part of this.schedules.slice(1)) {
                part.fillHeld(other.subarray(0, block.length), step);
                for (let index = 0; index < block.length; index += 1)
                    block[index] = this.operation(block[index], other[index]);
            }
        }
    }
}

/** Schedules multiplied: a curve times multipliers, such as a warmup factor. */
export class Product extends Algebra {
    static kind = "Product";

    /** @param {number} left @param {number} right */
    operation(left, right) {
        return left * right;
    }
}

/** Schedules added. */
export class Sum extends Algebra {
    static kind = "Sum";

    /** @param {number} left @param {number} right */
    operation(left, right) {
        return left + right;
    }
}

/** The lowest of several schedules at each step. */
export class Minimum extends Algebra {
    static kind = "Minimum";

    /** @param {number} left @param {number} right */
    operation(left, right) {
        return right <= left ? right : left; // of 0 and -0 the right one
    }
}

/** The highest of several schedules at each step. */
export class Maximum extends Algebra {
    static kind = "Maximum";

    /** @param {number} left @param {number} right */
    operation(left, right) {
        return right >= left ? right : left;
    }
}

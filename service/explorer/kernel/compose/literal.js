/** @module Given values: the escape hatch for a curve that no kind describes. */

import { CheckError, UnresolvedError } from "../errors.js";
import { Rate, listOf, matching, nullable, optional } from "../fields.js";
import { Schedule } from "../schedule.js";

const MAX_VALUES = 100_000;
const COLUMN = "[a-z][a-z0-9_]{0,63}(\\.(0|[1-9][0-9]{0,5}))?";

/** Values as they are: given inline, or as a column of a table named by its digest, which is not known here. */
export class Literal extends Schedule {
    static kind = "Literal";
    static fields = {
        given: optional(nullable(listOf(Rate, 1, MAX_VALUES)), null),
        digest: optional(nullable(matching("^[0-9a-f]{64}$")), null),
        column: optional(matching(`^${COLUMN}$`), "lr"),
    };

    /** @type {number[] | null} */ given;
    /** @type {string | null} */ digest;
    /** @type {string} */ column;

    check() {
        if ((this.given === null) === (this.digest === null)) {
            const there = this.given === null ? "neither" : "both";
            throw new CheckError(`a Literal needs either given values or the digest of a table, got ${there}`);
        }
    }

    get end() {
        return this.given === null ? null : this.given.length;
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        if (this.given === null) {
            throw new UnresolvedError(`the table ${this.digest} of this Literal has not been looked up`);
        }
        const inside = Math.min(Math.max(this.given.length - start, 0), out.length);
        for (let index = 0; index < inside; index += 1) out[index] = this.given[start + index];
        out.fill(this.given[this.given.length - 1], inside);
    }
}

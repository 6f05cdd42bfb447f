/** @module A schedule's values as a table: named columns over the rows of a schedule, identified by a digest. */

import { canonicalJson } from "./canonical.js";
import { TableError } from "./errors.js";
import { brokenRule, firstBadRate } from "./numerics/rates.js";
import { sha256 } from "./sha256.js";
import { pythonFloat } from "./texts.js";

/**
 * The layout of a table, and the line of canonical JSON that its digest begins with.
 * @typedef {{after: string, axis: string, columns: string[], stride: number, total_steps: number}} Layout
 */

/**
 * Throw `TableError` for the first value that its column cannot have.
 * @param {string} name
 * @param {Float64Array} values
 * @param {number} start the step of the first value
 */
export function checkValues(name, values, start) {
    const isRate = name.split(".")[0] === "lr";
    const bad = isRate ? firstBadRate(values) : values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
        const got = `got ${pythonFloat(values[bad])} at step ${start + bad}`;
        throw new TableError(`column '${name}' must be ${brokenRule(values[bad])}, ${got}`);
    }
}

/**
 * SHA-256 of the layout and the values, 64 hexadecimal digits.
 * @param {Layout} layout
 * @param {Float64Array[]} columns whole columns, in the order of the layout
 */
export function digest(layout, columns) {
    return sha256([lineOf(layout), ...columns.map(bytesOf)]);
}

/** What a digest begins with, before the values of the columns. @param {Layout} layout */
export function lineOf(layout) {
    return new TextEncoder().encode(`${canonicalJson(layout)}\n`);
}

/** The values as little-endian bytes. @param {Float64Array} values */
export function bytesOf(values) {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength); // every engine's are
}

/**
 * @module Curves as a grid: every value from one number of its row and one of its column, and these numbers' tables.
 */

import { isqrt, powerOfTwo } from "./bits.js";

const REMEMBERED = 32; // tables of factors: a few kilobytes each for most lengths

/**
 * Remember what was made last, by a name.
 * @template {any[]} A
 * @template T
 * @param {(...given: A) => string} name
 * @param {(...given: A) => T} make
 * @returns {(...given: A) => T}
 */
export function remembered(name, make) {
    /** @type {Map<string, T>} */
    const known = new Map();
    return (...given) => {
        const key = name(...given);
        const found = known.get(key) ?? make(...given);
        known.delete(key); // to be the newest
        known.set(key, found);
        if (known.size > REMEMBERED) known.delete(/** @type {string} */ (known.keys().next().value));
        return found;
    };
}

/**
 * Columns of a grid of `steps` cells: about their square root, a power of two where that is many.
 * @param {number} steps
 */
export function columnCount(steps) {
    return Math.min(Math.max(64, powerOfTwo(isqrt(steps).toString(2).length)), steps);
}

/**
 * Number of `out`'s values that lie before a position.
 * @param {number} position
 * @param {number} first
 * @param {Float64Array} out
 */
export function countBefore(position, first, out) {
    return Math.min(Math.max(position - first, 0), out.length);
}

/**
 * out = coarse[row] * fine[column] + ... + bias[row], or + offsets[column], cell by cell from `column` of row 0 on.
 * @param {Float64Array} out
 * @param {number} column
 * @param {Float64Array[]} coarse one number of each row, with a bias or not, or two, with a bias or offsets
 * @param {Float64Array[]} fine as many of each column
 * @param {{bias?: Float64Array, offsets?: Float64Array}} [added]
 */
export function fillGrid(out, column, coarse, fine, { bias, offsets } = {}) {
    const width = fine[0].length;
    for (let done = 0, row = 0; done < out.length; row += 1, column = 0) {
        const count = Math.min(width - column, out.length - done);
        const cells = out.subarray(done, done + count);
        const columns = fine.map((numbers) => numbers.subarray(column, column + count));
        if (coarse.length === 1) fillRow(cells, coarse[0][row], columns[0], bias && bias[row]);
        else if (bias) fillBiasedRow(cells, [coarse[0][row], coarse[1][row]], columns, bias[row]);
        else if (offsets) fillOffsetRow(cells, [coarse[0][row], coarse[1][row]], columns, offsets.subarray(column));
        done += count;
    }
}

/**
 * @param {Float64Array} cells
 * @param {number} factor
 * @param {Float64Array} fine
 * @param {number | undefined} bias
 */
function fillRow(cells, factor, fine, bias) {
    if (bias === undefined) for (let index = 0; index < cells.length; index += 1) cells[index] = factor * fine[index];
    else for (let index = 0; index < cells.length; index += 1) cells[index] = factor * fine[index] + bias;
}

/**
 * @param {Float64Array} cells
 * @param {[number, number]} factors
 * @param {Float64Array[]} fine
 * @param {number} bias
 */
function fillBiasedRow(cells, [factor, other], [fine, others], bias) {
    for (let index = 0; index < cells.length; index += 1) {
        cells[index] = factor * fine[index] + other * others[index] + bias;
    }
}

/**
 * @param {Float64Array} cells
 * @param {[number, number]} factors
 * @param {Float64Array[]} fine
 * @param {Float64Array} offsets
 */
function fillOffsetRow(cells, [factor, other], [fine, others], offsets) {
    for (let index = 0; index < cells.length; index += 1) {
        cells[index] = factor * fine[index] + other * others[index] + offsets[index];
    }
}

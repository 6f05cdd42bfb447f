/** @module Curves as a grid: every value from one number of its row and one of its column, and these numbers' tables. */

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
 * @param {Float64Array[]} coarse one or two numbers of each row
 * @param {Float64Array[]} fine as many of each column
 * @param {{bias?: Float64Array, offsets?: Float64Array}} [added]
 */
export function fillGrid(out, column, coarse, fine, { bias, offsets } = {}) {
    const [width, zeros] = [fine[0].length, coarse.length === 1];
    for (let done = 0, row = 0; done < out.length; row += 1, column = 0) {
        const count = Math.min(width - column, out.length - done);
        const cells = out.subarray(done, done + count);
        if (zeros) multiplyRow(cells, column, coarse[0][row], fine[0]);
        else multiplyRows(cells, column, [coarse[0][row], coarse[1][row]], fine);
        if (bias) addNumber(cells, bias[row]);
        if (offsets) addRow(cells, column, offsets);
        done += count;
    }
}

/** @param {Float64Array} cells @param {number} column @param {number} factor @param {Float64Array} fine */
function multiplyRow(cells, column, factor, fine) {
    for (let index = 0; index < cells.length; index += 1) cells[index] = factor * fine[column + index];
}

/** @param {Float64Array} cells @param {number} column @param {[number, number]} factors @param {Float64Array[]} fine */
function multiplyRows(cells, column, [factor, other], [fine, others]) {
    for (let index = 0; index < cells.length; index += 1) {
        cells[index] = factor * fine[column + index] + other * others[column + index];
    }
}

/** @param {Float64Array} cells @param {number} number */
function addNumber(cells, number) {
    for (let index = 0; index < cells.length; index += 1) cells[index] += number;
}

/** @param {Float64Array} cells @param {number} column @param {Float64Array} numbers */
function addRow(cells, column, numbers) {
    for (let index = 0; index < cells.length; index += 1) cells[index] += numbers[column + index];
}

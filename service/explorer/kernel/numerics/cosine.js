/** @module Half a cosine wave in portable arithmetic, by the addition theorem of the haversine: see `portable`. */

import { bitLength, frexp, ldexp, ratio, wholeTimesPower } from "./bits.js";
import { columnCount, countBefore, fillGrid, remembered } from "./grid.js";
import { horner } from "./power_law.js";

const PI_OVER = 31415926535897932384626433832795028841971693993751058209749445923n;
const PI_UNDER = 10n ** 64n;
// (1 - cos 2y) / 2 = z + z**2 (c[0] + c[1] z + ...), z = y**2
const HAVERSINE = Array.from({ length: 14 }, (_, index) => haversineCoefficient(index + 2));

/** @param {number} order */
function haversineCoefficient(order) {
    let factorial = 1n;
    for (let factor = 2n; factor <= BigInt(2 * order); factor += 1n) factorial *= factor;
    return ratio((order % 2 ? 1n : -1n) * 2n ** BigInt(2 * order - 1), factorial);
}

/**
 * Half a cosine wave from `start` at position 0 to `stop` at position `length`, both exact.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 */
export function cosine(out, first, start, stop, length) {
    const half = countBefore(Math.floor(length / 2) + 1, first, out);
    haversine(out.subarray(0, half), first, start, stop - start, length, false);
    haversine(out.subarray(half), first + half, stop, start - stop, length, true);
}

/**
 * anchor + span * hav(pi * distance / length); distance = position, or length - position `towards` the anchor.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} anchor
 * @param {number} span
 * @param {number} length
 * @param {boolean} towards
 */
function haversine(out, first, anchor, span, length, towards) {
    if (out.length === 0) return;
    const [width, rows] = haversineShape(length);
    if (out.length < Math.floor(width / 16)) {
        fewHaversines(out, first, anchor, span, length, towards);
        return;
    }
    const table = haversineTable(length);
    const cell = towards ? first + rows * width - 1 - length : first; // the last row ends where the distance is 0
    const begin = Math.floor(cell / width);
    const count = Math.floor((cell + out.length - 1) / width) + 1 - begin;
    const coarse = [new Float64Array(count), new Float64Array(count)];
    const bias = new Float64Array(count);
    for (let index = 0; index < count; index += 1) {
        const row = towards ? rows - 1 - begin - index : begin + index;
        coarse[0][index] = span * table.rowCosines[row];
        coarse[1][index] = span * table.rowSines[row];
        bias[index] = anchor + span * table.rows[row];
    }
    const fine = [table.columns, table.columnSines].map((numbers) => (towards ? numbers.slice().reverse() : numbers));
    fillGrid(out, cell % width, coarse, fine, { bias });
}

/**
 * Columns and rows of the grid of distances up to half the length.
 * @param {number} length
 * @returns {[number, number]}
 */
function haversineShape(length) {
    const width = columnCount(Math.floor(length / 2) + 1);
    return [width, Math.floor(Math.floor(length / 2) / width) + 1];
}

const haversineTable = remembered(
    (/** @type {number} */ length) => `${length}`,
    (length) => {
        const [width, rows] = haversineShape(length);
        return haversineCells(
            Float64Array.from({ length: rows }, count),
            Float64Array.from({ length: width }, count),
            length,
        );
    },
);

/** @param {unknown} _ @param {number} index */
function count(_, index) {
    return index;
}

/**
 * What rows and columns with these numbers need: hav(a + b) = hav(a) + cos(a) hav(b) + sin(a)/2 sin(b), and
 * sin(x) / 2 = sqrt(hav(x) (1 - hav(x))).
 * @param {Float64Array} rows
 * @param {Float64Array} columns
 * @param {number} length
 */
function haversineCells(rows, columns, length) {
    const shape = haversineShape(length);
    const bits = Math.max(1, 53 - 2 * bitLength(BigInt(Math.max(...shape))));
    const across = haversines(columns, 1, length, bits);
    const down = haversines(rows, shape[0], length, bits);
    return {
        rows: down,
        rowCosines: down.map((value) => 1 - 2 * value),
        rowSines: down.map((value) => Math.sqrt(value * (1 - value))),
        columns: across,
        columnSines: across.map((value) => 2 * Math.sqrt(value * (1 - value))),
    };
}

/**
 * As `haversine`, cell by cell of its grid, for a window that is not worth a table.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} anchor
 * @param {number} span
 * @param {number} length
 * @param {boolean} towards
 */
function fewHaversines(out, first, anchor, span, length, towards) {
    const [width] = haversineShape(length);
    const distances = Float64Array.from(out, (_, index) => (towards ? length - first - index : first + index));
    const cells = haversineCells(
        distances.map((distance) => Math.floor(distance / width)),
        distances.map((distance) => distance % width),
        length,
    );
    for (let index = 0; index < out.length; index += 1) {
        let value = span * cells.rowCosines[index] * cells.columns[index];
        value += span * cells.rowSines[index] * cells.columnSines[index];
        out[index] = value + (anchor + span * cells.rows[index]);
    }
}

/**
 * hav(pi * number * stride / length) for whole numbers, angles up to pi / 2.
 * @param {Float64Array} numbers
 * @param {number} stride
 * @param {number} length
 * @param {number} bits
 */
function haversines(numbers, stride, length, bits) {
    const [upper, lower] = splitZeta(stride, length, bits);
    return numbers.map((number) => {
        const square = number * number;
        const high = square * upper;
        const low = square * lower;
        const z = high + low;
        return high + (low + z * z * horner(z, HAVERSINE));
    });
}

/**
 * (pi * stride / (2 * length))**2 as its upper `bits` bits and the rest, by whole numbers.
 * @param {number} stride
 * @param {number} length
 * @param {number} bits
 * @returns {[number, number]}
 */
function splitZeta(stride, length, bits) {
    const over = (PI_OVER * BigInt(stride)) ** 2n;
    const under = (PI_UNDER * 2n * BigInt(length)) ** 2n;
    const [mantissa, exponent] = frexp(ratio(over, under));
    const upper = ldexp(Math.floor(ldexp(mantissa, bits)), exponent - bits);
    const [whole, power] = wholeTimesPower(upper);
    const scale = 1n << BigInt(Math.max(-power, 0)); // zeta is below 3, so that the power is below 0
    return [upper, ratio(over * scale - whole * under, under * scale)];
}

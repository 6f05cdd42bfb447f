/**
 * @module Curves in portable arithmetic: the same bits on every machine, as `scheduler.numerics.portable` explains.
 *
 * Only + - * / and Math.sqrt touch the values, in the order in which Python has them. Every function fills `out` with
 * the curve at positions first, first + 1, ...
 */

import { Decimal, DEFAULT, decimal, toInteger, toNumber } from "./decimal.js";
import { DIGITS, asPair, multiply, powers, wholePower } from "./double_double.js";
import { columnCount, countBefore, fillGrid, remembered } from "./grid.js";

const TABLE = 1024; // rows, and columns, of a geometric grid
const LARGE_BLOCK = 65536;

/**
 * The straight line from `start` at position 0 to `stop` at position `length`, both exact.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 */
export function linear(out, first, start, stop, length) {
    const half = countBefore(Math.floor(length / 2) + 1, first, out);
    line(out.subarray(0, half), first, 1, start, stop - start, length);
    line(out.subarray(half), length - first - half, -1, stop, start - stop, length);
}

/**
 * start + (stop - start) (e**(rate x) - 1) / (e**rate - 1), x = position / length, at first, first + stride, ...
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 * @param {{rate?: number, stride?: number}} [options]
 */
export function exponential(out, first, start, stop, length, { rate = 1, stride = 1 } = {}) {
    const [nearStart, nearStop, halfway] = exponentialConstants(rate, length);
    const half = countBefore(Math.floor(Math.max(halfway - first, -1) / stride) + 1, 0, out);
    const span = stop - start;
    const rising = { rate: decimal(rate), length, reach: halfway, stride };
    const falling = { rate: decimal(-rate), length, reach: length - halfway, stride };
    growthCurve(out.subarray(0, half), first, start, span * nearStart, rising, false);
    growthCurve(out.subarray(half), length - first - stride * half, stop, span * nearStop, falling, true);
}

/**
 * From `start` to `stop` as (1 - tanh(x)) / 2 falls while x goes from `low` to `high`.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 * @param {{low: number, high: number}} ends
 */
export function logistic(out, first, start, stop, length, { low, high }) {
    const { fromStart, fromStop, rate, halfway } = logisticConstants(low, high, length);
    const growth = { rate, length, reach: Math.max(halfway, length - halfway), stride: 1 };
    const half = countBefore(halfway, first, out);
    share(out.subarray(0, half), first, start, stop - start, fromStart, growth, false);
    share(out.subarray(half), length - first - half, stop, start - stop, fromStop, growth, true);
}

/**
 * scale * ratio**position, for positions below `length`; without one for any, then ratio must not be above 1.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} scale
 * @param {Decimal} ratio
 * @param {number} [length]
 */
export function geometric(out, first, scale, ratio, length = TABLE * TABLE) {
    if (out.length === 0) return;
    const { columns, rows } = geometricTables(ratio, length);
    const begin = Math.floor(first / TABLE);
    const end = Math.floor((first + out.length - 1) / TABLE) + 1;
    fillGrid(out, first % TABLE, [geometricRows(begin, end, scale, ratio, rows)], [columns]);
}

/**
 * One period over and over: the value at a position is row[position % row.length].
 * @param {Float64Array} out
 * @param {number} first
 * @param {Float64Array} row
 */
export function repeated(out, first, row) {
    for (let done = 0, column = first % row.length; done < out.length; column = 0) {
        const count = Math.min(row.length - column, out.length - done);
        out.set(row.subarray(column, column + count), done);
        done += count;
    }
}

/**
 * One period over and over, each time `ratio` times the one before; `ratio` is at most 1.
 * @param {Float64Array} out
 * @param {number} first
 * @param {Float64Array} row
 * @param {Decimal} ratio
 */
export function scaled(out, first, row, ratio) {
    if (ratio.coefficient === 1n && ratio.exponent === 0) {
        repeated(out, first, row);
        return;
    }
    const cycle = Math.floor(first / row.length);
    const factors = new Float64Array(Math.floor((first + out.length) / row.length) + 1 - cycle);
    geometric(factors, cycle, 1, ratio);
    fillGrid(out, first % row.length, [factors], [row]);
}

/**
 * Cycles between `low` and a top of their own: low + (top - low) * shape, exactly `top` where the shape is 1.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} low
 * @param {Float64Array} tops those of the cycles from position first on
 * @param {[Float64Array, Float64Array]} row the shape over one cycle, 0 to 1, and 1 - shape
 */
export function cycles(out, first, low, tops, [shape, complement]) {
    const nearTop = shape.map((value, index) => (value > complement[index] ? 1 : 0));
    const signed = shape.map((value, index) => (nearTop[index] ? -complement[index] : value));
    const offsets = nearTop.map((near) => low * (1 - near));
    fillGrid(out, first % shape.length, [tops.map((top) => top - low), tops], [signed, nearTop], { offsets });
}

/**
 * anchor + span * distance / length, with the distance growing or shrinking by one per step.
 * @param {Float64Array} out
 * @param {number} distance
 * @param {number} direction
 * @param {number} anchor
 * @param {number} span
 * @param {number} length
 */
function line(out, distance, direction, anchor, span, length) {
    for (let index = 0; index < out.length; index += 1) {
        out[index] = ((distance + direction * index) / length) * span + anchor;
    }
}

/** ratio**j of the columns, and (ratio**TABLE)**i of the rows within a chunk of TABLE rows, as many as needed. */
const geometricTables = remembered(
    (/** @type {Decimal} */ ratio, /** @type {number} */ length) => `${ratio} ${length}`,
    (ratio, length) => ({
        columns: powers(ratio, Math.min(TABLE, length))[0],
        rows: powers(wholePower(ratio, TABLE), Math.min(TABLE, Math.ceil(length / TABLE))),
    }),
);

/**
 * scale * ratio**(TABLE * number) for each row number: the chunk's power, exactly, times the row's within it.
 * @param {number} begin
 * @param {number} end
 * @param {number} scale
 * @param {Decimal} ratio
 * @param {import("./double_double.js").Pair} table
 */
function geometricRows(begin, end, scale, ratio, table) {
    const rows = new Float64Array(end - begin);
    for (let chunk = Math.floor(begin / TABLE); chunk * TABLE < end; chunk += 1) {
        const [from, to] = [Math.max(begin, chunk * TABLE), Math.min(end, (chunk + 1) * TABLE)];
        const factor = asPair(DEFAULT.times(decimal(scale), wholePower(ratio, chunk * TABLE * TABLE)));
        const [high, low] = table.map((part) => part.subarray(from - chunk * TABLE, to - chunk * TABLE));
        rows.set(multiply([high, low], factor)[0], from - begin);
    }
    return rows;
}

/**
 * e**(rate * position / length) for positions up to `reach`, `stride` apart.
 * @typedef {{rate: Decimal, length: number, reach: number, stride: number}} Growth
 */

/**
 * anchor + span * (e**(rate * position / length) - 1), the position growing, or falling where `towards`.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} anchor
 * @param {number} span
 * @param {Growth} growth
 * @param {boolean} towards
 */
function growthCurve(out, first, anchor, span, growth, towards) {
    if (out.length === 0) return;
    const { coarse, coarseMinusOne, fineMinusOne } = growthTables(growth, first % growth.stride);
    const [width, rows] = [fineMinusOne.length, coarse.length];
    let cell = Math.floor(first / growth.stride);
    if (towards) cell = rows * width - 1 - cell; // the last row ends where the position is smallest
    const begin = Math.floor(cell / width);
    const count = Math.floor((cell + out.length - 1) / width) + 1 - begin;
    const factors = new Float64Array(count);
    const bias = new Float64Array(count);
    for (let index = 0; index < count; index += 1) {
        const row = towards ? rows - 1 - begin - index : begin + index;
        factors[index] = span * coarse[row];
        bias[index] = anchor + span * coarseMinusOne[row];
    }
    const fine = towards ? fineMinusOne.slice().reverse() : fineMinusOne;
    fillGrid(out, cell % width, [factors], [fine], { bias });
}

/** e**a and e**a - 1 of the rows, e**b - 1 of the columns; positions are `remainder` more than whole strides. */
const growthTables = remembered(
    (/** @type {Growth} */ growth, /** @type {number} */ remainder) =>
        `${growth.rate} ${growth.length} ${growth.reach} ${growth.stride} ${remainder}`,
    (growth, remainder) => {
        const cells = Math.floor(Math.max(growth.reach, 0) / growth.stride) + 1;
        const width = columnCount(cells);
        const unit = DIGITS.exp(DIGITS.over(growth.rate, decimal(growth.length)));
        const step = wholePower(unit, growth.stride);
        const fine = powers(step, width);
        const rows = powers(wholePower(step, width), Math.floor(cells / width) + 1);
        const coarse = multiply(rows, asPair(wholePower(unit, remainder)));
        return { coarse: coarse[0], coarseMinusOne: minusOne(coarse), fineMinusOne: minusOne(fine) };
    },
);

/** @param {import("./double_double.js").Pair} pair */
function minusOne([high, low]) {
    return high.map((value, index) => value - 1 + low[index]);
}

/**
 * anchor + span * factor * (E - 1) / (1 + c E), E the growth, for the constants factor and c.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} anchor
 * @param {number} span
 * @param {[number, number]} constants
 * @param {Growth} growth
 * @param {boolean} towards
 */
function share(out, first, anchor, span, [factor, c], growth, towards) {
    growthCurve(out, first, 0, span * factor, growth, towards);
    const divisors = new Float64Array(Math.min(LARGE_BLOCK, out.length));
    for (let begin = 0; begin < out.length; begin += LARGE_BLOCK) {
        const block = out.subarray(begin, begin + LARGE_BLOCK);
        const position = towards ? first - begin : first + begin;
        growthCurve(divisors.subarray(0, block.length), position, 1 + c, c, growth, towards);
        for (let index = 0; index < block.length; index += 1) block[index] = block[index] / divisors[index] + anchor;
    }
}

/** Factor and c at the start, and at the stop; the rate; and the first position past half of the way. */
const logisticConstants = remembered(
    (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ length) => `${low} ${high} ${length}`,
    (low, high, length) => {
        const [one, two] = [decimal(1), decimal(2)];
        const first = DIGITS.exp(DIGITS.times(two, decimal(low)));
        const last = DIGITS.exp(DIGITS.times(two, decimal(high)));
        const growth = DIGITS.minus(DIGITS.over(last, first), one);
        const atStart = DIGITS.over(DIGITS.plus(one, last), growth);
        const atStop = DIGITS.over(DIGITS.plus(one, DIGITS.over(one, first)), growth);
        const rate = DIGITS.times(two, DIGITS.minus(decimal(high), decimal(low)));
        const way = DIGITS.over(
            DIGITS.times(growth, DIGITS.plus(one, first)),
            DIGITS.plus(DIGITS.plus(two, first), last),
        );
        const halfway = DIGITS.over(DIGITS.ln(DIGITS.plus(one, way)), rate);
        return {
            fromStart: /** @type {[number, number]} */ ([toNumber(atStart), toNumber(first)]),
            fromStop: /** @type {[number, number]} */ ([toNumber(atStop), toNumber(DIGITS.over(one, last))]),
            rate,
            halfway: toInteger(DIGITS.times(halfway, decimal(length))) + 1,
        };
    },
);

/** 1 / (e**rate - 1), 1 / (1 - e**-rate), and the last position before the curve is half way. */
const exponentialConstants = remembered(
    (/** @type {number} */ rate, /** @type {number} */ length) => `${rate} ${length}`,
    (rate, length) => {
        const one = decimal(1);
        const growth = DIGITS.exp(decimal(rate));
        const middle = DIGITS.ln(DIGITS.over(DIGITS.plus(growth, one), decimal(2)));
        const halfway = DIGITS.over(middle, decimal(rate));
        const nearStop = DIGITS.over(one, DIGITS.minus(one, DIGITS.over(one, growth)));
        return /** @type {[number, number, number]} */ ([
            toNumber(DIGITS.over(one, DIGITS.minus(growth, one))),
            toNumber(nearStop),
            toInteger(DIGITS.times(halfway, decimal(length))),
        ]);
    },
);

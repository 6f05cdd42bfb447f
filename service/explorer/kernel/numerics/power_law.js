/** @module Powers and logarithms of the position: a Taylor series within each row of about a thousand steps. */

import { modulo, powerOfTwo } from "./bits.js";

const ROW = 1024; // steps of a row
const CENTRE = (ROW - 1) / 2; // of a row, from its first position
const MOST_TERMS = 2048; // of a series: from order 3 on a term is at most half the one before, and 2**-2048 is 0
const EPSILON = powerOfTwo(-53);
const DISTANCES = Float64Array.from({ length: ROW / 2 }, (_, index) => (index + 0.5) / ROW); // from there, in rows
const SQUARES = DISTANCES.map((distance) => distance * distance);

/**
 * A function f of the position with (position - pole) f' = exponent * f + constant.
 * @typedef {object} Law
 * @property {(position: number) => number} values f at a position, not only at whole ones
 * @property {number} pole
 * @property {number} exponent
 * @property {number} [constant]
 */

/**
 * anchor + span * f(position), for positions on one side of `origin`, at which f must be defined.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} anchor
 * @param {number} span
 * @param {Law} law
 * @param {number} [origin] where rows are counted from
 */
export function powerLaw(out, first, anchor, span, law, origin = 0) {
    const last = first + out.length;
    for (let row = first - modulo(first - origin, ROW); row < last; row += ROW) {
        const [begin, end] = [Math.max(first, row), Math.min(last, row + ROW)];
        const window = out.subarray(begin - first, end - first);
        if (isNear(row, law, origin)) {
            for (let position = begin; position < end; position += 1) {
                window[position - begin] = anchor + span * law.values(position);
            }
        } else {
            expand(window, begin - row, series(row, anchor, span, law));
        }
    }
}

/**
 * coefficients[0] + coefficients[1] x + ..., by Horner's rule.
 * @param {number} x
 * @param {number[]} coefficients
 */
export function horner(x, coefficients) {
    let result = coefficients[coefficients.length - 1];
    for (let order = coefficients.length - 2; order >= 0; order -= 1) {
        result *= x;
        result += coefficients[order];
    }
    return result;
}

/**
 * Whether a row, given by its first position, is close to the pole or beside the origin.
 * @param {number} row
 * @param {Law} law
 * @param {number} origin
 */
function isNear(row, law, origin) {
    const centre = row + CENTRE;
    const reach = ROW * Math.max(4, Math.abs(law.exponent));
    return Math.abs(centre - law.pole) < reach || Math.abs(centre - origin) < ROW;
}

/**
 * The Taylor series about a row's centre, in rows, without the terms that change nothing.
 * @param {number} row
 * @param {number} anchor
 * @param {number} span
 * @param {Law} law
 */
function series(row, anchor, span, law) {
    const step = ROW / (row + CENTRE - law.pole);
    const value = law.values(row + CENTRE);
    const terms = [anchor + span * value, span * (law.exponent * value + (law.constant ?? 0)) * step];
    let least = EPSILON * Math.abs(terms[0]);
    while (terms.length < 4 || terms.length % 2 || (terms[terms.length - 1] !== 0 && terms.length < MOST_TERMS)) {
        const order = terms.length;
        least *= 2; // at the ends of the row a term is halved `order` times
        const term = ((law.exponent + 1 - order) / order) * step * terms[order - 1];
        terms.push(Math.abs(term) < least ? 0 : term);
    }
    return terms;
}

/**
 * The series' values from a column of its row on: the even orders plus, and minus, the odd ones.
 * @param {Float64Array} out
 * @param {number} column
 * @param {number[]} terms
 */
function expand(out, column, terms) {
    const last = terms.length - 2;
    for (let index = 0; index < out.length; index += 1) {
        const place = column + index - ROW / 2;
        const at = place >= 0 ? place : -1 - place;
        const square = SQUARES[at];
        let [even, odd] = [terms[last] * square, terms[last + 1] * square];
        for (let order = last - 2; order > 0; order -= 2) {
            even = (even + terms[order]) * square;
            odd = (odd + terms[order + 1]) * square;
        }
        even += terms[0];
        odd = (odd + terms[1]) * DISTANCES[at];
        out[index] = place >= 0 ? even + odd : even - odd;
    }
}

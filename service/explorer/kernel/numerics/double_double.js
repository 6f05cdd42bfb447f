/** @module Numbers of about 106 bits, each an unevaluated sum of two doubles, and exact powers from `decimal`. */

import { Context, Decimal, decimal, toNumber } from "./decimal.js";

/** @typedef {[Float64Array, Float64Array]} Pair upper and lower parts, whose unevaluated sum is the number */

/** Sixty decimal digits: twice what a double-double holds. */
export const DIGITS = new Context(60);

/**
 * ratio**0 .. ratio**(count - 1) as double-doubles, by doubling.
 * @param {Decimal} ratio
 * @param {number} count
 * @returns {Pair}
 */
export function powers(ratio, count) {
    const high = new Float64Array(count);
    const low = new Float64Array(count);
    high[0] = 1;
    for (let known = 1; known < count; known *= 2) {
        const factor = asPair(wholePower(ratio, known));
        for (let index = 0; index < known && known + index < count; index += 1) {
            multiplyOne(high[index], low[index], factor);
            [high[known + index], low[known + index]] = result;
        }
    }
    return [high, low];
}

/**
 * ratio**exponent by squaring, each product rounded to 60 digits.
 * @param {Decimal} ratio
 * @param {number} exponent whole, 0 or more
 */
export function wholePower(ratio, exponent) {
    let power = decimal(1);
    for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
        if (rest % 2 === 1) power = DIGITS.times(power, ratio);
        ratio = DIGITS.times(ratio, ratio);
    }
    return power;
}

/**
 * over / under to 60 digits.
 * @param {number} over
 * @param {number} under
 */
export function quotient(over, under) {
    return DIGITS.over(decimal(over), decimal(under));
}

/**
 * value**(1 / degree) to 60 digits.
 * @param {Decimal} value
 * @param {number} degree
 */
export function root(value, degree) {
    return DIGITS.exp(DIGITS.over(DIGITS.ln(value), decimal(degree)));
}

/**
 * A number as a double-double.
 * @param {Decimal} number
 * @returns {[number, number]}
 */
export function asPair(number) {
    const high = toNumber(number);
    return [high, toNumber(DIGITS.minus(number, decimal(high)))];
}

/**
 * The products of double-doubles with one (Dekker).
 * @param {Pair} left
 * @param {[number, number]} right
 * @returns {Pair}
 */
export function multiply([high, low], right) {
    /** @type {Pair} */
    const product = [new Float64Array(high.length), new Float64Array(high.length)];
    for (let index = 0; index < high.length; index += 1) {
        multiplyOne(high[index], low[index], right);
        [product[0][index], product[1][index]] = result;
    }
    return product;
}

const result = new Float64Array(2);

/**
 * Write the product of two double-doubles into `result`.
 * @param {number} high
 * @param {number} low
 * @param {[number, number]} right
 */
function multiplyOne(high, low, [rightHigh, rightLow]) {
    const product = high * rightHigh;
    const upper = split(high);
    const rest = high - upper;
    const rightUpper = split(rightHigh);
    const rightRest = rightHigh - rightUpper;
    let error = upper * rightUpper - product + upper * rightRest + rest * rightUpper + rest * rightRest;
    error = error + (high * rightLow + low * rightHigh);
    result[0] = product + error;
    result[1] = error - (result[0] - product);
}

/** The upper 26 bits of a double (Veltkamp). @param {number} number */
function split(number) {
    const scaled = 134217729 * number;
    return scaled - (scaled - number);
}

/** @module The shapes of a ramp in portable arithmetic, as `scheduler.numerics.shapes` describes them. */

import { frexp, isqrt, ldexp, rint } from "./bits.js";
import { Context, DEFAULT, decimal, toInteger, toNumber } from "./decimal.js";
import { quotient } from "./double_double.js";
import { horner, powerLaw } from "./power_law.js";

/** @typedef {import("./power_law.js").Law} Law */

const FORTY = new Context(40);
const SQUARING = new Context(DEFAULT.digits + 3); // with which Python's ** 2 multiplies before it rounds
const DECIMAL_LN2 = DEFAULT.ln(decimal(2));
const LN2 = toNumber(DECIMAL_LN2);
const LN2_HIGH = ldexp(Math.floor(ldexp(LN2, 32)), -32); // exact times a small whole number
const LN2_LOW = toNumber(DEFAULT.minus(DECIMAL_LN2, decimal(LN2_HIGH)));
const ATANH = Array.from({ length: 12 }, (_, k) => 1 / (2 * k + 1));
const EXPM1 = Array.from({ length: 20 }, (_, k) => 1 / factorial(k + 1));
const EXP = Array.from({ length: 16 }, (_, k) => 1 / factorial(k));

/** @param {number} number */
function factorial(number) {
    let product = 1n;
    for (let factor = 2n; factor <= BigInt(number); factor += 1n) product *= factor;
    return Number(product);
}

/**
 * A shape S: 1 - S and S, each accurate where it is small, and the first position where S is the smaller.
 * @typedef {{risen: Law, falling: Law, halfway: number}} Curve
 */

/**
 * Fill with stop + (start - stop) S, from the nearer end.
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 * @param {Curve} curve
 */
export function blend(out, first, start, stop, length, curve) {
    const half = Math.min(Math.max(curve.halfway, 1, first) - first, out.length); // position 0 is the start, exactly
    powerLaw(out.subarray(0, half), first, start, stop - start, curve.risen);
    powerLaw(out.subarray(half), first + half, stop, start - stop, curve.falling, length);
}

/**
 * start / sqrt(1 + p ((start / stop)**2 - 1)).
 * @param {Float64Array} out
 * @param {number} first
 * @param {number} start
 * @param {number} stop
 * @param {number} length
 */
export function inverseSqrt(out, first, start, stop, length) {
    const across = quotient(start, stop);
    const squared = SQUARING.times(across, across);
    const growth = toNumber(DEFAULT.minus(DEFAULT.plus(squared, decimal(0)), decimal(1)));
    const law = {
        values: (/** @type {number} */ position) => 1 / Math.sqrt(1 + (position / length) * growth),
        pole: -length / growth,
        exponent: -0.5,
    };
    powerLaw(out, first, 0, start, law);
}

/**
 * q / (1/2 + q/2) = 2 q / (1 + q), and p / (1 + q), both multiplied by the length.
 * @param {number} length
 * @returns {Curve}
 */
export function rex(length) {
    return {
        risen: {
            values: (position) => position / (2 * length - position),
            pole: 2 * length,
            exponent: -1,
            constant: -1,
        },
        falling: {
            values: (position) => (2 * (length - position)) / (2 * length - position),
            pole: 2 * length,
            exponent: -1,
            constant: 2,
        },
        halfway: Math.floor((2 * length) / 3),
    };
}

/**
 * q**exponent.
 * @param {number} length
 * @param {number} exponent
 * @returns {Curve}
 */
export function polynomial(length, exponent) {
    return {
        risen: {
            values: (position) => oneMinusPower((length - position) / length, position / length, exponent),
            pole: length,
            exponent,
            constant: -exponent,
        },
        falling: { values: (position) => power((length - position) / length, exponent), pole: length, exponent },
        halfway: length - halfPower(length, exponent),
    };
}

/**
 * 1 - p**exponent.
 * @param {number} length
 * @param {number} exponent
 * @returns {Curve}
 */
export function risingPower(length, exponent) {
    return {
        risen: { values: (position) => power(position / length, exponent), pole: 0, exponent },
        falling: {
            values: (position) => oneMinusPower(position / length, (length - position) / length, exponent),
            pole: 0,
            exponent,
            constant: -exponent,
        },
        halfway: halfPower(length, exponent),
    };
}

/**
 * The position at which (position / length)**exponent is 1/2.
 * @param {number} length
 * @param {number} exponent
 */
function halfPower(length, exponent) {
    const negative = FORTY.minus(decimal(0), DECIMAL_LN2);
    const half = FORTY.exp(FORTY.over(negative, decimal(exponent)));
    return toInteger(FORTY.times(decimal(length), half));
}

/**
 * 1 - ln(1 + position) / ln(1 + length).
 * @param {number} length
 * @returns {Curve}
 */
export function logarithm(length) {
    const whole = toNumber(FORTY.ln(decimal(1 + length)));
    return {
        risen: { values: (position) => log(1 + position) / whole, pole: -1, exponent: 0, constant: 1 / whole },
        falling: {
            values: (position) => log1p((length - position) / (1 + position)) / whole,
            pole: -1,
            exponent: 0,
            constant: -1 / whole,
        },
        halfway: isqrt(1 + length),
    };
}

// -- elementary functions, from + - * / and sqrt ----------------------------------------------------------------------

/**
 * base**exponent for bases 0 or more: by products and roots, and log and exp beyond a multiple of 1/2.
 * @param {number} base
 * @param {number} exponent
 */
export function power(base, exponent) {
    const doubled = Math.min(Math.max(rint(2 * exponent), -64), 64);
    const nearest = halfIntegerPower(base, doubled);
    const rest = exponent - doubled / 2;
    if (rest === 0) return nearest;
    return base > 0 ? nearest * exp(rest * log(base)) : 0;
}

/** @param {number} base @param {number} doubled */
function halfIntegerPower(base, doubled) {
    let result = doubled % 2 ? Math.sqrt(base) : 1;
    let factor = base;
    for (let exponent = Math.floor(Math.abs(doubled) / 2); exponent; exponent >>= 1) {
        if (exponent & 1) result = result * factor;
        factor = factor * factor;
    }
    return doubled >= 0 ? result : 1 / result;
}

/**
 * 1 - base**exponent for bases 0 to 1 and rest = 1 - base: accurate where it is small, too.
 * @param {number} base
 * @param {number} rest
 * @param {number} exponent
 */
export function oneMinusPower(base, rest, exponent) {
    if (Number.isInteger(2 * exponent) && exponent <= 32) return oneMinusHalfIntegerPower(base, rest, 2 * exponent);
    const positive = Math.max(base, 1e-300);
    const lost = rest < 0.5 ? (1 - base - rest) / positive : 0; // where 1 - base is exact
    const argument = exponent * (log(positive) + lost);
    if (argument > -1) return -argument * horner(argument, EXPM1);
    return base > 0 ? 1 - exp(argument) : 1;
}

/**
 * 1 - r**n = (1 - r) (1 + r + ... + r**(n - 1)), r the base or its root: all terms have one sign.
 * @param {number} base
 * @param {number} rest
 * @param {number} doubled
 */
function oneMinusHalfIntegerPower(base, rest, doubled) {
    if (doubled % 2 === 0) return rest * horner(base, new Array(doubled / 2).fill(1));
    const root = Math.sqrt(base);
    return (rest / (1 + root)) * horner(root, new Array(doubled).fill(1));
}

/**
 * ln(1 + number) for numbers above -1: that of the rounded sum, and what the rounding lost.
 * @param {number} number
 */
export function log1p(number) {
    const rounded = 1 + number;
    return log(rounded) + (number - (rounded - 1)) / rounded;
}

/**
 * ln of a positive number: exponent * ln 2 + 2 artanh((m - 1) / (m + 1)), the mantissa m near 1.
 * @param {number} number
 */
export function log(number) {
    let [mantissa, exponent] = frexp(number);
    if (mantissa < Math.sqrt(0.5)) {
        mantissa = 2 * mantissa;
        exponent -= 1;
    }
    const ratio = (mantissa - 1) / (mantissa + 1);
    return exponent * LN2_HIGH + (2 * ratio * horner(ratio * ratio, ATANH) + exponent * LN2_LOW);
}

/**
 * e**number: 2**k times the series of the rest, which is at most ln(2) / 2; below -745 as at -745.
 * @param {number} number
 */
export function exp(number) {
    const argument = Math.max(number, -745);
    const whole = rint(argument / LN2);
    const rest = argument - whole * LN2_HIGH - whole * LN2_LOW;
    return ldexp(horner(rest, EXP), whole);
}

/**
 * @module Decimal numbers of a fixed number of digits, as Python's `decimal` computes with them: each result is the
 * exact one, rounded once to the digits of the context, halves to even.
 *
 * exp and ln are computed to many digits more and rounded once. Python's are correctly rounded, so these are the same.
 */

import { ratio, wholeTimesPower } from "./bits.js";

const PLACES = 130; // of the fixed-point numbers that exp and ln are computed with: 60 digits and more to spare
const ONE = 10n ** BigInt(PLACES);
const HALVINGS = 10n;

/** coefficient * 10**exponent. Frozen: the numbers are kept in caches. */
export class Decimal {
    /**
     * @param {bigint} coefficient
     * @param {number} exponent
     */
    constructor(coefficient, exponent) {
        this.coefficient = coefficient;
        this.exponent = exponent;
        Object.freeze(this);
    }

    /** A name for caches: equal numbers that were computed alike have the same. */
    toString() {
        return `${this.coefficient}e${this.exponent}`;
    }
}

/**
 * A double, or a whole number, exactly.
 * @param {number | bigint | Decimal} number
 */
export function decimal(number) {
    if (number instanceof Decimal) return number;
    if (typeof number === "bigint") return new Decimal(number, 0);
    if (Number.isSafeInteger(number)) return new Decimal(BigInt(number), 0);
    const [whole, power] = wholeTimesPower(number);
    if (power >= 0) return new Decimal(whole << BigInt(power), 0);
    const shift = trailingZeros(whole, -power);
    const places = -power - shift;
    return new Decimal((whole >> BigInt(shift)) * 5n ** BigInt(places), -places);
}

/**
 * The nearest double.
 * @param {Decimal} number
 */
export function toNumber({ coefficient, exponent }) {
    const magnitude = digitCount(coefficient) + exponent;
    if (coefficient === 0n || magnitude < -400) return 0;
    if (magnitude > 400) return coefficient > 0n ? Infinity : -Infinity;
    if (exponent >= 0) return ratio(coefficient * 10n ** BigInt(exponent), 1n);
    return ratio(coefficient, 10n ** BigInt(-exponent));
}

/**
 * The whole part of a number.
 * @param {Decimal} number
 */
export function toInteger({ coefficient, exponent }) {
    if (exponent >= 0) return Number(coefficient * 10n ** BigInt(exponent));
    return Number(coefficient / 10n ** BigInt(Math.min(-exponent, 1000)));
}

/** Arithmetic with so many digits. */
export class Context {
    /** @param {number} digits at most 60 */
    constructor(digits) {
        this.digits = digits;
    }

    /** @param {Decimal} left @param {Decimal} right */
    plus(left, right) {
        const exponent = Math.min(left.exponent, right.exponent);
        if (Math.max(left.exponent, right.exponent) - exponent > 2000) return this.#withNegligible(left, right);
        return this.#rounded(shifted(left, exponent) + shifted(right, exponent), exponent);
    }

    /** @param {Decimal} left @param {Decimal} right */
    minus(left, right) {
        return this.plus(left, new Decimal(-right.coefficient, right.exponent));
    }

    /** @param {Decimal} left @param {Decimal} right */
    times(left, right) {
        return this.#rounded(left.coefficient * right.coefficient, left.exponent + right.exponent);
    }

    /** @param {Decimal} over @param {Decimal} under not 0 */
    over(over, under) {
        const places = Math.max(this.digits + 3 + digitCount(under.coefficient) - digitCount(over.coefficient), 0);
        const dividend = over.coefficient * 10n ** BigInt(places);
        const quotient = dividend / under.coefficient;
        const exponent = over.exponent - under.exponent - places;
        if (quotient * under.coefficient === dividend) return this.#rounded(quotient, exponent);
        const sign = dividend < 0n === under.coefficient < 0n ? 1n : -1n;
        return this.#rounded(quotient * 10n + sign, exponent - 1); // the digit stands for all that follow
    }

    /** e to the power of a number. @param {Decimal} number */
    exp(number) {
        const [value, exponent] = exponential(fixed(number));
        return this.#rounded(value, exponent - PLACES);
    }

    /** The natural logarithm of a number above 0. @param {Decimal} number */
    ln(number) {
        const exponent = digitCount(number.coefficient) - 1;
        const mantissa = fixed(new Decimal(number.coefficient, -exponent)); // from 1 to 10
        const whole = logarithm(mantissa) + BigInt(number.exponent + exponent) * LN10;
        return this.#rounded(whole, -PLACES);
    }

    /** @param {Decimal} left @param {Decimal} right */
    #withNegligible(left, right) {
        const [large, small] = left.exponent > right.exponent ? [left, right] : [right, left];
        if (large.coefficient === 0n) return this.#rounded(small.coefficient, small.exponent);
        return this.#rounded(large.coefficient, large.exponent);
    }

    /** @param {bigint} coefficient @param {number} exponent */
    #rounded(coefficient, exponent) {
        const excess = digitCount(coefficient) - this.digits;
        if (excess <= 0) return new Decimal(coefficient, exponent);
        const divisor = 10n ** BigInt(excess);
        let quotient = coefficient / divisor;
        const rest = coefficient < 0n ? -(coefficient % divisor) : coefficient % divisor;
        const rounds = 2n * rest > divisor || (2n * rest === divisor && (quotient & 1n) === 1n);
        if (rounds) quotient += coefficient < 0n ? -1n : 1n;
        return new Decimal(quotient, exponent + excess);
    }
}

/** The digits of a context that nobody set: those of Python's default context. */
export const DEFAULT = new Context(28);

/** @param {bigint} number */
function digitCount(number) {
    return number === 0n ? 1 : (number < 0n ? -number : number).toString().length;
}

/** @param {bigint} number @param {number} most */
function trailingZeros(number, most) {
    if (number === 0n) return most;
    let count = 0;
    while (count < most && (number & 1n) === 0n) {
        number >>= 1n;
        count += 1;
    }
    return count;
}

/** @param {Decimal} number @param {number} exponent at most the number's */
function shifted(number, exponent) {
    return number.coefficient * 10n ** BigInt(number.exponent - exponent);
}

/** As a multiple of 10**-PLACES. @param {Decimal} number */
function fixed({ coefficient, exponent }) {
    const shift = exponent + PLACES;
    return shift >= 0 ? coefficient * 10n ** BigInt(shift) : coefficient / 10n ** BigInt(Math.min(-shift, 5000));
}

/**
 * e**number as a fixed-point number from about 1/3 to 3, and the power of ten that it is to be multiplied by.
 * @param {bigint} number
 * @returns {[bigint, number]}
 */
function exponential(number) {
    const tens = (2n * number + LN10) / (2n * LN10) - (2n * number + LN10 < 0n ? 1n : 0n);
    const rest = (number - tens * LN10) >> HALVINGS;
    let [sum, term] = [ONE, ONE];
    for (let order = 1n; term !== 0n; order += 1n) {
        term = (term * rest) / (ONE * order);
        sum += term;
    }
    for (let squaring = 0n; squaring < HALVINGS; squaring += 1n) sum = (sum * sum) / ONE;
    return [sum, Number(tens)];
}

/**
 * The logarithm of a fixed-point number from 1 to 10, by Halley's method: each turn has three times the digits.
 * @param {bigint} number
 */
function logarithm(number) {
    const guess = Math.log(Number(number / 10n ** BigInt(PLACES - 15)) / 1e15);
    let result = (BigInt(Math.round(guess * 1e12)) * ONE) / 10n ** 12n; // good to some 12 digits, whatever Math.log is
    for (let turn = 0; turn < 3; turn += 1) {
        const [value, tens] = exponential(result);
        const power = value * 10n ** BigInt(Math.max(tens, 0));
        result += (2n * (number - power) * ONE) / (number + power);
    }
    return result;
}

/** artanh(1 / number), as a fixed-point number. @param {bigint} number */
function artanhOfInverse(number) {
    let [sum, power] = [0n, ONE / number];
    for (let odd = 1n; power !== 0n; odd += 2n) {
        sum += power / odd;
        power /= number * number;
    }
    return sum;
}

const LN10 = 6n * artanhOfInverse(3n) + 2n * artanhOfInverse(9n); // 3 ln 2 + ln 5/4

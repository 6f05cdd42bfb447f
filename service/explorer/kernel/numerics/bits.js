/** @module The parts of a double, and exact steps between doubles and whole numbers. */

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer); // little-endian, as every engine's machine is; `selfTest` would tell

/**
 * 2**exponent, from its bits: ECMAScript lets an engine round its own powers.
 * @param {number} exponent whole, from -1022 to 1023
 */
export function powerOfTwo(exponent) {
    words[0] = 0;
    words[1] = (exponent + 1023) << 20;
    return double[0];
}

/**
 * base**exponent by products, for the same reason.
 * @param {number} base whole
 * @param {number} exponent whole, 0 or more
 */
export function integerPower(base, exponent) {
    let power = 1;
    for (let count = 0; count < exponent; count += 1) power *= base;
    return power;
}

/**
 * Mantissa, from 1/2 to 1, and exponent: number = mantissa * 2**exponent.
 * @param {number} number finite
 * @returns {[number, number]}
 */
export function frexp(number) {
    if (number === 0) return [number, 0];
    double[0] = number;
    let exponent = ((words[1] >>> 20) & 0x7ff) - 1022;
    if (exponent === -1022) {
        const normal = number * powerOfTwo(54);
        double[0] = normal; // a subnormal number has no leading bit
        exponent = ((words[1] >>> 20) & 0x7ff) - 1022 - 54;
    }
    words[1] = (words[1] & 0x800fffff) | (1022 << 20);
    return [double[0], exponent];
}

/**
 * number * 2**exponent, rounded once.
 * @param {number} number
 * @param {number} exponent
 */
export function ldexp(number, exponent) {
    if (exponent > 1000) return ldexp(number * powerOfTwo(1000), exponent - 1000);
    if (exponent >= -1000) return number * powerOfTwo(exponent); // inexact only where the result is subnormal
    const [mantissa, own] = frexp(number);
    const whole = own + exponent;
    if (whole < -1100) return mantissa * 0;
    return mantissa * powerOfTwo(whole + 200) * powerOfTwo(-200); // the first product is exact
}

/**
 * The nearest whole number, the even one where two are as near; |number| below 2**51.
 * @param {number} number
 */
export function rint(number) {
    return number + 6755399441055744 - 6755399441055744; // 2**52 + 2**51: no bits are left for a fraction
}

/**
 * The whole part of a square root, of a whole number up to 2**53.
 * @param {number} number
 */
export function isqrt(number) {
    let root = Math.floor(Math.sqrt(number));
    while (root * root > number) root -= 1;
    while ((root + 1) * (root + 1) <= number) root += 1;
    return root;
}

/**
 * Bits of a whole number, 0 or more.
 * @param {bigint} number
 */
export function bitLength(number) {
    return number === 0n ? 0 : number.toString(2).length;
}

/**
 * Python's n % d for whole numbers: never negative.
 * @param {number} number
 * @param {number} divisor above 0
 */
export function modulo(number, divisor) {
    const rest = number % divisor;
    return rest < 0 ? rest + divisor : rest + 0; // never -0
}

/**
 * over / under as the nearest double.
 * @param {bigint} over
 * @param {bigint} under above 0
 */
export function ratio(over, under) {
    if (over === 0n) return 0;
    const sign = over < 0n ? -1 : 1;
    const positive = over < 0n ? -over : over;
    const shift = bitLength(positive) - bitLength(under) - 55;
    const dividend = shift >= 0 ? positive : positive << BigInt(-shift);
    const divisor = shift >= 0 ? under << BigInt(shift) : under;
    const quotient = dividend / divisor;
    const extra = Math.max(bitLength(quotient) - 53, -1074 - shift); // bits to round away: below -1074 there are none
    const half = 1n << BigInt(extra - 1);
    const low = quotient & ((1n << BigInt(extra)) - 1n);
    let mantissa = quotient >> BigInt(extra);
    const rounds = low > half || (low === half && (dividend % divisor !== 0n || (mantissa & 1n) === 1n));
    if (rounds) mantissa += 1n;
    return sign * ldexp(Number(mantissa), shift + extra);
}

/**
 * A finite double as a whole number times a power of two.
 * @param {number} number
 * @returns {[bigint, number]}
 */
export function wholeTimesPower(number) {
    const [mantissa, exponent] = frexp(number);
    return [BigInt(mantissa * powerOfTwo(53)), exponent - 53];
}

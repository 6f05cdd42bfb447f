/** @module The rule for a learning rate. */

/** The largest rate: more is a mistake in units, or a product that has run away. */
export const MAX_RATE = 1e12;

/** Rounding below 0 that is accepted of a library's own schedule, as a share of the largest rate or of 1. */
const ROUNDING = 1e-9;

/**
 * The index of the first value that is no learning rate, or -1 where every one is.
 * @param {Float64Array} values
 */
export function firstBadRate(values) {
    let [low, high] = [Infinity, -Infinity];
    for (let index = 0; index < values.length; index += 1) {
        const value = values[index];
        if (value < low) low = value;
        if (value > high) high = value;
        if (value !== value) [low, high] = [-Infinity, Infinity];
    }
    const lowest = -ROUNDING * Math.max(1, Math.min(high, MAX_RATE));
    if (lowest <= low && high <= MAX_RATE) return -1;
    return values.findIndex((value) => !(value >= lowest && value <= MAX_RATE));
}

/**
 * The rule that a value breaks.
 * @param {number} value
 */
export function brokenRule(value) {
    if (!Number.isFinite(value)) return "finite";
    return value < 0 ? "not negative" : "at most 1e+12";
}

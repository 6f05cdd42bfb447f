// The lowest and the highest value of any range of rows, in a time that does not depend on the length of the table.
// So a picture of 20 million steps loses no spike, and each zoom is exact: no row is left out or smoothed.

const BLOCK = 128;

/** @typedef {{ low: Float64Array, high: Float64Array }} Bounds the lowest and the highest value of each block */

/** @param {Float64Array} values @returns {Bounds} */
export function boundsOf(values) {
  const blocks = Math.floor(values.length / BLOCK), bounds = { low: new Float64Array(blocks), high: new Float64Array(blocks) };
  for (let block = 0, at = 0; block < blocks; block++) {
    let low = values[at], high = low;
    for (const end = at + BLOCK; at < end; at++) {
      const value = values[at];
      if (value < low) low = value;
      else if (value > high) high = value;
    }
    bounds.low[block] = low;
    bounds.high[block] = high;
  }
  return bounds;
}

/** The extremes of a column's blocks. */
export class Extremes {
  /** @param {Float64Array} values @param {Bounds} [bounds] where they are known: they take a pass over all values */
  constructor(values, { low, high } = boundsOf(values)) {
    this.values = values;
    this.low = low;
    this.high = high;
  }

  /**
   * The lowest and the highest value of rows `start` up to but without `stop`.
   * @param {number} start @param {number} stop
   * @returns {[number, number]}
   */
  between(start, stop) {
    const { values, low: lows, high: highs } = this;
    let low = Infinity, high = -Infinity, at = start;
    while (at < stop) {
      if (at % BLOCK === 0 && at + BLOCK <= stop) {
        const block = at / BLOCK;
        if (lows[block] < low) low = lows[block];
        if (highs[block] > high) high = highs[block];
        at += BLOCK;
      } else {
        const value = values[at++];
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return [low, high];
  }

  /** The lowest value above 0 of a range; Infinity where there is none. @param {number} start @param {number} stop */
  positive(start, stop) {
    let low = Infinity, at = start;
    while (at < stop) {
      const block = at / BLOCK;
      if (at % BLOCK === 0 && at + BLOCK <= stop && (this.low[block] >= low || this.high[block] <= 0)) {
        at += BLOCK;
      } else if (at % BLOCK === 0 && at + BLOCK <= stop && this.low[block] > 0) {
        low = this.low[block];
        at += BLOCK;
      } else {
        const value = this.values[at++];
        if (value > 0 && value < low) low = value;
      }
    }
    return low;
  }
}

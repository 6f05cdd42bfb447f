// Where and by how much two columns differ: bit for bit, in value and in ULP.

/**
 * @typedef {object} Difference
 * @property {number} rows rows compared
 * @property {number} differing rows whose bits differ
 * @property {number} first the first of them; -1 where none differs, as for the other rows
 * @property {number} absolute the largest difference
 * @property {number} absoluteAt its row
 * @property {number} relative the largest difference as a share of the larger value: 0 to 2
 * @property {number} relativeAt its row
 * @property {number} ulp the largest number of doubles between two values of which both or neither are 0
 * @property {number} ulpAt its row
 * @property {number} zeros rows in which one value is 0 and the other is not: no count of doubles says how far apart they are
 */

/** The bits of a column as pairs of 32. @param {Float64Array} values */
function words(values) {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

/** The number of doubles between two values, given as words; exact up to 2**53. Both zeros are one. @param {Int32Array} a @param {Int32Array} b @param {number} place */
function between(a, b, place) {
  const low = rank(a[place + 1], a[place]), high = rank(b[place + 1], b[place]);
  return Math.abs((low[0] - high[0]) * 2 ** 32 + (low[1] - high[1]));
}

/** The place of a double among all of them, as two halves: negative below 0. @param {number} high @param {number} low */
function rank(high, low) {
  return high < 0 ? [-(high & 0x7fffffff), -(low >>> 0)] : [high, low >>> 0];
}

/** Whether all bits of two columns of one length are the same. @param {Float64Array} left @param {Float64Array} right */
export function sameBits(left, right) {
  const a = words(left), b = words(right);
  for (let place = 0; place < a.length; place++) if (a[place] !== b[place]) return false;
  return true;
}

/** A difference as a share of the larger value: 0 to 2. @param {number} one @param {number} other */
export function relative(one, other) {
  const larger = Math.max(Math.abs(one), Math.abs(other));
  return larger === 0 ? 0 : Math.min(2, Math.abs(one - other) / larger);
}

/**
 * Compare two columns row by row, as far as both go. A row that goes with a largest difference is the first that has it.
 * @param {Float64Array} left @param {Float64Array} right
 * @returns {Difference}
 */
export function difference(left, right) {
  const rows = Math.min(left.length, right.length), a = words(left), b = words(right);
  const found = { rows, differing: 0, first: -1, absolute: 0, absoluteAt: -1, relative: 0, relativeAt: -1, ulp: 0, ulpAt: -1, zeros: 0 };
  for (let row = 0; row < rows; row++) {
    const place = 2 * row;
    if (a[place] === b[place] && a[place + 1] === b[place + 1]) continue;
    if (found.differing++ === 0) found.first = row;
    const gap = Math.abs(left[row] - right[row]), share = relative(left[row], right[row]);
    if (gap > found.absolute) [found.absolute, found.absoluteAt] = [gap, row];
    if (share > found.relative) [found.relative, found.relativeAt] = [share, row];
    if ((left[row] === 0) !== (right[row] === 0)) {
      found.zeros++; // no count of doubles says how far apart they are
      continue;
    }
    const far = between(a, b, place);
    if (far > found.ulp || found.ulpAt < 0) [found.ulp, found.ulpAt] = [far, row];
  }
  return found;
}

/** The difference of two columns, row by row: absolute, relative, or in ULP; with the sign of `right - left`. @param {Float64Array} left @param {Float64Array} right @param {string} way */
export function differences(left, right, way) {
  const rows = Math.min(left.length, right.length), out = new Float64Array(rows), a = words(left), b = words(right);
  for (let row = 0; row < rows; row++) {
    const gap = right[row] - left[row];
    out[row] = way === "absolute" ? gap : Math.sign(gap) * (way === "ulp" ? between(a, b, 2 * row) : relative(left[row], right[row]));
  }
  return out;
}

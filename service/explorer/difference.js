// Where, by how much and in which simple way two columns differ.

const MOST_SHIFT = 64; // steps, either way, that a curve may be early or late
const SAMPLES = 512;
const ALIKE = 1e-9; // the largest relative difference of curves that are called the same but for a shift or a factor

/** The bits of a column as pairs of 32. @param {Float64Array} values */
function words(values) {
  return new Int32Array(values.buffer, values.byteOffset, values.length * 2);
}

/**
 * The number of doubles between two values; exact up to 2**53. Both zeros are one.
 * @param {number} one @param {number} other
 */
export function ulps(one, other) {
  const bits = words(new Float64Array([one, other]));
  return Math.abs(rank(bits[1], bits[0], rank0(bits[3], bits[2])));
}

/** The place of a double among all of its sign, less that of another, given as two halves. */
function rank(high, low, [otherHigh, otherLow]) {
  const [ownHigh, ownLow] = rank0(high, low);
  return (ownHigh - otherHigh) * 2 ** 32 + (ownLow - otherLow);
}

function rank0(high, low) {
  return high < 0 ? [-(high & 0x7fffffff), -(low >>> 0)] : [high, low >>> 0];
}

/** A difference as a share of the larger value: 0 to 2. */
export function relative(one, other) {
  const larger = Math.max(Math.abs(one), Math.abs(other));
  return larger === 0 ? 0 : Math.min(2, Math.abs(one - other) / larger);
}

/**
 * Compare two columns row by row, as far as both go. A row that goes with a largest difference is the first that has it.
 * @param {Float64Array} left @param {Float64Array} right
 */
export function difference(left, right) {
  const rows = Math.min(left.length, right.length), a = words(left), b = words(right);
  const found = { rows, differing: 0, first: -1, absolute: 0, absoluteAt: -1, relative: 0, relativeAt: -1, ulp: 0, ulpAt: -1 };
  for (let row = 0; row < rows; row++) {
    const place = 2 * row;
    if (a[place] === b[place] && a[place + 1] === b[place + 1]) continue;
    if (found.differing++ === 0) found.first = row;
    const gap = Math.abs(left[row] - right[row]), share = relative(left[row], right[row]), far = ulps(left[row], right[row]);
    if (gap > found.absolute) [found.absolute, found.absoluteAt] = [gap, row];
    if (share > found.relative) [found.relative, found.relativeAt] = [share, row];
    if (far > found.ulp) [found.ulp, found.ulpAt] = [far, row];
  }
  return found;
}

/**
 * The shift that makes the curves the same: `right[t] = left[t - shift]`, bit for bit or nearly; null without one.
 * Every shift up to 64 steps is tried on samples, the best one on every row. A constant fits every shift, so 0 wins ties.
 * @param {Float64Array} left @param {Float64Array} right
 */
export function shiftOf(left, right) {
  const rows = Math.min(left.length, right.length), most = Math.min(MOST_SHIFT, rows - 2);
  let best = 0, least = shifted(left, right, 0, sampled(rows));
  for (let size = 1; size <= most && least > 0; size++) {
    for (const shift of [size, -size]) {
      const gap = shifted(left, right, shift, sampled(rows));
      if (gap < least) [best, least] = [shift, gap];
    }
  }
  if (best === 0 || least > ALIKE) return null;
  const every = { *[Symbol.iterator]() { for (let row = 0; row < rows; row++) yield row; } };
  const gap = shifted(left, right, best, every);
  return gap <= ALIKE ? { shift: best, exact: gap === 0 } : null;
}

/** The largest relative difference of rows after a shift. */
function shifted(left, right, shift, places) {
  let gap = 0;
  for (const row of places) {
    const from = row - shift;
    if (from < 0 || from >= left.length || row >= right.length) continue;
    gap = Math.max(gap, relative(left[from], right[row]));
    if (gap > 0.5) break;
  }
  return gap;
}

/** Rows spread over the table: the first 64, and others evenly. */
function sampled(rows) {
  const spread = Array.from({ length: SAMPLES }, (_, n) => Math.floor((n * (rows - 1)) / (SAMPLES - 1)));
  return new Set([...Array(Math.min(64, rows)).keys(), ...spread]);
}

/**
 * The factor that makes the curves the same: `right = factor * left`; null without one.
 * @param {Float64Array} left @param {Float64Array} right
 */
export function factorOf(left, right) {
  const rows = Math.min(left.length, right.length);
  let peak = -1;
  for (let row = 0; row < rows; row++) if (left[row] !== 0 && (peak < 0 || Math.abs(left[row]) > Math.abs(left[peak]))) peak = row;
  if (peak < 0 || right[peak] === 0) return null;
  const factor = Number((right[peak] / left[peak]).toPrecision(12));
  if (factor === 1) return null;
  for (let row = 0; row < rows; row++) if (relative(left[row] * factor, right[row]) > ALIKE) return null;
  return factor;
}

/** The difference of two columns, row by row: absolute, relative, or in ULP; with the sign of `right - left`. */
export function differences(left, right, way) {
  const rows = Math.min(left.length, right.length), out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const gap = right[row] - left[row];
    out[row] = way === "absolute" ? gap : Math.sign(gap) * (way === "ulp" ? ulps(left[row], right[row]) : relative(left[row], right[row]));
  }
  return out;
}

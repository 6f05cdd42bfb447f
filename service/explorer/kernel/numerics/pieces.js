/** @module Long arrays in blocks, and curves one after another. */

/** @typedef {(out: Float64Array, position: number) => void} Fill writes a curve's values from a position on */

/** Values computed at once, where a kind needs room for them. */
export const BLOCK = 32768;

/** The length of a piece that goes on for ever: 2**62. */
export const ENDLESS = 4611686018427387904;

/**
 * `out` in blocks of at most BLOCK values, each with the position that it begins at.
 * @param {Float64Array} out
 * @param {number} first
 * @returns {Generator<[Float64Array, number]>}
 */
export function* inBlocks(out, first) {
    for (let begin = 0; begin < out.length; begin += BLOCK) yield [out.subarray(begin, begin + BLOCK), first + begin];
}

/**
 * The overlaps of the window from `first` to before `last` with pieces, each given with its length. Pieces behind the
 * window are not read.
 * @template T
 * @param {number} first
 * @param {number} last
 * @param {Iterable<[number, T]>} pieces
 * @param {number} [origin] where the first piece begins
 * @returns {Generator<{piece: T, begin: number, end: number, position: number}>}
 */
export function* overlaps(first, last, pieces, origin = 0) {
    if (origin >= last) return;
    for (const [length, piece] of pieces) {
        const begin = Math.max(first, origin);
        const end = Math.min(last, origin + length);
        if (begin < end) yield { piece, begin, end, position: begin - origin };
        origin += length;
        if (origin >= last) return;
    }
}

/**
 * Curves one after another, each on its own clock from 0; the first begins at position `origin`.
 * @param {Float64Array} out
 * @param {number} first
 * @param {Iterable<[number, Fill]>} pieces
 * @param {number} [origin]
 */
export function piecewise(out, first, pieces, origin = 0) {
    for (const { piece, begin, end, position } of overlaps(first, first + out.length, pieces, origin)) {
        piece(out.subarray(begin - first, end - first), position);
    }
}

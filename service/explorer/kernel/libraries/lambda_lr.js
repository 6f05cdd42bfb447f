/**
 * @module The rates of torch's `LambdaLR`, base_lr · f(t), for the twins of any library: f in pieces.
 *
 * Every operation is one rounding of transformers' own expression, in its order.
 */

import { ENDLESS, piecewise } from "../numerics/pieces.js";
import { Schedule } from "../schedule.js";

/**
 * The first step of a piece, what turns its steps into shares of base_lr, and what the piece is.
 * @typedef {[first: number, share: (step: number) => number, label: string]} Piece
 */

/** base_lr · f(t), f written in pieces: what torch's LambdaLR applies. */
export class LambdaSchedule extends Schedule {
    /** @type {number} */ base_lr;

    /** The pieces of f, the first from step 0; none begins before the one that it follows. @returns {Piece[]} */
    pieces() {
        return [];
    }

    /** @param {Float64Array} out @param {number} start */
    fill(out, start) {
        const pieces = this.pieces();
        const lengths = pieces.map(([first], index) =>
            index + 1 < pieces.length ? pieces[index + 1][0] - first : ENDLESS,
        );
        piecewise(
            out,
            start,
            pieces.map(([first, share], index) => [
                lengths[index],
                (part, position) => this.#fillPiece(part, first + position, share),
            ]),
        );
    }

    /**
     * @param {Float64Array} out
     * @param {number} step
     * @param {(step: number) => number} share
     */
    #fillPiece(out, step, share) {
        for (let index = 0; index < out.length; index += 1) out[index] = share(step + index) * this.base_lr;
    }

    /** @returns {import("../schedule.js").Boundary[]} */
    innerBoundaries() {
        return this.pieces().map(([first, , label]) => [first, label]);
    }
}

/** base_lr itself. */
export const atPeak = () => 1;
/** A rate of 0. */
export const atZero = () => 0;

/**
 * (t - first) / length, and t - first where the length is 0 or less.
 * @param {number} step
 * @param {number} first
 * @param {number} length
 */
export function progress(step, first, length) {
    return (step - first) / Math.max(1, length);
}

/**
 * 0.5 · (1 + cos(angle · p)).
 * @param {number} done
 * @param {number} angle
 */
export function cosineFall(done, angle) {
    return (Math.cos(done * angle) + 1) * 0.5;
}

/**
 * From 0..1 to floor..1.
 * @param {number} share
 * @param {number} floor
 */
export function lift(share, floor) {
    return share * (1 - floor) + floor;
}

/**
 * From 0 at step 0 towards 1 at the end of the warmup, as the first piece.
 * @param {number} steps
 * @returns {Piece}
 */
export function linearWarmup(steps) {
    return [0, (step) => progress(step, 0, steps), "warmup"];
}

/**
 * `cycles` waves of a cosine from 1, down to `floor`.
 * @param {{first: number, length: number, cycles: number, floor?: number}} wave
 * @returns {(step: number) => number}
 */
export function cosine({ first, length, cycles, floor = 0 }) {
    const angle = Math.PI * cycles * 2;
    return (step) => lift(cosineFall(progress(step, first, length), angle), floor);
}

/**
 * From `floor` at step 0 to 1 at step `length`, in one of three shapes.
 * @param {{length: number, shape: string, floor: number}} warmup
 * @returns {(step: number) => number}
 */
export function stableWarmup({ length, shape, floor }) {
    return (step) => {
        const done = progress(step, 0, length);
        if (shape === "cosine") return lift((1 - Math.cos(done * Math.PI)) * 0.5, floor);
        return lift(shape === "1-sqrt" ? 1 - Math.sqrt(1 - done) : done, floor);
    };
}

/**
 * From 1 at step `warm` + `stable` to `floor` over `length` steps, in one of three shapes.
 * @param {{warm: number, stable: number, length: number, shape: string, cycles: number, floor: number}} decay
 * @returns {(step: number) => number}
 */
export function stableDecay({ warm, stable, length, shape, cycles, floor }) {
    const angle = Math.PI * cycles * 2;
    const least = Number.isInteger(length) ? -Infinity : 0; // the last step may lie just past the end
    return (step) => {
        const done = progress(step - warm, stable, length);
        if (shape === "cosine") return Math.max(lift(cosineFall(done, angle), floor), least);
        return Math.max(lift(shape === "1-sqrt" ? 1 - Math.sqrt(done) : 1 - done, floor), least);
    };
}

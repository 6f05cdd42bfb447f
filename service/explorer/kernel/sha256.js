/** @module SHA-256 (FIPS 180-4): `crypto.subtle` is missing on a page that came by plain http. */

const CONSTANTS = fractions(64, 1 / 3);
const INITIAL = fractions(8, 1 / 2);
const schedule = new Int32Array(64);

/**
 * The first 32 bits of the fractions of roots of the first primes.
 * @param {number} count
 * @param {number} power
 */
function fractions(count, power) {
    const words = new Int32Array(count);
    for (let number = 2, found = 0; found < count; number += 1) {
        if (isPrime(number)) words[found++] = rootFraction(BigInt(number), power < 0.4 ? 3n : 2n);
    }
    return words;
}

/** @param {number} number */
function isPrime(number) {
    for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) return false;
    return true;
}

/**
 * Found bit by bit, in whole numbers.
 * @param {bigint} number
 * @param {bigint} degree
 */
function rootFraction(number, degree) {
    const scaled = number << (32n * degree);
    let root = 0n;
    for (let bit = 1n << 37n; bit > 0n; bit >>= 1n) if ((root + bit) ** degree <= scaled) root += bit;
    return Number(BigInt.asIntN(32, root));
}

/**
 * The hash of bytes in several parts, as 64 hexadecimal digits.
 * @param {Iterable<Uint8Array>} parts
 */
export function sha256(parts) {
    const hash = new Sha256();
    for (const part of parts) hash.update(part);
    return hash.digest();
}

/** The hash of bytes that come one after another. */
export class Sha256 {
    #state = INITIAL.slice();
    #block = new Uint8Array(64);
    #filled = 0;
    #length = 0;

    /** @param {Uint8Array} part */
    update(part) {
        let begin = 0;
        this.#length += part.length;
        if (this.#filled) {
            begin = Math.min(64 - this.#filled, part.length);
            this.#block.set(part.subarray(0, begin), this.#filled);
            this.#filled += begin;
            if (this.#filled < 64) return;
            compress(this.#state, this.#block, 0);
        }
        for (; begin + 64 <= part.length; begin += 64) compress(this.#state, part, begin);
        this.#block.set(part.subarray(begin));
        this.#filled = part.length - begin;
    }

    /** 64 hexadecimal digits; nothing comes after them. */
    digest() {
        pad(this.#state, this.#block, this.#filled, this.#length);
        return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
    }
}

/**
 * @param {Int32Array} state
 * @param {Uint8Array} block
 * @param {number} filled
 * @param {number} length in bytes
 */
function pad(state, block, filled, length) {
    block[filled] = 0x80;
    block.fill(0, filled + 1);
    if (filled >= 56) {
        compress(state, block, 0);
        block.fill(0);
    }
    new DataView(block.buffer).setBigUint64(56, BigInt(length) * 8n);
    compress(state, block, 0);
}

/**
 * @param {Int32Array} state
 * @param {Uint8Array} bytes
 * @param {number} begin
 */
function compress(state, bytes, begin) {
    for (let i = 0, at = begin; i < 16; i += 1, at += 4) {
        schedule[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
        const early = schedule[i - 15];
        const late = schedule[i - 2];
        const low = ((early >>> 7) | (early << 25)) ^ ((early >>> 18) | (early << 14)) ^ (early >>> 3);
        const high = ((late >>> 17) | (late << 15)) ^ ((late >>> 19) | (late << 13)) ^ (late >>> 10);
        schedule[i] = (schedule[i - 16] + low + schedule[i - 7] + high) | 0;
    }
    let a = state[0],
        b = state[1],
        c = state[2],
        d = state[3];
    let e = state[4],
        f = state[5],
        g = state[6],
        h = state[7];
    for (let i = 0; i < 64; i += 1) {
        const upper = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const first = (h + upper + ((e & f) ^ (~e & g)) + CONSTANTS[i] + schedule[i]) | 0;
        const lower = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const second = (lower + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + first) | 0;
        d = c;
        c = b;
        b = a;
        a = (first + second) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

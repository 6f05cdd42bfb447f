/** @module Canonical JSON (RFC 8785): one text for one value, so that a hash of it is an identity. */

import { sha256 } from "./sha256.js";

/**
 * The RFC 8785 text of JSON data: keys sorted by UTF-16, numbers as ECMAScript writes them, no spaces.
 *
 * Throws `RangeError` for NaN and infinities, `TypeError` for half of a surrogate pair and for what JSON cannot hold.
 * @param {unknown} value
 * @returns {string}
 */
export function canonicalJson(value) {
    if (value === null || typeof value === "boolean") return String(value);
    if (typeof value === "string") return text(value);
    if (typeof value === "number") return number(value);
    if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
    if (typeof value !== "object") throw new TypeError(`JSON cannot hold a ${typeof value}`);
    const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([key, member]) => `${text(key)}:${canonicalJson(member)}`).join(",")}}`;
}

/**
 * SHA-256 of the canonical JSON, as 64 hexadecimal digits.
 * @param {unknown} value
 */
export function canonicalHash(value) {
    return sha256([new TextEncoder().encode(canonicalJson(value))]);
}

/** @param {string} value */
function text(value) {
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
        throw new TypeError("text has half of a surrogate pair");
    }
    return JSON.stringify(value);
}

/** @param {number} value */
function number(value) {
    if (!Number.isFinite(value)) throw new RangeError(`JSON cannot hold ${value}`);
    return String(value + 0); // -0 is 0
}

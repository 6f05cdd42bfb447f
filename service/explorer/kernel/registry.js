/** @module Every kind of schedule by name. `kinds.js` fills it. */

/** @typedef {typeof import("./schedule.js").Schedule} Kind */

/** @type {Map<string, Kind>} */
export const KINDS = new Map();

/**
 * Add kinds.
 * @param {Kind[]} kinds
 */
export function register(...kinds) {
    for (const kind of kinds) KINDS.set(kind.kind, kind);
}

// Work over whole columns, in a worker of its own: a column of 20 million rows would keep the page from drawing.

import { Extremes } from "../chart/decimate.js";
import { Link } from "../data/workers.js";

const SLICE = 2 ** 18; // rows that are copied at a time: 2 MB, about a millisecond
const IDLE = 5000; // milliseconds without work, after which the worker and its copies are given up

/**
 * @typedef {{ found: ReturnType<typeof import("./difference.js").difference>, said: import("./verdict.js").Verdict, ratio: number }} Compared
 * how two columns differ, what that amounts to, and the sum of the second by that of the first
 */

/** Runs one job at a time. Of the jobs that wait under one key only the newest is run. */
export class Beside {
  constructor() {
    /** @type {Map<string, { work: () => Promise<any>, resolve: (answer: any) => void, reject: (error: any) => void }>} */
    this.waiting = new Map();
    this.busy = false;
    /** @type {Link | null} */
    this.link = null;
    /** @type {Map<string, Float64Array>} the columns that the worker has a copy of, by name there */
    this.held = new Map();
    this.idle = 0;
  }

  /** The bounds of a column's blocks and its summary. @param {string} key @param {Float64Array} values */
  async described(key, values) {
    const found = await this.queued(key, async () => this.ask({ task: "describe", column: await this.copy("left", values) }));
    return found && { extremes: new Extremes(values, found.bounds), summary: found.summary };
  }

  /**
   * How the second of two columns relates to the first, as far as both go; null where a newer question came first.
   * @param {string} key @param {Float64Array} left @param {Float64Array} right
   * @returns {Promise<Compared | null>}
   */
  compared(key, left, right) {
    return this.queued(key, async () => this.ask({ task: "compare", ...(await this.pair(left, right)) }));
  }

  /**
   * The difference of two columns, row by row, with its extremes.
   * @param {string} key @param {Float64Array} left @param {Float64Array} right @param {string} way
   */
  async differences(key, left, right, way) {
    const found = await this.queued(key, async () => this.ask({ task: "differences", ...(await this.pair(left, right)), way }));
    return found && { values: found.values, extremes: new Extremes(found.values, found.bounds) };
  }

  /**
   * The digest of a table, from its layout and values, in the order of the layout; null where a newer question came first.
   * @param {string} key @param {import("../kernel/table.js").Layout} layout @param {Float64Array[]} columns
   * @returns {Promise<string | null>}
   */
  async digest(key, layout, columns) {
    const found = await this.queued(key, async () => {
      await this.ask({ task: "hash", layout });
      for (const values of columns) {
        for (let start = 0; start < values.length; start += SLICE) {
          const part = values.slice(start, start + SLICE);
          await this.ask({ task: "hash", part }, [part.buffer]);
        }
      }
      return this.ask({ task: "hashed" });
    });
    return found && found.digest;
  }

  /** @param {Float64Array} left @param {Float64Array} right */
  async pair(left, right) {
    return { left: await this.copy("left", left), right: await this.copy("right", right) };
  }

  /** Give the worker a copy of a column, slice by slice, unless it has one. @param {string} name @param {Float64Array} values */
  async copy(name, values) {
    const held = this.held.get(name);
    if (held?.buffer === values.buffer && held.byteOffset === values.byteOffset && held.length === values.length) return name;
    this.held.delete(name);
    for (let start = 0; start < values.length; start += SLICE) {
      const part = values.slice(start, start + SLICE);
      await this.ask({ task: "hold", name, rows: values.length, start, part }, [part.buffer]);
    }
    this.held.set(name, values);
    return name;
  }

  /** @param {any} message @param {Transferable[]} [given] */
  async ask(message, given) {
    this.link ??= await Link.start();
    return this.link.ask(message, given);
  }

  /** @param {string} key @param {() => Promise<any>} work @returns {Promise<any>} */
  queued(key, work) {
    return new Promise((resolve, reject) => {
      this.waiting.get(key)?.resolve(null);
      this.waiting.delete(key);
      this.waiting.set(key, { work, resolve, reject });
      this.next();
    });
  }

  async next() {
    const [first] = this.waiting;
    if (this.busy || !first) return;
    const [key, { work, resolve, reject }] = first;
    this.waiting.delete(key);
    this.busy = true;
    clearTimeout(this.idle);
    await work().then(resolve, reject);
    this.busy = false;
    this.idle = setTimeout(() => this.rest(), IDLE);
    this.next();
  }

  rest() {
    this.link?.end();
    this.link = null;
    this.held.clear();
  }
}

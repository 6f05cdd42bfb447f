// Where tables come from: the kernel in a worker, or the server for kinds that the kernel does not have.

import { originOf } from "./origins.js";
import { columnsOf } from "./safetensors.js";
import { MAX_ROWS } from "./state.js";
import { Link, RefusedError } from "./workers.js";

/**
 * @typedef {{ names: string[], columns: Map<string, Float64Array[]>, rows: number, source: "exact" | "preview" | "server",
 *   boundaries: { step: number, label: string }[], specId: string | null, digest: string | null, lacking?: Error }} Table
 */

/** The server asks for a token that it was not given, or that does not allow this. */
export class TokenError extends Error {}

const TOKEN = "lrtables.token";

/** Tells of the token of this tab: `changed`, and `wanted` where the server does not take it, or asks for one. */
export const tokens = new EventTarget();

/** Whether this page is one file without a server. */
export const isStatic = () => document.getElementById("program") !== null;

/** The catalogue of kinds and recipes: part of the static page, else a file of the server. */
export async function catalogue() {
  const data = await catalogueData();
  return { ...data, kinds: Object.assign(Object.create(null), data.kinds) }; // in which "__proto__" is no kind
}

async function catalogueData() {
  const inside = document.getElementById("catalogue");
  if (inside) return JSON.parse(inside.textContent ?? "");
  const response = await fetch(new URL("explorer/catalogue.json", document.baseURI));
  if (!response.ok) throw new Error(`the server does not send its catalogue: ${response.status} ${response.statusText}`);
  return response.json();
}

/** Keep a token for this tab, or forget it. @param {string} token */
export function keepToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
  tokens.dispatchEvent(new Event("changed"));
}

/** Whether there is a token in this tab, which need not be a good one. */
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

/** Computes tables, one at a time. Of the requests that wait under one key only the newest is computed. */
export class Engine {
  constructor() {
    this.waiting = new Map(); // key to request
    this.busy = false;
    /** @type {string | null} why the kernel is not used, as a sentence */
    this.fault = null;
  }

  /** Start the worker and let the kernel prove itself. */
  async start() {
    try {
      this.worker = await Link.start();
      const { works } = await this.ask({ task: "test" });
      if (!works) this.fault = "This browser's arithmetic differs from ours in a test, so its values are not used.";
    } catch {
      this.fault = "The arithmetic did not load in this browser.";
    }
  }

  /** @param {any} message @returns {Promise<any>} */
  ask(message) {
    return this.worker.ask(message);
  }

  /**
   * The table of a spec; null where a newer request with the same key came first.
   * @param {string} key @param {any} spec @param {boolean} settled whether the spec is not just passing by: only then may
   *   it be asked of the server, which keeps what it computes
   * @returns {Promise<Table | null>}
   */
  table(key, spec, settled) {
    return this.queued(key, () => this.compute(spec, settled));
  }

  /** The digest of a spec's table, computed in the page. @param {any} spec @returns {Promise<string | null>} */
  async digest(spec) {
    const found = await this.queued("digest", () => this.ask({ task: "digest", spec }));
    return found && found.digest;
  }

  queued(key, work) {
    return new Promise((resolve, reject) => {
      this.waiting.get(key)?.resolve(null);
      this.waiting.delete(key);
      this.waiting.set(key, { work, resolve, reject });
      this.next();
    });
  }

  async next() {
    if (this.busy || !this.waiting.size) return;
    const [key, { work, resolve, reject }] = this.waiting.entries().next().value;
    this.waiting.delete(key);
    this.busy = true;
    try {
      resolve(await work());
    } catch (error) {
      reject(error);
    }
    this.busy = false;
    this.next();
  }

  async compute(spec, settled) {
    const origin = originOf(spec);
    if (origin && !isStatic()) return this.stored(spec, origin.digest);
    if (!this.fault) {
      const made = await this.ask({ task: "table", spec });
      if (made.unresolved) return this.resolved(spec, made, settled);
      if (!made.missing) return made.exactness === "exact" || isStatic() || !settled ? this.made(spec, made) : this.exactly(spec, made);
      if (isStatic()) {
        throw new RefusedError(`${made.missing} needs the C library's functions, which only a server has. This page runs without one.`);
      }
    } else if (isStatic()) {
      throw new RefusedError(`${this.fault} Without a server there is nothing to show.`);
    }
    return settled ? serverTable(spec) : null;
  }

  /** The values that the server keeps; the boundaries are the kernel's, where it knows the kinds. */
  async stored(spec, digest) {
    const [found, made] = await Promise.all([storedTable(digest, spec.total_steps), this.fault ? null : this.ask({ task: "boundaries", spec }).catch(() => null)]);
    return { ...found, boundaries: made?.boundaries ?? found.boundaries, specId: made?.specId ?? null };
  }

  /** The server's values of a spec with a Literal: only it has the table that this one names. */
  async resolved(spec, { unresolved, boundaries }, settled) {
    if (isStatic()) throw new RefusedError(`${unresolved}: tables are on a server, and this page runs without one.`);
    return settled ? { ...(await serverTable(spec)), boundaries } : null;
  }

  /** The server's values of a spec that the kernel can only draw; the preview where it gives none. */
  async exactly(spec, made) {
    try {
      return { ...(await serverTable(spec)), boundaries: made.boundaries };
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      return { ...this.made(spec, made), lacking: error };
    }
  }

  made(spec, { columns, described, boundaries, exactness, specId }) {
    const source = exactness === "preview" ? "preview" : "exact", names = columns.map(([name]) => name).sort(inOrder);
    return { names, columns: new Map(columns), described: new Map(described), rows: spec.total_steps, source, boundaries, specId, digest: null };
  }
}

/** Ask the server. Raises RefusedError for what it refuses, with the field. @param {string} path @param {RequestInit} [options] */
export async function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(new URL(path.replace(/^\//, ""), document.baseURI), { ...options, headers });
  } catch {
    throw new Error("the server does not answer");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const [field] = problem.errors ?? [], { status } = response, isToken = status === 401 || status === 403;
  const error = isToken ? new TokenError(problem.detail ?? "the server asks for a token") : new RefusedError(field?.detail ?? problem.detail ?? `the server says ${status}`, field?.pointer ?? null);
  if (status === 401 && token === sessionStorage.getItem(TOKEN)) tokens.dispatchEvent(new Event("wanted")); // else there is another one now
  throw Object.assign(error, { status, problem });
}

/** What the server says of a spec's table, which it computes and keeps. @param {any} spec */
export async function manifestOf(spec) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(spec) };
  return (await request("v1/tables", options)).json();
}

/** @param {any} spec @returns {Promise<Table>} */
async function serverTable(spec) {
  const manifest = await manifestOf(spec);
  return { ...(await storedTable(manifest.digest, spec.total_steps)), specId: manifest.spec_id };
}

const KEPT = 3;
/** @type {Map<string, Promise<Table>>} the tables that were asked for last, by digest: their values never change */
const kept = new Map();
/** @type {Map<string, number>} how many values a table has */
const sizes = new Map();

/** The table with a digest, as the server keeps it. @param {string} digest @param {number} rows @returns {Promise<Table>} */
export async function storedTable(digest, rows) {
  const table = kept.get(digest) ?? readTable(digest, rows);
  kept.delete(digest);
  kept.set(digest, table);
  table.catch(() => kept.delete(digest));
  const found = await table;
  sizes.set(digest, rows * [...found.columns.values()].flat().length);
  forget();
  return { ...found };
}

/** Keep the newest tables only, of long ones fewer. */
function forget() {
  for (const digest of [...kept.keys()].slice(0, -1)) {
    const values = [...kept.keys()].reduce((sum, each) => sum + (sizes.get(each) ?? 0), 0);
    if (kept.size <= KEPT && values <= MAX_ROWS) return;
    kept.delete(digest);
    sizes.delete(digest);
  }
}

/** @param {string} digest @param {number} rows @returns {Promise<Table>} */
async function readTable(digest, rows) {
  const response = await request(`v1/tables/${digest}.safetensors`);
  const columns = new Map(), { columns: flat, layout } = await columnsOf(response.body);
  for (const name of [...flat.keys()].sort(inOrder)) {
    const [base] = name.split(".");
    columns.set(base, [...(columns.get(base) ?? []), flat.get(name)]);
  }
  const boundaries = [{ step: 0, label: "first" }, { step: rows - 1, label: "last" }];
  return { names: [...columns.keys()], columns, rows, source: "server", boundaries, specId: null, digest, layout };
}

/** Rates first; groups by their number. */
function inOrder(one, other) {
  const [a, i = "0"] = one.split("."), [b, j = "0"] = other.split(".");
  return Number(b === "lr") - Number(a === "lr") || (a < b ? -1 : a > b ? 1 : Number(i) - Number(j));
}

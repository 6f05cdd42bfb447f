// Where tables come from: the kernel in a worker, or the server for kinds that the kernel does not have.

import { baseOf, inOrder } from "./columns.js";
import { originOf } from "./origins.js";
import { columnsOf } from "./safetensors.js";
import { MAX_ROWS } from "./state.js";
import { Link, RefusedError } from "./workers.js";

/**
 * @typedef {import("../common/types.js").Table} Table
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {import("../common/types.js").Boundary} Boundary
 * @typedef {import("../common/types.js").Described} Described
 * @typedef {import("../common/types.js").Catalogue} Catalogue
 *
 * What the worker says of a spec: its table, or why it has none.
 * @typedef {{ missing?: undefined, unresolved?: undefined, columns: [string, Float64Array[]][], described: [string, Described[]][], boundaries: Boundary[],
 *   exactness: "exact" | "preview", specId: string }} Made
 * @typedef {{ missing: string, unresolved?: undefined }} Missing
 * @typedef {{ missing?: undefined, unresolved: string, boundaries: Boundary[] }} Unresolved
 *
 * An error as the server writes it (RFC 9457), as far as it is read here.
 * @typedef {{ code?: string, detail?: string, errors?: { pointer?: string, detail?: string }[] }} ProblemDocument
 *
 * What the server answered, where a request failed; undefined where no answer came.
 * @typedef {{ status?: number, problem?: ProblemDocument }} Answered
 */

/** The server asks for a token that it was not given, or that does not allow this. */
export class TokenError extends Error {}

/** What the server answered with an error, if it answered. @param {unknown} error @returns {Answered} */
export function answered(error) {
  return error instanceof Error ? /** @type {Answered} */ (error) : {};
}

const TOKEN = "lrtables.token";

/** Tells of the token of this tab: `changed`, and `wanted` where the server does not take it, or asks for one. */
export const tokens = new EventTarget();

/** Whether this page is one file without a server. */
export const isStatic = () => document.getElementById("program") !== null;

/** The catalogue of kinds and recipes: part of the static page, else a file of the server. @returns {Promise<Catalogue>} */
export async function catalogue() {
  const data = await catalogueData();
  return { ...data, kinds: Object.assign(Object.create(null), data.kinds) }; // in which "__proto__" is no kind
}

/** @returns {Promise<Catalogue>} */
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
    /** @type {Map<string, { work: () => Promise<any>, resolve: (answer: any) => void, reject: (error: unknown) => void }>} by key */
    this.waiting = new Map();
    this.busy = false;
    /** @type {string | null} why the kernel is not used, as a sentence */
    this.fault = null;
    /** @type {Link | undefined} */
    this.worker = undefined;
  }

  /** Start the worker and let the kernel prove itself. */
  async start() {
    try {
      this.worker = await Link.start();
      /** @type {{ works: boolean }} */
      const { works } = await this.ask({ task: "test" });
      if (!works) this.fault = "This browser's arithmetic differs from ours in a test, so its values are not used.";
    } catch {
      this.fault = "The arithmetic did not load in this browser.";
    }
  }

  /** @template Answer @param {object} message @returns {Promise<Answer>} */
  async ask(message) {
    if (!this.worker) throw new Error("the worker does not run yet");
    return this.worker.ask(message);
  }

  /**
   * The table of a spec; null where a newer request with the same key came first.
   * @param {string} key @param {Spec} spec @param {boolean} settled whether the spec is not just passing by: only then may
   *   it be asked of the server, which keeps what it computes
   * @returns {Promise<Table | null>}
   */
  table(key, spec, settled) {
    return this.queued(key, () => this.compute(spec, settled));
  }

  /** The digest of a spec's table, computed in the page. @param {Spec} spec @returns {Promise<string | null>} */
  async digest(spec) {
    /** @type {{ digest: string } | null} */
    const found = await this.queued("digest", () => this.ask({ task: "digest", spec }));
    return found && found.digest;
  }

  /** @template Answer @param {string} key @param {() => Promise<Answer>} work @returns {Promise<Answer | null>} */
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
    try {
      resolve(await work());
    } catch (error) {
      reject(error);
    }
    this.busy = false;
    this.next();
  }

  /** @param {Spec} spec @param {boolean} settled @returns {Promise<Table | null>} */
  async compute(spec, settled) {
    const origin = originOf(spec);
    if (origin && !isStatic()) return this.stored(spec, origin.digest);
    if (!this.fault) {
      /** @type {Made | Missing | Unresolved} */
      const made = await this.ask({ task: "table", spec });
      if (made.unresolved !== undefined) return this.resolved(spec, made, settled);
      if (made.missing === undefined) return made.exactness === "exact" || isStatic() || !settled ? this.made(spec, made) : this.exactly(spec, made);
      if (isStatic()) {
        throw new RefusedError(`${made.missing} needs the C library's functions, which only a server has. This page runs without one.`);
      }
    } else if (isStatic()) {
      throw new RefusedError(`${this.fault} Without a server there is nothing to show.`);
    }
    return settled ? serverTable(spec) : null;
  }

  /** The values that the server keeps; the boundaries are the kernel's, where it knows the kinds. @param {Spec} spec @param {string} digest @returns {Promise<Table>} */
  async stored(spec, digest) {
    /** @type {Promise<{ boundaries: Boundary[], specId: string | null } | null>} */
    const asked = this.fault ? Promise.resolve(null) : this.ask({ task: "boundaries", spec });
    const [found, made] = await Promise.all([storedTable(digest, spec.total_steps), asked.catch(() => null)]);
    return { ...found, boundaries: made?.boundaries ?? found.boundaries, specId: made?.specId ?? null };
  }

  /** The server's values of a spec with a Literal: only it has the table that this one names. @param {Spec} spec @param {Unresolved} made @param {boolean} settled @returns {Promise<Table | null>} */
  async resolved(spec, { unresolved, boundaries }, settled) {
    if (isStatic()) throw new RefusedError(`${unresolved}: tables are on a server, and this page runs without one.`);
    return settled ? { ...(await serverTable(spec)), boundaries } : null;
  }

  /** The server's values of a spec that the kernel can only draw; the preview where it gives none. @param {Spec} spec @param {Made} made @returns {Promise<Table>} */
  async exactly(spec, made) {
    try {
      return { ...(await serverTable(spec)), boundaries: made.boundaries };
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      return { ...this.made(spec, made), lacking: error };
    }
  }

  /** @param {Spec} spec @param {Made} made @returns {Table} */
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
  /** @type {ProblemDocument} */
  const problem = await response.json().catch(() => ({}));
  const [field] = problem.errors ?? [], { status } = response, isToken = status === 401 || status === 403;
  const error = isToken ? new TokenError(problem.detail ?? "the server asks for a token") : new RefusedError(field?.detail ?? problem.detail ?? `the server says ${status}`, field?.pointer ?? null);
  if (status === 401 && token === sessionStorage.getItem(TOKEN)) tokens.dispatchEvent(new Event("wanted")); // else there is another one now
  throw Object.assign(error, { status, problem });
}

/** What the server says of a spec's table, which it computes and keeps. @param {Spec} spec @returns {Promise<{ digest: string, spec_id: string | null }>} */
export async function manifestOf(spec) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(spec) };
  return (await request("v1/tables", options)).json();
}

/** @param {Spec} spec @returns {Promise<Table>} */
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
  if (!response.body) throw new Error("the server sends a table without values");
  const { columns: flat, layout } = await columnsOf(response.body);
  /** @type {Map<string, Float64Array[]>} */
  const columns = new Map();
  for (const [name, values] of [...flat].sort(([one], [other]) => inOrder(one, other))) {
    const base = baseOf(name);
    columns.set(base, [...(columns.get(base) ?? []), values]);
  }
  const boundaries = [{ step: 0, label: "first" }, { step: rows - 1, label: "last" }];
  return { names: [...columns.keys()], columns, rows, source: "server", boundaries, specId: null, digest, layout };
}

// The requests about tables and runs. Changes are made as the Python client makes them: with If-Match, so that one whose
// answer was lost may be sent again, and never takes effect twice.

import { answered, request, tokens } from "../data/engine.js";
import { RefusedError } from "../data/workers.js";
import { messageOf } from "../common/dom.js";
import { remember, specNamed, namesIn } from "../data/origins.js";

const ATTEMPTS = 4;
const PAGE = 25;
const PART = /^[A-Za-z0-9._/-]{1,201}$/; // of a name
const NAME = /^([A-Za-z0-9][\w.-]{0,99})\/([A-Za-z0-9][\w.-]{0,99})(?:@v?([1-9]\d{0,14}))?$/;

/**
 * @typedef {import("./types.js").Amendment} Amendment
 * @typedef {import("./types.js").Run} Run
 * @typedef {import("./types.js").Version} Version
 * @typedef {import("./types.js").Proposal} Proposal
 * @typedef {{ token_id: string | null, name: string, scopes: string[], namespaces: string[] }} Who
 *
 * What changes have in common: what they were, and whose.
 * @typedef {{ action?: string, digest?: string, amendment?: Amendment | null, author?: string, reason?: string }} Made
 */

/** The name in `team-a/bert` or `team-a/bert@3`; null where it can be no run's. @param {string} value */
export function nameIn(value) {
  const [, namespace, name] = NAME.exec(value) ?? [];
  return name ? `${namespace}/${name}` : null;
}

/** The path of a run. @param {string} name */
export function pathOf(name) {
  return `v1/runs/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** The JSON of an answer, which is what its caller says: the server is ours. @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function ask(path, options) {
  return (await request(path, options)).json();
}

/** Every item of a list that comes in pages. @param {string} path @param {string} member @param {number | string | null} [start] */
async function all(path, member, start = null) {
  const items = [];
  for (let after = start; ; ) {
    const page = await ask(after === null ? path : `${path}?after=${encodeURIComponent(after)}`);
    items.push(...page[member]);
    if (page.next === null || page.next === after) return items;
    after = page.next;
  }
}

/**
 * A page of the tables or the runs that a text finds: parts of a name, the beginning of a digest, `label:value`, `kind=Ramp`.
 * @param {"runs" | "tables"} what @param {string} text @param {string | null} after
 */
export async function list(what, text, after) {
  const query = new URLSearchParams({ limit: String(PAGE), newest: "true" });
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (word.startsWith("kind=")) query.set("kind", word.slice(5));
    else if ((what === "tables" ? /^[0-9a-f]{1,64}$/ : /^[0-9a-f]{8,64}$/).test(word)) query.set("digest", word);
    else if (what === "tables") query.set("kind", word.slice(0, 100));
    else if (word.includes(":")) query.append("label", word);
    else if (PART.test(word)) query.append("contains", word);
    else throw new Error(`no run is called ${JSON.stringify(word.slice(0, 60))}: a name is namespace/name, of letters, digits, ".", "_" and "-"`);
  }
  if (after !== null) query.set("after", after);
  const page = await ask(`v1/${what}?${query}`);
  return { items: page[what], next: page.next };
}

/** Look up the tables and runs that a fragment names. Raises an Error whose message is for the reader. @param {string} fragment */
export async function lookUp(fragment) {
  await Promise.all(namesIn(fragment).map(async ([word, value]) => {
    if (word === "run") await openVersion(value);
    else if (!specNamed(word, value)) await openTable(value);
  }));
}

/** @param {string} digest @returns {Promise<import("../common/types.js").Spec>} */
export async function openTable(digest) {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RefusedError(`a table's digest has 64 hexadecimal digits, got ${JSON.stringify(digest.slice(0, 80))}`);
  const manifest = await ask(`v1/tables/${digest}/manifest`);
  return remember("table", digest, { ...manifest, spec: manifest.spec }, `table ${digest.slice(0, 8)}`);
}

/** @param {string} value `team-a/bert`, or `team-a/bert@3` @returns {Promise<Version>} the run, or its version */
export async function openVersion(value) {
  const [, namespace, name, version] = NAME.exec(value) ?? [];
  if (!name) throw new RefusedError(`a run is called namespace/name, or namespace/name@3, got ${JSON.stringify(value.slice(0, 80))}`);
  const path = pathOf(`${namespace}/${name}`);
  const found = await ask(version ? `${path}/versions/${version}` : path);
  remember("run", value, found, labelOf(found));
  return found;
}

/** @param {{ namespace: string, name: string, version: number }} version */
export function labelOf({ namespace, name, version }) {
  return `${namespace}/${name} v${version}`;
}

/** Everything that is shown of a run. @param {string} name @param {Version[]} known its versions that are known, which never change @returns {Promise<import("./types.js").Data>} */
export async function readRun(name, known) {
  const path = pathOf(name);
  const progress = await readProgress(name); // alone, so that only one request is refused where there is no such run
  const [versions, proposals, may] = await Promise.all([all(`${path}/versions`, "versions", known.at(-1)?.version ?? null), all(`${path}/proposals`, "proposals"), allowedOn(name)]);
  return { run: await ask(path), versions: [...known, ...versions], progress, proposals, may };
}

/** Where the workers of a run are. @param {string} name @returns {Promise<import("./types.js").Progress>} */
export async function readProgress(name) {
  return ask(`${pathOf(name)}/progress`);
}

/** @type {Promise<Who> | null} */
let asked = null;
tokens.addEventListener("changed", () => (asked = null));

/** Who the token is; the author of what is done with it. It is asked for once. @returns {Promise<Who>} */
export function whoAmI() {
  const asking = (asked ??= ask("v1/token"));
  asking.catch(() => {
    if (asked === asking) asked = null;
  });
  return asking;
}

/** What the token allows on a run. @param {string} run @returns {Promise<import("./types.js").May>} */
export async function allowedOn(run) {
  const { token_id: id, name, scopes, namespaces } = await whoAmI();
  const covers = namespaces.some((pattern) => (pattern.endsWith("*") ? run.startsWith(pattern.slice(0, -1)) : pattern === run));
  const may = (/** @type {string} */ scope) => covers && (scopes.includes(scope) || scopes.includes("admin"));
  const text = `this token (${name}: ${scopes.join(", ")}${covers ? "" : `, for ${namespaces.join(", ")}`})`;
  return { who: id ? text : "", propose: may("propose"), publish: may("publish") };
}

/** @param {object} body @param {number} [version] @param {AbortSignal} [signal] @returns {RequestInit} */
function post(body, version, signal) {
  /** @type {Record<string, string>} */
  const headers = { "content-type": "application/json", ...(version === undefined ? {} : { "if-match": `"v${version}"` }) };
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

/**
 * What an amendment would do; nothing is changed.
 * @param {string} name @param {number} version @param {Amendment} amendment @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").Found>}
 */
export async function dryRun(name, version, amendment, signal) {
  const where = (await allowedOn(name)).publish ? "amendments" : "proposals"; // whoever may publish need not be allowed to propose
  return ask(`${pathOf(name)}/${where}`, post({ ...amendment, dry_run: true }, version, signal));
}

/** Amend a run that is at a version. @param {string} name @param {number} version @param {Amendment} amendment @param {string} reason */
export async function amend(name, version, amendment, reason) {
  return change(`${pathOf(name)}/amendments`, name, version, { ...amendment, ...(reason ? { reason } : {}) }, (made) => isMine(made, amendment, reason));
}

/** Give a run the table of an earlier version. @param {string} name @param {number} version that it is at @param {Amendment} to `version`, `rewind` @param {string} reason */
export async function rollBack(name, version, to, reason) {
  const { digest } = await ask(`${pathOf(name)}/versions/${to.version}`);
  const isThis = async (/** @type {Made} */ made) => made.action === "rollback" && made.digest === digest && (await isMine(made, {}, reason));
  return change(`${pathOf(name)}/rollback`, name, version, { ...to, ...(reason ? { reason } : {}) }, isThis);
}

/** Change a run by compare-and-set. An answer that was lost is looked for: is the next version mine? @param {string} path @param {string} name @param {number} version @param {object} body @param {(made: Made) => Promise<boolean>} isThis @returns {Promise<Version>} */
async function change(path, name, version, body, isThis) {
  for (let attempt = 1, lost = false; ; attempt++) {
    try {
      return await ask(path, post(body, version));
    } catch (error) {
      const isLost = answered(error).status === undefined;
      lost ||= isLost;
      if (!lost) throw error;
      const made = await ask(`${pathOf(name)}/versions/${version + 1}`).catch(() => null);
      if (made && (await isThis(made))) return made;
      if (!isLost || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt * Math.random()));
    }
  }
}

/**
 * Lock or unlock a run, or set its rules, where nothing was set since it was looked at.
 * @param {Run} run as it was looked at @param {{ locked?: boolean, rules?: Record<string, number> }} settings @param {string} reason
 * @returns {Promise<Run>}
 */
export async function setRun(run, settings, reason) {
  const path = pathOf(`${run.namespace}/${run.name}`), etag = `"v${run.version}.${run.revision}"`;
  const options = { method: "PATCH", headers: { "content-type": "application/json", "if-match": etag }, body: JSON.stringify({ ...settings, ...(reason ? { reason } : {}) }) };
  try {
    return await ask(path, options);
  } catch (error) {
    if (answered(error).status !== undefined) throw error;
    /** @type {Run} */
    const now = await ask(path);
    if (now.version === run.version && now.revision === run.revision + 1 && includes(now, settings) && includes(settings.rules ?? now.rules, now.rules)) return now;
    throw new Error("the answer was lost, and it is not set so: try again");
  }
}

/** Forget what a worker has reported, or what all have; to do so twice is the same. @param {string} name @param {string | null} worker @returns {Promise<{ forgotten: string[] }>} */
export async function forget(name, worker) {
  return ask(`${pathOf(name)}/progress${worker === null ? "" : `/${encodeURIComponent(worker)}`}`, { method: "DELETE" });
}

/** Propose an amendment. One whose answer was lost is looked for, and never made a second time. @param {string} name @param {number} version @param {Amendment} amendment @param {string} reason @returns {Promise<Proposal>} */
export async function propose(name, version, amendment, reason) {
  const body = { ...amendment, ...(reason ? { reason } : {}) };
  try {
    return await ask(`${pathOf(name)}/proposals`, post(body, version));
  } catch (error) {
    if (answered(error).status !== undefined) throw error;
    for (const found of (await all(`${pathOf(name)}/proposals`, "proposals")).reverse()) {
      if (found.base_version === version && (await isMine(found, amendment, reason))) return found;
    }
    throw new Error("the answer was lost, and there is no such proposal: try again");
  }
}

/** @param {Made} made @param {Amendment} amendment @param {string} reason */
async function isMine(made, amendment, reason) {
  const { token_id: id, name } = await whoAmI();
  return includes(made.amendment ?? {}, amendment) && (made.reason ?? "") === reason && made.author === (id ? name : "");
}

/** Whether data has all that was given: the server fills in what was left out. @param {unknown} data @param {unknown} given @returns {boolean} */
function includes(data, given) {
  if (!given || typeof given !== "object") return data === given;
  if (!data || typeof data !== "object") return false;
  const known = new Map(Object.entries(data));
  return Object.entries(given).every(([name, value]) => includes(known.get(name), value));
}

/** Approve or reject a proposal; one that has been decided so is a success. @param {string} name @param {number} proposal @param {"approve" | "reject"} way @param {string} reason */
export async function decide(name, proposal, way, reason) {
  const path = `${pathOf(name)}/proposals/${proposal}`;
  try {
    return await ask(`${path}/${way}`, post(reason ? { reason } : {}));
  } catch (error) {
    if (answered(error).status !== undefined) throw error;
    /** @type {Proposal} */
    const found = await ask(path);
    if (found.state !== (way === "approve" ? "approved" : "rejected")) throw error;
    return found;
  }
}

/** Why the server does not do it, in words. @param {unknown} error @param {string} doing */
export function inWords(error, doing) {
  const text = messageOf(error), { status } = answered(error);
  if (status === 412) return `Not ${doing}: the run has moved on. ${text}`;
  if (status === 409) return `Not ${doing}, it would break a rule of the run: ${text}`;
  if (status === 403) return `Not ${doing}: the token does not allow it. ${text}`;
  if (status === 401) return `Not ${doing}: the server does not take the token. What is typed here stays: give another one above, and try again. (${text})`;
  if (status === 423) return `Not ${doing}: the run is locked. ${text}`;
  return `Not ${doing}: ${text}`;
}

// The requests about tables and runs. Changes are made as the Python client makes them: with If-Match, so that one whose
// answer was lost may be sent again, and never takes effect twice.

import { RefusedError, request } from "../data/engine.js";
import { remember, specNamed, namesIn } from "../data/origins.js";

const ATTEMPTS = 4;
const PAGE = 25;
const PREFIX = /^[\w.-]+(\/[\w.-]*)?$/;
const NAME = /^([^/@]+)\/([^/@]+?)(?:@v?([1-9]\d{0,14}))?$/;

/** The path of a run. @param {string} name */
export function pathOf(name) {
  return `v1/runs/${name.split("/").map(encodeURIComponent).join("/")}`;
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function ask(path, options) {
  return (await request(path, options)).json();
}

/** Every item of a list that comes in pages. @param {string} path @param {string} member */
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
 * A page of the tables or the runs that a text finds: the beginning of a name or a digest, `label:value`, `kind=Ramp`.
 * @param {"runs" | "tables"} what @param {string} text @param {string | null} after
 */
export async function list(what, text, after) {
  const query = new URLSearchParams({ limit: String(PAGE), newest: "true" });
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (word.startsWith("kind=")) query.set("kind", word.slice(5));
    else if ((what === "tables" ? /^[0-9a-f]{1,64}$/ : /^[0-9a-f]{8,64}$/).test(word)) query.set("digest", word);
    else if (what === "tables") query.set("kind", word.slice(0, 100));
    else if (word.includes(":")) query.append("label", word);
    else if (PREFIX.test(word)) query.set("prefix", word);
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

/** @param {string} digest @returns {Promise<any>} the spec */
export async function openTable(digest) {
  if (!/^[0-9a-f]{64}$/.test(digest)) throw new RefusedError(`a table's digest has 64 hexadecimal digits, got ${JSON.stringify(digest.slice(0, 80))}`);
  const manifest = await ask(`v1/tables/${digest}/manifest`);
  return remember("table", digest, { ...manifest, spec: manifest.spec }, `table ${digest.slice(0, 8)}`);
}

/** @param {string} value `team-a/bert`, or `team-a/bert@3` @returns {Promise<any>} the run, or its version */
export async function openVersion(value) {
  const [, namespace, name, version] = NAME.exec(value) ?? [];
  if (!name) throw new RefusedError(`a run is called namespace/name, or namespace/name@3, got ${JSON.stringify(value.slice(0, 80))}`);
  const path = pathOf(`${namespace}/${name}`);
  const found = await ask(version ? `${path}/versions/${version}` : path);
  remember("run", value, found, labelOf(found));
  return found;
}

/** @param {any} version */
export function labelOf({ namespace, name, version }) {
  return `${namespace}/${name} v${version}`;
}

/** Everything that is shown of a run. @param {string} name @param {any[]} known its versions that are known, which never change */
export async function readRun(name, known) {
  const path = pathOf(name);
  const [versions, progress, proposals] = await Promise.all([all(`${path}/versions`, "versions", known.at(-1)?.version ?? null), readProgress(name), all(`${path}/proposals`, "proposals")]);
  return { run: await ask(path), versions: [...known, ...versions], progress, proposals };
}

/** Where the workers of a run are. @param {string} name */
export async function readProgress(name) {
  return ask(`${pathOf(name)}/progress`);
}

/** Who the token is; the author of what is done with it. */
export async function whoAmI() {
  return ask("v1/token");
}

function post(body, version, signal) {
  const headers = { "content-type": "application/json", ...(version === undefined ? {} : { "if-match": `"v${version}"` }) };
  return { method: "POST", headers, body: JSON.stringify(body), signal };
}

/** Where the token may ask for a dry run: whoever may publish need not be allowed to propose. */
export async function dryRunsAt() {
  const { scopes } = await whoAmI();
  return scopes.includes("publish") || scopes.includes("admin") ? "amendments" : "proposals";
}

/**
 * What an amendment would do; nothing is changed.
 * @param {string} name @param {number} version @param {any} amendment @param {string} where @param {AbortSignal} [signal]
 */
export async function dryRun(name, version, amendment, where, signal) {
  return ask(`${pathOf(name)}/${where}`, post({ ...amendment, dry_run: true }, version, signal));
}

/** Amend a run that is at a version. @param {string} name @param {number} version @param {any} amendment @param {string} reason */
export async function amend(name, version, amendment, reason) {
  const body = { ...amendment, ...(reason ? { reason } : {}) };
  for (let attempt = 1, lost = false; ; attempt++) {
    try {
      return await ask(`${pathOf(name)}/amendments`, post(body, version));
    } catch (error) {
      const isLost = error.status === undefined;
      lost ||= isLost;
      if (!lost) throw error;
      const made = await ask(`${pathOf(name)}/versions/${version + 1}`).catch(() => null);
      if (made && (await isMine(made, amendment, reason))) return made;
      if (!isLost || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200 * 2 ** attempt * Math.random()));
    }
  }
}

/** Propose an amendment. One whose answer was lost is looked for, and never made a second time. @param {string} name @param {number} version @param {any} amendment @param {string} reason */
export async function propose(name, version, amendment, reason) {
  const body = { ...amendment, ...(reason ? { reason } : {}) };
  try {
    return await ask(`${pathOf(name)}/proposals`, post(body, version));
  } catch (error) {
    if (error.status !== undefined) throw error;
    for (const found of (await all(`${pathOf(name)}/proposals`, "proposals")).reverse()) {
      if (found.base_version === version && (await isMine(found, amendment, reason))) return found;
    }
    throw new Error("the answer was lost, and there is no such proposal: try again");
  }
}

async function isMine(made, amendment, reason) {
  const same = Object.entries(amendment).every(([name, value]) => made.amendment?.[name] === value);
  const { token_id: id, name } = await whoAmI();
  return same && (made.reason ?? "") === reason && made.author === (id ? name : "");
}

/** Approve or reject a proposal; one that has been decided so is a success. @param {string} name @param {number} proposal @param {"approve" | "reject"} way @param {string} reason */
export async function decide(name, proposal, way, reason) {
  const path = `${pathOf(name)}/proposals/${proposal}`;
  try {
    return await ask(`${path}/${way}`, post(reason ? { reason } : {}));
  } catch (error) {
    if (error.status !== undefined) throw error;
    const found = await ask(path);
    if (found.state !== (way === "approve" ? "approved" : "rejected")) throw error;
    return found;
  }
}

/** Why the server does not do it, in words. @param {any} error @param {string} doing */
export function inWords(error, doing) {
  const text = error.message;
  if (error.status === 412) return `Not ${doing}: the run has moved on. ${text}`;
  if (error.status === 409) return `Not ${doing}, it would break a rule of the run: ${text}`;
  if (error.status === 403) return `Not ${doing}: the token does not allow it. ${text}`;
  if (error.status === 401) return `Not ${doing}: the server asks for a token. ${text}`;
  if (error.status === 423) return `Not ${doing}: the run is locked. ${text}`;
  return `Not ${doing}: ${text}`;
}

// Which curves are tables and runs of the server. The page's state holds specs; here is, by a spec's text, what it was opened as.

/**
 * @typedef {import("../common/types.js").Spec} Spec
 * @typedef {{ word: "run" | "table", value: string, digest: string, label: string }} Origin
 * `word=value` is how the address says it, `label` how the page does.
 *
 * What the server says of a table, as far as it is needed here: its spec, where it has one, and the layout.
 * @typedef {{ spec?: Spec | null, digest: string, total_steps: number, axis?: string, stride?: number, columns?: Record<string, unknown> | null }} Document
 */

/** @type {Map<string, Origin>} */
const origins = new Map();
/** @type {Map<string, Spec>} specs by `word=value` */
const specs = new Map();

/** What a spec was opened as, if it was. @param {Spec} spec @returns {Origin | undefined} */
export function originOf(spec) {
  return origins.get(JSON.stringify(spec));
}

/** The spec of a name that was looked up. @param {string} word @param {string} value @returns {Spec | undefined} */
export function specNamed(word, value) {
  return specs.get(`${word}=${value}`);
}

/**
 * Remember what a spec was opened as. Of two names of one spec the last one counts.
 * @param {"run" | "table"} word @param {string} value
 * @param {Document} document of a version or a manifest
 * @param {string} label
 * @returns {Spec}
 */
export function remember(word, value, document, label) {
  const spec = document.spec ?? specOfValues(document);
  specs.set(`${word}=${value}`, spec);
  origins.set(JSON.stringify(spec), { word, value, digest: document.digest, label });
  return spec;
}

/** A table that came without a spec is one that names it by its digest. @param {Document} document @returns {Spec} */
function specOfValues({ digest, total_steps, axis, stride, columns }) {
  const names = Object.keys(columns ?? { lr: null }).filter((name) => name.split(".")[0] === "lr");
  const schedules = names.map((column) => ({ kind: "Literal", digest, ...(column === "lr" ? {} : { column }) }));
  return { schedule: schedules.length === 1 ? schedules[0] : schedules, total_steps, axis, stride };
}

/** The names in a fragment, as pairs. @param {string} fragment @returns {["run" | "table", string][]} */
export function namesIn(fragment) {
  const parts = fragment.split("&").map((part) => /^(run|table)=(.*)$/.exec(part)).filter((found) => found !== null);
  return parts.map(([, word, value]) => [/** @type {"run" | "table"} */ (word), decoded(value)]);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Computes tables beside the page, so that the page stays quick however long a table is.

import { answerAbout, described } from "./compare/held.js";
import { UnresolvedError, boundaries, checkSpec, compute, digestOf, hasKind, selfTest, specId } from "./kernel/index.js";
import { sha256 } from "./kernel/sha256.js";
import { readPasted } from "./paste/task.js";

/**
 * @typedef {import("./common/types.js").Spec} Spec
 * @typedef {{ id: number } & ({ task: "test" } | { task: "table" | "boundaries" | "digest", spec: Spec } | { task: "sha256", text: string } | import("./compare/held.js").ColumnTask
 *   | ({ task: "paste" } & import("./paste/task.js").Request))} Task
 */

/** The page's end of this worker: the library for windows does not know it. */
const page = /** @type {{ onmessage: ((event: MessageEvent<Task>) => void) | null, postMessage: (message: unknown, moved?: Transferable[]) => void }} */ (/** @type {unknown} */ (self));

/** The kinds of the schedules in a spec, parts of others included. @param {unknown} value @returns {string[]} */
function kindsOf(value) {
  if (!value || typeof value !== "object") return [];
  const own = "kind" in value && typeof value.kind === "string" ? [value.kind] : [];
  return [...own, ...Object.values(value).flatMap(kindsOf)];
}

/** What the kernel makes of a spec, or what it lacks: a kind, or the table that a Literal names. @param {Spec} spec */
function tableOf(spec) {
  const missing = kindsOf(spec).find((kind) => !hasKind(kind));
  if (missing) return { missing };
  checkSpec(spec);
  try {
    const { columns, boundaries: found, exactness } = compute(spec, { steps: spec.total_steps });
    return { columns: [...columns], described: [...columns].map(([name, groups]) => [name, groups.map(described)]), boundaries: found, exactness, specId: specId(spec) };
  } catch (error) {
    if (error instanceof UnresolvedError) return { unresolved: error.message, boundaries: boundaries(spec) };
    throw error;
  }
}

/** Where the parts of a spec begin; its values come from elsewhere. @param {Spec} spec */
function boundariesOf(spec) {
  return { boundaries: boundaries(spec), specId: specId(spec) };
}

/** @param {Task} request */
function answerTo(request) {
  switch (request.task) {
    case "test": return { works: selfTest() };
    case "table": return tableOf(request.spec);
    case "boundaries": return boundariesOf(request.spec);
    case "digest": return { digest: digestOf(compute(request.spec, { steps: request.spec.total_steps })) };
    case "paste": return readPasted(request);
    case "sha256": return { digest: sha256([new TextEncoder().encode(request.text)]) };
    default: return answerAbout(request);
  }
}

/** The memory of all arrays of an answer, which the page gets without a copy. @param {unknown} value @returns {ArrayBufferLike[]} */
function buffersOf(value) {
  if (value instanceof Float64Array) return [value.buffer];
  return value && typeof value === "object" ? Object.values(value).flatMap(buffersOf) : [];
}

page.onmessage = (/** @type {MessageEvent<Task>} */ { data }) => {
  try {
    const answer = answerTo(data);
    page.postMessage({ id: data.id, answer }, [...new Set(buffersOf(answer))]);
  } catch (error) {
    const { message, pointer = null } = /** @type {Error & { pointer?: string }} */ (error); // the kernel's, or the engine's own
    page.postMessage({ id: data.id, error: { message, pointer } });
  }
};
page.postMessage({ id: 0, answer: "ready" });

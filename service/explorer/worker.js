// Computes tables beside the page, so that the page stays quick however long a table is.

import { checkSpec, compute, digestOf, hasKind, selfTest, specId } from "./kernel/index.js";
import { sha256 } from "./kernel/sha256.js";

/** The schedules of a spec, parts of others included. @param {any} value @returns {string[]} */
function kindsOf(value) {
  if (!value || typeof value !== "object") return [];
  const own = typeof value.kind === "string" ? [value.kind] : [];
  return [...own, ...Object.values(value).flatMap(kindsOf)];
}

const tasks = {
  test: () => ({ works: selfTest() }),

  table({ spec }) {
    const missing = kindsOf(spec).find((kind) => !hasKind(kind));
    if (missing) return { missing };
    checkSpec(spec);
    const table = compute(spec, { steps: spec.total_steps });
    return {
      columns: [...table.columns],
      boundaries: table.boundaries,
      exactness: table.exactness,
      specId: specId(spec),
    };
  },

  /** Where the parts of a spec begin; its values come from elsewhere. */
  boundaries({ spec }) {
    checkSpec(spec);
    return { boundaries: compute(spec, { steps: spec.total_steps, stop: 1 }).boundaries, specId: specId(spec) };
  },

  sha256: ({ text }) => ({ digest: sha256([new TextEncoder().encode(text)]) }),

  digest({ spec }) {
    return { digest: digestOf(compute(spec, { steps: spec.total_steps })) };
  },
};

self.onmessage = ({ data }) => {
  try {
    const answer = tasks[data.task](data);
    const buffers = (answer.columns ?? []).flatMap(([, groups]) => groups.map((values) => values.buffer));
    self.postMessage({ id: data.id, answer }, [...new Set(buffers)]);
  } catch (error) {
    self.postMessage({ id: data.id, error: { message: error.message, pointer: error.pointer ?? null } });
  }
};
self.postMessage({ id: 0, answer: "ready" });

// A table as optax's schedules: by our client, or as constants of optax's own where the rates are a few levels.

import { float, isPlain } from "./literal.js";

const MOST_LEVELS = 16;
const ADAMW = ["lr", "weight_decay", "beta1", "beta2", "eps"];

/** The code with our client; null for rows that only the training's batch gives a step. @param {any} entry @param {(spec: any) => string} begin */
export function optaxTable({ spec, names }, begin) {
  if ((spec.axis ?? "step") !== "step" || spec.after === "release") return null;
  const groups = Array.isArray(spec.schedule) ? spec.schedule.length : 0;
  const [imported, code] = groups
    ? ["schedule", `schedules = [schedule(table, group=group) for group in range(${groups})]  # one for each of optax.multi_transform's\n`]
    : names.length === 1
      ? ["schedule", "optimizer = optax.adamw(schedule(table))\n"]
      : names.every((/** @type {string} */ name) => ADAMW.includes(name))
        ? ["hyperparameters", "optimizer = optax.inject_hyperparams(optax.adamw)(**hyperparameters(table))\n"]
        : ["hyperparameters", "schedules = hyperparameters(table)  # one for each argument of the optimizer\n"];
  const rounded = "# each rate is the table's, rounded once to float32 (with jax_enable_x64: not rounded)\n";
  return `${code.includes("optax.") && !groups ? "import optax\n" : ""}from client.optax import ${imported}\n${begin(spec)}${rounded}${code}`;
}

/** The code without us, for rates that are a few levels; null for others, which optax computes otherwise. @param {any} entry */
export function plainOptax({ spec, names, values, isExact }) {
  if (!isPlain(spec) || Array.isArray(spec.schedule) || names.length > 1 || (spec.after ?? "hold") !== "hold" || !isExact) return null;
  const starts = levelsOf(values);
  if (!starts) return null;
  const constants = starts.map((row) => `optax.constant_schedule(${float(values[row])})`);
  const code = starts.length === 1 ? constants[0] : `optax.join_schedules(\n    [\n${constants.map((each) => `        ${each},\n`).join("")}    ],\n    boundaries=[${starts.slice(1).join(", ")}],\n)`;
  return `import optax\n\nschedule = ${code}\noptimizer = optax.adamw(schedule)\n`;
}

/** The first row of each level; null where there are too many. @param {Float64Array} values */
function levelsOf(values) {
  const starts = [0];
  for (let row = 1; row < values.length; row++) {
    if (values[row] !== values[row - 1] && starts.push(row) > MOST_LEVELS) return null;
  }
  return starts;
}

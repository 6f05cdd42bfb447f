// A spec as code for other places, each offered only where it gives the same table.

import { typed } from "../common/format.js";
import { deepspeedJson } from "./code/deepspeed.js";
import { text } from "./code/literal.js";
import { optaxTable, plainOptax } from "./code/optax.js";
import { torchClass } from "./code/torch.js";
import { trainingArguments } from "./code/transformers.js";

/**
 * A shown curve: its spec, the names of what it drives, the first column's values, and whether they are the table's bits.
 * @typedef {{ spec: any, names: string[], values: Float64Array, isExact: boolean }} Entry
 */

/** @type {Record<string, (entry: Entry, server: string) => string | null>} what cannot be said in a place is null there */
const SNIPPETS = {
  Python: ({ spec }) => `from lrtables import Spec\n\n${table(spec)}print(table.digest)\n`,
  TableLR: ({ spec }, server) => `from lrtables import Client, Spec, TableLR\n\nspec = Spec.model_validate_json(${quoted(spec)})\nwith Client(${text(server)}) as client:\n    table = client.fetch(spec)\nscheduler = TableLR(optimizer, table)  # then scheduler.step() after each optimizer.step()\n`,
  torch: torchClass,
  TrainingArguments: trainingArguments,
  DeepSpeed: deepspeedJson,
  optax: (entry) => optaxTable(entry, (spec) => `from lrtables import Spec\n\n${table(spec)}`),
  "plain optax": plainOptax,
  curl: ({ spec }, server) => `curl ${server}/v1/tables \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(spec).replace(/'/g, "'\\''")}'\n`,
  YAML: ({ spec }) => yaml(spec, ""),
  JSON: ({ spec }) => `${JSON.stringify(spec, null, 2)}\n`,
};

/** A curve as code, by the name of each place that can be told it exactly. @param {Entry} entry @param {string} server @returns {Map<string, string>} */
export function snippetsOf(entry, server) {
  const made = Object.entries(SNIPPETS).map(([name, make]) => [name, make(entry, server)]);
  return new Map(/** @type {[string, string][]} */ (made.filter(([, code]) => code !== null)));
}

/** Lines of Python that make the table. @param {any} spec */
function table(spec) {
  return `spec = Spec.model_validate_json(${quoted(spec)})\ntable = spec.table()\n`;
}

/** A JSON text as a Python literal on lines that can be read. @param {any} spec */
function quoted(spec) {
  const written = JSON.stringify(spec, null, 2);
  return /'''|\\/.test(written) ? text(JSON.stringify(spec)) : `'''${written}'''`;
}

/** Data as YAML: only texts that need it are quoted. @param {any} value @param {string} indent @returns {string} */
function yaml(value, indent) {
  if (Array.isArray(value)) {
    if (value.every((item) => item === null || typeof item !== "object")) return `${indent}[${value.map(scalar).join(", ")}]\n`;
    return value.map((item) => `${indent}- ${yaml(item, `${indent}  `).trimStart()}`).join("");
  }
  if (!value || typeof value !== "object") return `${indent}${scalar(value)}\n`;
  const entries = Object.entries(value);
  if (!entries.length) return `${indent}{}\n`;
  return entries.map(([key, item]) => (item && typeof item === "object" && !flatList(item) ? `${indent}${scalar(key)}:\n${yaml(item, `${indent}  `)}` : `${indent}${scalar(key)}: ${yaml(item, "").trimStart()}`)).join("");
}

/** @param {any} value */
function flatList(value) {
  return Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
}

/** YAML 1.1 reads 5e-4 as a text, so a number has a point: 5.0e-4. @param {any} value */
function scalar(value) {
  if (typeof value === "number") {
    const [digits, exponent] = typed(value).split("e");
    return exponent === undefined ? digits : `${digits.includes(".") ? digits : `${digits}.0`}e${/^[-+]/.test(exponent) ? exponent : `+${exponent}`}`;
  }
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z][\w.]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$/i.test(value) ? value : JSON.stringify(value);
}

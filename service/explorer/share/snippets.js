// A spec as code for other places.

import { typed } from "../common/format.js";

/** @type {Record<string, (spec: any, server: string) => string>} */
export const SNIPPETS = {
  Python: (spec) => `from lrtables import Spec\n\nspec = Spec.model_validate_json(${quoted(spec)})\ntable = spec.table()\nprint(table.digest)\n`,
  TableLR: (spec, server) => `from lrtables import Client, Spec, TableLR\n\nspec = Spec.model_validate_json(${quoted(spec)})\nwith Client(${text(server)}) as client:\n    table = client.fetch(spec)\nscheduler = TableLR(optimizer, table)  # then scheduler.step() after each optimizer.step()\n`,
  curl: (spec, server) => `curl ${server}/v1/tables \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(spec).replace(/'/g, "'\\''")}'\n`,
  YAML: (spec) => yaml(spec, ""),
  JSON: (spec) => `${JSON.stringify(spec, null, 2)}\n`,
};

/** A JSON text as a Python literal on lines that can be read. */
function quoted(spec) {
  const written = JSON.stringify(spec, null, 2);
  return /'''|\\/.test(written) ? text(JSON.stringify(spec)) : `'''${written}'''`;
}

/** A text as a literal of Python. */
function text(value) {
  return JSON.stringify(value);
}

/** Data as YAML: only texts that need it are quoted. @returns {string} */
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

function flatList(value) {
  return Array.isArray(value) && value.every((item) => item === null || typeof item !== "object");
}

/** YAML 1.1 reads 5e-4 as a text, so a number has a point: 5.0e-4. */
function scalar(value) {
  if (typeof value === "number") {
    const [digits, exponent] = typed(value).split("e");
    return exponent === undefined ? digits : `${digits.includes(".") ? digits : `${digits}.0`}e${/^[-+]/.test(exponent) ? exponent : `+${exponent}`}`;
  }
  if (typeof value !== "string") return String(value);
  return /^[A-Za-z][\w.]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$/i.test(value) ? value : JSON.stringify(value);
}

// What the worker does with a pasted text: a long one must not stop the page.

import { isLog, rateColumns, readLog, seriesOf } from "./logs/readers.js";
import { NeedsError, PasteError } from "./needs.js";
import { boundsOf, precisionOf, precisionText } from "./logs/precision.js";
import { TextError } from "./text/literal.js";
import { recognise } from "./recognise.js";

/** @typedef {{ text: string, facts: any, given: Record<string, any>, groups: number | null }} Request groups of the shown table that have values of their own */

/**
 * What a text is: a spec, an address, a log, or what must be asked first. Throws `PasteError` for all else.
 * @param {Request} request
 * @returns {any}
 */
export function readPasted({ text, facts, given, groups }) {
  try {
    const trimmed = text.replace(/^\uFEFF/, "").trim();
    return isLog(trimmed, facts.logs) ? logOf(text.replace(/^\uFEFF/, "").trimStart(), facts.logs, given, groups) : recognise(trimmed, facts, given);
  } catch (error) {
    if (error instanceof NeedsError) return { needs: { message: error.message, fields: error.fields } };
    if (error instanceof TextError) throw new PasteError(error.message);
    throw error;
  }
}

/** @param {string} text @param {any} facts @param {Record<string, any>} given @param {number | null} groups */
function logOf(text, facts, given, groups) {
  const { source, columns, offsets, isExact } = readLog(text, facts);
  const { names, choices } = given.column !== undefined && columns.has(given.column) ? { names: [given.column], choices: [] } : rateColumns(columns, groups, facts);
  if (!names.length) throw new NeedsError("Several columns may be the learning rate, or none is called like one.", [{ name: "column", label: "Column of the learning rate", type: "choice", choices }]);
  const series = names.map((name) => {
    const { words, ...column } = seriesOf(name, /** @type {any} */ (columns.get(name)));
    const precision = precisionOf(words, column.values);
    return { ...column, ...boundsOf(precision, column.values), precision: precisionText(precision) };
  });
  return { log: { source, series, offsets, isExact } };
}

// Logs of trainers: which format a text is, and the numbers in it, as scheduler/audit/logs finds them.

import { pythonFloat } from "../../kernel/texts.js";
import { Reader, TextError, Word } from "../text/literal.js";
import { PasteError, isMapping, shown } from "../needs.js";

const MAX_STEP = 1e12;
const WHOLE = /^\d{1,15}(?:\.0*)?$/;
const EMPTY = new Set(["", "null", "none"]);
const FLOAT = /^[-+]?(?:(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)$/i;
const COLUMN = /^[a-z][a-z0-9_]{0,63}(\.\d{1,4})?$/;
const MOST_LISTED = 12;

/**
 * A log: what wrote it, its columns as they are written, and the steps that it may count from.
 * @typedef {{ steps: number[], words: string[] }} Cells
 * @typedef {{ source: string, columns: Map<string, Cells>, offsets: number[], isExact: boolean }} Log
 */

/** Whether a text is a log of rates rather than a configuration. @param {string} text trimmed @param {any} facts */
export function isLog(text, facts) {
  if (text.startsWith(facts.signature)) return true;
  if (text.startsWith("[")) return /^\[\s*(?:\{|\])/.test(text) && !/^\[\s*\{\s*["'](?:schedule|kind)["']/.test(text);
  if (text.startsWith("{")) return /["']log_history["']\s*:/.test(text) || (isLines(text) && stepColumn(namesInLine(text), facts) !== null);
  const header = namesIn(text.slice(0, endOfLine(text)));
  return header.length > 1 && stepColumn(header, facts) !== null;
}

/** Whether the first line is an object, and another object begins below it. @param {string} text */
function isLines(text) {
  const end = text.indexOf("\n");
  return end > 0 && text.slice(0, end).trimEnd().endsWith("}") && text.slice(end).trimStart().startsWith("{");
}

/** @param {string} text */
function endOfLine(text) {
  const end = text.search(/[\r\n]/);
  return end < 0 ? text.length : end;
}

/** @param {string} text */
function namesInLine(text) {
  return [...text.slice(0, endOfLine(text)).matchAll(/["']([^"']{1,100})["']\s*:/g)].map(([, name]) => name);
}

/** @param {string} header */
function namesIn(header) {
  return cellsOf(header, separatorOf(header)).map((/** @type {any} */ name) => name.trim());
}

/** The log in a text. Throws `PasteError` naming the line. @param {string} text @param {any} facts @returns {Log} */
export function readLog(text, facts) {
  if (text.startsWith(facts.signature)) return applied(text, facts);
  return /^[{[]/.test(text) ? ofJson(text, facts) : ofCsv(text, facts);
}

// -- our file ----------------------------------------------------------------------------------------------------------

/** @param {string} text @param {any} from1 */
function applied(text, { signature }) {
  const lines = text.split("\n").slice(0, -1).map((/** @type {any} */ line) => line.replace(/\r$/, "")); // the last one has no end
  if (lines.length < 2 || !lines[1].startsWith("update,")) throw new PasteError("line 2: must be the header, 'update,lr' or with more columns");
  const names = lines[1].split(",").slice(1);
  if (!names.every((/** @type {any} */ name) => COLUMN.test(name)) || new Set(names).size < names.length) throw new PasteError(`a column must be named like lr or lr.0, each once, got ${shown(names)}`);
  const columns = new Map(names.map((/** @type {any} */ name) => [name, { steps: [], words: [] }]));
  for (const [place, line] of lines.entries()) {
    if (place < 2) continue;
    if (line.startsWith("#")) {
      if (!line.startsWith(signature)) throw new PasteError(`line ${place + 1}: a comment must begin with ${signature}, got ${shown(line)}`);
      continue;
    }
    const [update, ...words] = line.split(",");
    if (!/^\d{1,15}$/.test(update)) throw new PasteError(`line ${place + 1}: update must be a whole number from 0, got ${shown(update)}`);
    if (words.length !== names.length) throw new PasteError(`line ${place + 1}: has ${words.length} values for ${names.length} columns`);
    words.forEach((/** @type {any} */ word, /** @type {any} */ column) => add(columns.get(names[column]), Number(update), FLOAT.test(word) ? pythonFloat(floatOf(word)) : word)); // every bit, however it is written
  }
  return { source: "applied rates", columns, offsets: [0], isExact: true };
}

/** @param {any} cells @param {any} step @param {string} word */
function add(cells, step, word) {
  cells.steps.push(step);
  cells.words.push(word);
}

// -- JSON --------------------------------------------------------------------------------------------------------------

/** @param {string} text @param {any} facts */
function ofJson(text, facts) {
  const data = jsonOf(text);
  const isState = isMapping(data) && "log_history" in data;
  const records = isState ? data.log_history : data;
  const listed = isMapping(records) ? [records] : records;
  if (!Array.isArray(listed) || !listed.every(isMapping)) throw new PasteError("the JSON must hold a list of objects, one for each step, or a trainer's state with one");
  const names = [...new Set(listed.flatMap(Object.keys))], stepName = neededStepColumn(names, facts), ofTrainer = isState || stepName === "train/global_step";
  const source = isState ? "trainer_state.json of the Hugging Face Trainer" : ofTrainer ? "records of the Hugging Face Trainer" : "JSON records";
  const columns = new Map(names.filter((name) => name !== stepName).map((name) => [name, { steps: [], words: [] }]));
  for (const [place, record] of listed.entries()) {
    for (const [name, word] of Object.entries(record)) {
      if (name !== stepName && word instanceof Word && stepName in record) add(columns.get(name), stepOf(`record ${place + 1}`, record[stepName]), word.text);
    }
  }
  return { source, columns, offsets: ofTrainer ? facts.hugging_face : [0], isExact: false };
}

/** One value, or one on each line. @param {string} text */
function jsonOf(text) {
  try {
    return new Reader(text, { words: true }).whole();
  } catch (error) {
    if (!(error instanceof TextError) || !/^\{[^\n]*\}\s*\n/.test(text)) throw error;
  }
  return text.split("\n").flatMap((/** @type {any} */ line, /** @type {any} */ place) => {
    if (!line.trim()) return [];
    try {
      return [new Reader(line, { words: true }).whole()];
    } catch (error) {
      throw new PasteError(/** @type {Error} */ (error).message.replace(/^line \d+/, `line ${place + 1}`));
    }
  });
}

// -- CSV ---------------------------------------------------------------------------------------------------------------

/** @param {string} header */
function separatorOf(header) {
  return [",", "\t", ";"].reduce((best, each) => (header.split(each).length > header.split(best).length ? each : best));
}

/** The cells of a line, quotes taken off. @param {any} line @param {string} separator */
function cellsOf(line, separator) {
  if (!line.includes('"')) return line.split(separator);
  const cells = [], cell = new RegExp(`(?:^|${separator === "\t" ? "\\t" : separator})(?:"([^"]*(?:""[^"]*)*)"|([^${separator}]*))`, "gy");
  for (let found; cell.lastIndex <= line.length && (found = cell.exec(line)); ) {
    cells.push(found[1]?.replace(/""/g, '"') ?? found[2]);
    if (cell.lastIndex >= line.length) break;
  }
  return cells;
}

/** @param {string} text @param {any} facts */
function ofCsv(text, facts) {
  const lines = text.split(/\r\n|\r|\n/), separator = separatorOf(lines[0]), names = namesIn(lines[0]);
  if (!lines.slice(1).some((/** @type {any} */ line) => line.trim())) throw new PasteError("the CSV has a header and no rows");
  const stepName = neededStepColumn(names, facts), seen = new Set(), twice = new Set(names.filter((/** @type {any} */ name) => seen.has(name) || !seen.add(name)));
  if (twice.has(stepName)) throw new PasteError(`the CSV has the column ${shown(stepName)} twice`);
  const at = names.indexOf(stepName), columns = new Map(names.filter((/** @type {any} */ name) => name !== stepName && !twice.has(name)).map((/** @type {any} */ name) => [name, { steps: [], words: [] }]));
  for (const [place, line] of lines.entries()) {
    if (!place || !line) continue;
    const row = cellsOf(line, separator);
    if (row.length <= at) throw new PasteError(`line ${place + 1}: has ${row.length} cells, and the header has ${names.length}`);
    if (!row[at].trim()) continue;
    const step = stepOf(`line ${place + 1}`, row[at]);
    row.slice(0, names.length).forEach((/** @type {any} */ word, /** @type {any} */ column) => {
      const cells = columns.get(names[column]);
      if (cells && !EMPTY.has(word.trim().toLowerCase())) add(cells, step, word.trim());
    });
  }
  const numeric = new Map([...columns].filter(([name, { words }]) => isRateName(name, facts) || words.every((/** @type {any} */ word) => FLOAT.test(word))));
  if (stepName === "train/global_step") return { source: "CSV of the Hugging Face Trainer", columns: numeric, offsets: facts.hugging_face, isExact: false };
  const lightning = new RegExp(`^${facts.lightning}`), ofLightning = columns.has("epoch") && [...columns.keys()].some((name) => lightning.test(name));
  const ofTensorBoard = columns.has("Wall time") && columns.has("Value");
  return { source: ofLightning ? "CSV of Lightning" : ofTensorBoard ? "CSV of TensorBoard" : "CSV", columns: numeric, offsets: [0], isExact: false };
}

// -- columns -----------------------------------------------------------------------------------------------------------

/** The column that counts updates; null where there is none. @param {string[]} names @param {any} facts */
function stepColumn(names, facts) {
  const byName = new Map([...names].reverse().map((name) => [name.toLowerCase(), name]));
  const usual = facts.steps.find((/** @type {any} */ name) => byName.has(name));
  return usual === undefined ? null : byName.get(usual) ?? null;
}

/** The same; it must be there. @param {string[]} names @param {any} facts @returns {string} */
function neededStepColumn(names, facts) {
  const found = stepColumn(names, facts);
  if (found === null) throw new PasteError(`no column counts steps, such as ${facts.steps.slice(0, 5).join(", ")}: there are ${shown(names.sort().slice(0, 12).join(", "))}`);
  return found;
}

/** The step in a cell. @param {string} place for an error @param {any} word */
function stepOf(place, word) {
  const text = (word instanceof Word ? word.text : String(word)).trim();
  if (!WHOLE.test(text) || Number(text) > MAX_STEP) throw new PasteError(`${place}: a step must be a whole number from 0, got ${shown(text)}`);
  return Math.trunc(Number(text));
}

/** Whether a column is called like a learning rate. @param {string} name @param {any} facts */
function isRateName(name, { rate, other }) {
  return new RegExp(rate, "i").test(name) && !new RegExp(other, "i").test(name);
}

/**
 * The columns to draw, in the order of their parameter groups. Throws `PasteError` where there is none; several are `choices`.
 * @param {Map<string, Cells>} columns @param {number | null} groups of the table that have values of their own @param {any} facts
 * @returns {{ names: string[], choices: string[] }}
 */
export function rateColumns(columns, groups, facts) {
  const filled = new Map([...columns].filter(([, { words }]) => words.length));
  let found = [...filled.keys()].filter((name) => isRateName(name, facts)).sort(inOrder);
  if (!found.length && filled.has("Wall time") && filled.has("Value") && filled.size === 2) return { names: ["Value"], choices: [] }; // TensorBoard's own CSV names no tag
  if (!found.length) {
    const names = [...filled.keys()];
    if (!names.length) throw new PasteError("the log has no column with numbers");
    return { names: [], choices: names.slice(0, 200) };
  }
  if (found.length === 1 || (groups !== null && found.length === groups)) return { names: found, choices: [] };
  const usual = found.filter((name) => facts.usual.includes(name.toLowerCase()));
  if (usual.length) found = usual;
  const written = (/** @type {string} */ name) => JSON.stringify(filled.get(name));
  return found.length > 1 && found.some((name) => written(name) !== written(found[0])) ? { names: [], choices: found.slice(0, MOST_LISTED * 10) } : { names: found.slice(0, 1), choices: [] };
}

/** pg2 before pg10. @param {any} one @param {any} other */
function inOrder(one, other) {
  const [a, b] = [one, other].map((name) => name.split(/(\d+)/));
  for (let place = 0; place < Math.min(a.length, b.length); place++) {
    const [left, right] = [a[place], b[place]];
    if (left === right) continue;
    return place % 2 ? Number(left) - Number(right) : left < right ? -1 : 1;
  }
  return a.length - b.length;
}

/** @param {string} word that is a number to Python */
function floatOf(word) {
  return new Word(word.trim().replace(/^([-+]?)inf(?:inity)?$/i, "$1inf").replace(/^[-+]?nan$/i, "nan")).value;
}

/** A column as numbers. Throws `PasteError` for what is none. @param {string} name @param {Cells} cells */
export function seriesOf(name, { steps, words }) {
  const bad = words.find((word) => !FLOAT.test(word.trim()));
  if (bad !== undefined) throw new PasteError(`${name}: a rate must be a number, got ${shown(bad)}`);
  const values = Float64Array.from(words, floatOf);
  return { name, steps: Float64Array.from(steps), values, words };
}

// The part of YAML that configurations are written in: mappings by indentation, lists, and values on one line.

import { Reader, TextError, Unknown } from "./literal.js";

const KEY = /^(?:"([^"]*)"|'([^']*)'|([\w.\-/]+)) *:(?: +([^]*)|)$/;
const BOOLEANS = new Map(Object.entries({ true: true, yes: true, on: true, false: false, no: false, off: false }));
const NUMBER = /^[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?$/;
const DEEPEST = 60;

/** What a text in YAML holds. Throws `TextError` with the line. @param {string} text @returns {any} */
export function readYaml(text) {
  const lines = text.split(/\r\n?|\n/).map((line, place) => ({ number: place + 1, indent: line.length - line.trimStart().length, text: withoutComment(line).trim() }));
  const kept = lines.filter(({ text: own }) => own && own !== "---" && own !== "...");
  const next = lines.findIndex(({ number, indent, text: own }) => !indent && /^---(?: |$)/.test(own) && kept.length && kept[0].number < number && kept[kept.length - 1].number > number);
  if (next >= 0) throw new TextError(`line ${next + 1}: another document begins here: paste one of them`);
  const reader = new Lines(kept);
  const found = reader.block(0, 0);
  const left = reader.lines[reader.at];
  if (left) throw new TextError(`line ${left.number}: is no YAML here: ${JSON.stringify(left.text.slice(0, 40))}`);
  return found;
}

class Lines {
  /** @param {any} lines */
  constructor(lines) {
    this.lines = lines;
    this.at = 0;
  }

  /** A mapping or a list whose lines begin at one indent, at least so far in. @param {number} least @param {number} depth @returns {any} */
  block(least, depth) {
    if (depth > DEEPEST) throw new TextError(`the text is nested more than ${DEEPEST} levels deep`);
    const first = this.lines[this.at];
    if (!first || first.indent < least) return null;
    return isItem(first.text) ? this.list(first.indent, depth) : this.mapping(first.indent, depth);
  }

  /** @param {number} indent @param {number} depth */
  list(indent, depth) {
    const items = [];
    for (let line; (line = this.lines[this.at]) && line.indent === indent && isItem(line.text); ) {
      const rest = line.text.slice(1).trimStart();
      if (KEY.test(rest)) {
        const inner = indent + line.text.length - rest.length;
        this.lines[this.at] = { ...line, indent: inner, text: rest };
        items.push(this.mapping(inner, depth + 1));
      } else {
        this.at += 1;
        items.push(rest ? scalar(rest) : this.block(indent + 1, depth + 1));
      }
    }
    return items;
  }

  /** @param {number} indent @param {number} depth */
  mapping(indent, depth) {
    const entries = Object.create(null);
    for (let line; (line = this.lines[this.at]) && line.indent === indent && !isItem(line.text); ) {
      const found = KEY.exec(line.text);
      if (!found) throw new TextError(`line ${line.number}: must be "name: value", got ${JSON.stringify(line.text.slice(0, 40))}`);
      const [, double, single, bare, value] = found;
      this.at += 1;
      entries[double ?? single ?? bare] = value ? this.inline(value, line, indent) : this.nested(indent, depth + 1);
    }
    return entries;
  }

  /** What stands below a key: a list may stand at the key's own indent. @param {number} indent @param {number} depth */
  nested(indent, depth) {
    const next = this.lines[this.at];
    return next && isItem(next.text) && next.indent === indent ? this.list(indent, depth) : this.block(indent + 1, depth);
  }

  /** @param {any} value @param {any} line @param {number} indent */
  inline(value, line, indent) {
    if (/^[|>]/.test(value)) { // a text on lines of its own, which decides no schedule
      while (this.lines[this.at]?.indent > indent) this.at += 1;
      return new Unknown(value);
    }
    return scalar(value);
  }
}

/** @param {string} text */
function isItem(text) {
  return text === "-" || text.startsWith("- ");
}

/** A value on one line. @param {string} text @returns {any} */
function scalar(text) {
  if (/^[[{"']/.test(text)) return flow(text);
  if (/^(?:~|null)$/i.test(text)) return null;
  if (BOOLEANS.has(text.toLowerCase())) return BOOLEANS.get(text.toLowerCase());
  if (/^[-+]?\.(?:inf|nan)$/i.test(text)) return /nan/i.test(text) ? NaN : text.startsWith("-") ? -Infinity : Infinity;
  return NUMBER.test(text) ? Number(text.replace(/_/g, "")) : text;
}

/** A list, a mapping or a quoted text; one that cannot be read decides nothing. @param {string} text */
function flow(text) {
  try {
    return words(new Reader(text).whole());
  } catch (error) {
    if (error instanceof TextError) return new Unknown(text);
    throw error;
  }
}

/** In a flow a bare word is a text. @param {any} value @returns {any} */
function words(value) {
  if (value instanceof Unknown) return value.text;
  if (Array.isArray(value)) return value.map(words);
  return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, words(each)])) : value;
}

/** @param {string} line */
function withoutComment(line) {
  if (!line.includes("#")) return line;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at];
    if (quote) quote = sign === quote ? "" : quote;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === "#" && (at === 0 || /\s/.test(line[at - 1]))) return line.slice(0, at);
  }
  return line;
}

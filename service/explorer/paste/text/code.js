// Calls in Python code. What stands in a comment or in a text is none.

import { Reader, plain } from "./literal.js";

const WANTED = /(?:Arguments|Config)$/;
const WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
const OPENED = /[^\S\n]*\(/y;
const CHANGED = /[^\S\n]*(?:[-+*/%]{0,2}=(?!=)|:[^\S\n]*[\w.]+[^\S\n]*=(?!=)|\()/y; // an assignment, or a method that is called
const QUOTES = ['"""', "'''", '"', "'"];

/**
 * A call: its class, where its arguments begin, the names in it with their values, and the values without a name.
 * @typedef {{ name: string, begin: number, named: Record<string, any>, values: any[] }} Found
 */

/**
 * What sets or may change an attribute: its name, and where it ends.
 * @typedef {{ name: string, at: number }} Change
 */

/** The outermost calls of classes that are named like arguments, and what changes attributes. Throws `TextError`. @param {string} text @returns {{ calls: Found[], changes: Change[] }} */
export function callsIn(text) {
  const calls = [], changes = [], code = new Code(text), reader = new Reader(text);
  for (let word; (word = code.word()); ) {
    if (/(?<!\bself)\.$/.test(text.slice(Math.max(0, code.at - word.length - 6), code.at - word.length)) && code.sees(CHANGED)) changes.push({ name: word, at: code.at });
    if (!WANTED.test(word) || !code.match(OPENED)) continue;
    reader.at = code.at;
    const { named, values } = reader.call(word);
    calls.push({ name: word, begin: code.at, named: plain({ ...named }), values });
    code.at = reader.at;
  }
  return { calls, changes };
}

/** Reads the words of code one after the other. */
export class Code {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
    /** @type {Map<string, number>} */
    this.open = new Map(); // quotes, and up to where they have no end
  }

  /** @param {RegExp} pattern one that is sticky */
  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  /** Whether a pattern comes next, which is not read. @param {RegExp} pattern one that is sticky */
  sees(pattern) {
    pattern.lastIndex = this.at;
    return pattern.test(this.text);
  }

  /** The next word; an empty one at the end. */
  word() {
    for (; this.at < this.text.length; this.at += 1) {
      const sign = this.text[this.at];
      if (sign === "#") this.at = endOf(this.text, "\n", this.at) - 1;
      else if (sign === '"' || sign === "'") this.quoted();
      else {
        const found = this.match(WORD);
        if (found) return found[0];
      }
    }
    return "";
  }

  /** Pass over a text, all but its last sign; a quote without an end is a sign like others. */
  quoted() {
    const quote = QUOTES.find((each) => this.text.startsWith(each, this.at)) ?? "";
    if (this.at < (this.open.get(quote) ?? 0)) return;
    let at = this.at + quote.length;
    for (; at < this.text.length; at += 1) {
      if (this.text[at] === "\\") at += 1;
      else if (this.text.startsWith(quote, at)) return void (this.at = at + quote.length - 1);
      else if (this.text[at] === "\n" && quote.length === 1) break;
    }
    this.open.set(quote, at);
  }
}

/** @param {string} text @param {string} sign @param {number} from0 */
function endOf(text, sign, from0) {
  const end = text.indexOf(sign, from0);
  return end < 0 ? text.length : end;
}

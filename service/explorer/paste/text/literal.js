// Data in a pasted text: JSON, and what Python prints. Nothing is run; one pass, however long the text is.

const DEEPEST = 60;
const LONGEST = 2_000; // characters of a value that is kept as text
const MOST_AGAIN = 20; // times the text's length: characters that are read again because a guess was wrong
const SPACE = /[\s\\]+|#[^\n]*/y;
const NUMBER = /[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][-+]?\d+)?/y;
const NAME = /[\p{L}_][\p{L}\p{N}_.]*/uy;
const QUOTE = /[rbuRBU]{0,2}("""|'''|"|')/y;
const TAGGED = /<[\w.]+: *('[^'\n]*'|"[^"\n]*"|[-\w.]+)>/y; // how Python prints an enum's member
const CONSTANTS = new Map(Object.entries({ true: true, false: false, null: null, True: true, False: false, None: null, NaN, nan: NaN, inf: Infinity, Infinity }));

/** A text that is no data. The message names the line. */
export class TextError extends Error {}

const GUESS = new TextError("this is no value"); // made once: a text may hold a million of them

/** A number as it is written: where digits matter. */
export class Word {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }

  get value() {
    return Number(this.text.replace(/_/g, "").replace(/^([-+]?)(?:nan|NaN)$/, "NaN").replace(/^([-+]?)(?:inf|Infinity)$/, "$1Infinity"));
  }
}

/** A part of the text that is no value, such as a variable's name, a sum, or what an object prints. */
export class Unknown {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** A call, such as `TrainingArguments(max_steps=10)`. */
export class Call {
  /** @param {string} name @param {any[]} values @param {Record<string, any>} named */
  constructor(name, values, named) {
    this.name = name;
    this.values = values;
    this.named = named;
  }
}

/** Reads values one after the other. */
export class Reader {
  /** @param {string} text @param {{ words?: boolean, at?: number }} [options] words: numbers stay as they are written */
  constructor(text, { words = false, at = 0 } = {}) {
    this.text = text;
    this.words = words;
    this.at = at;
    this.depth = 0;
    this.guesses = 0; // values that are being read, and may be none
    this.again = 0; // characters that were read for guesses that were wrong
  }

  /** What the whole text holds. Throws `TextError`. */
  whole() {
    const value = this.value();
    this.skip();
    if (this.at < this.text.length) this.fail("nothing more was expected");
    return value;
  }

  /** @param {string} text */
  fail(text) {
    if (this.guesses) throw GUESS;
    const line = this.text.slice(0, this.at).split("\n").length, near = this.text.slice(this.at, this.at + 20);
    throw new TextError(`line ${line}: ${text}, got ${near ? JSON.stringify(near) : "the end of the text"}`);
  }

  /** @param {RegExp} pattern one that is sticky */
  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  skip() {
    while (this.match(SPACE));
  }

  /** Whether a sign comes next, which is then read. @param {string} sign */
  takes(sign) {
    this.skip();
    if (!this.text.startsWith(sign, this.at)) return false;
    this.at += sign.length;
    return true;
  }

  /** @returns {any} */
  value() {
    this.skip();
    if (++this.depth > DEEPEST) throw new TextError(`the text is nested more than ${DEEPEST} levels deep`);
    try {
      return this.one();
    } finally {
      this.depth -= 1;
    }
  }

  one() {
    const sign = this.text[this.at];
    if (sign === "{") return this.object();
    if (sign === "[" || sign === "(") return this.list(sign === "[" ? "]" : ")");
    const quoted = this.match(QUOTE);
    if (quoted) return this.string(quoted[1]);
    const tagged = this.match(TAGGED);
    if (tagged) return new Reader(tagged[1]).value();
    const signed = this.text.slice(this.at, this.at + 10).match(/^[-+]?(?:nan|NaN|inf|Infinity)\b/);
    if (signed) {
      this.at += signed[0].length;
      return this.number(signed[0]);
    }
    const number = this.match(NUMBER);
    if (number) return this.number(number[0]);
    const name = this.match(NAME);
    if (name) return this.named(name[0]);
    return this.fail("a value was expected");
  }

  /** @param {string} text */
  number(text) {
    const word = new Word(text);
    return this.words ? word : word.value;
  }

  /** @param {string} name */
  named(name) {
    if (CONSTANTS.has(name)) return CONSTANTS.get(name);
    if (this.text[this.at] === "(") {
      this.at += 1;
      return this.call(name);
    }
    return new Unknown(name);
  }

  /** The arguments of a call, the bracket read. A value that is none is kept as text. @param {string} name */
  call(name) {
    const values = [], named = Object.create(null);
    while (!this.takes(")")) {
      if (this.at >= this.text.length) this.fail(`the call of ${name.slice(0, 60)} has no end: a bracket was expected`);
      const key = this.match(/([A-Za-z_]\w*)\s*=(?!=)/y);
      const value = this.upTo(")");
      if (key) named[key[1]] = value;
      else values.push(value);
      this.takes(",");
    }
    return new Call(name, values, named);
  }

  /** A value up to the next comma or to the end of what it is in, or the text in its place. @param {string} end */
  upTo(end) {
    this.skip();
    const begin = this.at;
    this.guesses += 1;
    try {
      const value = this.value();
      this.skip();
      if (this.at >= this.text.length || this.text[this.at] === "," || this.text[this.at] === end) return value;
    } catch (error) {
      if (error !== GUESS) throw error;
    } finally {
      this.guesses -= 1;
    }
    this.again += this.at - begin;
    if (this.again > MOST_AGAIN * this.text.length + 10_000) throw new TextError("its brackets and quotes do not fit together");
    this.at = begin;
    for (let open = 0; this.at < this.text.length; this.at += 1) {
      const sign = this.text[this.at];
      if (open <= 0 && (sign === "," || sign === end)) break;
      if ("([{".includes(sign)) open += 1;
      else if (")]}".includes(sign)) open -= 1;
      else if (sign === "'" || sign === '"') this.match(sign === "'" ? /'[^'\n]*(?=')/y : /"[^"\n]*(?=")/y);
    }
    return new Unknown(this.text.slice(begin, Math.min(this.at, begin + LONGEST)).trim());
  }

  object() {
    this.at += 1;
    const entries = Object.create(null);
    while (!this.takes("}")) {
      const key = this.value();
      if (!this.takes(":")) this.fail("a colon was expected");
      entries[key instanceof Word || key instanceof Unknown ? key.text : String(key)] = this.upTo("}");
      if (!this.takes(",") && !this.takes("}")) this.fail("a comma or a closing brace was expected");
      else if (this.text[this.at - 1] === "}") break;
    }
    return entries;
  }

  /** @param {string} end */
  list(end) {
    this.at += 1;
    const items = [];
    while (!this.takes(end)) {
      items.push(this.value());
      if (!this.takes(",") && !this.takes(end)) this.fail("a comma or a closing bracket was expected");
      else if (this.text[this.at - 1] === end) break;
    }
    return end === ")" && items.length === 1 && this.text[this.at - 2] !== "," ? items[0] : items;
  }

  /** @param {string} quote that began it */
  string(quote) {
    const parts = [];
    for (let begin = this.at; ; this.at += 1) {
      const sign = this.text[this.at];
      if (sign === undefined || (sign === "\n" && quote.length === 1)) this.fail("a text has no end: a quote was expected");
      if (sign === "\\") {
        parts.push(this.text.slice(begin, this.at), this.escaped());
        begin = this.at + 1;
      } else if (this.text.startsWith(quote, this.at)) {
        parts.push(this.text.slice(begin, this.at));
        this.at += quote.length;
        return parts.join("");
      }
    }
  }

  /** The sign that a backslash stands for; the last of its characters is left to be passed over. */
  escaped() {
    const sign = this.text[(this.at += 1)], length = { u: 4, x: 2 }[sign];
    if (!length) return { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", "\n": "" }[sign] ?? sign ?? "";
    const digits = this.text.slice(this.at + 1, this.at + 1 + length);
    this.at += length;
    return String.fromCharCode(Number.parseInt(digits, 16) || 0);
  }
}

/** Data as plain as JSON's: tensors and counters are what they hold, enums their names. @param {any} value @returns {any} */
export function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Call) return plainCall(value);
  if (value instanceof Unknown) {
    const member = /^(?:[\w.]*\.)?SchedulerType\.([A-Z_]+)$/.exec(value.text);
    return member ? member[1].toLowerCase() : value;
  }
  if (value === null || typeof value !== "object" || value instanceof Word) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

/** @param {any} from0 */
function plainCall({ name, values, named }) {
  const held = /(?:^|\.)(?:tensor|Counter|OrderedDict|dict|defaultdict|float\d*|int\d*|array|mappingproxy)$/.test(name);
  if (!values.length && /^(?:[\w.]*\.)?(?:dict|Counter|OrderedDict)$/.test(name)) return plain({ ...named });
  if (held && values.length) return plain(values[values.length - 1]);
  return new Unknown(`${name}(...)`);
}

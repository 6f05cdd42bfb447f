// Command lines: the flags of each command. Comments are none.

const NUMBER = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/;
const PLAIN = /[^\s\\"'#;&|]+/y;

/** The flags of each command in a text, and their values. A flag without a value is true. @param {string} text @returns {Record<string, any>[]} */
export function flagsIn(text) {
  return commandsIn(text).map(flagsOf).filter((found) => Object.keys(found).length);
}

/** @param {string[]} words */
function flagsOf(words) {
  const found = Object.create(null);
  for (const [place, word] of words.entries()) {
    const flag = /^--([A-Za-z][\w-]*)(?:=([^]*))?$/.exec(word);
    if (!flag) continue;
    const next = words[place + 1], value = flag[2] ?? (next === undefined || next.startsWith("--") ? "true" : next);
    found[flag[1].replace(/-/g, "_")] = valueOf(value);
  }
  return found;
}

/** @param {string} text */
function valueOf(text) {
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return NUMBER.test(text) ? Number(text) : text;
}

/** The words of each command. A line that begins with a dash goes on with the command above it. @param {string} text @returns {string[][]} */
function commandsIn(text) {
  /** @type {string[][]} */
  const commands = [[]];
  /** @type {string | null} */
  let word = null;
  const end = (/** @type {boolean} */ isCommand) => {
    if (word !== null) commands[commands.length - 1].push(word);
    if (isCommand && commands[commands.length - 1].length) commands.push([]);
    word = null;
  };
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    PLAIN.lastIndex = at;
    const run = PLAIN.exec(text), quoted = sign === '"' || sign === "'" ? quotedAt(text, at) : null;
    if (run) [word, at] = [(word ?? "") + run[0], PLAIN.lastIndex];
    else if (quoted) [word, at] = [(word ?? "") + quoted.value, quoted.end];
    else if (sign === "#" && word === null) at = endOfLine(text, at);
    else if (sign === "\n") {
      end(!/^[^\S\n]*-/.test(text.slice(at + 1, at + 200)));
      at += 1;
    } else if (";&|".includes(sign)) {
      end(true);
      at += 1;
    } else if (sign === "\\" || /\s/.test(sign)) {
      const isEscape = sign === "\\" && /\S/.test(text[at + 1] ?? " ");
      if (isEscape) word = (word ?? "") + text[at + 1];
      else end(false);
      at += isEscape ? 2 : sign === "\\" && text[at + 1] === "\n" ? 2 : sign === "\\" && text.startsWith("\r\n", at + 1) ? 3 : 1;
    } else [word, at] = [(word ?? "") + sign, at + 1];
  }
  end(false);
  return commands;
}

/** A text in quotes, and where it ends; null where it has no end. @param {string} text @param {number} begin */
function quotedAt(text, begin) {
  const quote = text[begin], parts = [];
  let from = begin + 1;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === quote) return { value: parts.join("") + text.slice(from, at), end: at + 1 };
    if (quote !== '"' || text[at] !== "\\" || !'"\\$`\n'.includes(text[at + 1] ?? " ")) continue;
    parts.push(text.slice(from, at));
    from = text[at + 1] === "\n" ? at + 2 : at + 1;
    at += 1;
  }
  return null;
}

/** @param {string} text @param {number} at */
function endOfLine(text, at) {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

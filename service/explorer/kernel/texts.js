/** @module Texts: how an error repeats a value, and which names are near a misspelt one. */

const LONGEST = 100; // characters of a value that an error repeats
const COMPARED = 100; // characters of a name that others are compared with

/**
 * A value as Python writes it, shortened where it is long.
 * @param {unknown} value
 */
export function represented(value) {
    const text = written(value).replace(/\n/g, " ");
    return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}...`;
}

/** @param {unknown} value @returns {string} */
function written(value) {
    if (value === null || value === undefined) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (typeof value === "number") return pythonNumber(value);
    if (typeof value === "string") return pythonText(value);
    if (Array.isArray(value)) return `[${value.slice(0, LONGEST).map(written).join(", ")}]`;
    const members = Object.entries(value).slice(0, LONGEST);
    return `{${members.map(([key, member]) => `${written(key)}: ${written(member)}`).join(", ")}}`;
}

/**
 * A number as Python's `repr` writes it, a whole one as an int: JSON does not tell 1.0 from 1 once it is read. From
 * 1e21 on JSON is written with an exponent, which Python reads as a float.
 * @param {number} value
 */
function pythonNumber(value) {
    return Number.isInteger(value) && Math.abs(value) < 1e21 ? String(BigInt(value)) : pythonFloat(value);
}

/**
 * A float as Python's `repr` writes it.
 * @param {number} value
 */
export function pythonFloat(value) {
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
    const [digits, power] = value.toExponential().split("e");
    const exponent = Number(power);
    if (exponent < -4 || exponent >= 16) {
        return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    }
    const plain = String(value).includes("e")
        ? value.toFixed(Math.max(digits.length - 2, 0) - exponent)
        : String(value);
    return plain.includes(".") ? plain : `${plain}.0`;
}

/**
 * A number with so many significant digits, as Python's format `.{digits}g` writes it.
 * @param {number} value
 * @param {number} digits
 */
export function short(value, digits) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    const exponent = Number(power);
    const fixed = exponent >= -4 && exponent < digits;
    const text = fixed ? value.toFixed(digits - 1 - exponent) : mantissa;
    const trimmed = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
    return fixed ? trimmed : `${trimmed}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** @param {string} value */
function pythonText(value) {
    const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
    const inner = value.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t");
    return quote + (quote === "'" ? inner.replace(/'/g, "\\'") : inner) + quote;
}

/**
 * At most so many of the names that a misspelt one may mean, the nearest first, as Python's `difflib` finds them.
 * @param {string} name
 * @param {string[]} names
 * @param {number} [most]
 * @param {number} [alike] how alike they must be, from 0 to 1
 */
export function nearNames(name, names, most = 3, alike = 0.6) {
    const asked = name.slice(0, COMPARED);
    const scored = names.map((given) => ({ given, likeness: likeness(given, asked) }));
    const close = scored.filter((each) => each.likeness >= alike);
    close.sort((left, right) => right.likeness - left.likeness || (right.given > left.given ? 1 : -1));
    return close.slice(0, most).map((each) => each.given);
}

/**
 * The ratio of `difflib.SequenceMatcher`.
 * @param {string} left
 * @param {string} right
 */
function likeness(left, right) {
    const all = left.length + right.length;
    return all ? (2 * matching([...left], [...right])) / all : 1;
}

/**
 * Characters in the longest common run, and in those left and right of it.
 * @param {string[]} left
 * @param {string[]} right
 * @returns {number}
 */
function matching(left, right) {
    let [best, from, to] = [0, 0, 0];
    let before = new Array(right.length + 1).fill(0);
    for (let i = 0; i < left.length; i += 1) {
        const lengths = new Array(right.length + 1).fill(0);
        for (let j = 0; j < right.length; j += 1) {
            if (left[i] !== right[j]) continue;
            lengths[j + 1] = before[j] + 1;
            if (lengths[j + 1] > best) [best, from, to] = [lengths[j + 1], i + 1, j + 1];
        }
        before = lengths;
    }
    if (best === 0) return 0;
    const head = matching(left.slice(0, from - best), right.slice(0, to - best));
    return best + head + matching(left.slice(from), right.slice(to));
}

/**
 * @module The types of a schedule's parameters: how each is read from JSON data, and what is wrong with what is not
 * one.
 */

import { CheckError, missing, unknownKind, unknownParameter } from "./errors.js";
import { MAX_RATE } from "./numerics/rates.js";
import { KINDS } from "./registry.js";
import { pythonFloat } from "./texts.js";

/** @typedef {import("./errors.js").Path} Path */
/** @typedef {import("./errors.js").Problem} Problem */

/** Largest step count a schedule accepts. */
export const MAX_STEP = 1e10;

/**
 * A type of parameter. `read` gives the value, or adds to the problems and gives undefined.
 * @typedef {object} Type
 * @property {(value: any, path: Path, problems: Problem[]) => any} read
 * @property {object} [schema] range and form, in the words of JSON schema: tests compare it with Python's
 */

/**
 * A type, and the default where there is one. `make` gives a default that depends on the fields before it.
 * @typedef {(read: Record<string, any>, path: Path, problems: Problem[]) => any} Make
 * @typedef {{type: Type, value?: any, make?: Make}} Field
 */

/**
 * A field with a default.
 * @param {Type} type
 * @param {any} value
 * @returns {Field}
 */
export function optional(type, value) {
    return { type, value };
}

/**
 * A field that must be given.
 * @param {Type} type
 * @returns {Field}
 */
export function required(type) {
    return { type };
}

/**
 * What is wrong with a value, in words that continue its name.
 * @param {string} text
 * @param {unknown} value
 * @param {Path} path
 * @returns {Problem}
 */
function wrong(text, value, path) {
    return { path, subject: path, text: `should be ${text}`, continues: true, value };
}

/**
 * A number in a range.
 * @param {{minimum?: number, exclusiveMinimum?: number, maximum: number}} range
 * @param {boolean} [whole]
 * @returns {Type}
 */
function inRange(range, whole = false) {
    const { minimum = -Infinity, exclusiveMinimum = -Infinity, maximum } = range;
    return {
        schema: { ...range, type: whole ? "integer" : "number" },
        read(value, path, problems) {
            if (typeof value !== "number" || (whole && !Number.isInteger(value))) {
                problems.push(wrong(whole ? "a valid integer" : "a valid number", value, path));
                return undefined;
            }
            const broken = !Number.isFinite(value)
                ? "a finite number"
                : value < minimum
                  ? `greater than or equal to ${minimum}`
                  : value <= exclusiveMinimum
                    ? `greater than ${exclusiveMinimum}`
                    : value > maximum && `less than or equal to ${maximum}`;
            if (!broken) return value + 0; // -0 becomes 0, which has the same JSON and other bits
            problems.push({ ...wrong(broken, value, path), got: whole ? String(BigInt(value)) : pythonFloat(value) });
            return undefined;
        },
    };
}

/** @param {number} minimum @param {number} maximum */
export const floating = (minimum, maximum) => inRange({ minimum, maximum });
/** @param {number} minimum @param {number} maximum */
export const integer = (minimum, maximum) => inRange({ minimum, maximum }, true);

/** A learning rate, or a factor of one. */
export const Rate = floating(0, MAX_RATE);
/** A learning rate that something is divided by. */
export const PositiveRate = floating(1e-100, MAX_RATE);
/** A positive multiplier without a unit. */
export const Factor = inRange({ exclusiveMinimum: 0, maximum: 1e12 });
/** A factor that is applied repeatedly. */
export const Decay = inRange({ exclusiveMinimum: 0, maximum: 1 });
/** A share of a whole. */
export const Fraction = floating(0, 1);
/** A plain number: a ratio, a power, a number of waves. */
export const NonNegative = floating(0, 1e6);
/** A number of optimizer steps, at least 1. */
export const StepCount = integer(1, MAX_STEP);
/** A number of optimizer steps, 0 included. */
export const Steps = integer(0, MAX_STEP);
/** A length in optimizer steps that need not be whole, 0 included. */
export const Duration = floating(0, MAX_STEP);
/** A length in optimizer steps that need not be whole and that something is divided by. */
export const PositiveDuration = floating(0.001, MAX_STEP);

/**
 * The exponent of a ramp's power: above 0.
 * @type {Type}
 */
export const Exponent = inRange({ exclusiveMinimum: 0, maximum: 100 });

/** @type {Type} */
export const Switch = {
    schema: { type: "boolean" },
    read(value, path, problems) {
        if (typeof value === "boolean") return value;
        problems.push(wrong("a valid boolean", value, path));
        return undefined;
    },
};

/**
 * One of several texts.
 * @param {...string} texts
 * @returns {Type}
 */
export function oneOf(...texts) {
    const named = texts.map((text) => `'${text}'`);
    const words = named.length > 1 ? `${named.slice(0, -1).join(", ")} or ${named[named.length - 1]}` : named[0];
    return {
        schema: texts.length > 1 ? { type: "string", enum: texts } : { type: "string", const: texts[0] },
        read(value, path, problems) {
            if (typeof value === "string" && texts.includes(value)) return value;
            problems.push(wrong(words, value, path));
            return undefined;
        },
    };
}

/**
 * A text that matches a pattern as a whole.
 * @param {string} pattern a regular expression of Python and of JavaScript, with its anchors
 * @returns {Type}
 */
export function matching(pattern) {
    const expression = new RegExp(pattern);
    return {
        schema: { type: "string", pattern },
        read(value, path, problems) {
            if (typeof value !== "string") problems.push(wrong("a valid string", value, path));
            else if (expression.test(value)) return value;
            else problems.push({ ...wrong("", value, path), text: `should match pattern '${pattern}'` });
            return undefined;
        },
    };
}

/**
 * A value, or null.
 * @param {Type} type
 * @returns {Type}
 */
export function nullable(type) {
    return {
        schema: { anyOf: [type.schema, { type: "null" }] },
        read: (value, path, problems) => (value === null ? null : type.read(value, path, problems)),
    };
}

/**
 * A value of the first of several types that takes it.
 * @param {...Type} types
 * @returns {Type}
 */
export function either(...types) {
    return {
        schema: { anyOf: types.map((type) => type.schema) },
        read(value, path, problems) {
            /** @type {Problem[]} */
            const found = [];
            for (const type of types) {
                const before = found.length;
                const read = type.read(value, path, found);
                if (found.length === before) return read;
            }
            problems.push(...found);
            return undefined;
        },
    };
}

/**
 * A list of values.
 * @param {Type} type
 * @param {number} least
 * @param {number} most
 * @returns {Type}
 */
export function listOf(type, least, most) {
    return {
        schema: { type: "array", items: type.schema, ...(least && { minItems: least }), maxItems: most },
        read(value, path, problems) {
            if (!Array.isArray(value)) {
                problems.push(wrong("a valid array", value, path));
                return undefined;
            }
            const items = value.slice(0, most + 1).map((item, index) => type.read(item, [...path, index], problems));
            if (value.length < least)
                problems.push({ ...wrong("", value, path), text: `should have at least ${counted(least)}` });
            if (value.length > most)
                problems.push({ ...wrong("", value, path), text: `should have at most ${counted(most)}` });
            return items;
        },
    };
}

/** @param {number} number */
function counted(number) {
    return `${number} item${number === 1 ? "" : "s"}`;
}

/**
 * A schedule, of a kind that begins with `prefix`.
 * @param {string} [prefix]
 * @returns {Type}
 */
export function scheduleOf(prefix = "") {
    return {
        schema: { schedule: prefix },
        read(value, path, problems) {
            if (typeof value !== "object" || value === null || Array.isArray(value)) {
                problems.push(wrong("an object", value, path));
                return undefined;
            }
            const taken = [...KINDS.keys()].filter((kind) => kind.startsWith(prefix));
            const kind = KINDS.get(inAnyCase(value.kind, taken) ?? "");
            if (kind) return readSchedule(kind, value, path, problems);
            problems.push(unknownKind(path, value.kind, taken));
            return undefined;
        },
    };
}

/**
 * The one of the names that this is, whatever the case of its letters.
 * @param {unknown} name
 * @param {string[]} names
 * @returns {string | undefined}
 */
function inAnyCase(name, names) {
    if (typeof name !== "string") return undefined;
    return names.includes(name) ? name : names.find((known) => known.toLowerCase() === name.toLowerCase());
}

/** A schedule of any kind. */
export const AnySchedule = scheduleOf();

/**
 * A schedule of this kind.
 * @param {import("./registry.js").Kind} kind
 * @param {Record<string, unknown>} value
 * @param {Path} path
 * @param {Problem[]} problems
 */
function readSchedule(kind, value, path, problems) {
    const before = problems.length;
    const { kind: _, ...given } = value;
    const parameters = readFields(kind.fields, given, { name: kind.kind, path, problems });
    if (problems.length > before) return undefined;
    try {
        return kind.of(parameters);
    } catch (error) {
        if (!(error instanceof CheckError)) throw error;
        problems.push({ path, subject: path, text: error.message, value });
        return undefined;
    }
}

/**
 * The fields of a schedule or a spec, each with its default filled in.
 * @param {Record<string, Field>} fields
 * @param {Record<string, unknown>} given
 * @param {{name: string, path: Path, problems: Problem[]}} owner
 * @returns {Record<string, any>}
 */
export function readFields(fields, given, { name: owner, path, problems }) {
    /** @type {Record<string, any>} */
    const read = {};
    for (const [name, field] of Object.entries(fields)) {
        const here = [...path, name];
        if (Object.hasOwn(given, name) && given[name] !== undefined)
            read[name] = field.type.read(given[name], here, problems);
        else if (field.make) read[name] = field.make(read, here, problems);
        else if ("value" in field) read[name] = field.value;
        else problems.push(missing(here));
    }
    for (const name of Object.keys(given)) {
        if (!Object.hasOwn(fields, name))
            problems.push(unknownParameter([...path, name], owner, Object.keys(fields), given[name]));
    }
    return read;
}

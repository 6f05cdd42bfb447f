/** @module Errors in a schedule, a spec or a table, in the words of Python's. */

import { nearKinds, whyNoSchedule } from "./names.js";
import { brokenRule } from "./numerics/rates.js";
import { nearNames, pythonFloat, represented } from "./texts.js";

const MOST_PROBLEMS = 20;
const COMMON = "custom.WarmupWithDecay"; // the kind that is named to who gives none

/** @typedef {(string | number)[]} Path keys and indices that lead from the spec to a value */

/**
 * One thing that is wrong with a spec.
 * @typedef {object} Problem
 * @property {Path} path where it is
 * @property {Path} subject what the text is about
 * @property {string} text what is wrong: words that continue the subject's name, or a sentence of its own
 * @property {boolean} [continues] which of the two the text is
 * @property {unknown} [value] what was found at the path
 * @property {string} [got] how Python writes that, where it is told from the value's type
 * @property {Path[]} [meant] the missing parameters that a misspelt one may have meant
 */

/** A spec that cannot be. `pointer` and `message` are those of the first problem, `problems` has all of them. */
export class SpecError extends Error {
    /** @param {Problem[]} found at least one */
    constructor(found) {
        const problems = merged(toldOf(found)).map((problem) => ({
            pointer: pointerTo(problem.path),
            message: line(problem),
            value: problem.value,
        }));
        super(problems[0].message);
        this.name = "SpecError";
        /** JSON pointer to what is wrong. */
        this.pointer = problems[0].pointer;
        this.problems = problems;
    }
}

/** Values that are not a table. */
export class TableError extends Error {
    /** @param {string} message */
    constructor(message) {
        super(message);
        this.name = "TableError";
    }
}

/** A Literal refers to a table that is not known here. */
export class UnresolvedError extends Error {
    /** @param {string} message */
    constructor(message) {
        super(message);
        this.name = "UnresolvedError";
    }
}

/**
 * The error for a value of a schedule of this kind, at this step, that is beyond every rate.
 * @param {string} kind
 * @param {number} value
 * @param {number} step
 */
export function rateOutOfRange(kind, value, step) {
    const got = `got ${pythonFloat(value)} at step ${step} of this ${kind}`;
    return new TableError(`a rate must be ${brokenRule(Math.abs(value))}, ${got}`);
}

/** Parameters of a schedule that do not go together. It is caught where the spec is read, and becomes a `Problem`. */
export class CheckError extends Error {}

/**
 * The problem of a parameter that is not there.
 * @param {Path} path
 * @returns {Problem}
 */
export function missing(path) {
    return { path, subject: path, text: "is missing", continues: true };
}

/**
 * The problem of a parameter that there is none of.
 * @param {Path} path
 * @param {string} owner
 * @param {string[]} parameters those of the owner
 * @param {unknown} value
 * @returns {Problem}
 */
export function unknownParameter(path, owner, parameters, value) {
    const name = String(path[path.length - 1]);
    const near = nearNames(name, parameters);
    const advice = near.length ? `did you mean ${alternatives(near)}?` : `it has ${parameters.join(", ")}`;
    const subject = path.slice(0, -1);
    const meant = nearNames(name, parameters, 1).map((parameter) => [...subject, parameter]);
    return { path, subject, text: `${owner} has no parameter ${represented(name)}: ${advice}`, value, meant };
}

/**
 * The problem of a kind that there is none of, or that does not fit.
 * @param {Path} path of the schedule
 * @param {unknown} kind
 * @param {string[]} taken
 * @returns {Problem}
 */
export function unknownKind(path, kind, taken) {
    if (kind === undefined)
        return { path: [...path, "kind"], subject: path, text: `has no kind, such as ${COMMON}`, continues: true };
    const prefix = `${taken[0].split(".")[0]}.`;
    let text = `kind must begin with '${prefix}', got ${represented(kind)}`;
    if (!taken.every((name) => name.startsWith(prefix)) || String(kind).startsWith(prefix)) {
        text = kind === null ? unknown(kind, []) : unknown(kind, taken);
    }
    return { path: [...path, "kind"], subject: path, text, value: kind };
}

/** @param {unknown} kind @param {string[]} kinds */
function unknown(kind, kinds) {
    const why = kinds.length ? whyNoSchedule(String(kind)) : undefined;
    if (why !== undefined) return `${represented(kind)} is no schedule: ${why}`;
    const near = nearKinds(String(kind), kinds);
    const elsewhere = "'lrtables show' and /v1/schedules list them all";
    return `unknown kind ${represented(kind)}: ${near.length ? `did you mean ${alternatives(near)}?` : elsewhere}`;
}

/** The first problems, but for the absence of parameters that were only misspelt. @param {Problem[]} found */
function toldOf(found) {
    const misspelt = new Set(found.flatMap((problem) => problem.meant ?? []).map(pointerTo));
    const kept = found.filter(({ text, path }) => !(text.startsWith("is missing") && misspelt.has(pointerTo(path))));
    return kept.slice(0, MOST_PROBLEMS);
}

/** Those of one value that may be of several types as one. @param {Problem[]} problems */
function merged(problems) {
    /** @type {Problem[]} */
    const kept = [];
    for (const problem of problems) {
        const last = kept[kept.length - 1];
        const same = last && last.continues && problem.continues && pointerTo(last.path) === pointerTo(problem.path);
        if (same)
            kept[kept.length - 1] = { ...last, text: `${last.text} or ${problem.text.replace(/^should be /, "")}` };
        else kept.push(problem);
    }
    return kept;
}

/** A problem on one line. @param {Problem} problem */
function line({ subject, text, continues, ...rest }) {
    const place = written(subject);
    if (!continues) return [place, text].filter(Boolean).join(": ");
    const got = "value" in rest ? `, got ${rest.got ?? represented(rest.value)}${advice(rest.value, text)}` : "";
    return `${place || "the data"} ${text.replace("should", "must")}${got}`;
}

const NUMBER = /^[-+]?[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?$/i;
const TEXT_IN_YAML = " as text: in YAML such a number needs a dot and a sign, as 1.0e-3";

/** What to write, where a number came as text. @param {unknown} value @param {string} text what is wrong */
function advice(value, text) {
    if (typeof value !== "string" || !NUMBER.test(value) || !text.includes("valid")) return "";
    return /e/i.test(value) ? TEXT_IN_YAML : " as text";
}

/** A path as Python writes it: `schedules[1].length`. @param {Path} path */
function written(path) {
    const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${shown(part)}`));
    return parts.join("").replace(/^\./, "");
}

/** @param {string} name */
function shown(name) {
    return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) && name.length < 100 ? name : represented(name);
}

/** @param {Path} path */
export function pointerTo(path) {
    return path.map((part) => `/${String(part).replace(/~/g, "~0").replace(/\//g, "~1")}`).join("");
}

/** @param {string[]} names */
function alternatives(names) {
    const last = names[names.length - 1];
    return names.length > 1 ? `${names.slice(0, -1).join(", ")} or ${last}` : last;
}

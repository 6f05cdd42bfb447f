/**
 * @module The kernel: learning-rate schedules computed in the page, with the bits that Python computes.
 *
 * A spec is the JSON data that the server takes. Everything here is a pure function of it.
 */

import { SpecError, TableError, UnresolvedError } from "./errors.js";
import { KINDS } from "./kinds.js";
import { AnySchedule } from "./fields.js";
import { remembered } from "./numerics/grid.js";
import { Spec, several, statedLengthOf } from "./spec.js";
import { checkValues, digest } from "./table.js";

export { SpecError, TableError, UnresolvedError };

const SELF_TEST = {
    schedule: { kind: "custom.WarmupWithDecay", base_lr: 5e-4, warmup_steps: 1000, total_steps: 10_000, min_lr: 1e-6 },
    total_steps: 10_000,
};
const SELF_TEST_DIGEST = "029e857be1afe24a10ca020e2dd13fe520aea9fbe7a3faba44d89e91a638c3d7";

/**
 * Values of a spec.
 * @typedef {object} Table
 * @property {string[]} names the columns of the table, in order: `lr`, or `lr.0`, `lr.1`, ... where groups differ
 * @property {Map<string, Float64Array[]>} columns what a column drives, such as `lr`, to one array for each group
 * @property {{step: number, label: string}[]} boundaries steps at which a curve changes its formula, with what begins
 * there
 * @property {string} axis
 * @property {"exact" | "preview"} exactness whether the values have Python's bits: a preview does not
 * @property {number} start the step of the first value
 * @property {import("./table.js").Layout} layout of the whole table
 */

/**
 * Compute the values of steps start, ..., stop - 1 of a table of so many steps.
 *
 * Throws `SpecError` where the spec cannot be, `TableError` where a value is no rate, `UnresolvedError` for a table
 * that a Literal names.
 * @param {unknown} spec JSON data
 * @param {{steps?: number, start?: number, stop?: number}} [window] steps: rows of the table, by default the spec's
 * @returns {Table}
 */
export function compute(spec, { steps, start = 0, stop } = {}) {
    const asked = steps === undefined ? spec : { .../** @type {object} */ (spec), total_steps: steps };
    const read = specOf(JSON.stringify(asked ?? null));
    const end = stop ?? read.totalSteps;
    if (!(0 <= start && start < end && end <= read.totalSteps)) {
        throw new RangeError(`steps must be within 0 and ${read.totalSteps}, got ${start} to ${end}`);
    }
    /** @type {Map<string, Float64Array[]>} */
    const columns = new Map();
    for (const { name, driven, group, schedule, column } of read.plan()) {
        const out = new Float64Array(end - start);
        schedule.fill(out, start, column);
        checkValues(name, out, start);
        const arrays = columns.get(driven) ?? [];
        arrays[group ?? 0] = out;
        columns.set(driven, arrays);
    }
    return {
        names: read.layout.columns,
        columns,
        boundaries: boundariesOf(read),
        axis: read.axis,
        exactness: read.isPortable ? "exact" : "preview",
        start,
        layout: read.layout,
    };
}

/** The spec in JSON text: a stepped schedule remembers the rates that it has come by, for the next window. */
const specOf = remembered(
    (/** @type {string} */ text) => text,
    (text) => Spec.read(JSON.parse(text)),
);

/**
 * Steps at which a curve of the spec changes its formula, with what begins there. Throws `SpecError`.
 * @param {unknown} spec
 */
export function boundaries(spec) {
    return boundariesOf(Spec.read(spec));
}

/** Those of every schedule of the spec. @param {Spec} spec */
function boundariesOf(spec) {
    /** @type {Map<number, string>} */
    const labels = new Map();
    for (const schedule of spec.everySchedule()) {
        for (const [step, label] of schedule.boundaries(spec.totalSteps)) {
            if (!labels.has(step)) labels.set(step, label);
        }
    }
    return [...labels].map(([step, label]) => ({ step, label })).sort((left, right) => left.step - right.step);
}

/**
 * The digest of a whole table: Python's `Table.digest`, where the table is exact.
 * @param {Table} table
 */
export function digestOf({ names, columns, layout }) {
    const arrays = names.map((name) => {
        const [driven, group] = name.split(".");
        return /** @type {Float64Array[]} */ (columns.get(driven))[Number(group ?? 0)];
    });
    if (arrays.some((values) => values.length !== layout.total_steps)) {
        throw new RangeError("only a whole table has a digest, got a window of its steps");
    }
    return digest(layout, arrays);
}

/**
 * The name of the spec: SHA-256 of its canonical JSON and of its kinds' revisions. Throws `SpecError`.
 * @param {unknown} spec
 */
export function specId(spec) {
    return Spec.read(spec).id;
}

/**
 * The RFC 8785 JSON of the spec, every default filled in. Throws `SpecError`.
 * @param {unknown} spec
 */
export function canonical(spec) {
    return Spec.read(spec).canonical();
}

/**
 * Throw `SpecError` where the spec cannot be.
 * @param {unknown} spec
 */
export function checkSpec(spec) {
    Spec.read(spec);
}

/**
 * Number of steps that a table of the spec, or of a schedule, has where nobody says another: the one that all its
 * schedules agree on which state one, else null. Throws `SpecError` for schedules that cannot be; the rest of the spec
 * may be missing.
 * @param {any} spec
 * @returns {number | null}
 */
export function statedLength(spec) {
    const isSpec = spec !== null && typeof spec === "object" && "schedule" in spec && !("kind" in spec);
    /** @type {import("./errors.js").Problem[]} */
    const problems = [];
    const given = isSpec ? spec.schedule : spec;
    const place = isSpec ? ["schedule"] : [];
    const schedules = several(given).map((each, group) =>
        AnySchedule.read(each, Array.isArray(given) ? [...place, group] : place, problems),
    );
    if (problems.length) throw new SpecError(problems);
    return statedLengthOf(schedules);
}

/**
 * Whether the kernel can compute schedules of this kind.
 * @param {string} kind
 */
export function hasKind(kind) {
    return KINDS.has(kind);
}

/** Whether this engine computes the bits that it should: one table, in a few milliseconds. */
export function selfTest() {
    return digestOf(compute(SELF_TEST)) === SELF_TEST_DIGEST;
}

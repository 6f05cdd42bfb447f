/** @module A spec: the request for a table, as JSON. */

import { canonicalHash, canonicalJson } from "./canonical.js";
import { CheckError, SpecError } from "./errors.js";
import { AnySchedule, StepCount, listOf, oneOf, optional, readFields, required } from "./fields.js";
import { KINDS } from "./registry.js";
import { Schedule } from "./schedule.js";

/** @typedef {import("./fields.js").Type} Type */
/** @typedef {import("./errors.js").Problem} Problem */
/** @typedef {Schedule | Schedule[]} OneOrGroups one schedule for all parameter groups, or one for each */

const MAX_GROUPS = 1000;
const COLUMN = "^[a-z][a-z0-9_]{0,63}$";
const Groups = listOf(AnySchedule, 1, MAX_GROUPS);

/** @type {Type} */
const OneOrGroupsType = {
    read: (value, path, problems) => (Array.isArray(value) ? Groups : AnySchedule).read(value, path, problems),
};

/** @type {Type} */
const Columns = {
    read(value, path, problems) {
        if (typeof value !== "object" || value === null || Array.isArray(value)) {
            problems.push({ path, subject: path, text: "should be an object", continues: true, value });
            return undefined;
        }
        const names = Object.keys(value);
        for (const name of names.filter((each) => !new RegExp(COLUMN).test(each))) {
            const here = [...path, name];
            problems.push({
                path: here,
                subject: here,
                text: `should match pattern '${COLUMN}'`,
                continues: true,
                value: name,
            });
        }
        return Object.fromEntries(
            names.map((name) => [name, OneOrGroupsType.read(value[name], [...path, name], problems)]),
        );
    },
};

const FIELDS = {
    schedule: required(OneOrGroupsType),
    columns: optional(Columns, {}),
    total_steps: { type: StepCount, make: stated },
    axis: optional(oneOf("step", "epoch", "sample", "token"), "step"),
    stride: optional(StepCount, 1),
    after: optional(oneOf("hold", "error", "release"), "hold"),
};

/**
 * The length that the schedules state, where a spec gives none.
 * @param {Record<string, any>} read the fields before it
 * @param {import("./errors.js").Path} path
 * @param {Problem[]} problems
 */
function stated(read, path, problems) {
    if (problems.length) return 1; // the schedules were refused, and so is the spec
    const schedules = [read.schedule, ...Object.values(read.columns)].flatMap(several);
    const steps = statedLengthOf(schedules);
    if (steps !== null) return steps;
    const lengths = [...new Set(schedules.flatMap((schedule) => schedule.statedSteps || []))].sort((a, b) => a - b);
    const kinds = [...new Set(schedules.map((schedule) => schedule.kind))];
    const why = lengths.length
        ? `the schedules state different lengths, ${lengths.join(", ")}`
        : `${kinds.join(", ")} has no end of its own`;
    problems.push({ path, subject: path, text: `is missing: ${why}`, continues: true });
    return undefined;
}

/** The length that all agree on which state one, else null. @param {Schedule[]} schedules @returns {number | null} */
export function statedLengthOf(schedules) {
    const lengths = new Set(schedules.flatMap((schedule) => schedule.statedSteps || []));
    return lengths.size === 1 ? [...lengths][0] : null;
}

/** What a table is computed from: schedules, length, and what the rows count. */
export class Spec {
    /** @param {Record<string, any>} fields that were read */
    constructor({ schedule, columns, total_steps: totalSteps, axis, stride, after }) {
        /** @type {OneOrGroups} */
        this.schedule = schedule;
        /** @type {Record<string, OneOrGroups>} */
        this.columns = columns;
        /** @type {number} */
        this.totalSteps = totalSteps;
        /** @type {string} */
        this.axis = axis;
        /** @type {number} */
        this.stride = stride;
        /** @type {string} */
        this.after = after;
    }

    /**
     * The spec in JSON data. Throws `SpecError`.
     * @param {unknown} data
     */
    static read(data) {
        /** @type {Problem[]} */
        const problems = [];
        const fields = readSpec(data, problems);
        if (problems.length) throw new SpecError(problems);
        const spec = new Spec(fields);
        try {
            spec.check();
        } catch (error) {
            if (!(error instanceof CheckError)) throw error;
            throw new SpecError([{ path: [], subject: [], text: error.message, value: data }]);
        }
        return spec;
    }

    check() {
        for (const schedule of this.everySchedule()) {
            if (schedule.needsPrevious) {
                throw new CheckError(`this ${schedule.kind} starts from "previous", and nothing goes before it`);
            }
            if (schedule.end !== null && this.totalSteps > schedule.end) {
                const where = `where this ${schedule.kind} ends, got ${this.totalSteps}`;
                throw new CheckError(
                    `total_steps must be <= ${schedule.end}, ${where}; ` +
                        "past a table's last row its values are held anyway",
                );
            }
        }
        this.#checkColumns();
    }

    #checkColumns() {
        const driven = new Set(several(this.schedule).flatMap((schedule) => schedule.columnNames));
        /** @type {[string, number | null][]} */
        const counts = [["schedule", groupCount(this.schedule)]];
        for (const [name, given] of Object.entries(this.columns)) {
            if (driven.has(name))
                throw new CheckError(`columns must not name '${name}', which the schedule itself drives`);
            const wide = several(given).find((schedule) => schedule.columnNames.join() !== "lr");
            if (wide) throw new CheckError(`the schedule of column '${name}' must drive one value, got ${wide.kind}`);
            counts.push([name, groupCount(given)]);
        }
        if (new Set(counts.flatMap(([, number]) => number ?? [])).size > 1) {
            const told = counts.map(([name, number]) => `'${name}': ${number ?? "None"}`).join(", ");
            throw new CheckError(`the numbers of parameter groups must agree, got {${told}}`);
        }
    }

    /** The schedules of lr and of the other columns. @returns {Generator<Schedule>} */
    *everySchedule() {
        yield* several(this.schedule);
        for (const given of Object.values(this.columns)) yield* several(given);
    }

    /**
     * What fills each column of the table, in the order of their names: what it drives, the number of the parameter
     * group (null where one serves all), the schedule and the schedule's column.
     */
    plan() {
        const given = /** @type {[string, OneOrGroups][]} */ ([["", this.schedule], ...Object.entries(this.columns)]);
        const plan = given.flatMap(([own, groups]) =>
            several(groups).flatMap((schedule, index) => {
                const group = Array.isArray(groups) ? index : null;
                const suffix = group === null ? "" : `.${group}`;
                return schedule.columnNames.map((column) => {
                    const driven = own || column;
                    return { name: `${driven}${suffix}`, driven, group, schedule, column };
                });
            }),
        );
        return plan.sort((left, right) => (left.name < right.name ? -1 : 1));
    }

    /** @returns {import("./table.js").Layout} */
    get layout() {
        const columns = this.plan().map(({ name }) => name);
        return { after: this.after, axis: this.axis, columns, stride: this.stride, total_steps: this.totalSteps };
    }

    /** The spec as JSON data, every default filled in. @returns {Record<string, any>} */
    toJson() {
        const columns = Object.fromEntries(Object.entries(this.columns).map(([name, given]) => [name, asData(given)]));
        const { after, axis, stride } = this;
        return { after, axis, columns, schedule: asData(this.schedule), stride, total_steps: this.totalSteps };
    }

    /** The RFC 8785 JSON of the spec, every default filled in. */
    canonical() {
        return canonicalJson(this.toJson());
    }

    /** SHA-256 of the canonical spec and of each kind's revision, 64 hexadecimal digits. */
    get id() {
        const parts = [...this.everySchedule()].flatMap((schedule) => [...schedule.walk()]);
        const revisions = Object.fromEntries(parts.map((part) => [part.kind, part.own.revision]));
        return canonicalHash({ ...this.toJson(), revisions });
    }

    /** Whether the values have the same bits here as in Python. */
    get isPortable() {
        return [...this.everySchedule()].every((schedule) => [...schedule.walk()].every((part) => part.isPortable));
    }
}

/**
 * @param {unknown} data
 * @param {Problem[]} problems
 * @returns {Record<string, any>}
 */
function readSpec(data, problems) {
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
        problems.push({ path: [], subject: [], text: "should be an object", continues: true, value: data });
        return {};
    }
    const given = /** @type {Record<string, unknown>} */ (data);
    if (typeof given.kind === "string" && KINDS.has(given.kind) && !("schedule" in given)) {
        const text = "this is a schedule, and a spec is needed: {'schedule': ..., 'total_steps': ...}";
        problems.push({ path: [], subject: [], text });
        return {};
    }
    return readFields(FIELDS, given, { name: "Spec", path: [], problems });
}

/** @param {OneOrGroups} given @returns {Schedule[]} */
export function several(given) {
    return Array.isArray(given) ? given : [given];
}

/** @param {OneOrGroups} given */
function groupCount(given) {
    return Array.isArray(given) ? given.length : null;
}

/** @param {OneOrGroups} given */
function asData(given) {
    return Array.isArray(given) ? given.map((schedule) => schedule.toJson()) : given.toJson();
}

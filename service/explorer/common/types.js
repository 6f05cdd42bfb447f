// The shapes that the page's modules share; nothing here runs. The chart's own are in chart/types.js.

/**
 * A schedule as the server takes it; its parameters are the kernel's to judge.
 * @typedef {{ kind: string, [parameter: string]: unknown }} Schedule
 *
 * A request for a table, as the server takes it; `readSpec` has seen to what is said here.
 * @typedef {object} Spec
 * @property {Schedule | Schedule[]} schedule one for all parameter groups, or one for each
 * @property {Record<string, Schedule | Schedule[]>} [columns] of the other hyperparameters
 * @property {number} total_steps
 * @property {string} [axis]
 * @property {number} [stride]
 * @property {string} [after]
 *
 * What the page shows.
 * @typedef {object} State
 * @property {Spec[]} specs one for each curve
 * @property {number} active the curve that is in the form
 * @property {string} y the scale of values
 * @property {string} x the scale of rows
 * @property {string} against how curves are compared with the first
 * @property {[number, number] | null} view the rows in view; null for all
 *
 * A column, or one group of it: `lr`, or `lr.0`.
 * @typedef {{ name: string, values: Float64Array }} Column
 *
 * @typedef {{ step: number, label: string }} Boundary
 *
 * What takes a pass over all values of a column: the bounds of its blocks, and its summary.
 * @typedef {{ bounds: import("../chart/decimate.js").Bounds, summary: Summary }} Described
 * @typedef {{ sum: number, peak: number, highest: number, first: number, last: number }} Summary
 *
 * A table that is shown.
 * @typedef {object} Table
 * @property {string[]} names of the columns, without groups
 * @property {Map<string, Float64Array[]>} columns the values of each group of a column
 * @property {Map<string, Described[]>} [described] of each group of a column, where the worker made them
 * @property {number} rows
 * @property {"exact" | "preview" | "server"} source where the values come from
 * @property {Boundary[]} boundaries
 * @property {string | null} specId
 * @property {string | null} digest null where it is not computed yet
 * @property {import("../kernel/table.js").Layout} [layout] as the file of a stored table says it
 * @property {string} [proved] the digest of the values that came from the server, computed here
 * @property {unknown} [lacking] the error for which there is a preview only
 *
 * A curve of the page: its spec, the spec's text, the table, and the columns with what draws them.
 * @typedef {object} Entry
 * @property {Spec} spec
 * @property {string} text
 * @property {Table} table
 * @property {(Column & { extremes: import("../chart/decimate.js").Extremes, summary: Summary })[]} flat
 * @property {boolean} settled whether the spec was not just passing by
 * @property {string} [failed] why a newer spec has no table
 *
 * A curve that is there, by its place among all.
 * @typedef {Entry & { place: number }} Ready
 *
 * What the catalogue says of a parameter.
 * @typedef {object} Parameter
 * @property {string} name
 * @property {string} description
 * @property {boolean} required
 * @property {unknown} [default]
 * @property {Schema} schema
 *
 * The JSON schema of a value, as far as the form knows it. `schedule` has the kinds of a nested schedule, or true for all.
 * @typedef {object} Schema
 * @property {string} [type]
 * @property {number} [minimum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [maximum]
 * @property {(string | number)[]} [enum]
 * @property {unknown} [const]
 * @property {string} [pattern]
 * @property {Schema} [items]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {Schema[]} [anyOf]
 * @property {true | string[]} [schedule]
 *
 * @typedef {{ summary: string, aliases: string[], description: string, parameters: Parameter[], example: Spec }} Kind
 *
 * @typedef {object} Recipe
 * @property {string} name
 * @property {string[]} aliases
 * @property {string} title
 * @property {Spec} spec
 * @property {{ authors: string, title: string, year: number, identifier: string, where: string }} source
 * @property {{ warmup: string, decay: string, length: string, peak: number }} stated
 * @property {string[]} assumptions
 *
 * @typedef {{ kinds: Record<string, Kind>, recipes: Recipe[], no_schedules: Record<string, string> }} Catalogue
 *
 * What is wrong with a spec: a sentence, and the JSON pointer of the field it is about, if it is about one.
 * @typedef {{ message: string, pointer: string | null }} Problem
 */

export {};

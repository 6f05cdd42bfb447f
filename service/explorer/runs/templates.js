// What may be changed of a run from a step on: the fields of each template, its handles on the curve, and its words.

import { brief, count } from "../common/format.js";

const SHAPES = ["linear", "cosine", "1-sqrt", "geometric", "inverse_sqrt"];
const TAIL = [{ name: "tail" }, { name: "total_steps", label: "rows in all (empty: where the tail ends)", whole: true, optional: true }];

/**
 * @typedef {{ name: string, label?: string, whole?: boolean, optional?: boolean, choices?: string[] }} Field
 * @typedef {{ title: string, about: string, fields: Field[] }} Template
 * @typedef {import("./types.js").Amendment} Amendment
 * @typedef {import("./types.js").Run} Run
 */

/** @type {Record<string, Template>} */
export const TEMPLATES = {
  cooldown: {
    title: "Cool down from here", about: "Down to a rate over some rows, which are the last of the training.",
    fields: [{ name: "length", label: "rows of the cool-down", whole: true }, { name: "rate", label: "down to the rate" }, { name: "shape", label: "shape", choices: SHAPES }],
  },
  extend: {
    title: "Extend", about: "The rate of the first row is held for longer; then the schedule goes on as before.",
    fields: [{ name: "total_steps", label: "rows in all", whole: true }],
  },
  hold: { title: "Hold", about: "The rate of the first row, to the end.", fields: [] },
  scale: { title: "Scale", about: "All later rates times a factor. Momentum and the like stay.", fields: [{ name: "factor", label: "all later rates times" }] },
  tail: { title: "Another tail", about: "Another schedule from the first row on. It runs on its own clock from 0, and may start from the rate that would have come next.", fields: TAIL },
  rewind: { title: "Branch from a step", about: "Workers go back to their checkpoint of the first row, and go on with another tail. What they have reported is forgotten.", fields: TAIL },
  rollback: {
    title: "Roll back", about: "A new version with the table of an earlier one.",
    fields: [{ name: "version", label: "version whose table it gets", choices: [] }, { name: "rewind", label: "workers go back: rows may change that they have passed" }],
  },
};

export const FROM = { name: "from_step", label: "first row that changes", whole: true };

/** Values to begin with. @param {Run} run @param {number} from first row @returns {Record<string, Amendment>} by template */
export function beginning(run, from) {
  const rows = run.total_steps, tail = () => ({ tail: tailFrom(run, from), total_steps: null });
  return {
    cooldown: { length: Math.max(1, Math.round((rows - from) / 4)), rate: 0, shape: "linear" },
    extend: { total_steps: rows + Math.max(1, Math.round(rows / 10)) },
    hold: {}, scale: { factor: 0.5 }, tail: tail(), rewind: tail(), rollback: { version: Math.max(1, run.version - 1), rewind: false },
  };
}

/** From the rate that would have come next down to 0, over the rows that are left. @param {Pick<Run, "total_steps">} run @param {number} from */
export function tailFrom(run, from) {
  return { kind: "Ramp", start: "previous", stop: 0, length: Math.max(1, run.total_steps - from) };
}

/** An amendment in a sentence. @param {Amendment} amendment */
export function describe({ template = "tail", from_step: step = 0, ...rest }) {
  const start = `from step ${count(step)} on`;
  if (template === "cooldown") return `${start}: cool down to ${brief(rest.rate ?? 0, 6)} over ${count(rest.length ?? 0)} steps (${rest.shape ?? "linear"})`;
  if (template === "extend") return `${start}: hold the rate for longer, then go on as before, to ${count(rest.total_steps ?? 0)} steps in all`;
  if (template === "hold") return `${start}: hold the rate`;
  if (template === "scale") return `${start}: all rates times ${brief(rest.factor ?? 1, 6)}`;
  const kinds = [rest.tail].flat().map((tail) => tail?.kind).join(", "), rows = rest.total_steps ? `, to ${count(rest.total_steps)} steps in all` : "";
  return `${template === "rewind" ? `back to step ${count(step)}, and from there on` : start}: ${kinds || "another tail"}${rows}`;
}

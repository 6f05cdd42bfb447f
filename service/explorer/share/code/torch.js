// A twin of torch's as the class itself, on an optimizer that begins with its rates.

import { count } from "../../common/format.js";
import { call, float, isPlain, literal } from "./literal.js";

const OF_MEMBERS = ["SequentialLR", "ChainedScheduler"];
const WITH_OWN_RATE = ["CyclicLR", "OneCycleLR"]; // the others read it from the optimizer
/** @type {Record<string, string>} */
const ELSEWHERE = { SWALR: "torch.optim.swa_utils" };
const COUNTS = new Set([
  "T_max", "T_0", "T_mult", "step_size", "total_iters", "milestones", "step_size_up", "step_size_down", "total_steps", "epochs", "steps_per_epoch",
  "anneal_epochs",
]);

/** @typedef {import("./literal.js").Schedule} Schedule */

/** @param {Schedule} schedule @returns {string} */
const nameOf = ({ kind }) => kind.slice("torch.".length);
/** @param {Schedule} schedule */
const readsRate = (schedule) => !WITH_OWN_RATE.includes(nameOf(schedule)) && !OF_MEMBERS.includes(nameOf(schedule));

/** The schedules that a schedule is made of; itself where it has no members. @param {any} schedule @returns {any[]} */
function leavesOf(schedule) {
  return OF_MEMBERS.includes(nameOf(schedule)) ? schedule.schedulers.flatMap(leavesOf) : [schedule];
}

/** The optimizer's rate before any scheduler; any will do where no member reads it. @param {Schedule} schedule */
function rateOf(schedule) {
  const leaves = leavesOf(schedule), reading = leaves.find(readsRate);
  return reading ? reading.base_lr : (leaves[0].max_lr ?? 0);
}

/** The column that cycles beside the rate, or null. @param {Schedule} schedule */
function momentumOf(schedule) {
  const cycling = leavesOf(schedule).find((leaf) => WITH_OWN_RATE.includes(nameOf(leaf)) && leaf.cycle_momentum !== false);
  return cycling ? (cycling.momentum_column ?? "momentum") : null;
}

/** The parameters that torch's class takes. @param {any} schedule @returns {[string, any][]} */
export function parametersOf(schedule) {
  return Object.entries(schedule).filter(([name, value]) => name !== "kind" && name !== "momentum_column" && value !== null && !(name === "base_lr" && readsRate(schedule)));
}

/** A schedule without the rate that it reads from its parameter group: all groups have the rest alike. @param {Schedule} schedule @returns {Schedule} */
function shared(schedule) {
  const kept = Object.fromEntries(Object.entries(schedule).filter(([name]) => !(name === "base_lr" && readsRate(schedule))));
  return kept.schedulers ? { ...kept, schedulers: kept.schedulers.map(shared) } : kept;
}

/** @param {any} schedule @param {string} indent @param {number} [begins] @returns {string} */
function written(schedule, indent, begins) {
  const name = nameOf(schedule);
  const given = parametersOf(schedule).map(([key, value]) => `${key}=${key === "schedulers" ? members(value, `${indent}    `) : literal(value, COUNTS.has(key))}`);
  return call(name, name === "ChainedScheduler" ? given : ["optimizer", ...given], indent, begins);
}

/** @param {Schedule[]} schedules @param {string} indent */
function members(schedules, indent) {
  return `[\n${schedules.map((each) => `${indent}    ${written(each, `${indent}    `)},\n`).join("")}${indent}]`;
}

/** The code, or null for a schedule that no class of torch's has. @param {{ spec: any }} entry */
export function torchClass({ spec }) {
  const groups = [spec.schedule].flat();
  if (!isPlain(spec, ["step", "epoch"]) || !groups.every(({ kind }) => kind.startsWith("torch."))) return null;
  if (new Set(groups.map((each) => JSON.stringify(shared(each)))).size > 1) return null;
  const [first] = groups, names = [...new Set([nameOf(first), ...namesIn(first)])].sort();
  const imports = names.map((name) => `from ${ELSEWHERE[name] ?? "torch.optim.lr_scheduler"} import ${name}`);
  const [kind, more] = momentumOf(first) === "momentum" ? ["SGD", ", momentum=0.9"] : ["AdamW", ""];
  const parameters = groups.length > 1
    ? `[\n${groups.map((each, group) => `        {"params": groups[${group}], "lr": ${float(rateOf(each))}},\n`).join("")}    ]${more}`
    : `model.parameters(), lr=${float(rateOf(first))}${more}`;
  const optimizer = groups.length > 1 ? `torch.optim.${kind}(\n    ${parameters}\n)` : `torch.optim.${kind}(${parameters})`;
  const own = groups.length > 1 ? `# groups: a list of parameters for each of ${groups.length} parameter groups\n` : "";
  return `import torch\n${imports.join("\n")}\n\n${own}optimizer = ${optimizer}\nscheduler = ${written(first, "", "scheduler = ".length)}\n`
    + `# scheduler.step() after each ${spec.axis === "epoch" ? "epoch" : "optimizer.step()"}: the table's ${count(spec.total_steps)} rows. What comes then is the class's own.\n`;
}

/** @param {any} schedule @returns {string[]} */
function namesIn(schedule) {
  return (schedule.schedulers ?? []).flatMap((/** @type {Schedule} */ each) => [nameOf(each), ...namesIn(each)]);
}

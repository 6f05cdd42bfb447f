// A twin of DeepSpeed's, or of one of torch's classes, as the blocks of DeepSpeed's configuration.

import { isPlain } from "./literal.js";
import { parametersOf } from "./torch.js";

const PER_GROUP = ["warmup_min_lr", "warmup_max_lr", "lr_range_test_min_lr"]; // of which DeepSpeed takes a list
const OF_OBJECTS = ["SequentialLR", "ChainedScheduler", "SWALR"]; // that no JSON holds
const WHOLE = ["lr_range_test_step_size", "warmup_num_steps"];

/** The configuration, or null where DeepSpeed cannot be told so. @param {{ spec: any }} entry */
export function deepspeedJson({ spec }) {
  const groups = [spec.schedule].flat(), [first] = groups;
  const [library, name] = first.kind.split(".");
  if (!isPlain(spec) || !["deepspeed", "torch"].includes(library) || OF_OBJECTS.includes(name)) return null;
  const params = merged(groups);
  if (!params || WHOLE.some((key) => key in params && !Number.isInteger(params[key]))) return null;
  const optimizer = optimizerOf(first, name, library);
  return `${JSON.stringify({ ...(optimizer && { optimizer }), scheduler: { type: name, params } }, null, 2)}\n`;
}

/** The parameters of all groups: one value each, or a list where DeepSpeed takes one; null where it does not. @param {import("./literal.js").Schedule[]} groups */
function merged(groups) {
  const [first, ...others] = groups.map((each) => Object.fromEntries(parametersOf(each).filter(([key]) => key !== "base_lr" || each.kind === "torch.CyclicLR")));
  if (!others.length) return first;
  const isOneKind = groups.every(({ kind, base_lr: rate }) => kind === groups[0].kind && rate === groups[0].base_lr);
  const names = Object.keys(first), all = [first, ...others];
  if (!isOneKind || !names.some((name) => PER_GROUP.includes(name)) || all.some((each) => Object.keys(each).sort().join() !== [...names].sort().join())) return null;
  if (names.some((name) => !PER_GROUP.includes(name) && all.some((each) => each[name] !== first[name]))) return null;
  return Object.fromEntries(names.map((name) => [name, PER_GROUP.includes(name) ? all.map((each) => each[name]) : first[name]]));
}

/** The optimizer, where the schedule takes its rate or drives its momentum. @param {import("./literal.js").Schedule} schedule @param {string} name @param {string} library */
function optimizerOf(schedule, name, library) {
  const drives = ["OneCycle", "OneCycleLR", "CyclicLR"].includes(name);
  const rate = drives ? (schedule.cycle_max_lr ?? schedule.max_lr) : schedule.base_lr;
  if (rate === undefined) return null;
  const isMomentum = library === "torch" && drives && schedule.cycle_momentum !== false && (schedule.momentum_column ?? "momentum") === "momentum";
  return isMomentum ? { type: "SGD", params: { lr: rate, momentum: 0.9 } } : { type: "AdamW", params: { lr: rate } };
}

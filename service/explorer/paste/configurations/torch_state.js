// The schedule in a torch scheduler's `state_dict()`, as scheduler/interop/torch_state.py finds it: told by its keys.

import { kindOf, lengthOf, schedulesOf } from "./length.js";
import { NeedsError, PasteError, isMapping, shown } from "../needs.js";

const MAX_POSITION = 1e7; // whose rates are computed and compared here
const DEEPEST = 8;
const MOST = 10_000;
const COMPOSITES = ["SequentialLR", "ChainedScheduler"];
const IN_GROUPS = ["OneCycleLR", "SWALR"]; // torch keeps their rates in the optimizer's groups
const PER_GROUP = ["base_lrs", "_last_lr", "max_lrs", "base_momentums", "max_momentums"];
const ROUNDING = 1e-9; // how far a preview's rates may lie from the state's, as a share of the largest

/** Whether data look like the state of a scheduler. @param {any} value */
export function isState(value) {
  return isMapping(value) && ("_schedulers" in value || ("last_epoch" in value && ["base_lrs", "_last_lr", "best", "digest"].some((key) => key in value)));
}

/**
 * The spec of a state. Throws `PasteError` naming the key, `NeedsError` where several classes have such keys.
 * @param {any} state @param {any[] | null} groups the optimizer's, where they are known @param {any} facts @param {Record<string, any>} given
 */
export function fromTorchState(state, groups, facts, given) {
  const saved = restored(state, recognised(state, facts, given.class_name), facts, 0);
  const leaves = [...membersOf(saved)], read = leaves.find(({ name }) => IN_GROUPS.includes(name));
  if (read && !groups) {
    throw new PasteError(`a ${read.name} keeps its rates in the optimizer's groups: paste {'scheduler': scheduler.state_dict(), 'optimizer': optimizer.state_dict()}`);
  }
  const count = groups?.length ?? leaves.find(({ fields }) => fields.base_lrs)?.fields.base_lrs.length ?? 1;
  for (const { fields } of leaves) {
    const wrong = PER_GROUP.find((key) => fields[key] && fields[key].length !== count);
    if (wrong) throw new PasteError(`the state's ${wrong} must have one number for each of ${count} parameter groups, got ${shown(fields[wrong])}`);
  }
  const twins = Array.from({ length: count }, (_, group) => twinOf(saved, group, baseRate(leaves, group), groups));
  const position = positionOf(saved), schedule = twins.every((twin) => JSON.stringify(twin) === JSON.stringify(twins[0])) ? twins[0] : twins;
  const schedules = schedulesOf(twins);
  checkRates(saved, schedules, position);
  const [steps, why] = lengthOf(schedules, given.total_steps, position);
  const notes = [
    saved.fields._last_lr ? `Its own rates are those of the schedule at step ${position}.` : "It holds no rates (_last_lr) to compare with.",
    given.class_name ? `That it is a ${saved.name} is what you say.` : "A state names no class: a subclass with other rates would look the same.",
    "A row is one call of scheduler.step().",
  ];
  return { spec: { schedule, total_steps: steps }, what: `State of a ${saved.name}`, why, notes, position };
}

// -- the class ---------------------------------------------------------------------------------------------------------

/** @param {any} state @param {any} from1 */
function candidates(state, { keys, common, optional }) {
  const own = Object.keys(state).filter((key) => !common.includes(key));
  const having = Object.entries(keys).filter(([, needed]) => needed.every((/** @type {any} */ key) => optional.includes(key) || key in state));
  const exact = having.filter(([, needed]) => own.every((key) => needed.includes(key)));
  return (exact.length ? exact : having).map(([name]) => name);
}

/** @param {any} state @param {any} facts @param {any} chosen */
function recognised(state, facts, chosen) {
  const own = Object.keys(state).filter((key) => !facts.common.includes(key)).sort();
  if (Object.keys(state).join() === "last_batch_iteration") throw new PasteError("this is the state of a DeepSpeed scheduler, which holds no parameters: paste its configuration");
  const found = candidates(state, facts);
  if (found.includes("LambdaLR")) throw new PasteError(`this is the state of a LambdaLR (or MultiplicativeLR): ${facts.refused.LambdaLR}`);
  if (!found.length) throw new PasteError(`this is the state of no scheduler of torch's: its keys are ${shown(own.join(", "))}`);
  const name = chosen !== undefined && found.includes(chosen) ? chosen : found[0];
  if (Object.hasOwn(facts.refused, name)) throw new PasteError(`a ${name} has no schedule: ${facts.refused[name]}`);
  const isStrange = own.some((key) => !facts.keys[name].includes(key));
  if (chosen === undefined && (found.length > 1 || isStrange)) {
    throw new NeedsError(`This state may be that of ${found.join(" or ")}: its keys are ${shown(own.join(", "))}.`, [{ name: "class_name", label: "Class of the scheduler", type: "choice", choices: found }]);
  }
  return name;
}

// -- its fields --------------------------------------------------------------------------------------------------------

const isNumber = (/** @type {any} */ value) => typeof value === "number" && Math.abs(value) <= 1e300;
const isWhole = (/** @type {any} */ value, least = 0, most = 1e10) => Number.isInteger(value) && value >= least && value <= most;
const isList = (/** @type {any} */ value, /** @type {any} */ fits, least = 1) => Array.isArray(value) && value.length >= least && value.length <= MOST && value.every((each) => fits(each));
const isShare = (/** @type {any} */ value) => isNumber(value) && value >= 0 && value <= 1;
const isText = (/** @type {any} */ value) => typeof value === "string";
const isFlag = (/** @type {any} */ value) => typeof value === "boolean";
const isRates = (/** @type {any} */ value) => isList(value, isNumber);

const RULES = /** @type {[string[], (value: any) => boolean, string][]} */ ([
  [["step_size", "total_iters", "T_0", "T_i", "T_mult", "T_max", "anneal_epochs"], (value) => isWhole(value), "a whole number from 0"],
  [["total_steps"], (value) => isWhole(value, 1), "a whole number from 1"],
  [["last_epoch"], (value) => isWhole(value, -64, MAX_POSITION), `a whole number from 0 to ${MAX_POSITION}`],
  [["gamma", "factor", "start_factor", "end_factor", "power", "eta_min", "T_cur", "total_size"], isNumber, "a finite number"],
  [["step_ratio"], isShare, "a number from 0 to 1"],
  [["mode", "scale_mode", "_anneal_func_type", "_anneal_strategy"], isText, "a text"],
  [["cycle_momentum", "use_beta1"], isFlag, "true or false"],
  [["base_lrs", "max_lrs", "base_momentums", "max_momentums"], isRates, "a list of finite numbers, one for each parameter group"],
  [["_last_lr"], (value) => value === null || isRates(value), "a list of finite numbers, one for each parameter group"],
  [["milestones"], isMilestones, `a dict of at most ${MOST} steps, each with how often it is one`],
  [["_milestones"], (value) => isList(value, (/** @type {any} */ each) => isWhole(each), 0), "a list of steps"],
  [["_schedule_phases"], (value) => isList(value, (/** @type {any} */ each) => isNumber(each?.end_step), 2) && value.length <= 3, "a list of 2 or 3 phases, each a dict with its end_step"],
  [["_schedulers"], (value) => isList(value, isMapping), "a list of the members' states"],
]);

/** @param {any} value */
function isMilestones(value) {
  if (!isMapping(value)) return false;
  const entries = Object.entries(value);
  return entries.every(([step, count]) => isWhole(Number(step)) && isWhole(count, 1, MOST)) && entries.reduce((sum, [, count]) => sum + count, 0) <= MOST;
}

/** A state's class, its checked fields and its members. @param {any} state @param {string} name @param {any} facts @param {number} depth @param {any} place */
function restored(state, name, facts, depth, place = "") {
  if (depth > DEEPEST) throw new PasteError(`the state's ${place.slice(0, 80)} must be at most ${DEEPEST} levels deep, got more`);
  const needed = facts.keys[name].filter((/** @type {any} */ key) => !facts.optional.includes(key));
  if (name !== "ChainedScheduler") needed.push("last_epoch");
  if (!COMPOSITES.includes(name)) needed.push("base_lrs");
  if (name === "CyclicLR" && state.cycle_momentum === true) needed.push("base_momentums", "max_momentums");
  const missing = needed.filter((/** @type {any} */ key) => !(key in state)).sort();
  if (missing.length) throw new PasteError(`the state of a ${name} has ${missing.map((/** @type {any} */ key) => place + key).join(", ")}; this one has ${shown(Object.keys(state).sort().join(", "))}`);
  /** @type {Record<string, any>} */
  const fields = {};
  for (const [keys, fits, rule] of RULES) {
    for (const key of keys.filter((each) => each in state)) {
      if (!fits(state[key])) throw new PasteError(`the state's ${place}${key} must be ${rule}, got ${shown(state[key])}`);
      fields[key] = state[key];
    }
  }
  if (name === "CyclicLR" && (state._scale_fn_custom ?? null) !== null) throw new PasteError("no schedule is equivalent to a CyclicLR with a scale_fn: it is a Python function");
  const members = (COMPOSITES.includes(name) ? fields._schedulers : []).map((/** @type {any} */ member, /** @type {any} */ number) => {
    const at = `${place}_schedulers[${number}].`;
    return restored(member, recognised(member, facts, undefined), facts, depth + 1, at);
  });
  return { name, fields, members };
}

/** A scheduler, then those that it is made of, at every depth. @param {any} saved @returns {Generator<any>} */
function* membersOf(saved) {
  yield saved;
  for (const member of saved.members) yield* membersOf(member);
}

/** @param {any} saved */
function positionOf(saved) {
  if (!("last_epoch" in saved.fields)) return positionOf(saved.members[0]);
  const position = saved.fields.last_epoch;
  if (position < 0) throw new PasteError(`the state's last_epoch must be a whole number from 0 to ${MAX_POSITION}, got ${position}`);
  return position;
}

/** @param {any} leaves @param {number} group */
function baseRate(leaves, group) {
  const reading = leaves.find((/** @type {any} */ { name, fields }) => !COMPOSITES.includes(name) && !["CyclicLR", "OneCycleLR"].includes(name) && fields.base_lrs);
  return reading ? reading.fields.base_lrs[group] : 0;
}

// -- its schedule ------------------------------------------------------------------------------------------------------

/** The twin of a saved scheduler for one parameter group, as JSON data. @param {any} saved @param {number} group @param {number} rate @param {any} groups */
function twinOf(saved, group, rate, groups) {
  const { name, fields, members } = saved, kind = `torch.${name}`;
  const base = kindOf(kind).readsRate ? { base_lr: rate } : {};
  switch (name) {
    case "MultiStepLR": {
      const milestones = Object.entries(fields.milestones).flatMap(([step, count]) => Array(count).fill(Number(step)));
      return { kind, ...base, milestones: milestones.sort((a, b) => a - b), gamma: fields.gamma };
    }
    case "SWALR":
      return { kind, ...base, swa_lr: rateIn(groups, group, "swa_lr"), anneal_epochs: fields.anneal_epochs, anneal_strategy: fields._anneal_strategy };
    case "CyclicLR":
      return { kind, ...cyclic(fields, group) };
    case "OneCycleLR":
      return { kind, ...oneCycle(fields, group, groups) };
    case "ChainedScheduler":
      return { kind, schedulers: members.map((/** @type {any} */ member) => twinOf(member, group, rate, groups)) };
    case "SequentialLR":
      return { kind, schedulers: members.map((/** @type {any} */ member) => twinOf(member, group, rate, groups)), milestones: fields._milestones };
    default: // the state has the parameters' names
      return { kind, ...base, ...Object.fromEntries(Object.keys(kindOf(kind).fields).filter((key) => key !== "base_lr").map((key) => [key, fields[key]])) };
  }
}

/** @param {any} groups @param {number} group @param {any} key */
function rateIn(groups, group, key) {
  const value = groups[group]?.[key];
  if (!isNumber(value)) throw new PasteError(`the optimizer's param_groups[${group}].${key} must be a finite number, got ${shown(value)}`);
  return value;
}

/** @param {any} fields @param {any} base @param {any} max */
function momentumOf(fields, base, max) {
  if (!fields.cycle_momentum) return { cycle_momentum: false };
  return { base_momentum: base(), max_momentum: max(), momentum_column: fields.use_beta1 ? "beta1" : "momentum" };
}

/** @param {any} fields @param {number} group */
function cyclic(fields, group) {
  const up = Math.round(fields.step_ratio * fields.total_size);
  return {
    base_lr: fields.base_lrs[group], max_lr: fields.max_lrs[group], step_size_up: up,
    step_size_down: fields.total_size === 2 * up ? null : fields.total_size - up, mode: fields.mode, gamma: fields.gamma,
    ...momentumOf(fields, () => fields.base_momentums[group], () => fields.max_momentums[group]),
  };
}

/** torch keeps only products of some parameters, so the roundest factors are searched for. @param {any} fields @param {number} group @param {any} groups */
function oneCycle(fields, group, groups) {
  const ends = fields._schedule_phases.slice(0, -1).map((/** @type {any} */ phase) => phase.end_step), steps = fields.total_steps;
  const fits = (/** @type {any} */ share) => [share * steps - 1, 2 * share * steps - 2].slice(0, ends.length).every((end, place) => end === ends[place]);
  const rate = (/** @type {any} */ key) => rateIn(groups, group, key), own = fields.base_lrs[group];
  const peak = own !== rate("initial_lr")
    ? { max_lr: own, div_factor: 1 }
    : { max_lr: rate("max_lr"), div_factor: divisor("div_factor", rate("max_lr"), rate("initial_lr")), final_div_factor: divisor("final_div_factor", rate("initial_lr"), rate("min_lr")) };
  return {
    total_steps: steps, pct_start: sought("pct_start", fits, (ends[0] + 1) / steps), anneal_strategy: fields._anneal_func_type, three_phase: ends.length > 1,
    ...momentumOf(fields, () => rate("base_momentum"), () => rate("max_momentum")), ...peak,
  };
}

/** @param {string} name @param {any} dividend @param {any} quotient */
function divisor(name, dividend, quotient) {
  if (dividend === 0) return 1; // any would do
  return sought(name, (/** @type {any} */ value) => value > 0 && dividend / value === quotient, quotient ? dividend / quotient : Infinity);
}

/** The double with the fewest digits, at the guess or beside it, that fits. @param {string} name @param {any} fits @param {any} guess */
function sought(name, fits, guess) {
  const rounded = Number.isFinite(guess) ? Array.from({ length: 17 }, (_, digits) => Number(guess.toPrecision(digits + 1))) : [guess];
  const beside = guess * 2 ** -52;
  const found = [...rounded, guess - beside / 2, guess - beside, guess + beside / 2, guess + beside].find(fits);
  if (found === undefined) throw new PasteError(`this OneCycleLR keeps no ${name}, and none was found that gives its rates`);
  return found;
}

/** Throws where the rates of the state are not those of the schedules at its step. @param {any} from0 @param {any} schedules @param {number} position */
function checkRates({ name, fields }, schedules, position) {
  for (const [group, logged] of (fields._last_lr ?? []).entries()) {
    const schedule = schedules[group], step = schedule.end === null ? position : Math.min(position, schedule.end), out = new Float64Array(1);
    schedule.fill(out, step);
    const isPortable = [...schedule.walk()].every((part) => part.isPortable), largest = Math.max(Math.abs(out[0]), Math.abs(logged), ...(fields.base_lrs ?? [0]));
    if (isPortable ? out[0] === logged : Math.abs(out[0] - logged) <= ROUNDING * largest) continue;
    throw new PasteError(`the state's rate at step ${position} is ${logged} in group ${group}, that of the ${name} which it describes ${out[0]}: its rates were changed from outside, or its class is another one`);
  }
}

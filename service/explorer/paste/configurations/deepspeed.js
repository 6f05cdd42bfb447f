// The schedule of DeepSpeed's `scheduler` block, as scheduler/libraries/deepspeed/configuration.py reads it.

import { KINDS } from "../../kernel/kinds.js";
import { kindOf, lengthOf, schedulesOf } from "./length.js";
import { FIELDS, NeedsError, PasteError, isMapping, shown } from "../needs.js";

/**
 * The spec of a configuration, or of its block alone. Throws `PasteError` naming the field, `NeedsError` for what is missing.
 * @param {Record<string, any>} data @param {any} facts @param {Record<string, any>} given
 */
export function fromDeepspeed(data, facts, given) {
  const schedule = scheduleOf(data, facts, given);
  const [steps, why] = lengthOf(schedulesOf(schedule), given.total_steps);
  const block = data.scheduler ?? data;
  return { spec: { schedule, total_steps: steps }, what: `DeepSpeed configuration: ${block.type}`, why, notes: notesOn(block) };
}

/** What DeepSpeed understands otherwise than it is written. @param {any} from0 */
function notesOn({ params: { warmup_type: type } }) {
  return type === undefined || type === "log" || type === "linear" ? [] : [`DeepSpeed does not know warmup_type ${shown(type)}, and takes "log" in its place.`];
}

/** The schedule, or a list of one for each parameter group, as JSON data. @param {any} data @param {any} facts @param {any} given */
export function scheduleOf(data, facts, given) {
  const block = data.scheduler ?? ("type" in data ? data : null);
  if (!isMapping(block)) throw new PasteError(`this configuration has no "scheduler" block, only ${shown(Object.keys(data).join(", "))}`);
  const name = typeOf(block, facts), optimizer = new Optimizer(data.optimizer, facts, given);
  const parameters = Object.fromEntries(Object.entries(parametersOf(block, facts)).map(([key, value]) => [key, value === "auto" ? filled(key, optimizer, given) : value]));
  return facts.kinds.includes(name) ? ofDeepspeed(name, parameters, optimizer) : ofTorch(name, parameters, optimizer, facts);
}

/** The optimizer's block, and what the reader says in its place. */
class Optimizer {
  /** @param {any} block @param {any} facts @param {any} given */
  constructor(block, facts, given) {
    this.block = isMapping(block) ? block : {};
    this.facts = facts;
    this.given = given.learning_rate;
  }

  get hasBetas() {
    return !this.facts.without_betas.includes(String(this.block.type ?? "").toLowerCase());
  }

  /** The rate, for a field that needs it. @param {string} field */
  rate(field) {
    const own = isMapping(this.block.params) ? this.block.params.lr : undefined;
    if (own !== undefined && own !== null && own !== "auto") return own;
    if (this.given === undefined) throw new NeedsError(`${field} needs the optimizer's rate, and optimizer.params.lr is ${own === "auto" ? '"auto"' : "not there"}.`, [FIELDS.learning_rate]);
    return this.given;
  }
}

/** What transformers' Trainer fills an "auto" with. @param {string} name @param {Optimizer} optimizer @param {Record<string, any>} given */
function filled(name, optimizer, given) {
  const said = `scheduler.params.${name} is "auto", which transformers' Trainer fills`;
  if (name === "warmup_min_lr") return 0;
  if (name === "warmup_max_lr") return optimizer.rate("scheduler.params.warmup_max_lr");
  const field = new Map([["total_num_steps", FIELDS.total_steps], ["warmup_num_steps", FIELDS.warmup_steps]]).get(name);
  if (!field) throw new PasteError(`${said}: write its value into the configuration`);
  if (given[field.name] === undefined) throw new NeedsError(`${said}.`, [field]);
  return name === "warmup_num_steps" ? Math.max(1, given[field.name]) : given[field.name];
}

/** @param {any} block @param {any} facts */
function typeOf(block, facts) {
  const name = block.type;
  if (Object.hasOwn(facts.not_twinned, name)) throw new PasteError(`scheduler.type ${shown(name)} has no schedule: ${facts.not_twinned[name]}`);
  if (typeof name !== "string" || !(facts.kinds.includes(name) || KINDS.has(`torch.${name}`))) {
    throw new PasteError(`scheduler.type must be one of ${facts.kinds.join(", ")}, or a class of torch's, got ${shown(name)}`);
  }
  return name;
}

/** @param {any} block @param {any} facts */
function parametersOf(block, facts) {
  if (!isMapping(block.params)) throw new PasteError(`scheduler.params must be an object, got ${shown(block.params)}`);
  for (const name of facts.resumed) {
    if (name in block.params && block.params[name] !== -1) throw new PasteError(`scheduler.params.${name} must be -1, the start of a training, got ${shown(block.params[name])}`);
  }
  return Object.fromEntries(Object.entries(block.params).filter(([name]) => !facts.resumed.includes(name)));
}

/** @param {string} name @param {any} options @param {any} known */
function checkNames(name, options, known) {
  const strange = Object.keys(options).filter((key) => !known.includes(key)).sort();
  if (strange.length) throw new PasteError(`scheduler.params of ${name} must be among ${known.join(", ")}, got ${shown(strange)}`);
}

/** @param {string} name @param {any} given @param {any} optimizer */
function ofDeepspeed(name, given, optimizer) {
  const kind = `deepspeed.${name}`;
  checkNames(name, given, Object.keys(kindOf(kind).fields).filter((field) => field !== "base_lr"));
  const options = Object.fromEntries(Object.entries(given).map(([field, value]) => [field, asTaken(field, value)]));
  if (name === "WarmupCosineLR") options.base_lr = optimizer.rate(name);
  if (name === "WarmupLR" && (options.warmup_max_lr ?? null) === null) options.warmup_max_lr = optimizer.rate("scheduler.params.warmup_max_lr, which is not set,");
  if (name === "OneCycle" && !optimizer.hasBetas) options.cycle_momentum = false;
  return perGroup(kind, options);
}

/** A parameter's value as the library takes it. @param {string} field @param {any} value */
function asTaken(field, value) {
  if (field === "warmup_num_steps" || field === "lr_range_test_step_size") {
    if (!Number.isInteger(value) || value < 1) throw new PasteError(`scheduler.params.${field} must be a whole number of at least 1, got ${shown(value)}`);
  }
  if (/^cycle_(first|second)_step_size$/.test(field) && typeof value === "string" && value.trim() && Number.isFinite(Number(value))) return Number(value);
  return field === "warmup_type" && value !== "log" && value !== "linear" ? "log" : value;
}

/** @param {string} name @param {any} options @param {any} optimizer @param {any} facts */
function ofTorch(name, options, optimizer, facts) {
  if (facts.of_objects.includes(name)) throw new PasteError(`scheduler.type ${shown(name)} cannot be written as JSON: it is made of objects`);
  const kind = kindOf(`torch.${name}`), readsRate = kind.readsRate !== false;
  checkNames(name, options, Object.keys(kind.fields).filter((field) => field !== "momentum_column" && (field !== "base_lr" || !readsRate)));
  const rate = readsRate ? { base_lr: optimizer.rate(name) } : {};
  const momentum = "momentum_column" in kind.fields ? { momentum_column: optimizer.hasBetas ? "beta1" : "momentum" } : {};
  return { kind: kind.kind, ...rate, ...options, ...momentum };
}

/** A schedule, or one for each parameter group where a parameter is a list with a value for each. @param {string} kind @param {any} options */
function perGroup(kind, options) {
  const lists = Object.entries(options).filter(([, value]) => Array.isArray(value));
  const lengths = new Set(lists.map(([, value]) => value.length));
  if (lengths.size > 1) throw new PasteError(`scheduler.params must have as many values as there are groups, got ${lists.map(([name, value]) => `${name}: ${value.length}`).join(", ")}`);
  if (!lists.length) return { kind, ...options };
  return lists[0][1].map((/** @type {any} */ _, /** @type {any} */ group) => ({ kind, ...Object.fromEntries(Object.entries(options).map(([name, value]) => [name, Array.isArray(value) ? value[group] : value])) }));
}

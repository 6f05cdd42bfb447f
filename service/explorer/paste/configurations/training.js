// The schedule of transformers' Trainer from its arguments, as scheduler/libraries/transformers/arguments.py finds it.

import { pythonFloat } from "../../kernel/texts.js";
import { Unknown } from "../text/literal.js";
import { checkNames } from "./names.js";
import { kindOf } from "./length.js";
import { FIELDS, NeedsError, PasteError, isMapping, shown } from "../needs.js";

/** @typedef {Record<string, any>} Data */

/**
 * The spec of training arguments. Throws `PasteError` naming the argument, `NeedsError` where the length is missing.
 * @param {Data} data @param {Data} facts @param {Data} given what the reader gave
 * @param {string} how they were written, or the class of the call
 */
export function fromTrainingArguments(data, facts, given, how) {
  const args = new Arguments(data, facts, given, how);
  checkNames(data, facts, how);
  args.checkOwnScheduler();
  const name = args.schedulerType(), kind = kindOf(`transformers.${name}`);
  const [steps, why, countsEpochs] = allSteps(args, given);
  const known = Object.keys(kind.fields).filter((field) => field !== "lr_init");
  const counts = { num_warmup_steps: args.warmupSteps(steps), num_training_steps: steps };
  const own = Object.fromEntries(Object.entries(counts).filter(([count]) => known.includes(count)));
  const options = args.options(name, known.filter((field) => field !== "base_lr" && !(field in counts)));
  const schedule = { kind: kind.kind, base_lr: args.number("learning_rate"), ...own, ...options };
  if (steps < 1) throw new PasteError("max_steps must be at least 1, or negative where epochs count, got 0");
  const notes = typeof data.deepspeed === "string" ? [`Its DeepSpeed configuration ${shown(data.deepspeed)} may have a scheduler: then Trainer follows that one.`] : [];
  const taken = args.defaultsTaken(name, countsEpochs);
  if (taken) notes.unshift(`Not in the text, so that TrainingArguments' defaults are taken: ${taken}.`);
  return { spec: { schedule, total_steps: steps }, what: `Training arguments: lr_scheduler_type ${name}`, why, notes };
}

/** @param {Arguments} args @param {Data} given @returns {[number, string, boolean]} steps, why so many, and whether epochs count */
function allSteps(args, given) {
  const steps = args.whole("max_steps");
  if (steps >= 0) return [steps, "max_steps", false];
  if (given.total_steps !== undefined) return [given.total_steps, "as you say", false];
  const { dataset_length: examples } = given, processes = processesOf(args.data, given);
  if (examples === undefined) {
    const epochs = args.isOther ? [] : [FIELDS.dataset_length, { ...FIELDS.world_size, value: String(processes) }];
    throw new NeedsError(`How long the training is depends on more than its arguments: max_steps is ${steps}, so that epochs count.`, [FIELDS.total_steps, ...epochs]);
  }
  return [args.stepsOfEpochs(examples, processes), `${args.number("num_train_epochs")} epochs of ${examples.toLocaleString("en-US")} examples, world size ${processes}`, true];
}

/** The processes that the reader gave, or that the command starts. @param {Data} data @param {Data} given */
function processesOf(data, given) {
  const [nodes, each] = ["nnodes", "nproc_per_node"].map((name) => data[name] ?? 1);
  const started = data.num_processes ?? data.num_gpus ?? nodes * each;
  return given.world_size ?? (Number.isInteger(started) && started > 0 ? started : 1);
}

/** Arguments, each read as the library takes it. */
class Arguments {
  /** @param {any} data @param {any} facts @param {Data} given @param {string} how */
  constructor(data, facts, given, how) {
    this.data = data;
    this.facts = facts;
    this.given = given;
    this.how = how;
    this.isOther = /(?:Arguments|Config)$/.test(how) && !facts.classes.includes(how); // its defaults are its own
  }

  /** @param {string} name */
  read(name) {
    const value = Object.hasOwn(this.data, name) ? this.data[name] : this.missing(name);
    if (value instanceof Unknown) throw new PasteError(`${name} is ${shown(value)}, which only Python can compute: write its value in its place`);
    return value;
  }

  /** What holds for an argument that is not in the text. @param {string} name */
  missing(name) {
    const asked = {
      learning_rate: FIELDS.learning_rate,
      lr_scheduler_type: /** @type {const} */ ({ name, label: "lr_scheduler_type", type: "choice", choices: this.facts.types }),
      warmup_steps: /** @type {const} */ ({ name, label: "Steps of warmup (0: none)", type: "whole" }),
    }[name];
    if (!this.isOther || !asked || (name === "warmup_steps" && this.data.warmup_ratio)) return this.facts.defaults[name];
    if (name in this.given) return this.given[name];
    throw new NeedsError(`${this.how} does not give ${name} here, and may have another default than TrainingArguments.`, [asked]);
  }

  /** The decisive arguments that are not in the text, with their defaults. @param {string} name of the schedule @param {boolean} countsEpochs */
  defaultsTaken(name, countsEpochs) {
    if (this.isOther) return "";
    const warmup = name !== "constant" && !this.data.warmup_ratio ? ["warmup_steps"] : [], { defaults, of_epochs: ofEpochs } = this.facts;
    const needed = ["learning_rate", "lr_scheduler_type", ...warmup, ...(countsEpochs ? ofEpochs : [])];
    return needed.filter((each) => !Object.hasOwn(this.data, each)).map((each) => `${each} ${typeof defaults[each] === "number" ? pythonFloat(defaults[each]).replace(/\.0$/, "") : defaults[each]}`).join(", ");
  }

  /** An argument that is a number of at least 0. @param {string} name */
  number(name) {
    const given = this.read(name), number = typeof given === "boolean" ? Number(given) : given;
    if (typeof number !== "number") throw new PasteError(`${name} must be a number, got ${shown(given)}`);
    if (!(number >= 0 && number < Infinity)) throw new PasteError(`${name} must be >= 0 and finite, got ${number}`);
    return number;
  }

  /** @param {string} name */
  whole(name) {
    const given = this.read(name), number = typeof given === "boolean" ? Number(given) : given;
    if (!Number.isInteger(number)) throw new PasteError(`${name} must be a whole number, got ${shown(given)}`);
    return number;
  }

  /** @param {string} name */
  positive(name) {
    const number = this.whole(name);
    if (number < 1) throw new PasteError(`${name} must be a whole number of at least 1, got ${number}`);
    return number;
  }

  schedulerType() {
    const given = this.read("lr_scheduler_type"), { types, adaptive } = this.facts;
    if (Object.hasOwn(adaptive, given)) throw new PasteError(`lr_scheduler_type ${shown(given)} has no table: ${adaptive[given]}`);
    if (!types.includes(given)) throw new PasteError(`lr_scheduler_type must be one of ${types.join(", ")}, got ${shown(given)}`);
    return given;
  }

  checkOwnScheduler() {
    const own = this.read("deepspeed");
    if (isMapping(own) && "scheduler" in own) throw new PasteError("deepspeed has a scheduler block, which Trainer uses in place of lr_scheduler_type: paste that configuration");
  }

  /** The steps of warmup among so many. @param {number} steps */
  warmupSteps(steps) {
    const given = this.number("warmup_steps"), ratio = this.read("warmup_ratio") ? this.number("warmup_ratio") : 0;
    if (ratio && given) throw new PasteError(`warmup_steps and warmup_ratio must not both be given, got ${given} and ${ratio}`);
    if (given >= 1) return Math.trunc(given);
    const [name, share] = ratio ? ["warmup_ratio", ratio] : ["warmup_steps", given];
    if (share > 1) throw new PasteError(`${name} must be from 0 to 1, got ${share}`);
    return Math.ceil(steps * share);
  }

  /** The optimizer steps of all epochs. @param {number} examples @param {number} processes */
  stepsOfEpochs(examples, processes) {
    const batch = this.positive("per_device_train_batch_size"), accumulated = this.positive("gradient_accumulation_steps");
    const rounded = this.read("dataloader_drop_last") ? Math.floor : Math.ceil;
    const batches = rounded(rounded(examples / batch) / processes);
    if (!batches) throw new PasteError(`the examples must leave a process a batch of ${batch}, got ${examples}`);
    return Math.ceil(this.number("num_train_epochs") * Math.ceil(batches / accumulated));
  }

  /** `lr_scheduler_kwargs` for a schedule that knows these. @param {string} name @param {string[]} known */
  options(name, known) {
    let given = this.read("lr_scheduler_kwargs");
    if (typeof given === "string" && given.startsWith("{")) given = fromJson(given);
    if (this.facts.free.includes(name) || given === null || given === undefined) return {};
    if (!isMapping(given)) throw new PasteError(`lr_scheduler_kwargs must be an object or its JSON text, got ${shown(given)}`);
    const options = Object.entries(given).filter(([key, value]) => !(key === "last_epoch" && value === -1));
    const strange = options.map(([key]) => key).filter((key) => !known.includes(key)).sort();
    if (strange.length) throw new PasteError(`lr_scheduler_kwargs must be among ${known.sort().join(", ")} for ${name}, got ${shown(strange)}`);
    return Object.fromEntries(options.map(([key, value]) => [key, this.option(key, value, name)]));
  }

  /** A parameter as the library's arithmetic takes it. @param {any} key @param {any} value @param {string} name */
  option(key, value, name) {
    if (typeof value === "boolean" && !key.endsWith("_type")) return Number(value);
    const isFloat = key === this.facts.of_any_text && typeof value === "string" && name !== this.facts.not_converted;
    return isFloat && /^\s*[-+]?(\d[\d_]*(?:\.\d*)?|\.\d+)(e[-+]?\d+)?\s*$/i.test(value) ? Number(value.replace(/_/g, "")) : value;
  }
}

/** The JSON text of `lr_scheduler_kwargs`, whose numbers may themselves be texts. @param {string} text */
function fromJson(text) {
  let loaded;
  try {
    loaded = JSON.parse(text);
  } catch (error) {
    throw new PasteError(`lr_scheduler_kwargs must be JSON, got ${shown(text)}: ${/** @type {Error} */ (error).message}`);
  }
  return Object.fromEntries(Object.entries(loaded).map(([key, value]) => [key, typeof value === "string" ? fromText(value) : value]));
}

/** @param {string} text */
function fromText(text) {
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return /^\d+$/.test(text) || /^(?=.*\d)\d*\.\d*$/.test(text) ? Number(text) : text;
}

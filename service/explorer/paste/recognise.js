// What a pasted text is, and what follows from it: a spec, an address of this page, or a log of rates.

import { Spec } from "../kernel/spec.js";
import { statedLength } from "../kernel/index.js";
import { fromDeepspeed } from "./configurations/deepspeed.js";
import { Reader, TextError, plain } from "./text/literal.js";
import { flagsIn } from "./text/flags.js";
import { callsIn } from "./text/code.js";
import { FIELDS, NeedsError, PasteError, isMapping, shown } from "./needs.js";
import { fromTorchState, isState } from "./configurations/torch_state.js";
import { checkValues } from "./configurations/names.js";
import { fromTrainingArguments } from "./configurations/training.js";
import { readYaml } from "./text/yaml.js";

const LONGEST = 50_000_000; // characters of a text that is read
const ADDRESS = /(?:^|[#/?])(?=(?:spec|kind|recipe|run|table)=.)/;
const FLAGS = /(?:^|\s)--[A-Za-z][\w-]*/;
const NUMBER = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/;
const SETTERS = ["set_training", "set_lr_scheduler", "set_optimizer", "set_dataloader"]; // methods of TrainingArguments
const TORCH = "torch.optim.lr_scheduler.";
const KNOWN = "training arguments, DeepSpeed's and LightningCLI's configurations, a torch scheduler's state, specs and links of this page, and logs of rates (trainer_state.json, CSV or JSON with a column of steps)";

/**
 * What a text is. Throws `PasteError` for one that decides nothing, `NeedsError` for what must be asked.
 * @param {string} text @param {any} facts what is shared with Python @param {Record<string, any>} [given] what the reader said
 */
export function recognise(text, facts, given = {}) {
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (!trimmed) throw new PasteError("there is no text");
  if (trimmed.length > LONGEST) throw new PasteError(`the text is too long: ${trimmed.length.toLocaleString("en-US")} characters, at most ${LONGEST.toLocaleString("en-US")}`);
  const address = !/\s/.test(trimmed) && ADDRESS.exec(trimmed);
  if (address) return { address: trimmed.slice(address.index + address[0].length) };
  try {
    return checked(fromData(...dataOf(trimmed, facts), facts, given));
  } catch (error) {
    if (error instanceof TextError) throw new PasteError(`this text cannot be read: ${error.message}. The box knows ${KNOWN}.`);
    throw error;
  }
}

/** A spec that was found must be one. @param {any} found */
function checked(found) {
  if (found.spec) Spec.read(found.spec);
  return found;
}

/** The data in a text, and how it was written. @param {string} text @param {any} facts @returns {[any, string]} */
function dataOf(text, facts) {
  if (/^[{[(]/.test(text) || /^(?:OrderedDict|Counter|dict)\(/.test(text)) return [plain(new Reader(text).whole()), "data"];
  const { calls, changes } = callsIn(text);
  if (calls.length) return theCall(calls, changes, text, facts.training_arguments);
  const assigned = /^[A-Za-z_][\w.]*\s*=\s*(?=[{[(])/.exec(text);
  if (assigned) return [plain(new Reader(text, { at: assigned[0].length }).whole()), "data"];
  if (FLAGS.test(text)) return [theFlags(text, facts.training_arguments), "flags"];
  return [renamed(withNumbers(readYaml(text)), facts), "YAML"];
}

/** The call that is meant: the one with training arguments. @param {import("./text/code.js").Found[]} calls @param {import("./text/code.js").Change[]} changes @param {string} text @param {any} facts @returns {[any, string]} */
function theCall(calls, changes, text, facts) {
  const { marks, defaults } = facts;
  const having = calls.filter(({ named }) => marks.some((/** @type {string} */ name) => name in named));
  const lineOf = (/** @type {number} */ at) => text.slice(0, at).split("\n").length;
  if (having.length > 1) throw new PasteError(`there are ${having.length} calls with training arguments, ${having.slice(0, 2).map(({ name, begin }) => `${name} in line ${lineOf(begin)}`).join(" and ")}: paste one of them`);
  const call = having[0] ?? calls[0], change = changes.find(({ name, at }) => at > call.begin && (Object.hasOwn(defaults, name) || SETTERS.includes(name)));
  checkValues(call);
  if (change) throw new PasteError(`line ${lineOf(change.at)} changes the arguments outside of the call, with ${change.name}: write its value in the call`);
  return [call.named, call.name];
}

/** The flags of the command that is meant: the one with training arguments. @param {string} text @param {any} facts */
function theFlags(text, { marks }) {
  const commands = flagsIn(text), having = commands.filter((found) => marks.some((/** @type {string} */ name) => name in found));
  if (having.length > 1) throw new PasteError(`there are ${having.length} commands with training arguments: paste one of them`);
  return having[0] ?? Object.assign({}, ...commands);
}

/** Numbers that YAML takes for texts, as numbers. @param {any} value @returns {any} */
function withNumbers(value) {
  if (Array.isArray(value)) return value.map(withNumbers);
  if (isMapping(value)) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withNumbers(each)]));
  return typeof value === "string" && NUMBER.test(value) ? Number(value) : value;
}

/** Trainer's names of arguments that other tools call otherwise. @param {any} data @param {any} facts */
function renamed(data, facts) {
  if (!isMapping(data)) return data;
  const found = Object.fromEntries(Object.entries(data).map(([name, value]) => [facts.names[name] ?? name, value]));
  if (typeof found.lr_scheduler === "string") {
    found.lr_scheduler_type = found.lr_scheduler;
    delete found.lr_scheduler;
  }
  return found;
}

/** @param {any} data @param {string} how it was written @param {any} facts @param {Record<string, any>} given @returns {any} */
function fromData(data, how, facts, given) {
  if (!isMapping(data)) throw new PasteError(`this is ${how === "YAML" ? "a text" : "data"} without names, and the box knows ${KNOWN}`);
  if ("schedule" in data) return fromSpec(data, given);
  if (typeof data.kind === "string") return fromSpec({ schedule: data }, given);
  const state = stateIn(data);
  if (state && /^[0-9a-f]{64}$/.test(state.digest)) return { address: `table=${state.digest}` }; // a TableLR's
  if (state) return fromTorchState(state, groupsIn(data), facts.torch_state, given);
  if (isMapping(data.lr_scheduler) && "class_path" in data.lr_scheduler) return fromLightning(data, facts, given);
  if ("scheduler" in data || ("type" in data && "params" in data)) return fromDeepspeed(data, facts.deepspeed, given);
  if (facts.training_arguments.marks.some((/** @type {any} */ name) => name in data)) return fromTrainingArguments(data, facts.training_arguments, given, how);
  const ofLightning = isMapping(data.optimizer) && "class_path" in data.optimizer;
  if (isMapping(data.optimizer) || facts.deepspeed.marks.some((/** @type {any} */ name) => name in data)) {
    throw new PasteError(`this is ${ofLightning ? "LightningCLI's" : "a DeepSpeed"} configuration and has no ${ofLightning ? "lr_scheduler" : "scheduler"} block: it leaves the schedule to the script, or keeps the rate`);
  }
  const names = Object.keys(data).join(", ");
  throw new PasteError(`this decides no schedule: the box knows ${KNOWN}. ${names ? `It has ${shown(names)}` : "It is empty"}`);
}

/** @param {any} data @param {any} given */
function fromSpec(data, given) {
  if ("total_steps" in data) return { spec: data, what: "A spec", why: "as it says", notes: [] };
  const steps = given.total_steps ?? statedLength(data);
  if (steps === null) throw new NeedsError("The schedule does not say how many rows its table has.", [FIELDS.total_steps]);
  return { spec: { ...data, total_steps: steps }, what: `A schedule: ${[data.schedule].flat()[0].kind}`, why: given.total_steps ? "as you say" : "the steps that the schedule is made for", notes: [] };
}

/** The scheduler's state in a checkpoint, printed or as JSON. @param {any} data */
function stateIn(data) {
  const inner = [data, data.scheduler, data.lr_scheduler, data.scheduler_state_dict, data.lr_scheduler_state_dict, [data.lr_schedulers].flat()[0], [data.schedulers].flat()[0]];
  return inner.find(isState);
}

/** @param {any} data */
function groupsIn(data) {
  const inner = [data, data.optimizer, data.optimizer_state_dict, [data.optimizer_states].flat()[0]];
  const groups = inner.find((each) => Array.isArray(each?.param_groups))?.param_groups;
  return groups?.every(isMapping) ? groups : null;
}

/** LightningCLI's `lr_scheduler`: a class of torch's on its `optimizer`, stepped once per epoch. @param {any} data @param {any} facts @param {any} given */
function fromLightning(data, facts, given) {
  const path = String(data.lr_scheduler.class_path), optimizer = isMapping(data.optimizer) ? data.optimizer : {}, epochs = data.trainer?.max_epochs;
  if (!path.startsWith(TORCH) && path.includes(".")) throw new PasteError(`lr_scheduler.class_path must be a class of ${TORCH.slice(0, -1)}, got ${shown(path)}`);
  const name = path.slice(path.lastIndexOf(".") + 1);
  const block = { optimizer: { type: String(optimizer.class_path ?? "").split(".").pop(), params: optimizer.init_args ?? {} }, scheduler: { type: name, params: data.lr_scheduler.init_args ?? {} } };
  const asked = given.total_steps ?? (Number.isInteger(epochs) && epochs > 0 ? epochs : undefined);
  const { spec, why } = fromDeepspeed(block, facts.deepspeed, { ...given, total_steps: asked });
  const length = given.total_steps === undefined && asked ? "trainer.max_epochs" : why;
  return { spec: { ...spec, axis: "epoch" }, what: `LightningCLI's configuration: ${name}`, why: length, notes: ["LightningCLI steps a scheduler once per epoch, so that rows count epochs."] };
}

// A twin of transformers' as the arguments of its Trainer.

import { isPlain, literal, text } from "./literal.js";

const ARGUMENTS = ["kind", "base_lr", "num_warmup_steps", "num_training_steps", "lr_init"]; // the rest is lr_scheduler_kwargs

/** The code, or null where Trainer cannot be told so. @param {{ spec: any }} entry */
export function trainingArguments({ spec }) {
  const { schedule } = spec;
  if (Array.isArray(schedule) || !isPlain(spec) || !schedule.kind.startsWith("transformers.")) return null;
  const { base_lr: rate, num_training_steps: steps = null, lr_init: initial = null } = schedule;
  if (steps !== null && steps !== spec.total_steps) return null; // Trainer trains as long as its schedule says
  if (initial !== null && initial !== rate) return null; // its optimizer begins with the learning rate
  const options = Object.entries(schedule).filter(([name, value]) => !ARGUMENTS.includes(name) && value !== null);
  const lines = [
    'output_dir="out"', `learning_rate=${literal(rate)}`, `lr_scheduler_type=${text(schedule.kind.slice("transformers.".length))}`,
    schedule.num_warmup_steps && `warmup_steps=${schedule.num_warmup_steps}`, `max_steps=${spec.total_steps}`,
    options.length > 0 && `lr_scheduler_kwargs=${literal(Object.fromEntries(options), true)}`,
  ].filter(Boolean);
  return `from transformers import TrainingArguments\n\narguments = TrainingArguments(\n${lines.map((line) => `    ${line},\n`).join("")})\n`;
}

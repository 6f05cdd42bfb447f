// What a pasted text does not say, and the errors of reading one.

import { Unknown, Word } from "./text/literal.js";

/** A text that decides nothing that can be shown. The message is for the reader. */
export class PasteError extends Error {}

/**
 * A number that is missing: the reader is asked for it.
 * @typedef {{ name: string, label: string, type: "count" | "whole" | "rate" | "choice", value?: string, choices?: string[] }} Field
 */
export class NeedsError extends Error {
  /** @param {string} message why @param {Field[]} fields what may be given */
  constructor(message, fields) {
    super(message);
    this.fields = fields;
  }
}

/** @type {Record<string, Field>} */
export const FIELDS = {
  total_steps: { name: "total_steps", label: "Steps in all: the rows of the table", type: "count" },
  dataset_length: { name: "dataset_length", label: "or examples in the training set", type: "count" },
  world_size: { name: "world_size", label: "and processes that share them", type: "count", value: "1" },
  learning_rate: { name: "learning_rate", label: "The optimizer's learning rate", type: "rate" },
  warmup_steps: { name: "warmup_steps", label: "Steps of warmup (num_warmup_steps)", type: "count" },
};

/** A value for an error: as JSON, and short. @param {unknown} value */
export function shown(value) {
  const text = value instanceof Unknown || value instanceof Word ? value.text : JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** Whether it is an object with names. @param {any} value */
export function isMapping(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Unknown) && !(value instanceof Word);
}

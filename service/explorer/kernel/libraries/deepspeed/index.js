/** @module Twins of DeepSpeed's schedules. */

export { LRRangeTest, OneCycle } from "./cycle.js";
export { WarmupCosineLR, WarmupDecayLR, WarmupLR } from "./warmup.js";

/** @module The schedules of the original `scheduler.custom`. */

export { CosineAnnealingWarmRestarts, CyclicLR, ExponentialCyclicLR, OneCycleLR } from "./cyclical.js";
export { CosineWarmup, ExponentialWarmup, LinearWarmup, WarmupWithDecay } from "./warmup.js";

/** @module Twins of torch's schedulers. */

export { ChainedScheduler, SequentialLR } from "./composite.js";
export { CosineAnnealingLR, CosineAnnealingWarmRestarts } from "./cosine.js";
export { CyclicLR, OneCycleLR } from "./cycle.js";
export { ExponentialLR, MultiStepLR, StepLR } from "./decay.js";
export { ConstantLR, LinearLR, PolynomialLR } from "./ramp.js";
export { SWALR } from "./swa.js";

/** @module Schedules made of schedules, and the curves they are made of. */

export { Maximum, Minimum, Product, Sum } from "./combine.js";
export { Constant, Power, Ramp } from "./curves.js";
export { Cycle } from "./cycle.js";
export { Literal } from "./literal.js";
export { Sequence, Splice } from "./sequence.js";
export { Clamp, PerEpoch, Scale, Shift } from "./wrappers.js";

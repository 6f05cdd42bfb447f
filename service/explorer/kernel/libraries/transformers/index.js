/** @module Twins of transformers' `get_scheduler`. */

export { CosineWarmupWithMinLR, CosineWithMinLR, WarmupStableDecay } from "./floors.js";
export { Constant, ConstantWithWarmup, Cosine, CosineWithRestarts, InverseSqrt, Linear, Polynomial } from "./kinds.js";

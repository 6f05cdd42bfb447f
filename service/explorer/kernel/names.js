/** @module Names that people call schedules by: near ones, aliases, and those of schedulers that are none. */

import { nearNames } from "./texts.js";

/** Alias to the name of a kind, as `scheduler.names.aliases` has them; a test holds both to each other. */
export const ALIASES = Object.freeze({
    "1cycle": "torch.OneCycleLR",
    one_cycle: "torch.OneCycleLR",
    clr: "torch.CyclicLR",
    cosine_annealing: "torch.CosineAnnealingLR",
    warm_restarts: "torch.CosineAnnealingWarmRestarts",
    exponential: "torch.ExponentialLR",
    multistep: "torch.MultiStepLR",
    step: "torch.StepLR",
    wsd: "transformers.warmup_stable_decay",
    trapezoidal: "transformers.warmup_stable_decay",
    noam: "transformer-base",
    slanted_triangular: "ulmfit",
});

const CAPTURE = "step the scheduler into a table, capture(scheduler, total_steps), and publish that";
const FOLLOWS =
    "its rates follow the metrics of the training and are not known before it; " +
    "train with a table, such as Constant, and scale or shorten it where the metric stalls: " +
    "'lrtables run amend --help'";

/** Schedulers that no schedule can be: why, and what to use instead. */
export const NO_SCHEDULES = Object.freeze({
    ReduceLROnPlateau: FOLLOWS,
    reduce_lr_on_plateau: FOLLOWS,
    greedy: FOLLOWS,
    LambdaLR: `its rates come from a Python function, which no JSON can name; ${CAPTURE}`,
    MultiplicativeLR: `its factors come from a Python function, which no JSON can name; ${CAPTURE}`,
    LRScheduler: "the base class of torch's schedulers has no rates; 'lrtables show' lists those that have",
});

const REASONS = new Map(Object.entries(NO_SCHEDULES).map(([name, why]) => [folded(name), why]));

/** Why a scheduler of this name is no schedule, if it is one. @param {string} name */
export function whyNoSchedule(name) {
    return REASONS.get(ownName(name));
}

/**
 * The kinds that a misspelt name may mean, whatever the prefix of their library; the nearest first. An alias stands for
 * the kind that it is of.
 * @param {string} name
 * @param {string[]} kinds
 */
export function nearKinds(name, kinds) {
    /** @type {Map<string, string[]>} */
    const spellings = new Map();
    for (const kind of kinds) {
        const aliases = Object.entries(ALIASES).filter(([, target]) => target === kind);
        for (const spelling of [ownName(kind), ...aliases.map(([alias]) => folded(alias))]) {
            spellings.set(spelling, [...(spellings.get(spelling) ?? []), kind]);
        }
    }
    const close = nearNames(ownName(name), [...spellings.keys()]);
    return [...new Set(close.flatMap((spelling) => spellings.get(spelling) ?? []))];
}

/** A name as names are compared, without the prefix of its library. @param {string} name */
function ownName(name) {
    return folded(name).replace(/^[a-z_]+\./, "");
}

/** @param {string} name */
function folded(name) {
    return name.toLowerCase().replace(/-/g, "_");
}

// The shapes of runs as the server writes them, as far as the page reads them; nothing here runs.

/**
 * What the page of the runs needs of the whole page.
 * @typedef {object} Page
 * @property {import("../common/types.js").State} state
 * @property {import("../common/types.js").Catalogue} catalogue
 * @property {import("../stage/stage.js").Stage} stage
 * @property {string | null} hash the address that is shown
 * @property {(hash: string) => Promise<void>} open
 * @property {(change: Partial<import("../common/types.js").State>, key?: string) => void} change
 *
 * A change of a run from a step on; which fields there are depends on the template.
 * @typedef {object} Amendment
 * @property {string} [template] a tail where it is left out
 * @property {number} [from_step]
 * @property {number} [rate]
 * @property {number} [length]
 * @property {string} [shape]
 * @property {number | null} [total_steps]
 * @property {number} [factor]
 * @property {import("../common/types.js").Schedule | import("../common/types.js").Schedule[]} [tail]
 * @property {number} [version] of a roll-back, which is none of the server's templates
 * @property {boolean} [rewind] of a roll-back
 *
 * A version of a run, with the layout of its table.
 * @typedef {object} Version
 * @property {string} namespace
 * @property {string} name
 * @property {number} version
 * @property {string} action
 * @property {string} digest
 * @property {import("../common/types.js").Spec | null} [spec]
 * @property {number} total_steps
 * @property {string} axis
 * @property {number} stride
 * @property {number | null} from_step
 * @property {Amendment | null} [amendment]
 * @property {string} [author]
 * @property {string} [reason]
 * @property {string} [link]
 * @property {string} created_at
 *
 * A run as it is now.
 * @typedef {Version & { revision: number, locked: boolean, labels: Record<string, string>, rules: Record<string, number> }} Run
 *
 * @typedef {object} Proposal
 * @property {number} proposal
 * @property {number} base_version
 * @property {"open" | "approved" | "rejected"} state
 * @property {Amendment} amendment
 * @property {string} [author]
 * @property {string} [reason]
 * @property {string} [link]
 * @property {string} created_at
 * @property {string} [decided_by]
 * @property {string} [decided_at]
 * @property {number | null} [version]
 * @property {Refusal[]} [refusals]
 *
 * Why a change would be refused now.
 * @typedef {{ detail: string, from_step?: number }} Refusal
 *
 * What a dry run says, or a version that is looked at in its place.
 * @typedef {object} Found
 * @property {string} digest
 * @property {number} total_steps
 * @property {import("../common/types.js").Spec | null} [spec]
 * @property {number | null} [from_step]
 * @property {number} [largest_factor]
 * @property {Record<string, number>} [last_steps]
 * @property {Refusal[]} [refusals]
 *
 * @typedef {{ step: number, version: number | null, reported_at: string }} Worker
 * @typedef {{ workers: Record<string, Worker>, highest: number | null }} Progress
 *
 * What the token allows on a run; `who` names it, where there are tokens.
 * @typedef {{ who: string, propose: boolean, publish: boolean }} May
 *
 * Everything that is shown of a run.
 * @typedef {{ run: Run, versions: Version[], progress: Progress, proposals: Proposal[], may: May }} Data
 *
 * @typedef {{ action: string, reason?: string }} Change
 *
 * A control of a form, with the place of its error.
 * @typedef {{ control: HTMLElement, error: HTMLElement }} Control
 */

export {};

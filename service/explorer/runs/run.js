// One run: its version, its history, its workers and the proposals for it.

import { button, el, messageOf, newId, refill, say } from "../common/dom.js";
import { count, when } from "../common/format.js";
import { MAX_CURVES } from "../data/state.js";
import { answered } from "../data/engine.js";
import { decide, inWords, labelOf, readProgress, readRun } from "./calls.js";
import { originOf, remember } from "../data/origins.js";
import { Settings, rulesInWords } from "./settings.js";
import { Steer } from "./steer.js";
import { describe } from "./templates.js";
import { Workers, goTo, marksOf } from "./workers.js";

const POLL = 5000; // milliseconds between two looks at the workers, which the feed of changes does not tell
const LINES = 50; // of a list, before one asks for more

/**
 * @typedef {import("./types.js").Run} Run
 * @typedef {import("./types.js").Version} Version
 * @typedef {import("./types.js").Proposal} Proposal
 * @typedef {import("./types.js").Data} Data
 * @typedef {import("./types.js").May} May
 */

/** What is shown of one run. */
export class RunView {
  /** @param {import("./types.js").Page} page @param {() => void} back to the list */
  constructor(page, back) {
    this.page = page;
    /** @type {string | null} */
    this.name = null;
    /** @type {Data | null} */
    this.data = null;
    this.lines = { history: LINES, proposals: LINES };
    this.isShown = false;
    this.isRefused = false;
    this.head = el("div", {});
    this.proposals = el("div", {});
    this.history = el("div", {});
    const id = newId();
    this.why = el("input", { id, type: "text", class: "wide", maxlength: "4000", autocomplete: "off" });
    this.decision = [el("label", { for: id, class: "about" }, "Reason for the decision"), this.why];
    this.said = el("p", { class: "error", role: "alert" });
    this.done = el("p", { class: "same", role: "status" });
    const again = () => this.refresh([]), told = (/** @type {string} */ text) => (this.done.textContent = text);
    this.steer = new Steer(page, again, told);
    this.settings = new Settings(again, told);
    this.workers = new Workers(page, again);
    this.root = el("div", { class: "run", hidden: true }, el("div", { class: "bar" }, button("‹ All runs and tables", back, { class: "quiet" })), this.said, this.head, this.done,
      this.steer.root, this.settings.root, this.proposals, this.workers.root, this.history);
    setInterval(() => this.poll(), POLL);
  }

  /** @param {string | null} name */
  open(name) {
    if (name === this.name) return;
    this.name = name;
    this.data = null;
    this.lines = { history: LINES, proposals: LINES };
    this.root.hidden = name === null;
    for (const part of [this.head, this.proposals, this.history]) refill(part, "", () => []);
    this.said.textContent = this.done.textContent = this.why.value = "";
    this.steer.show(null);
    this.settings.show(null);
    this.workers.show(null);
    this.mark([]);
    if (name !== null) this.refresh([]);
  }

  /** @param {boolean} isShown */
  shown(isShown) {
    this.isShown = isShown;
    this.steer.shown(isShown);
  }

  /** Look where the workers are. */
  async poll() {
    const { name, data } = this;
    if (document.hidden || !this.isShown || !data || name === null || this.isRefused) return;
    const progress = await readProgress(name).catch((error) => { // the feed says why there is none
      this.refused(error);
      return null;
    });
    if (progress && data === this.data) this.place({ ...data, progress });
  }

  /** A token that is not taken is not sent again and again. @param {unknown} error */
  refused(error) {
    this.isRefused = answered(error).status === 401;
  }

  /** @param {Data} data */
  place({ progress, run, may }) {
    this.workers.show(this.name, progress, run, may.publish);
    this.steer.highest = progress.highest;
    this.mark(marksOf(progress, run.stride));
  }

  /** Read everything again. @param {import("./types.js").Change[]} changes those that were heard of, to be said */
  async refresh(changes) {
    const { name } = this;
    if (name === null) return;
    try {
      const data = await readRun(name, this.data?.versions ?? []);
      if (name !== this.name) return;
      this.take(data);
      const last = changes.at(-1);
      if (last) say(`${name}: ${last.action}${last.reason ? `, ${last.reason}` : ""}`);
    } catch (error) {
      if (name !== this.name) return;
      this.refused(error);
      this.said.textContent = messageOf(error);
      if (answered(error).status === 410) for (const part of [this.steer, this.settings]) part.show(null); // it was deleted
    }
  }

  /** @param {Data} data */
  take(data) {
    this.data = data;
    this.isRefused = false;
    const { run, versions, may } = data, { specs } = this.page.state, name = `${run.namespace}/${run.name}`;
    const follows = specs.map((spec) => { const origin = originOf(spec); return origin?.word === "run" && origin.value === this.name; });
    for (const version of versions) if (version.version !== run.version) remember("run", `${this.name}@${version.version}`, version, labelOf(version));
    const spec = remember("run", name, run, labelOf(run)), text = JSON.stringify(spec);
    if (specs.some((each, place) => follows[place] && JSON.stringify(each) !== text)) {
      this.page.change({ specs: specs.map((each, place) => (follows[place] ? structuredClone(spec) : each)) });
    }
    this.said.textContent = "";
    refill(this.head, JSON.stringify(run), () => this.headOf(run));
    this.list();
    this.place(data);
    this.steer.show(run, data);
    this.settings.show(run, may);
  }

  /** The lists, which are long in the end: more of them on request. */
  list() {
    if (!this.data) return;
    const { run, versions, proposals, may } = this.data, { lines } = this;
    refill(this.proposals, JSON.stringify([proposals, run.version, may, lines.proposals]), () => this.proposalsOf(proposals, run, may));
    refill(this.history, JSON.stringify([versions, may, lines.history]), () => this.historyOf(versions, may));
  }

  /** @param {"history" | "proposals"} what @param {number} all @param {string} text */
  more(what, all, text) {
    const add = () => {
      this.lines[what] += LINES;
      this.list();
    };
    return all > this.lines[what] && el("div", { class: "bar" }, button(text, add), el("span", { class: "about" }, `${count(this.lines[what])} of ${count(all)}`));
  }

  /** @param {import("../chart/types.js").Mark[]} marks */
  mark(marks) {
    const { stage } = this.page;
    if (!stage || JSON.stringify(stage.marks) === JSON.stringify(marks)) return;
    stage.marks = marks;
    stage.paint();
  }

  // -- parts ----------------------------------------------------------------------------------------------------------

  /** @param {Run} run */
  headOf(run) {
    const labels = Object.entries(run.labels).map(([key, value]) => `${key}:${value}`), rules = rulesInWords(run);
    return [
      el("h2", {}, this.name),
      el("p", { class: "about" }, [`version ${run.version}`, `${count(run.total_steps)} rows`, ...labels].join(" · ")),
      rules && el("p", { class: "about" }, `Guard rails: ${rules}`),
      run.locked && el("p", { class: "differs" }, "Locked: nothing of it changes until it is unlocked."),
    ];
  }

  /** @param {Version[]} versions @param {May} may */
  historyOf(versions, may) {
    const newest = versions.at(-1)?.version;
    const items = [...versions].reverse().slice(0, this.lines.history).map((version) => el("li", {},
      el("b", {}, `v${version.version} `), el("span", {}, `${version.action}${version.author ? ` by ${version.author}` : ""}, ${when(version.created_at)}`),
      version.amendment && el("span", { class: "about" }, describe(version.amendment)),
      version.reason && el("q", {}, version.reason),
      version.link && linkOf(version.link),
      el("span", { class: "choice" },
        button("Show", () => this.compare([version]), { "aria-label": `Show version ${version.version}` }),
        button("Compare", () => this.compare([version], true), { "aria-label": `Compare with version ${version.version}` }),
        may.publish && version.version !== newest && version.action !== "delete" && button("Roll back", () => this.steer.take({ template: "rollback", version: version.version }), { "aria-label": `Roll back to version ${version.version}` }),
        version.from_step !== null && goTo(this.page, version.from_step * version.stride, version.stride))));
    return [el("h3", {}, "History"), el("ol", { class: "versions", "aria-label": "History", reversed: true }, ...items), this.more("history", versions.length, "Older versions")];
  }

  /** Draw versions, alone or beside what is drawn. @param {Version[]} versions @param {boolean} [beside] */
  compare(versions, beside = false) {
    const added = versions.map((version) => {
      const name = `${version.namespace}/${version.name}`, value = version.version === this.data?.run.version ? name : `${name}@${version.version}`;
      return structuredClone(remember("run", value, version, labelOf(version)));
    });
    const present = beside ? this.page.state.specs : [], texts = new Set(present.map((spec) => JSON.stringify(spec)));
    const specs = [...present, ...added.filter((spec) => !texts.has(JSON.stringify(spec)))].slice(-MAX_CURVES);
    if (specs.length === present.length) return say("It has the same schedule as a curve that is drawn.");
    this.page.change({ specs, active: 0, view: null });
  }

  /** @param {Proposal[]} proposals @param {Run} run @param {May} may */
  proposalsOf(proposals, run, may) {
    const newest = [...proposals].reverse(), open = newest.filter(({ state }) => state === "open"), decided = newest.filter(({ state }) => state !== "open");
    const past = decided.slice(0, this.lines.proposals).map((each) => el("li", {}, ...headOf(each), el("span", { class: "about" }, `${each.state}${each.decided_by ? ` by ${each.decided_by}` : ""}, ${when(each.decided_at ?? "")}${each.version ? `: version ${each.version}` : ""}`)));
    return [
      open.length > 0 && el("h3", {}, "Proposals"),
      open.length > 0 && el("ul", { class: "versions", "aria-label": "Proposals" }, ...open.map((each) => this.openProposal(each, run, may))),
      ...(open.length && may.publish ? this.decision : []),
      past.length > 0 && el("details", {}, el("summary", {}, `${count(decided.length)} decided proposals`), el("ul", { class: "versions", "aria-label": "Decided proposals" }, ...past), this.more("proposals", decided.length, "Older proposals")),
    ];
  }

  /** @param {Proposal} each @param {Run} run @param {May} may */
  openProposal(each, run, may) {
    const said = el("p", { class: "error", role: "alert" });
    const act = (/** @type {"approve" | "reject"} */ way) => async () => {
      const done = way === "approve" ? "approved" : "rejected";
      said.textContent = "";
      try {
        await decide(`${run.namespace}/${run.name}`, each.proposal, way, this.why.value.trim());
        this.done.textContent = `Proposal ${each.proposal} is ${done}.`;
        this.why.value = "";
        this.refresh([]);
      } catch (error) {
        said.textContent = inWords(error, done);
      }
    };
    const old = each.base_version !== run.version && el("span", { class: "about" }, `It was made for version ${each.base_version}.`);
    return el("li", {}, ...headOf(each), old, el("span", { class: "choice" },
      button("Preview", () => this.steer.take(each.amendment), { "aria-label": `Preview proposal ${each.proposal}` }),
      may.publish && button("Approve", act("approve"), { "aria-label": `Approve proposal ${each.proposal}` }),
      may.publish && button("Reject", act("reject"), { "aria-label": `Reject proposal ${each.proposal}` })), said);
  }
}

/** What a proposal says. @param {Proposal} each */
function headOf(each) {
  return [el("b", {}, `Proposal ${each.proposal} `), el("span", {}, `${each.author ? `by ${each.author}, ` : ""}${when(each.created_at)}`),
    el("span", { class: "about" }, describe(each.amendment)), each.reason && el("q", {}, each.reason), each.link && linkOf(each.link)];
}

/** Only an address of the web becomes a link: a text may be anything. @param {string} text */
function linkOf(text) {
  return /^https?:\/\//i.test(text) ? el("a", { href: text, rel: "noopener noreferrer", target: "_blank" }, text) : el("span", { class: "about" }, text);
}

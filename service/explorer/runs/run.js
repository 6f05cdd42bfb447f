// One run: its version, its history, its workers and the proposals for it.

import { button, el, newId, refill, say } from "../common/dom.js";
import { brief, count, when } from "../common/format.js";
import { MAX_CURVES } from "../data/state.js";
import { decide, inWords, labelOf, readProgress, readRun } from "./calls.js";
import { originOf, remember } from "../data/origins.js";
import { Steer } from "./steer.js";

const POLL = 5000; // milliseconds between two looks at the workers, which the feed of changes does not tell
const MOST_LINES = 200;

export class RunView {
  /** @param {any} page @param {() => void} back to the list */
  constructor(page, back) {
    this.page = page;
    this.name = null;
    this.data = null;
    this.head = el("div", {});
    this.proposals = el("div", {});
    this.workers = el("div", {});
    this.history = el("div", {});
    this.said = el("p", { class: "error", role: "alert" });
    this.steer = new Steer(page, () => this.refresh([]));
    this.root = el("div", { class: "run", hidden: true }, el("div", { class: "bar" }, button("‹ All runs and tables", back, { class: "quiet" })), this.said, this.head, this.steer.root, this.proposals, this.workers, this.history);
    setInterval(() => this.poll(), POLL);
  }

  /** @param {string | null} name */
  open(name) {
    if (name === this.name) return;
    this.name = name;
    this.data = null;
    this.root.hidden = name === null;
    for (const part of [this.head, this.proposals, this.workers, this.history]) refill(part, "", () => []);
    this.said.textContent = "";
    this.steer.show(null);
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
    if (document.hidden || !this.isShown || !data) return;
    const progress = await readProgress(name).catch(() => null); // the feed says why there is none
    if (progress && data === this.data) this.place(progress, data.run);
  }

  place(progress, run) {
    refill(this.workers, JSON.stringify(progress), () => this.workersOf(progress, run));
    this.mark(marksOf(progress, run.stride));
  }

  /** Read everything again. @param {any[]} changes those that were heard of, to be said */
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
      if (name === this.name) this.said.textContent = error.message;
    }
  }

  take(data) {
    this.data = data;
    const { run, versions, progress, proposals } = data, { specs } = this.page.state;
    const follows = specs.map((spec) => { const origin = originOf(spec); return origin?.word === "run" && origin.value === this.name; });
    for (const version of versions) if (version.version !== run.version) remember("run", `${this.name}@${version.version}`, version, labelOf(version));
    const spec = remember("run", this.name, run, labelOf(run)), text = JSON.stringify(spec);
    if (specs.some((each, place) => follows[place] && JSON.stringify(each) !== text)) {
      this.page.change({ specs: specs.map((each, place) => (follows[place] ? structuredClone(spec) : each)) });
    }
    this.said.textContent = "";
    refill(this.head, JSON.stringify(run), () => this.headOf(run));
    refill(this.proposals, JSON.stringify([proposals, run.version]), () => this.proposalsOf(proposals, run));
    refill(this.history, JSON.stringify(versions), () => this.historyOf(versions));
    this.place(progress, run);
    this.steer.show(run);
  }

  mark(marks) {
    const { stage } = this.page;
    if (!stage || JSON.stringify(stage.marks) === JSON.stringify(marks)) return;
    stage.marks = marks;
    if (stage.state) stage.paint();
  }

  // -- parts ----------------------------------------------------------------------------------------------------------

  headOf(run) {
    const rules = Object.entries(run.rules).map(([rule, value]) => `${rule} ${brief(value, 6)}`), labels = Object.entries(run.labels).map(([key, value]) => `${key}:${value}`);
    return [
      el("h2", {}, this.name),
      el("p", { class: "about" }, [`version ${run.version}`, `${count(run.total_steps)} rows`, run.locked && "locked", ...labels].filter(Boolean).join(" · ")),
      rules.length > 0 && el("p", { class: "about" }, `Guard rails: ${rules.join(", ")}`),
    ];
  }

  workersOf({ workers, highest }, run) {
    const entries = Object.entries(workers);
    if (!entries.length) return [el("h3", {}, "Workers"), el("p", { class: "about" }, "None has reported its position.")];
    const rows = entries.slice(0, MOST_LINES).map(([name, { step, version, reported_at: at }]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: "number" }, this.goTo(step, run.stride)), el("td", {}, version === null ? "" : `v${version}`), el("td", {}, when(at))));
    return [el("h3", {}, "Workers"), el("p", { class: "about" }, `The one that is farthest is at ${run.axis} ${count(highest)}.`),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Workers" }, el("table", {}, el("thead", {}, el("tr", {}, ...["worker", run.axis, "follows", "reported"].map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, ...rows)))];
  }

  goTo(step, stride) {
    return button(count(step), () => this.page.stage.chart?.moveTo(Math.floor(step / stride)), { class: "link", "aria-label": `Go to ${step}` });
  }

  historyOf(versions) {
    const items = [...versions].reverse().slice(0, MOST_LINES).map((version) => el("li", {},
      el("b", {}, `v${version.version} `), el("span", {}, `${version.action}${version.author ? ` by ${version.author}` : ""}, ${when(version.created_at)}`),
      version.amendment && el("span", { class: "about" }, describe(version.amendment)),
      version.reason && el("q", {}, version.reason),
      version.link && linkOf(version.link),
      el("span", { class: "choice" },
        button("Show", () => this.compare([version]), { "aria-label": `Show version ${version.version}` }),
        button("Compare", () => this.compare([version], true), { "aria-label": `Compare with version ${version.version}` }),
        version.from_step !== null && this.goTo(version.from_step * version.stride, version.stride))));
    return [el("h3", {}, "History"), el("ol", { class: "versions", "aria-label": "History", reversed: true }, ...items)];
  }

  /** Draw versions, alone or beside what is drawn. @param {any[]} versions @param {boolean} [beside] */
  compare(versions, beside = false) {
    const added = versions.map((version) => {
      const value = version.version === this.data.run.version ? this.name : `${this.name}@${version.version}`;
      return structuredClone(remember("run", value, version, labelOf(version)));
    });
    const present = beside ? this.page.state.specs : [], texts = new Set(present.map((spec) => JSON.stringify(spec)));
    const specs = [...present, ...added.filter((spec) => !texts.has(JSON.stringify(spec)))].slice(-MAX_CURVES);
    if (specs.length === present.length) return say("It has the same schedule as a curve that is drawn.");
    this.page.change({ specs, active: 0, view: null });
  }

  proposalsOf(proposals, run) {
    const open = proposals.filter(({ state }) => state === "open").reverse();
    if (!open.length) return [];
    const id = newId(), why = el("input", { id, type: "text", class: "wide", maxlength: "4000", autocomplete: "off" });
    const items = open.slice(0, MOST_LINES).map((each) => {
      const said = el("p", { class: "error", role: "alert" });
      const act = (way) => async () => {
        said.textContent = "";
        try {
          await decide(this.name, each.proposal, way, why.value.trim());
          say(`Proposal ${each.proposal} is ${way === "approve" ? "approved" : "rejected"}.`);
          this.refresh([]);
        } catch (error) {
          said.textContent = inWords(error, way === "approve" ? "approved" : "rejected");
        }
      };
      const old = each.base_version !== run.version && el("span", { class: "about" }, `It was made for version ${each.base_version}.`);
      return el("li", {}, el("b", {}, `Proposal ${each.proposal} `), el("span", {}, `${each.author ? `by ${each.author}, ` : ""}${when(each.created_at)}`),
        el("span", { class: "about" }, describe(each.amendment)), each.reason && el("q", {}, each.reason), each.link && linkOf(each.link), old,
        el("span", { class: "choice" },
          button("Preview", () => this.steer.take(each.amendment), { "aria-label": `Preview proposal ${each.proposal}` }),
          button("Approve", act("approve"), { "aria-label": `Approve proposal ${each.proposal}` }),
          button("Reject", act("reject"), { "aria-label": `Reject proposal ${each.proposal}` })), said);
    });
    return [el("h3", {}, "Proposals"), el("ul", { class: "versions", "aria-label": "Proposals" }, ...items), el("label", { for: id, class: "about" }, "Reason for the decision"), why];
  }
}

/** Only an address of the web becomes a link: a text may be anything. */
function linkOf(text) {
  return /^https?:\/\//i.test(text) ? el("a", { href: text, rel: "noopener noreferrer", target: "_blank" }, text) : el("span", { class: "about" }, text);
}

/** The workers as marks: those at one row are one. */
function marksOf({ workers }, stride) {
  const rows = new Map();
  for (const [name, { step }] of Object.entries(workers)) {
    const row = Math.floor(step / stride);
    rows.set(row, [...(rows.get(row) ?? []), name]);
  }
  return [...rows].map(([step, names]) => ({ step, label: names.length > 1 ? `${count(names.length)} workers` : names[0].slice(0, 24), dot: 3 }));
}

/** An amendment in a sentence. @param {any} amendment */
export function describe({ template = "tail", from_step: step, ...rest }) {
  const start = `from step ${count(step)} on`;
  if (template === "cooldown") return `${start}: cool down to ${brief(rest.rate ?? 0, 6)} over ${count(rest.length)} steps (${rest.shape ?? "linear"})`;
  if (template === "extend") return `${start}: hold the rate for longer, then go on as before, to ${count(rest.total_steps)} steps in all`;
  if (template === "hold") return `${start}: hold the rate`;
  if (template === "scale") return `${start}: all rates times ${brief(rest.factor, 6)}`;
  const kinds = [rest.tail].flat().map((tail) => tail?.kind).join(", ");
  return `${template === "rewind" ? `back to step ${count(step)}, and from there on` : start}: ${kinds || "another tail"}`;
}

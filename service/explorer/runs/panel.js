// Tables and runs of the server: found, opened, and a run followed. It stands in the place of the form.

import { button, el, fill, later, messageOf, newId, say } from "../common/dom.js";
import { hasToken, tokens } from "../data/engine.js";
import { count, when } from "../common/format.js";
import { list, nameIn, whoAmI } from "./calls.js";
import { Feed } from "./feed.js";
import { namesIn } from "../data/origins.js";
import { RunView } from "./run.js";
import { tokenForm } from "../data/token.js";

/**
 * @typedef {import("./types.js").Run} Run
 * @typedef {{ digest: string, kind: string | null, nbytes: number, created_at: string }} Listed a table in the list
 */

/** The part of the page for tables and runs. */
export class Runs {
  /** @param {import("./types.js").Page} page @param {HTMLElement} panel @param {HTMLElement} nav */
  constructor(page, panel, nav) {
    this.page = page;
    this.panel = panel;
    /** @type {"runs" | "tables"} */
    this.what = "runs";
    /** @type {string | null} an address to open once there is a token */
    this.retry = null;
    this.isLong = false;
    this.asked = {}; // the request for the list whose answer counts
    this.tokenState = el("p", { class: "about", role: "status" });
    this.token = el("details", { class: "token" });
    this.toggle = button("Tables and runs", () => this.toggled(), { "aria-expanded": "false", class: "quiet", "aria-controls": "runs" });
    nav.prepend(this.toggle);
    const id = newId();
    this.find = el("input", { id, type: "text", autocomplete: "off", spellcheck: "false", on: { input: later(() => this.load(), 250) } });
    this.kinds = el("div", { class: "choice", role: "group", "aria-label": "What to list" });
    this.items = el("ul", { class: "found", "aria-label": "Found" });
    this.more = el("div", { class: "bar" });
    this.state = el("p", { class: "about", role: "status" });
    this.live = el("span", { class: "live" });
    this.browser = el("div", {}, el("div", { class: "bar" }, this.kinds), el("label", { for: id, class: "about" }, "Part of a name, beginning of a digest, label:value, kind=Ramp"), this.find, this.state, this.items, this.more);
    this.feed = new Feed((changes) => this.heard(changes), (text) => (this.live.textContent = text));
    this.run = new RunView(page, () => this.close());
    this.root = el("section", { id: "runs", "aria-label": "Tables and runs", hidden: true, tabindex: "-1" }, this.tokenRow(), this.run.root, this.browser, this.live);
    panel.prepend(this.root);
  }

  // -- the token ------------------------------------------------------------------------------------------------------

  tokenRow() {
    const used = async (/** @type {boolean} */ isGiven) => {
      this.token.open = !isGiven;
      this.tokenState.className = "about";
      this.tokenState.textContent = isGiven ? await whoAmI().then(({ name, scopes }) => `${name || "No token is needed"}: ${scopes.join(", ")}. It is kept for this tab only.`, messageOf) : "Forgotten.";
    };
    fill(this.token, el("summary", {}, "Token"), tokenForm("Token of the server; empty forgets it", "Use it", used));
    tokens.addEventListener("changed", () => this.again());
    tokens.addEventListener("wanted", () => this.wanted());
    return el("div", {}, this.token, this.tokenState);
  }

  /** The server does not take the token, or asks for one. */
  wanted() {
    this.token.open = true;
    this.tokenState.className = hasToken() ? "error" : "about";
    this.tokenState.textContent = hasToken() ? "The server does not take the token any more: it was revoked, or has expired. Give another one; what is typed here stays." : "The server asks for a token. It is kept for this tab only.";
  }

  /** Ask for a token, to open an address with it. @param {string} hash */
  askForToken(hash) {
    this.retry = hash;
    this.show(true);
    this.token.open = true;
    /** @type {HTMLElement | null} */ (this.token.querySelector("input[type=password]"))?.focus();
  }

  /** With another token: what failed is asked again. */
  again() {
    const hash = this.retry;
    this.retry = null;
    if (hash) {
      this.page.hash = null;
      this.page.open(hash);
    }
    this.page.stage.notice("token", null);
    this.feed.follow(null, false);
    this.refresh();
    this.run.steer.renewed();
  }

  // -- showing --------------------------------------------------------------------------------------------------------

  toggled() {
    this.show(this.root.hidden);
    if (!this.root.hidden) this.root.focus(); // on a narrow screen it is far below
  }

  /** @param {boolean} isOpen */
  show(isOpen) {
    this.root.hidden = !isOpen;
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    for (const part of this.panel.children) if (part !== this.root && part instanceof HTMLElement) part.hidden = isOpen;
    if (isOpen) this.refresh();
    else this.feed.follow(null, false);
    this.run.shown(isOpen);
  }

  /** The page has opened an address. @param {string} hash */
  opened(hash) {
    const value = namesIn(hash.slice(1)).find(([word]) => word === "run")?.[1] ?? "", name = nameIn(value);
    if (!name || (name === this.run.name && !this.root.hidden) || this.retry) return;
    this.run.open(name);
    this.show(true);
  }

  close() {
    this.run.open(null);
    this.refresh();
    this.find.focus();
  }

  refresh() {
    if (this.root.hidden) return;
    this.browser.hidden = this.run.name !== null;
    if (this.run.name === null) this.load();
    this.feed.follow(this.run.name);
  }

  /** @param {import("./types.js").Change[]} changes */
  heard(changes) {
    if (this.run.name !== null) this.run.refresh(changes);
    else if (this.what === "runs" && changes.length) this.isLong ? this.older() : this.load();
  }

  /** Somebody changed a run. A list of several pages is not taken from under the reader. */
  older() {
    fill(this.state, "Runs have changed since. ", button("Load the list again", () => this.load(), { class: "link" }));
  }

  // -- the list -------------------------------------------------------------------------------------------------------

  /** Read the list, or go on with it. @param {string | null} [after] @param {string} [text] what is looked for */
  async load(after = null, text = this.find.value.trim()) {
    const asked = (this.asked = {});
    const choose = (/** @type {"runs" | "tables"} */ what) => () => {
      this.what = what;
      this.find.value = "";
      this.load();
    };
    if (this.kinds.dataset.what !== this.what) {
      this.kinds.dataset.what = this.what;
      const had = this.kinds.contains(document.activeElement);
      fill(this.kinds, .../** @type {const} */ (["runs", "tables"]).map((what) => button(what === "runs" ? "Runs" : "Tables", choose(what), { "aria-pressed": String(what === this.what) })));
      if (had) /** @type {HTMLElement | null} */ (this.kinds.querySelector("[aria-pressed=true]"))?.focus();
    }
    try {
      const { items, next } = await list(this.what, text, after);
      if (asked !== this.asked) return;
      const rows = items.map((/** @type {Run & Listed} */ item) => (this.what === "runs" ? this.runItem(item) : this.tableItem(item)));
      this.isLong = after !== null;
      if (after === null) fill(this.items, ...rows);
      else this.items.append(...rows);
      fill(this.more, next !== null && button("More", () => this.load(next, text)));
      this.state.textContent = this.items.children.length ? "" : this.find.value ? `No ${this.what === "runs" ? "run" : "table"} is called so.` : `There are no ${this.what} yet.`;
      if (after !== null) rows[0]?.querySelector("a")?.focus();
    } catch (error) {
      if (asked !== this.asked) return;
      this.state.textContent = messageOf(error);
      fill(this.items);
      fill(this.more);
    }
  }

  /** @param {Run} run */
  runItem(run) {
    const name = `${run.namespace}/${run.name}`, labels = Object.entries(run.labels).map(([key, value]) => `${key}:${value}`);
    const link = el("a", { href: `#run=${encodeURIComponent(name)}`, on: { click: () => say(name) } }, name);
    return el("li", {}, link, el("span", {}, [`v${run.version}`, run.locked && "locked", `${count(run.total_steps)} rows`, ...labels].filter(Boolean).join(" · ")), run.reason && el("span", {}, run.reason));
  }

  /** @param {Listed} table */
  tableItem(table) {
    const link = el("a", { href: `#table=${table.digest}` }, el("code", {}, table.digest.slice(0, 16)));
    return el("li", {}, link, el("span", {}, `${table.kind ?? "published by its values"} · ${count(table.nbytes / 8)} values · ${when(table.created_at)}`));
  }
}

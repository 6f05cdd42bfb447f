// The page: connects the address, the form, the engine and the curves.

import { button, byId, el, fill, messageOf, say } from "./common/dom.js";
import { Engine, TokenError, catalogue as loadCatalogue, isStatic } from "./data/engine.js";
import { Form } from "./form/form.js";
import { lookUp } from "./runs/calls.js";
import { namesIn } from "./data/origins.js";
import { PasteBox } from "./paste/panel.js";
import { Runs } from "./runs/panel.js";
import { addSearch } from "./form/search.js";
import { History, exampleOf, initial, read, written } from "./data/state.js";
import { isEmbedded } from "./share/embed.js";
import { Stage } from "./stage/stage.js";

const BEGIN = "custom.WarmupWithDecay";

/**
 * @typedef {import("./common/types.js").Spec} Spec
 * @typedef {import("./common/types.js").State} State
 * @typedef {import("./common/types.js").Catalogue} Catalogue
 */

class Page {
  /** @param {Catalogue} catalogue */
  constructor(catalogue) {
    this.catalogue = catalogue;
    this.history = new History();
    this.engine = new Engine();
    this.state = initial(exampleOf(BEGIN, catalogue));
    this.writing = 0;
    /** @type {string | null} the address that is shown */
    this.hash = null;
    /** @type {string | null} the address whose names are being looked up */
    this.pending = null;
    this.search = addSearch(byId("search"), catalogue, (href) => this.follow(href));
    this.form = new Form(byId("form"), catalogue, (spec, key, done) => this.edited(spec, key, done));
    this.stage = new Stage({
      engine: this.engine,
      catalogue,
      change: (change, key) => this.change(change, key),
      refuse: (error) => this.form.fail(error?.message ?? null, error?.pointer ?? null),
    });
    this.undo = button("Undo", () => this.move(this.history.undo(this.state)), { class: "quiet", "aria-keyshortcuts": "Control+Z" });
    this.redo = button("Redo", () => this.move(this.history.redo(this.state)), { class: "quiet", "aria-keyshortcuts": "Control+Shift+Z" });
    byId("panel").prepend(el("div", { class: "history" }, this.undo, this.redo));
    if (isEmbedded()) document.documentElement.dataset.embedded = "";
    else {
      if (!isStatic()) this.runs = new Runs(this, byId("panel"), byId("elsewhere"));
      this.paste = new PasteBox(this, byId("panel"), byId("elsewhere"));
    }
    addEventListener("hashchange", () => this.open(location.hash));
    addEventListener("keydown", (event) => this.key(event));
  }

  async start() {
    this.stage.notice("address", null);
    await Promise.all([this.open(location.hash), this.engine.start()]);
    this.stage.notice("kernel", this.engine.fault);
    this.show(true);
  }

  /** Follow a link of the search: it replaces the active curve. @param {string} href */
  follow(href) {
    try {
      const [spec] = read(href.slice(1), this.catalogue).specs;
      this.runs?.show(false);
      this.change({ specs: this.state.specs.toSpliced(this.state.active, 1, spec), view: null }, "");
      say(`${href.slice(1).replace("=", " ")}`);
      byId("stage").focus({ preventScroll: true });
    } catch (error) {
      this.stage.notice("address", messageOf(error));
    }
  }

  /** Show what an address says. @param {string} hash */
  async open(hash) {
    if (hash === this.hash) return;
    this.hash = hash;
    this.stage.notice("address", null);
    try {
      if (namesIn(hash.slice(1)).length) await this.lookUp(hash);
      if (hash !== this.hash) return; // another address came meanwhile
      this.state = hash.length > 1 ? read(hash.slice(1), this.catalogue) : initial(exampleOf(BEGIN, this.catalogue));
    } catch (error) {
      this.stage.notice("address", messageOf(error));
    }
    this.show(true);
    this.runs?.opened(hash);
  }

  /** Tables and runs are the server's: it is asked for them first. @param {string} hash */
  async lookUp(hash) {
    clearTimeout(this.writing); // else the state before would be written over this address
    if (isStatic()) throw new Error("tables and runs are on a server, and this page runs without one");
    this.pending = hash;
    try {
      await lookUp(hash.slice(1));
    } catch (error) {
      if (error instanceof TokenError) this.runs?.askForToken(hash);
      throw error;
    } finally {
      if (this.pending === hash) this.pending = null;
    }
  }

  /** @param {Spec} spec @param {string} key @param {boolean} done */
  edited(spec, key, done) {
    this.change({ specs: this.state.specs.toSpliced(this.state.active, 1, spec) }, key, done);
  }

  /** Change the state. Changes with the same key, close together, are undone together. @param {Partial<State>} change @param {string} [key] @param {boolean} [done] */
  change(change, key = "", done = true) {
    this.history.remember(this.state, key);
    this.state = { ...this.state, ...change };
    const rows = Math.max(...this.state.specs.map((spec) => spec.total_steps));
    if (this.state.view && this.state.view[1] >= rows) this.state.view = null;
    this.show(done);
  }

  /** @param {boolean} done whether nothing is just passing by */
  show(done) {
    this.undo.disabled = !this.history.past.length;
    this.redo.disabled = !this.history.future.length;
    this.form.show(this.state.specs[this.state.active]);
    this.stage.show(this.state, done);
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.write(), done ? 150 : 400);
  }

  /** Keep the state in the address, without a step of the browser's history for each notch of a slider. */
  write() {
    if (this.pending) return;
    this.hash = `#${written(this.state)}`;
    if (this.hash !== location.hash) history.replaceState(null, "", this.hash);
  }

  /** Show a state of before, or of after. @param {State | undefined} found */
  move(found) {
    if (!found) return say("nothing to undo");
    this.state = found;
    this.show(true);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const typing = event.target instanceof Element && event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      this.move(event.shiftKey ? this.history.redo(this.state) : this.history.undo(this.state));
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.search.focus();
    } else if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      if (event.key === "/") {
        event.preventDefault();
        this.search.focus();
      } else this.stage.key(event);
    }
  }
}

async function start() {
  try {
    const page = new Page(await loadCatalogue());
    if (isStatic()) byId("docs").remove(); // there is no server to document
    await page.start();
    document.documentElement.dataset.ready = "true";
  } catch (error) {
    fill(byId("notices"), el("p", { class: "notice", role: "alert" }, messageOf(error), " ", button("Try again", () => location.reload())));
  }
}

start();

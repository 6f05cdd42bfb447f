// Links, code and files to take away.

import { button, el, messageOf, newId, refill } from "../common/dom.js";
import { isStatic } from "../data/engine.js";
import { frameOf, imageLine } from "./embed.js";
import { snippetsOf } from "./snippets.js";
import { csvOf, npyOf, pngOf, safetensorsOf, svgOf } from "./files.js";

const FIRST = "Python", IMAGE = "Markdown image";
/** @type {Record<string, string>} */
const REMARKS = {
  Embed: "Other sites may show it if this server's embed_origins names them.",
  [IMAGE]: "The server keeps this table. Readers see its image if the server asks for no tokens.",
};
/** @type {Record<string, (entry: Entry, stage: Stage) => Promise<import("./files.js").Saved>>} */
const FILES = { PNG: pngOf, SVG: svgOf, CSV: csvOf, npy: npyOf, safetensors: safetensorsOf };

/**
 * @typedef {import("../common/types.js").Entry} Entry
 * @typedef {import("./files.js").Source & { state: import("../common/types.js").State }} Stage
 */

/** The part of the page with everything to copy and to save. */
export class Share {
  /** @param {{ stage: Stage }} page */
  constructor({ stage }) {
    this.stage = stage;
    /** @type {Entry | null} */
    this.entry = null;
    const id = newId();
    this.code = el("pre", { id, tabindex: "0", "aria-label": "Code" });
    this.state = el("span", { role: "status", class: "checked" });
    this.way = FIRST;
    this.remark = el("p", { class: "about" });
    this.tabs = el("div", { class: "choice", role: "group", "aria-label": "Copy as" });
    const files = Object.keys(FILES).map((name) => button(name, () => this.save(name), { "aria-label": `Save ${name}` }));
    this.root = el("section", { "aria-label": "Share", class: "share" },
      el("div", { class: "bar" }, el("span", { class: "choice" }, button("Copy link", () => this.copy(location.href))), el("div", { class: "choice", role: "group", "aria-label": "Save" }, el("span", {}, "save"), ...files), this.state),
      el("div", { class: "bar" }, this.tabs, button("Copy", () => this.copy(this.code.textContent ?? ""))), this.code, this.remark);
  }

  /** @param {Entry} entry */
  show(entry) {
    this.entry = entry;
    if (this.way === IMAGE) this.way = FIRST; // else each table that passes by would be kept on the server
    this.write();
  }

  /** The frame shows what the page shows, the zoom included. */
  follow() {
    if (this.way === "Embed" && this.entry) this.write();
  }

  write() {
    const server = isStatic() ? "http://127.0.0.1:8000" : new URL(".", document.baseURI).href.replace(/\/$/, "");
    const { entry } = this;
    if (!entry) return;
    const { spec, table, flat } = entry;
    const made = snippetsOf({ spec, names: table.names, values: flat[0].values, isExact: table.source !== "preview" }, server);
    made.set("Embed", frameOf(this.stage.state));
    if (!isStatic()) made.set(IMAGE, "…");
    const way = made.has(this.way) ? this.way : FIRST; // the one that was chosen comes back with a curve that has it
    refill(this.tabs, JSON.stringify([...made.keys(), way]), () => [...made.keys()].map((name) => button(name, () => { this.way = name; this.write(); }, { "aria-pressed": String(name === way) })));
    this.code.textContent = made.get(way) ?? "";
    this.remark.textContent = REMARKS[way] ?? "";
    if (way === IMAGE) this.keep(entry, server);
  }

  /** Have the server keep the table, and show the line with its image. @param {Entry} entry @param {string} server */
  async keep(entry, server) {
    try {
      const line = await imageLine(entry.spec, server);
      if (this.way === IMAGE && this.entry === entry) this.code.textContent = line;
    } catch (error) {
      this.code.textContent = "";
      this.say(messageOf(error));
    }
  }

  /** Copy a text. Browsers offer their clipboard only on secure addresses; elsewhere a selection is copied. @param {string} text */
  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = el("textarea", { value: text, readonly: true, class: "unseen", "aria-label": "Text to copy" });
      document.body.append(box);
      box.select();
      const done = document.execCommand("copy");
      box.remove();
      if (!done) return this.say("The browser refuses: select the text and copy it.");
    }
    this.say("Copied.");
  }

  /** @param {string} name of the format */
  async save(name) {
    if (!this.entry) return;
    try {
      const { blob, file } = await FILES[name](this.entry, this.stage);
      const link = el("a", { href: URL.createObjectURL(blob), download: file });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.say(`Saved ${file}.`);
    } catch (error) {
      this.say(messageOf(error));
    }
  }

  /** @param {string} text */
  say(text) {
    this.state.textContent = text;
  }
}

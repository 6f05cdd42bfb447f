// Where the values come from, their digest, and whether that was seen to be right.

import { button, el, fill, messageOf } from "../common/dom.js";
import { TokenError, isStatic, manifestOf } from "../data/engine.js";

const MARKS = { server: "values from the server", exact: "computed here, bit for bit", preview: "preview, not the bits" };

/**
 * @typedef {import("../common/types.js").Entry} Entry
 * @typedef {import("../common/types.js").Table} Table
 * @typedef {{ engine: import("../data/engine.js").Engine, beside: import("../compare/beside.js").Beside, askForToken: (message: string) => void }} Means
 */

/** The line with the mark and the digest of the active curve. */
export class Proof {
  /** @param {Means} means */
  constructor(means) {
    this.means = means;
    this.root = el("div", { class: "proof" });
    this.checked = el("span", {});
  }

  /** Prove a curve as far as it can be. @param {Entry} entry @param {() => boolean} isShown whether it is still the active one */
  async show(entry, isShown) {
    const { table, spec } = entry;
    if (!table.digest && table.source === "exact") {
      this.write(entry, "…");
      table.digest = await this.means.engine.digest(spec).catch(() => null);
    }
    if (!isShown()) return;
    this.write(entry, table.digest);
    if (table.layout) await this.recompute(entry, table.layout);
  }

  /** @param {Entry} entry @param {string | null} digest */
  write(entry, digest) {
    const { source } = entry.table;
    this.checked = el("span", { class: "checked", role: "status" });
    const check = source === "exact" && !isStatic() && button("Compare with the server", () => this.compare(entry));
    fill(this.root, el("span", { class: `source ${source}` }, MARKS[source]), digest && el("span", { class: "digest" }, "digest ", el("code", { id: "digest" }, digest)), check, this.checked);
  }

  /** Compute the digest of the values that the server sent, and say whether it is the one that the table is named by. @param {Entry} entry @param {import("../kernel/table.js").Layout} layout */
  async recompute({ table, flat }, layout) {
    const columns = new Map(flat.map(({ name, values }) => [name, values])), mark = this.checked;
    mark.textContent = "computing the digest of the values that came …";
    try {
      table.proved ??= (await this.means.beside.digest("proof", layout, layout.columns.map((name) => columns.get(name) ?? new Float64Array(0)))) ?? undefined;
    } catch (error) {
      mark.textContent = `the digest was not computed: ${messageOf(error)}`;
      return;
    }
    if (table.proved) judge(mark, table.proved === table.digest, "✓ the values that came have this digest", `✗ the values that came have the digest ${table.proved}`);
  }

  /** Ask the server for the digest of the same spec. It computes and keeps the table. @param {Entry} entry */
  async compare({ spec, table }) {
    const mark = this.checked;
    mark.textContent = "…";
    try {
      const { digest } = await manifestOf(spec);
      judge(mark, digest === table.digest, "✓ equal to the server's", `✗ the server has ${digest}`);
    } catch (error) {
      if (error instanceof TokenError) this.means.askForToken(error.message);
      mark.textContent = messageOf(error);
    }
  }
}

/** @param {HTMLElement} mark @param {boolean} same @param {string} yes @param {string} no */
function judge(mark, same, yes, no) {
  mark.className = `checked ${same ? "same" : "differs"}`;
  mark.textContent = same ? yes : no;
}

// The page in a frame of another one, and a table as an image of a README.

import { el } from "../common/dom.js";
import { isStatic, manifestOf } from "../data/engine.js";
import { count } from "../common/format.js";
import { originOf } from "../data/origins.js";
import { written } from "../data/state.js";

/**
 * Whether this is the embedded view: the curve alone, without a form, without runs, without a place for a token. The
 * server marks the page that it lets others frame; a page without a server goes by its address.
 */
export const isEmbedded = () => document.documentElement.dataset.embedded !== undefined || (isStatic() && new URLSearchParams(location.search).get("embed") === "1");

/** The address of the page itself, without what it shows. */
const own = () => location.href.split(/[?#]/)[0];

/** A link from the embedded view to the whole page, which shows the same. */
export function openLink() {
  const link = el("a", { class: "open", target: "_blank", rel: "noopener" }, "Open in lrtables ↗");
  const follow = () => link.setAttribute("href", own() + location.hash);
  for (const event of ["pointerenter", "pointerdown", "focus", "click"]) link.addEventListener(event, follow);
  addEventListener("hashchange", follow);
  follow();
  return link;
}

/** @param {string} text */
const inAttribute = (text) => text.replaceAll("&", "&amp;").replaceAll(`"`, "&quot;").replaceAll("<", "&lt;");

/** A frame that shows a state. @param {import("../common/types.js").State} state */
export function frameOf(state) {
  const source = `${own()}?embed=1#${written(state)}`;
  return `<iframe src="${inAttribute(source)}"\n  title="Learning rate schedule" width="760" height="460" loading="lazy" style="border: 0"></iframe>\n`;
}

/**
 * A line of Markdown with the picture of a spec's table, which leads to the page. The server must have the table to draw
 * it, so a table that is not one of its own is computed and kept there first.
 * @param {import("../common/types.js").Spec} spec @param {string} server
 */
export async function imageLine(spec, server) {
  const digest = originOf(spec)?.digest ?? (await manifestOf(spec)).digest;
  const kind = [spec.schedule].flat()[0].kind.replace(/[[\]\\]/g, "\\$&");
  return `[![${kind}, ${count(spec.total_steps)} ${spec.axis ?? "step"}s](${server}/v1/tables/${digest}/plot.svg)](${server}/#table=${digest})\n`;
}

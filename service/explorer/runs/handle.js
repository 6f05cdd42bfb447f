// What is dragged in the chart: a line at a row, or a knob at a rate. Each is a slider, moved with the arrow keys as well.

import { byId, el } from "../common/dom.js";
import { brief, count } from "../common/format.js";

const HALVINGS = 60; // of an interval, until a rate is found to the pixel and beyond

/** A handle on the first chart. `line` is one at a row; `knob` is at a row and a rate, and says a rate. */
export class Handle {
  /** @param {import("./types.js").Page} page @param {"line" | "knob"} kind @param {string} label @param {string} sign @param {(to: number, done: boolean) => void} moved */
  constructor(page, kind, label, sign, moved) {
    this.page = page;
    this.kind = kind;
    this.moved = moved;
    /** @type {{ row: number, rate?: number, text?: string } | null} */
    this.at = null;
    this.held = false;
    const isLine = kind === "line";
    this.root = el("div", { class: `handle ${kind}`, role: "slider", tabindex: "0", hidden: true, "aria-label": label, "aria-valuemin": "0", "aria-orientation": isLine ? "horizontal" : "vertical" }, el("span", { "aria-hidden": "true" }, sign));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.root.focus();
      this.root.setPointerCapture(event.pointerId);
      this.held = true;
    });
    this.root.addEventListener("lostpointercapture", () => {
      this.held = false;
      this.place();
    });
    this.root.addEventListener("pointermove", (event) => this.root.hasPointerCapture(event.pointerId) && this.drag(event, false));
    this.root.addEventListener("pointerup", (event) => this.root.hasPointerCapture(event.pointerId) && this.drag(event, true));
    byId("charts").addEventListener("drawn", () => this.place());
  }

  get chart() {
    return this.page.stage.chart;
  }

  /** @param {{ row: number, rate?: number, text?: string } | null} at null for nowhere */
  show(at) {
    this.at = at;
    if (!at) this.root.remove();
    else if (!this.root.isConnected) this.page.stage.plots.append(this.root); // to move it would let go of the pointer
    this.place();
  }

  place() {
    const { chart, at } = this, isRate = this.kind === "knob";
    if (!at || !chart?.box || !chart.across || !chart.up) {
      this.root.hidden = true;
      return;
    }
    const { box, across, up } = chart, value = isRate ? at.rate ?? NaN : at.row;
    let x = across.place(at.row);
    if (this.held) x = clamped(x, box.left, box.right); // one that is gone is let go
    this.root.hidden = !(x >= box.left - 1 && x <= box.right + 1) || (isRate && (!Number.isFinite(value) || this.page.state.against !== "overlay"));
    if (this.root.hidden) return;
    this.root.style.left = `${chart.root.offsetLeft + x}px`;
    this.root.style.top = `${chart.root.offsetTop + (isRate ? clamped(up.place(value), box.top, box.bottom) : box.top)}px`;
    if (!isRate) this.root.style.height = `${box.bottom - box.top}px`;
    if (!isRate) this.root.setAttribute("aria-valuemax", String(Math.max(value, chart.last)));
    this.root.setAttribute("aria-valuenow", String(value));
    this.root.setAttribute("aria-valuetext", at.text ?? (isRate ? `rate ${brief(value, 6)}` : `row ${count(value)}`));
  }

  /** @param {PointerEvent} event @param {boolean} done */
  drag(event, done) {
    if (!this.chart?.box || !this.chart.across || !this.chart.up) return;
    const { box, across, up, root } = this.chart, frame = root.getBoundingClientRect();
    if (this.kind === "knob") return this.moved(rateAt(up, clamped(event.clientY - frame.top, box.top, box.bottom), box), done);
    this.moved(Math.round(across.step(Math.max(event.clientX - frame.left, box.left))), done);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const to = this.kind === "knob" ? this.keyOfRate(event) : this.keyOfRow(event);
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(to, true);
  }

  /** @param {KeyboardEvent} event @returns {number | undefined} */
  keyOfRow({ key, shiftKey }) {
    const row = this.at?.row ?? 0, last = this.chart?.last ?? 0, by = shiftKey ? 100 : 1, page = Math.max(1, Math.round(last / 20));
    /** @type {Record<string, number>} */
    const rows = { ArrowLeft: row - by, ArrowDown: row - by, ArrowRight: row + by, ArrowUp: row + by, PageDown: row - page, PageUp: row + page, Home: 0, End: last };
    return rows[key];
  }

  /** @param {KeyboardEvent} event @returns {number | undefined} */
  keyOfRate({ key, shiftKey }) {
    if (!this.chart?.box || !this.chart.up) return undefined;
    const { box, up } = this.chart, highest = rateAt(up, box.top, box), rate = this.at?.rate ?? 0;
    const more = rounded(rate === 0 ? highest / 100 : rate * (shiftKey ? 1.5 : 1.05)), less = rate < highest / 1e4 ? 0 : rounded(rate / (shiftKey ? 1.5 : 1.05));
    /** @type {Record<string, number>} */
    const rates = { ArrowUp: more, ArrowRight: more, ArrowDown: less, ArrowLeft: less, Home: 0 };
    return rates[key];
  }
}

/** The rate at a height of the chart, to three digits: what a hand can mean. The scale only tells heights of rates. @param {import("../chart/types.js").Up} scale @param {number} y @param {import("../chart/types.js").Box} box */
function rateAt(scale, y, box) {
  if (y >= box.bottom - 0.5 && Math.abs(scale.place(0) - box.bottom) <= 1) return 0;
  let low = 0, high = 1e-12;
  while (scale.place(high) > box.top && high < 1e12) high *= 4;
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = (low + high) / 2;
    if (scale.place(middle) > y) low = middle;
    else high = middle;
  }
  return rounded(high);
}

/** @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(3));
}

/** @param {number} value @param {number} low @param {number} high */
function clamped(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Draws curves on a canvas: a pixel column shows the lowest and the highest value of its rows, so nothing is lost.
// A library would be larger: uPlot 1.6.32 is 51 kB, and needs such a reduction, asinh and accessibility beside it.

import { el } from "../common/dom.js";
import { exact } from "../common/format.js";
import { drawCursor, drawDots, drawSeries } from "./curves.js";
import { MARGIN, drawAxes, drawMarks, drawPhases } from "./frame.js";
import { Gestures } from "./gestures.js";
import { scaleX, scaleY } from "./scales.js";
import { styleOf } from "./style.js";

const FEWEST = 4; // rows in the closest zoom

/**
 * @typedef {import("./types.js").Picture} Picture
 * @typedef {{ view: (view: [number, number] | null) => void, cursor: (step: number) => void }} Listeners
 */

/** A curve, or several, with marks, shading, layers of other modules, and a cursor. */
export class Chart {
  /** @param {string} name @param {Listeners} listeners @param {boolean} main whether it is the large one that the keyboard drives */
  constructor(name, listeners, main) {
    this.listeners = listeners;
    /** @type {HTMLCanvasElement} */
    this.canvas = el("canvas", { "aria-hidden": "true" });
    /** @type {HTMLElement} */
    this.root = el("div", { class: main ? "chart main" : "chart", role: "slider", tabindex: "0", "aria-label": `Cursor on the curve of ${name}`, "aria-valuemin": "0" }, this.canvas);
    /** @type {Picture | null} */
    this.picture = null;
    /** @type {[number, number] | null} */
    this.view = null;
    /** @type {import("./types.js").Box | null} where the curves were drawn last */
    this.box = null;
    /** @type {import("./types.js").Across | null} the scale of rows that was drawn last */
    this.across = null;
    /** @type {import("./types.js").Up | null} the scale of values that was drawn last */
    this.up = null;
    this.cursor = 0;
    this.queued = false;
    this.gestures = new Gestures(this);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.root);
  }

  /** @param {Picture} picture @param {[number, number] | null} view @param {number} cursor */
  show(picture, view, cursor) {
    this.picture = picture;
    this.view = view;
    this.cursor = cursor;
    const value = picture.series[0]?.values[cursor];
    this.root.setAttribute("aria-valuemax", String(picture.rows - 1));
    this.root.setAttribute("aria-valuenow", String(cursor));
    this.root.setAttribute("aria-valuetext", `${picture.axis} ${cursor * picture.stride}: ${value === undefined ? "no value" : exact(value)}`);
    this.draw();
  }

  remove() {
    this.observer.disconnect();
    this.root.remove();
  }

  /** Draw with the next frame. */
  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.paint();
    });
  }

  /** The number of the last row. */
  get last() {
    return Math.max(0, (this.picture?.rows ?? 1) - 1);
  }

  /** The rows in view, as two numbers. @returns {[number, number]} */
  get range() {
    return this.view ?? [0, Math.max(1, this.last)];
  }

  /** Draw on the screen, now. */
  paint() {
    const ratio = globalThis.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = this.root;
    const context = this.canvas.getContext("2d");
    if (!this.picture || !this.root.isConnected || !width || !height || !context) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintOn(context, width, height, ratio, true);
    this.root.dispatchEvent(new Event("drawn", { bubbles: true }));
  }

  /**
   * Draw on a pen of any size; for the screen and for saved pictures.
   * @param {import("./types.js").Pen} pen @param {number} width @param {number} height @param {number} ratio device pixels in a unit
   * @param {boolean} live with cursor and selection
   */
  paintOn(pen, width, height, ratio, live) {
    const { picture } = this;
    if (!picture) return;
    const style = styleOf(this.root), [from, to] = this.range;
    const box = this.box = { left: MARGIN.left, top: MARGIN.top, right: width - MARGIN.right, bottom: height - MARGIN.bottom };
    const across = this.across = scaleX(picture.x, from, to, box);
    const up = this.up = scaleY(picture, Math.max(0, Math.floor(from)), Math.min(picture.rows, Math.ceil(to) + 1), box);
    const frame = { pen, picture, style, box, across, up, ratio };
    pen.font = `12px ${style.font}`;
    drawPhases(frame);
    drawAxes(frame);
    drawMarks(frame);
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 4);
    pen.clip();
    for (const series of picture.series) drawSeries(frame, series);
    for (const layer of picture.layers ?? []) layer.draw(frame);
    drawDots(frame);
    pen.restore();
    if (live) drawCursor(frame, this.cursor, this.gestures.selection);
  }

  /** Show these rows, kept within the table. @param {number} from @param {number} to */
  zoomTo(from, to) {
    const { last } = this, width = Math.min(Math.max(to - from, Math.min(FEWEST, last)), last);
    const start = Math.min(Math.max(0, (from + to - width) / 2), last - width), view = { from: Math.round(start), to: Math.round(start + width) };
    this.listeners.view(view.from <= 0 && view.to >= last ? null : [view.from, view.to]);
  }

  /** Zoom by a factor around a place of the canvas; without one, around the cursor. @param {number} factor @param {number} [x] */
  zoomBy(factor, x) {
    const [from, to] = this.range, middle = this.cursor >= from && this.cursor <= to ? this.cursor : (from + to) / 2;
    const fixed = x === undefined || !this.across ? middle : this.across.step(x);
    const left = (fixed - from) * factor, right = (to - fixed) * factor;
    this.zoomTo(Math.min(fixed - left, fixed), Math.max(fixed + right, fixed));
  }

  /** Move the view by a share of its width. @param {number} share */
  pan(share) {
    const [from, to] = this.range;
    const by = Math.min(Math.max((to - from) * share, -from), this.last - to);
    this.zoomTo(from + by, to + by);
  }

  /** Move the cursor to a row in view. @param {number} step */
  hover(step) {
    this.listeners.cursor(Math.min(Math.max(0, Math.round(step)), this.last));
  }

  /** Move the cursor; the view follows. @param {number} step */
  moveTo(step) {
    const kept = Math.min(Math.max(0, Math.round(step)), this.last), [from, to] = this.range;
    this.listeners.cursor(kept);
    if (kept < from || kept > to) this.zoomTo(kept - (to - from) / 2, kept + (to - from) / 2);
  }
}

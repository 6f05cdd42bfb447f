// Draws curves on a canvas: a pixel column shows the lowest and the highest value of its rows, so nothing is lost.
// A library would be larger: uPlot 1.6.32 is 51 kB, and needs such a reduction, asinh and accessibility beside it.

import { el } from "./dom.js";
import { brief, count, exact, short, ticks } from "./format.js";

const MARGIN = { left: 64, right: 14, top: 22, bottom: 28 };
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2], [1, 4], [6, 2, 1, 2]];
const FEWEST = 4; // rows in the closest zoom

/**
 * @typedef {{ values: Float64Array, extremes: import("./decimate.js").Extremes, label: string, color: number, first?: number }} Series
 * @typedef {{ series: Series[], rows: number, marks: { step: number, label: string }[], phases: { start: number, stop: number, name: string }[],
 *   x: string, y: string, stride: number, axis: string, unit: string }} Picture
 * @typedef {{ view: (view: [number, number] | null) => void, cursor: (step: number) => void }} Listeners
 */

/** A curve, or several, with marks, shading and a cursor. */
export class Chart {
  /** @param {string} name @param {Listeners} listeners @param {boolean} main whether it is the large one that the keyboard drives */
  constructor(name, listeners, main) {
    this.listeners = listeners;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.root = el("div", { class: main ? "chart main" : "chart", role: "slider", tabindex: "0", "aria-label": `Cursor on the curve of ${name}`, "aria-valuemin": "0" }, this.canvas);
    /** @type {Picture | null} */
    this.picture = null;
    /** @type {[number, number] | null} */
    this.view = null;
    this.cursor = 0;
    this.pointers = new Map();
    this.selection = null;
    this.queued = false;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.root);
    this.listen();
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
      if (this.picture && this.root.isConnected) this.paint();
    });
  }

  /** The rows in view, as two numbers. @returns {[number, number]} */
  get range() {
    return this.view ?? [0, Math.max(1, (this.picture?.rows ?? 1) - 1)];
  }

  paint() {
    const ratio = globalThis.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = this.root;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintOn(context, width, height, ratio, true);
    this.root.dispatchEvent(new Event("drawn", { bubbles: true }));
  }

  /**
   * Draw on a context of any size; for the screen and for saved pictures.
   * @param {any} context @param {number} width @param {number} height @param {number} ratio device pixels in a unit
   * @param {boolean} live with cursor and selection
   */
  paintOn(context, width, height, ratio, live) {
    const { picture } = this;
    const style = this.style = styleOf(this.root);
    const box = this.box = { left: MARGIN.left, top: MARGIN.top, right: width - MARGIN.right, bottom: height - MARGIN.bottom };
    const [from, to] = this.range;
    this.scaleX = scaleX(picture.x, from, to, box);
    this.scaleY = scaleY(picture, Math.max(0, Math.floor(from)), Math.min(picture.rows, Math.ceil(to) + 1), box);
    context.font = `12px ${style.font}`;
    this.paintPhases(context);
    this.paintAxes(context);
    this.paintMarks(context);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 4);
    context.clip();
    for (const series of picture.series) this.paintSeries(context, series, ratio);
    this.paintDots(context);
    context.restore();
    if (live) this.paintCursor(context);
  }

  paintPhases(context) {
    const { box, style, picture } = this;
    for (const { start, stop, name } of picture.phases) {
      const left = Math.max(box.left, this.scaleX.place(start)), right = Math.min(box.right, this.scaleX.place(stop));
      if (right <= left) continue;
      context.fillStyle = style.phases[name] ?? "transparent";
      context.fillRect(left, box.top, right - left, box.bottom - box.top);
      const wide = context.measureText(name).width;
      if (right - left > wide + 16) {
        context.fillStyle = style.soft;
        context.textAlign = "center";
        context.textBaseline = "alphabetic";
        context.fillText(name, (left + right) / 2, box.bottom - 6);
      }
    }
  }

  paintAxes(context) {
    const { box, style, picture } = this;
    context.lineWidth = 1;
    context.strokeStyle = style.grid;
    context.fillStyle = style.soft;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const { at, text } of this.scaleY.ticks) {
      line(context, box.left, crisp(at), box.right, crisp(at));
      context.fillText(text, box.left - 8, at);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    const texts = this.scaleX.ticks.map((value) => short(value * picture.stride)), differ = new Set(texts).size === texts.length;
    for (const [place, value] of this.scaleX.ticks.entries()) {
      const at = this.scaleX.place(value), text = differ ? texts[place] : count(value * picture.stride);
      const half = context.measureText(text).width / 2;
      line(context, crisp(at), box.bottom, crisp(at), box.bottom + 4);
      context.fillText(text, Math.min(Math.max(at, half), box.right + MARGIN.right - half), box.bottom + 7);
    }
    context.strokeStyle = style.axis;
    line(context, box.left, crisp(box.bottom), box.right, crisp(box.bottom));
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(picture.unit, 4, 3);
  }

  paintMarks(context) {
    const { box, style, picture } = this;
    let free = box.left + context.measureText(picture.unit).width - MARGIN.left + 12;
    context.setLineDash([2, 3]);
    context.strokeStyle = style.mark;
    context.textBaseline = "top";
    context.textAlign = "left";
    let last = -Infinity;
    for (const [place, { step, label }] of picture.marks.entries()) {
      if (picture.marks[place + 1]?.step === step + 1) continue; // the last step of a part: the next mark begins another
      const at = this.scaleX.place(step);
      if (at < box.left - 0.5 || at > box.right + 0.5 || at - last < 3) continue;
      last = at;
      line(context, crisp(at), box.top, crisp(at), box.bottom);
      const wide = context.measureText(label).width, begin = Math.min(Math.max(at - wide / 2, box.left), box.right - wide);
      if (begin < free || wide > 160) continue;
      context.fillStyle = style.soft;
      context.fillText(label, begin, 3);
      free = begin + wide + 10;
    }
    context.setLineDash([]);
  }

  /** @param {any} context @param {Series} series @param {number} ratio */
  paintSeries(context, series, ratio) {
    const { box, scaleX: across, scaleY: up } = this;
    const first = series.first ?? 0, end = first + series.values.length;
    const from = Math.max(first, Math.floor(across.step(box.left)) - 1), to = Math.min(end, Math.ceil(across.step(box.right)) + 2);
    context.strokeStyle = context.fillStyle = this.style.colors[series.color % this.style.colors.length];
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.setLineDash(DASHES[series.color % DASHES.length]);
    context.beginPath();
    trace(series, from, to, across, up, 1 / ratio, (x, y) => context.lineTo(x, y));
    context.stroke();
    context.setLineDash([]);
    if ((box.right - box.left) / (to - from) > 9) {
      for (let step = from; step < to; step++) {
        context.beginPath();
        context.arc(across.place(step), up.place(series.values[step - first]), 2.5, 0, 7);
        context.fill();
      }
    }
  }

  /** Marks that lie on the first curve: where workers are. */
  paintDots(context) {
    const { style, picture: { marks, series: [first] } } = this;
    for (const { step, dot } of marks) {
      const value = first?.values[step - (first.first ?? 0)];
      if (!dot || value === undefined) continue;
      const x = this.scaleX.place(step), y = this.scaleY.place(value);
      context.fillStyle = style.colors[dot % style.colors.length];
      context.strokeStyle = style.paper;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 6, 0, 7);
      context.fill();
      context.stroke();
    }
  }

  paintCursor(context) {
    const { box, style, picture, selection } = this;
    if (selection) {
      context.fillStyle = style.selection;
      context.fillRect(Math.min(...selection), box.top, Math.abs(selection[1] - selection[0]), box.bottom - box.top);
    }
    const at = this.scaleX.place(this.cursor);
    if (at < box.left - 1 || at > box.right + 1) return;
    context.strokeStyle = style.axis;
    context.lineWidth = 1;
    line(context, crisp(at), box.top, crisp(at), box.bottom);
    for (const series of picture.series) {
      const value = series.values[this.cursor - (series.first ?? 0)];
      if (value === undefined) continue;
      context.beginPath();
      context.arc(at, this.scaleY.place(value), 4.5, 0, 7);
      context.fillStyle = style.paper;
      context.fill();
      context.lineWidth = 2;
      context.strokeStyle = style.colors[series.color % style.colors.length];
      context.stroke();
    }
  }

  // -- zoom and pan ---------------------------------------------------------------------------------------------------

  /** Show these rows, kept within the table. @param {number} from @param {number} to */
  zoomTo(from, to) {
    const last = this.picture.rows - 1, width = Math.min(Math.max(to - from, Math.min(FEWEST, last)), last);
    const start = Math.min(Math.max(0, (from + to - width) / 2), last - width);
    const view = [Math.round(start), Math.round(start + width)];
    this.listeners.view(view[0] <= 0 && view[1] >= last ? null : view);
  }

  /** Zoom by a factor around a place of the canvas; without one, around the cursor. @param {number} factor @param {number} [x] */
  zoomBy(factor, x) {
    const [from, to] = this.range;
    const fixed = x === undefined ? (this.cursor >= from && this.cursor <= to ? this.cursor : (from + to) / 2) : this.scaleX.step(x);
    const left = (fixed - from) * factor, right = (to - fixed) * factor;
    this.zoomTo(Math.min(fixed - left, fixed), Math.max(fixed + right, fixed));
  }

  /** Move the view by a share of its width. @param {number} share */
  pan(share) {
    const [from, to] = this.range, last = this.picture.rows - 1;
    const by = Math.min(Math.max((to - from) * share, -from), last - to);
    this.zoomTo(from + by, to + by);
  }

  /** Move the cursor; the view follows. @param {number} step */
  moveTo(step) {
    const kept = Math.min(Math.max(0, Math.round(step)), this.picture.rows - 1), [from, to] = this.range;
    this.listeners.cursor(kept);
    if (kept < from || kept > to) this.zoomTo(kept - (to - from) / 2, kept + (to - from) / 2);
  }

  listen() {
    const { root } = this;
    const at = (event) => event.clientX - root.getBoundingClientRect().left;
    root.addEventListener("wheel", (event) => {
      if (!this.scaleX) return;
      event.preventDefault();
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.pan(sideways / 800);
      else this.zoomBy(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 400))), at(event));
    }, { passive: false });
    root.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.pointers.set(event.pointerId, at(event));
      root.setPointerCapture(event.pointerId);
      if (event.pointerType === "mouse" && this.pointers.size === 1) this.selection = [at(event), at(event)];
      if (this.pointers.size === 2) this.pinch = this.pinchOf();
      this.hover(event, at(event));
    });
    root.addEventListener("pointermove", (event) => {
      if (!this.scaleX) return;
      if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, at(event));
      if (this.pointers.size === 2) this.pinched();
      else this.hover(event, at(event));
    });
    const up = (event) => {
      if (!this.pointers.delete(event.pointerId)) return;
      const chosen = this.selection;
      this.selection = null;
      if (chosen && Math.abs(chosen[1] - chosen[0]) > 6 && event.type === "pointerup") {
        this.zoomTo(this.scaleX.step(Math.min(...chosen)), this.scaleX.step(Math.max(...chosen)));
      } else this.draw();
    };
    root.addEventListener("pointerup", up);
    root.addEventListener("pointercancel", up);
    root.addEventListener("dblclick", () => this.listeners.view(null));
  }

  hover(event, x) {
    const inside = Math.min(Math.max(x, this.box?.left ?? 0), this.box?.right ?? 0);
    if (this.selection && event.buttons) this.selection[1] = inside;
    if (this.scaleX) this.listeners.cursor(Math.min(Math.max(0, Math.round(this.scaleX.step(inside))), this.picture.rows - 1));
  }

  pinchOf() {
    const [one, other] = [...this.pointers.values()].map((x) => this.scaleX.step(x));
    return [Math.min(one, other), Math.max(one, other)];
  }

  /** The rows that were under the fingers stay under them. */
  pinched() {
    const { box } = this, [left, right] = [...this.pointers.values()].sort((a, b) => a - b);
    if (right - left < 12) return;
    const each = (this.pinch[1] - this.pinch[0]) / (right - left);
    this.zoomTo(this.pinch[0] - (left - box.left) * each, this.pinch[1] + (box.right - right) * each);
  }
}

/**
 * Follow a series with a pen: each pixel column by its first, lowest, highest and last value.
 * @param {Series} series @param {number} from @param {number} to rows, the last one excluded
 * @param {any} across @param {any} up scales @param {number} pixel width of a column
 * @param {(x: number, y: number) => void} pen
 */
export function trace(series, from, to, across, up, pixel, pen) {
  const { values, extremes } = series, first = series.first ?? 0;
  for (let step = from; step < to; ) {
    const x = across.place(step), column = Math.floor(x / pixel);
    let next = Math.min(to, Math.max(step + 1, Math.ceil(across.step((column + 1) * pixel))));
    if (next === step + 1 || next <= step) {
      pen(x, up.place(values[step - first]));
      step += 1;
      continue;
    }
    const [low, high] = extremes.between(step - first, next - first);
    const begin = values[step - first], end = values[next - 1 - first];
    pen(x, up.place(begin));
    if (low < Math.min(begin, end) || high > Math.max(begin, end)) { // else a straight line shows them all
      const middle = (column + 0.5) * pixel;
      for (const value of end >= begin ? [low, high] : [high, low]) pen(middle, up.place(value));
    }
    pen(across.place(next - 1), up.place(end));
    step = next;
  }
}

function scaleX(mode, from, to, box) {
  const width = box.right - box.left, most = Math.max(2, Math.floor(width / 100));
  if (mode === "log") {
    const low = Math.log1p(from), span = Math.log1p(to) - low || 1;
    const values = [0, ...Array.from({ length: 11 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()];
    const place = (step) => box.left + (width * (Math.log1p(Math.max(0, step)) - low)) / span;
    return { place, step: (x) => Math.expm1(low + (span * (x - box.left)) / width), ticks: thinned(values.filter((value) => value >= from && value <= to), place, 44) };
  }
  const span = to - from || 1;
  return {
    place: (step) => box.left + (width * (step - from)) / span,
    step: (x) => from + (span * (x - box.left)) / width,
    ticks: ticks(from, to, most).filter((value) => Number.isInteger(value) && value >= from && value <= to),
  };
}

function thinned(values, place, least) {
  let last = -Infinity;
  return values.filter((value) => place(value) - last >= least && ((last = place(value)), true));
}

/** The scale of values: linear, logarithmic (0 lies on the bottom line), or asinh, which is both and has a 0. */
function scaleY(picture, from, to, box) {
  let low = Infinity, high = -Infinity, least = Infinity;
  for (const { values, extremes, first = 0 } of picture.series) {
    const start = Math.max(0, from - first), stop = Math.min(values.length, to - first);
    if (stop <= start) continue;
    const [lowest, highest] = extremes.between(start, stop);
    low = Math.min(low, lowest);
    high = Math.max(high, highest);
    if (picture.y !== "linear") least = Math.min(least, extremes.positive(start, stop));
  }
  if (low === Infinity) [low, high] = [0, 1];
  const height = box.bottom - box.top, most = Math.max(2, Math.floor(height / 40));
  if (picture.y === "log" && high > 0) return logarithmic(Math.max(least, high * 1e-14), high, box, most);
  if (picture.y === "asinh") {
    const unit = (Math.max(Math.abs(low), Math.abs(high)) || 1) / 1000;
    const bottom = Math.asinh(Math.min(0, low) / unit), span = Math.asinh(Math.max(0, high) / unit) * 1.04 - bottom || 1;
    const place = (value) => box.bottom - (height * (Math.asinh(value / unit) - bottom)) / span;
    const powers = Array.from({ length: 4 }, (_, k) => 10 ** (Math.floor(Math.log10(unit * 1000)) - k));
    const values = [0, ...powers, ...powers.map((power) => power * 3), ...(low < 0 ? powers.map((power) => -power) : [])].filter((value) => value >= Math.min(0, low) && value <= high * 1.02);
    return { place, ticks: rowsOf(values, place) };
  }
  if (low >= 0 && low < high * 0.6) low = 0;
  const pad = high === low ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.05;
  const bottom = low === 0 ? 0 : low - pad, span = high + pad - bottom;
  const place = (value) => box.bottom - (height * (value - bottom)) / span;
  const marks = ticks(bottom, high + pad, most);
  const digits = Math.max(4, Math.ceil(Math.log10(Math.max(Math.abs(high), Math.abs(bottom)) / (marks[1] - marks[0] || 1))) + 1);
  return { place, ticks: marks.map((value) => ({ at: place(value), text: brief(value, Math.min(digits, 15)) })) };
}

function logarithmic(low, high, box, most) {
  const bottom = Math.log(low) - (high === low ? 1 : 0), span = (Math.log(high) - bottom || 1) * 1.04, height = box.bottom - box.top;
  const place = (value) => box.bottom - (height * (Math.log(Math.max(value, Math.exp(bottom))) - bottom)) / span;
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), every = Math.ceil((last - first) / most);
  const digits = last - first > 3 ? [1] : last - first > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const values = [];
  for (let power = first; power <= last; power += every) for (const digit of digits) values.push(Number(`${digit}e${power}`));
  return { place, ticks: rowsOf(values.filter((value) => value >= Math.exp(bottom) * 0.999 && value <= high * 1.05), place) };
}

/** Ticks that do not touch one another. */
function rowsOf(values, place) {
  const kept = [];
  for (const value of values) {
    const at = place(value);
    if (kept.every((other) => Math.abs(other.at - at) > 15)) kept.push({ at, text: brief(value) });
  }
  return kept;
}

/** Colours of the style sheet, which knows dark mode and forced colours. */
function styleOf(node) {
  const style = getComputedStyle(node), of = (name) => style.getPropertyValue(name).trim();
  return {
    font: style.fontFamily,
    text: of("--text"), soft: of("--soft"), grid: of("--grid"), axis: of("--axis"), mark: of("--mark"), paper: of("--paper"), selection: of("--selection"),
    phases: { warmup: of("--rise"), rise: of("--rise"), stable: of("--hold"), decay: of("--fall") },
    colors: Array.from({ length: 8 }, (_, n) => of(`--c${n}`)),
  };
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function crisp(x) {
  return Math.round(x) + 0.5;
}

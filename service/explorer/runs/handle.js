// The line in the chart at the first row that changes: dragged, or moved with the arrow keys.

import { el } from "../common/dom.js";
import { count } from "../common/format.js";

export class Handle {
  /** @param {any} page @param {(step: number, done: boolean) => void} moved */
  constructor(page, moved) {
    this.page = page;
    this.moved = moved;
    /** @type {number | null} */
    this.step = null;
    this.root = el("div", { class: "handle", role: "slider", tabindex: "0", hidden: true, "aria-label": "First row that changes", "aria-valuemin": "0" }, el("span", { "aria-hidden": "true" }, "⇔"));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.root.focus();
      this.root.setPointerCapture(event.pointerId);
    });
    this.root.addEventListener("pointermove", (event) => this.root.hasPointerCapture(event.pointerId) && this.drag(event, false));
    this.root.addEventListener("pointerup", (event) => this.root.hasPointerCapture(event.pointerId) && this.drag(event, true));
    document.getElementById("charts").addEventListener("drawn", () => this.place());
  }

  get chart() {
    return this.page.stage.chart;
  }

  /** @param {number | null} step */
  show(step) {
    this.step = step;
    if (step !== null) this.page.stage.plots.append(this.root);
    this.place();
  }

  place() {
    const { chart, step } = this;
    const x = step === null || !chart?.across ? NaN : chart.across.place(step), { box } = chart ?? {};
    this.root.hidden = !(x >= box?.left - 1 && x <= box?.right + 1);
    if (this.root.hidden) return;
    this.root.style.left = `${chart.root.offsetLeft + x}px`;
    this.root.style.top = `${chart.root.offsetTop + box.top}px`;
    this.root.style.height = `${box.bottom - box.top}px`;
    this.root.setAttribute("aria-valuemax", String(chart.picture.rows - 1));
    this.root.setAttribute("aria-valuenow", String(step));
    this.root.setAttribute("aria-valuetext", `row ${count(step)}`);
  }

  drag(event, done) {
    const { box, across, root } = this.chart, x = event.clientX - root.getBoundingClientRect().left;
    this.moved(Math.round(across.step(Math.min(Math.max(x, box.left), box.right))), done);
  }

  key(event) {
    const by = event.shiftKey ? 100 : 1, last = this.chart.picture.rows - 1, step = /** @type {number} */ (this.step);
    const to = { ArrowLeft: step - by, ArrowDown: step - by, ArrowRight: step + by, ArrowUp: step + by, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(Math.min(Math.max(0, to), last), true);
  }
}

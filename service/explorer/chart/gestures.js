// What a pointer does on a chart: the wheel and two fingers zoom, a drag of the mouse selects, a double click shows all.

/** @typedef {import("./chart.js").Chart} Chart */

/** Listens to the pointers of a chart. */
export class Gestures {
  /** @param {Chart} chart */
  constructor(chart) {
    this.chart = chart;
    /** @type {Map<number, number>} the place of each pointer that is down */
    this.pointers = new Map();
    /** @type {[number, number] | null} what is being selected, in pixels */
    this.selection = null;
    /** @type {[number, number]} the rows that two fingers took hold of */
    this.pinch = [0, 0];
    const { root } = chart;
    root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.down(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    root.addEventListener("pointerup", (event) => this.up(event));
    root.addEventListener("pointercancel", (event) => this.up(event));
    root.addEventListener("dblclick", () => chart.listeners.view(null));
  }

  /** @param {MouseEvent} event */
  at(event) {
    return event.clientX - this.chart.root.getBoundingClientRect().left;
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    if (!this.chart.across) return;
    event.preventDefault();
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.chart.pan(sideways / 800);
    else this.chart.zoomBy(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 400))), this.at(event));
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button) return;
    const at = this.at(event);
    this.pointers.set(event.pointerId, at);
    this.chart.root.setPointerCapture(event.pointerId);
    if (event.pointerType === "mouse" && this.pointers.size === 1) this.selection = [at, at];
    if (this.pointers.size === 2) this.pinch = this.held();
    this.hover(event);
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (!this.chart.across) return;
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, this.at(event));
    if (this.pointers.size === 2) this.pinched();
    else this.hover(event);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { selection: chosen, chart: { across } } = this;
    this.selection = null;
    if (across && chosen && Math.abs(chosen[1] - chosen[0]) > 6 && event.type === "pointerup") {
      this.chart.zoomTo(across.step(Math.min(...chosen)), across.step(Math.max(...chosen)));
    } else this.chart.draw();
  }

  /** @param {PointerEvent} event */
  hover(event) {
    const { box, across } = this.chart;
    if (!box || !across) return;
    const inside = Math.min(Math.max(this.at(event), box.left), box.right);
    if (this.selection && event.buttons) this.selection[1] = inside;
    this.chart.hover(across.step(inside));
  }

  /** The rows under the two fingers. @returns {[number, number]} */
  held() {
    const { across } = this.chart;
    if (!across) return [0, 0];
    const [one, other] = [...this.pointers.values()].map((x) => across.step(x));
    return [Math.min(one, other), Math.max(one, other)];
  }

  /** The rows that were under the fingers stay under them. */
  pinched() {
    const { box } = this.chart, [left, right] = [...this.pointers.values()].sort((a, b) => a - b);
    if (!box || right - left < 12) return;
    const each = (this.pinch[1] - this.pinch[0]) / (right - left);
    this.chart.zoomTo(this.pinch[0] - (left - box.left) * each, this.pinch[1] + (box.right - right) * each);
  }
}

// Writes what is drawn as SVG: the part of a canvas' context that the chart uses.

import { el } from "../common/dom.js";

/** @typedef {import("../chart/types.js").Pen} Pen */

/** @type {Record<string, string>} */
const ANCHORS = { left: "start", center: "middle", right: "end" };
/** @type {Record<string, number>} pixels from a text's baseline to its place */
const DOWN = { top: 10, middle: 4, alphabetic: 0 };
/** @type {Record<string, string>} */
const SIGNS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** A pen whose strokes are text. @implements {Pen} */
export class SvgPen {
  /** @param {number} width @param {number} height @param {string} paper its colour */
  constructor(width, height, paper) {
    this.parts = [`<rect width="${width}" height="${height}" fill="${paper}"/>`];
    this.size = [width, height];
    this.path = "";
    this.box = "";
    /** @type {number[]} */
    this.dash = [];
    /** @type {Pen["fillStyle"]} */
    this.fillStyle = "";
    /** @type {Pen["strokeStyle"]} */
    this.strokeStyle = "";
    this.lineWidth = 1;
    /** @type {CanvasLineJoin} */
    this.lineJoin = "round";
    this.font = "";
    /** @type {CanvasTextAlign} */
    this.textAlign = "left";
    /** @type {CanvasTextBaseline} */
    this.textBaseline = "alphabetic";
    this.measure = el("canvas").getContext("2d");
  }

  save() {}
  restore() {
    this.parts.push("</g>");
  }
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  rect(x, y, width, height) {
    this.box = `<clipPath id="box"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath>`;
  }
  clip() {
    this.parts.push(`${this.box}<g clip-path="url(#box)">`);
  }
  beginPath() {
    this.path = "";
  }
  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.path += `M${round(x)} ${round(y)}`;
  }
  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.path += `${this.path ? "L" : "M"}${round(x)} ${round(y)}`;
  }
  /** @param {number} x @param {number} y @param {number} radius */
  arc(x, y, radius) {
    this.path = `M${round(x - radius)} ${round(y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
  }
  /** @param {Iterable<number>} dash */
  setLineDash(dash) {
    this.dash = [...dash];
  }
  stroke() {
    this.parts.push(`<path d="${this.path}" fill="none" stroke="${escaped(this.strokeStyle)}" stroke-width="${this.lineWidth}"${this.dash.length ? ` stroke-dasharray="${this.dash.join(" ")}"` : ""}/>`);
  }
  fill() {
    this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}"/>`);
  }
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) {
    this.parts.push(`<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${escaped(this.fillStyle)}"/>`);
  }
  /** @param {string} text */
  measureText(text) {
    if (!this.measure) throw new Error("the browser has no canvas to measure text on");
    this.measure.font = this.font;
    return this.measure.measureText(text);
  }
  /** @param {string} text @param {number} x @param {number} y */
  fillText(text, x, y) {
    const anchor = ANCHORS[this.textAlign], down = DOWN[this.textBaseline];
    this.parts.push(`<text x="${round(x)}" y="${round(y + down)}" text-anchor="${anchor}" fill="${escaped(this.fillStyle)}">${escaped(text)}</text>`);
  }
  text() {
    const [width, height] = this.size;
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">${this.parts.join("")}</svg>\n`;
  }
}

/** @param {number} x */
function round(x) {
  return Number(x.toFixed(2));
}

/** @param {unknown} text */
function escaped(text) {
  return String(text).replace(/[&<>"]/g, (sign) => SIGNS[sign]);
}

// A table and its picture as files, made in the page and equal to the server's, byte for byte.

import { el } from "../common/dom.js";

const LINES = 4096;

function fileName(entry, extension) {
  const { digest, specId } = entry.table;
  return `${(digest ?? specId ?? "table").slice(0, 16)}.${extension}`;
}

/** The columns in the order of a table's layout: by name. */
function ordered(entry) {
  return [...entry.flat].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** A double as Python writes it: 5e-05, 0.001, 1.0. @param {number} value */
export function pythonRepr(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return Object.is(value, -0) ? "-0.0" : `${value}.0`;
  const [digits, exponent] = value.toExponential().split("e"), power = Number(exponent);
  if (power >= -4 && power < 16) return plain(value, power);
  const size = String(Math.abs(power)).padStart(2, "0");
  return `${digits}e${power < 0 ? "-" : "+"}${size}`;
}

/** ECMAScript writes exponents from 1e21 and below 1e-6 only, so these are plain digits. */
function plain(value, power) {
  const written = String(value);
  return power >= 16 || written.includes(".") ? written : `${written}.0`;
}

export async function csvOf(entry) {
  const columns = ordered(entry), { spec } = entry, stride = spec.stride ?? 1, rows = entry.table.rows;
  const parts = [`${[spec.axis ?? "step", ...columns.map(({ name }) => name)].join(",")}\r\n`];
  for (let start = 0; start < rows; start += LINES) {
    let text = "";
    for (let row = start; row < Math.min(rows, start + LINES); row++) {
      text += row * stride;
      for (const { values } of columns) text += `,${pythonRepr(values[row])}`;
      text += "\r\n";
    }
    parts.push(text);
  }
  return { blob: new Blob(parts, { type: "text/csv" }), file: fileName(entry, "csv") };
}

export async function npyOf(entry) {
  const columns = ordered(entry), { rows } = entry.table;
  const shape = columns.length === 1 ? `(${rows},)` : `(${columns.length}, ${rows})`;
  let text = `{'descr': '<f8', 'fortran_order': False, 'shape': ${shape}, }`;
  text += `${" ".repeat((64 - ((10 + text.length + 1) % 64)) % 64)}\n`;
  const head = new Uint8Array([0x93, ...bytes("NUMPY"), 1, 0, text.length & 255, text.length >> 8, ...bytes(text)]);
  return { blob: new Blob([head, ...columns.map(({ values }) => values)], { type: "application/octet-stream" }), file: fileName(entry, "npy") };
}

/** The file without claims, which depends on the layout and the digest alone. */
export async function safetensorsOf(entry, stage) {
  const columns = ordered(entry), { spec, table } = entry;
  table.digest ??= await stage.page.engine.digest(spec);
  if (!table.digest) throw new Error("the digest is not computed yet");
  const layout = { axis: spec.axis ?? "step", stride: String(spec.stride ?? 1), after: spec.after ?? "hold" };
  const size = 8 * table.rows, check = "0".repeat(64);
  const tensors = columns.map(({ name }, place) => [name, { dtype: "F64", shape: [table.rows], data_offsets: [place * size, (place + 1) * size] }]);
  let text = JSON.stringify({ __metadata__: { format: "pt", digest: table.digest, ...layout, check }, ...Object.fromEntries(tensors) });
  text += " ".repeat((64 - ((8 + text.length) % 64)) % 64);
  const { digest } = await stage.page.engine.ask({ task: "sha256", text });
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.length), true);
  const head = text.replace(`"check":"${check}"`, `"check":"${digest}"`);
  return { blob: new Blob([length.buffer, head, ...columns.map(({ values }) => values)], { type: "application/octet-stream" }), file: fileName(entry, "safetensors") };
}

function bytes(text) {
  return new TextEncoder().encode(text);
}

export async function pngOf(entry, stage) {
  const [width, height, ratio] = [960, 480, 2];
  const canvas = el("canvas", { width: width * ratio, height: height * ratio }), context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper");
  context.fillRect(0, 0, width, height);
  stage.chart.paintOn(context, width, height, ratio, false);
  stage.chart.draw();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return { blob, file: fileName(entry, "png") };
}

/** The same picture as paths: each pixel column keeps its lowest and highest value. */
export async function svgOf(entry, stage) {
  const width = 960, height = 480, pen = new SvgPen(width, height, getComputedStyle(document.documentElement).getPropertyValue("--paper"));
  stage.chart.paintOn(pen, width, height, 2, false);
  stage.chart.draw();
  return { blob: new Blob([pen.text()], { type: "image/svg+xml" }), file: fileName(entry, "svg") };
}

/** The part of a canvas' context that the chart uses, written as SVG. */
class SvgPen {
  constructor(width, height, paper) {
    this.parts = [`<rect width="${width}" height="${height}" fill="${paper}"/>`];
    this.size = [width, height];
    this.path = "";
    this.dash = [];
    this.measure = el("canvas").getContext("2d");
  }

  save() {}
  restore() {
    this.parts.push("</g>");
  }
  rect(x, y, width, height) {
    this.box = `<clipPath id="box"><rect x="${x}" y="${y}" width="${width}" height="${height}"/></clipPath>`;
  }
  clip() {
    this.parts.push(`${this.box}<g clip-path="url(#box)">`);
  }
  beginPath() {
    this.path = "";
  }
  moveTo(x, y) {
    this.path += `M${round(x)} ${round(y)}`;
  }
  lineTo(x, y) {
    this.path += `${this.path ? "L" : "M"}${round(x)} ${round(y)}`;
  }
  arc(x, y, radius) {
    this.path = `M${round(x - radius)} ${round(y)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`;
  }
  setLineDash(dash) {
    this.dash = dash;
  }
  stroke() {
    this.parts.push(`<path d="${this.path}" fill="none" stroke="${escaped(this.strokeStyle)}" stroke-width="${this.lineWidth}"${this.dash.length ? ` stroke-dasharray="${this.dash.join(" ")}"` : ""}/>`);
  }
  fill() {
    this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}"/>`);
  }
  fillRect(x, y, width, height) {
    this.parts.push(`<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${escaped(this.fillStyle)}"/>`);
  }
  measureText(text) {
    this.measure.font = this.font;
    return this.measure.measureText(text);
  }
  fillText(text, x, y) {
    const anchor = { left: "start", center: "middle", right: "end" }[this.textAlign];
    const down = { top: 10, middle: 4, alphabetic: 0 }[this.textBaseline];
    this.parts.push(`<text x="${round(x)}" y="${round(y + down)}" text-anchor="${anchor}" fill="${escaped(this.fillStyle)}">${escaped(text)}</text>`);
  }
  text() {
    const [width, height] = this.size;
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12">${this.parts.join("")}</svg>\n`;
  }
}

function round(x) {
  return Number(x.toFixed(2));
}

function escaped(text) {
  return String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
}

// A table and its picture as files, made in the page and equal to the server's, byte for byte.

import { el } from "../common/dom.js";
import { pythonFloat } from "../kernel/texts.js";
import { SvgPen } from "./svg_pen.js";

const LINES = 4096;

/**
 * @typedef {import("../common/types.js").Entry} Entry
 * @typedef {{ blob: Blob, file: string }} Saved
 *
 * Where a picture and a hash come from: the stage.
 * @typedef {{ chart: import("../chart/chart.js").Chart, page: { engine: import("../data/engine.js").Engine } }} Source
 */

/** @param {Entry} entry @param {string} extension */
function fileName(entry, extension) {
  const { digest, specId } = entry.table;
  return `${(digest ?? specId ?? "table").slice(0, 16)}.${extension}`;
}

/** The columns in the order of a table's layout: by name. @param {Entry} entry */
function ordered(entry) {
  return [...entry.flat].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** @param {Entry} entry @returns {Promise<Saved>} */
export async function csvOf(entry) {
  const columns = ordered(entry), { spec } = entry, stride = spec.stride ?? 1, rows = entry.table.rows;
  const parts = [`${[spec.axis ?? "step", ...columns.map(({ name }) => name)].join(",")}\r\n`];
  for (let start = 0; start < rows; start += LINES) {
    let text = "";
    for (let row = start; row < Math.min(rows, start + LINES); row++) {
      text += row * stride;
      for (const { values } of columns) text += `,${pythonFloat(values[row])}`;
      text += "\r\n";
    }
    parts.push(text);
  }
  return { blob: new Blob(parts, { type: "text/csv" }), file: fileName(entry, "csv") };
}

/** @param {Entry} entry @returns {Promise<Saved>} */
export async function npyOf(entry) {
  const columns = ordered(entry), { rows } = entry.table;
  const shape = columns.length === 1 ? `(${rows},)` : `(${columns.length}, ${rows})`;
  let text = `{'descr': '<f8', 'fortran_order': False, 'shape': ${shape}, }`;
  text += `${" ".repeat((64 - ((10 + text.length + 1) % 64)) % 64)}\n`;
  const head = new Uint8Array([0x93, ...bytes("NUMPY"), 1, 0, text.length & 255, text.length >> 8, ...bytes(text)]);
  return { blob: new Blob([head, ...valuesOf(columns)], { type: "application/octet-stream" }), file: fileName(entry, "npy") };
}

/** The file without claims, which depends on the layout and the digest alone. @param {Entry} entry @param {Source} stage @returns {Promise<Saved>} */
export async function safetensorsOf(entry, stage) {
  const columns = ordered(entry), { spec, table } = entry;
  table.digest ??= await stage.page.engine.digest(spec);
  if (!table.digest) throw new Error("the digest is not computed yet");
  const layout = { axis: spec.axis ?? "step", stride: String(spec.stride ?? 1), after: spec.after ?? "hold" };
  const size = 8 * table.rows, check = "0".repeat(64);
  const tensors = columns.map(({ name }, place) => [name, { dtype: "F64", shape: [table.rows], data_offsets: [place * size, (place + 1) * size] }]);
  let text = JSON.stringify({ __metadata__: { format: "pt", digest: table.digest, ...layout, check }, ...Object.fromEntries(tensors) });
  text += " ".repeat((64 - ((8 + text.length) % 64)) % 64);
  /** @type {{ digest: string }} */
  const { digest } = await stage.page.engine.ask({ task: "sha256", text });
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.length), true);
  const head = text.replace(`"check":"${check}"`, `"check":"${digest}"`);
  return { blob: new Blob([length.buffer, head, ...valuesOf(columns)], { type: "application/octet-stream" }), file: fileName(entry, "safetensors") };
}

/** The values of columns; their memory is never shared. @param {Entry["flat"]} columns */
function valuesOf(columns) {
  return columns.map(({ values }) => /** @type {Float64Array<ArrayBuffer>} */ (values));
}

/** @param {string} text */
function bytes(text) {
  return new TextEncoder().encode(text);
}

/** @param {Entry} entry @param {Source} stage @returns {Promise<Saved>} */
export async function pngOf(entry, stage) {
  const [width, height, ratio] = [960, 480, 2];
  const canvas = el("canvas", { width: width * ratio, height: height * ratio }), context = canvas.getContext("2d");
  if (!context) throw new Error("the browser has no canvas to draw on");
  context.scale(ratio, ratio);
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper");
  context.fillRect(0, 0, width, height);
  stage.chart.paintOn(context, width, height, ratio, false);
  stage.chart.draw();
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("the browser could not write the picture");
  return { blob, file: fileName(entry, "png") };
}

/** The same picture as paths: each pixel column keeps its lowest and highest value. @param {Entry} entry @param {Source} stage @returns {Promise<Saved>} */
export async function svgOf(entry, stage) {
  const width = 960, height = 480, pen = new SvgPen(width, height, getComputedStyle(document.documentElement).getPropertyValue("--paper"));
  stage.chart.paintOn(pen, width, height, 2, false);
  stage.chart.draw();
  return { blob: new Blob([pen.text()], { type: "image/svg+xml" }), file: fileName(entry, "svg") };
}

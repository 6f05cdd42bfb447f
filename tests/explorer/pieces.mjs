// Reads a file that comes in pieces of every length, and asks for tables that are too large; prints what came of it as JSON.
import { readFileSync } from "node:fs";
import { columnsOf } from "../../service/explorer/data/safetensors.js";
import { tooLarge } from "../../service/explorer/data/limits.js";

const file = new Uint8Array(readFileSync(0));

/** @param {number} length @param {number} end */
function pieces(length, end = file.length) {
  const parts = [];
  for (let at = 0; at < end; at += length) parts.push(file.slice(at, Math.min(end, at + length)));
  return new ReadableStream({ start(controller) { for (const part of parts) controller.enqueue(part); controller.close(); } });
}

const whole = Object.fromEntries([...(await columnsOf(pieces(file.length))).columns].map(([name, values]) => [name, [...values]]));
const differing = [];
for (const length of [1, 7, 8, 100, 333, file.length - 1]) {
  const found = Object.fromEntries([...(await columnsOf(pieces(length))).columns].map(([name, values]) => [name, [...values]]));
  if (JSON.stringify(found) !== JSON.stringify(whole)) differing.push(length);
}
const faults = [];
for (const end of [0, 5, 40, file.length - 1]) faults.push(await columnsOf(pieces(64, end)).then(() => "none", (error) => error.message));

const spec = (total_steps, groups = 1) => ({ schedule: Array(groups).fill({ kind: "Constant" }), total_steps });
const M = 1_000_000;
const refused = [[spec(20 * M), []], [spec(21 * M), []], [spec(10 * M, 5), []], [spec(20 * M), [spec(20 * M, 2), spec(20 * M)]], [spec(20 * M, 2), [spec(20 * M, 2), spec(1)]]].map(([one, before]) => tooLarge(one, before));
console.log(JSON.stringify({ whole, differing, faults, refused }));

// Logged rates beside the plan, and where they part, by the rules of scheduler/audit/auditing.py.

import { brief, count } from "../../common/format.js";

/**
 * A column of a log: its steps and values, the least and the largest rate that each value may stand for, and in words how exactly it is written.
 * @typedef {{ name: string, steps: Float64Array, values: Float64Array, low: Float64Array, high: Float64Array, precision: string }} Series
 * @typedef {{ source: string, series: Series[], offsets: number[], isExact: boolean }} Log
 * @typedef {{ step: number, row: number, logged: number, planned: number }} Deviation
 *
 * What was found of one column: the step s has the rate of update s + offset. `wrong` says of each value whether it is not the plan's.
 * @typedef {{ name: string, offset: number, rows: Float64Array, wrong: Uint8Array, differing: number, past: number, first: Deviation | null,
 *   largest: Deviation | null, isEveryBit: boolean, isInferred: boolean }} Finding
 */

/**
 * Compare a column of a log with a column of the table.
 * @param {Log} log @param {Series} series @param {Float64Array} planned the table's rows
 * @param {{ stride: number, perStep: number }} pace units of a row, and units that an update makes
 * @returns {Finding}
 */
export function audit(log, series, planned, { stride, perStep }) {
  const updates = Math.ceil((planned.length * stride) / perStep);
  const offsets = log.isExact || log.offsets.includes(-1) || !mayCountFrom1(series.steps, updates) ? log.offsets : [...log.offsets, -1];
  const views = offsets.map((offset) => ({ offset, rows: series.steps.map((step) => Math.floor(((step + offset) * perStep) / stride)) }));
  const healthy = views.find(({ rows }) => rows.every((row, index) => series.low[index] <= at(planned, row) && at(planned, row) <= series.high[index]));
  const found = finding(series, planned, healthy ?? views[0], log.isExact);
  return { ...found, isInferred: !log.offsets.includes(found.offset) };
}

/**
 * Whether a log begins or ends as that of a loop which counts from 1 does, and not as one that counts from 0.
 * @param {Float64Array} steps @param {number} updates of the plan
 */
function mayCountFrom1(steps, updates) {
  const [first, last] = rangeOf(steps), interval = usualInterval(steps);
  const begins = first === 1 || (first === interval && steps.every((step) => step === last || step % interval === 0));
  return first > 0 && (begins || last === updates);
}

/** How many steps usually lie between two that are logged: the median. @param {Float64Array} steps */
function usualInterval(steps) {
  const each = [...new Set(steps)].sort((a, b) => a - b), gaps = each.slice(1).map((step, place) => step - each[place]).sort((a, b) => a - b);
  const middle = gaps.length >> 1;
  return gaps.length ? Math.trunc(gaps.length % 2 ? gaps[middle] : (gaps[middle - 1] + gaps[middle]) / 2) : 1;
}

/** @param {Float64Array} steps @returns {[number, number]} */
function rangeOf(steps) {
  let low = Infinity, high = -Infinity;
  for (const step of steps) {
    low = Math.min(low, step);
    high = Math.max(high, step);
  }
  return [low, high];
}

/** The rate of a row; past the end the last one. @param {Float64Array} planned @param {number} row */
function at(planned, row) {
  return row < 0 ? NaN : planned[Math.min(row, planned.length - 1)];
}

/** @param {Series} series @param {Float64Array} planned @param {{ offset: number, rows: Float64Array }} view @param {boolean} isExact @returns {Omit<Finding, "isInferred">} */
function finding(series, planned, { offset, rows }, isExact) {
  const wrong = new Uint8Array(rows.length);
  let differing = 0, past = 0, first = -1, largest = -1, most = 0;
  for (let index = 0; index < rows.length; index++) {
    const rate = at(planned, rows[index]), value = series.values[index], by = Math.abs(value - rate), size = Number.isNaN(by) ? Infinity : by;
    const isRight = isExact ? value === rate : series.low[index] <= rate && rate <= series.high[index];
    past += Number(rows[index] >= planned.length);
    if (size > most) [most, largest] = [size, index];
    if (isRight) continue;
    wrong[index] = 1;
    differing += 1;
    if (first < 0) first = index;
  }
  const deviation = (/** @type {number} */ index) => (index < 0 ? null : { step: series.steps[index], row: rows[index], logged: series.values[index], planned: at(planned, rows[index]) });
  return { name: series.name, offset, rows, wrong, differing, past, first: deviation(first), largest: deviation(largest), isEveryBit: most === 0 };
}

/** What was found in a column, in sentences for a reader. @param {Series} series @param {Finding} found @param {(value: number) => string} number */
export function sentences(series, found, number) {
  const { steps, precision, name } = series, { offset, differing, first, largest, past, isInferred } = found;
  const [low, high] = rangeOf(steps);
  const rates = `${count(steps.length)} ${steps.length === 1 ? "rate" : "rates"}`;
  const written = /digit|place/.test(precision) ? `rounded to ${precision}` : precision;
  const of = offset === 0 ? "step s has the rate of update s" : offset === -1 ? "step s has the rate of update s − 1, which was just made" : `step s has the rate of update s + ${offset}`;
  const heading = `${name}: ${rates} of steps ${count(low)} to ${count(high)}, ${written}; ${isInferred || (low === 1 && offset === -1) ? "it counts from 1: " : ""}${of}.`;
  const beyond = past ? [`${count(past)} of them ${past === 1 ? "is" : "are"} past the table's last row, whose rate is held.`] : [];
  if (!differing || !first) return [heading, found.isEveryBit ? "All of them are the plan's, every bit." : "All of them are the plan's, at that precision.", ...(isInferred && low > 1 ? ["If the loop counts from 0 after all, each rate arrived one update late."] : []), ...beyond];
  const apart = `The first that is not the plan's is at step ${count(first.step)}: ${number(first.logged)} logged, ${Number.isNaN(first.planned) ? "no rate" : number(first.planned)} planned.`;
  const share = largest?.planned ? ` (${brief((100 * Math.abs(largest.logged - largest.planned)) / Math.abs(largest.planned), 3)} % of the planned rate)` : "";
  const most = largest && Number.isFinite(largest.logged - largest.planned) ? ` The largest deviation is ${number(Math.abs(largest.logged - largest.planned))}${share} at step ${count(largest.step)}.` : "";
  return [heading, apart, `${count(differing)} of ${rates} ${differing === 1 ? "differs" : "differ"}.${most}`, ...beyond];
}

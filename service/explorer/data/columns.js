// What the columns of a table are and say.

const MOST_PHASES = 40;

/** A column's name without its group. @param {string} name */
export function baseOf(name) {
  return name.split(".")[0];
}

/** Rates first; then by name, groups by their number. @param {string} one @param {string} other */
export function inOrder(one, other) {
  const [a, i = "-1"] = one.split("."), [b, j = "-1"] = other.split(".");
  return Number(b === "lr") - Number(a === "lr") || (a < b ? -1 : a > b ? 1 : Number(i) - Number(j));
}

/**
 * The columns of a table, flat: `lr`, or `lr.0`, `lr.1` for groups.
 * @param {import("../common/types.js").Table} table
 * @returns {import("../common/types.js").Column[]}
 */
export function flat(table) {
  return table.names.flatMap((name) => {
    const groups = table.columns.get(name) ?? [];
    return groups.map((values, group) => ({ name: groups.length > 1 ? `${name}.${group}` : name, values }));
  });
}

/**
 * The parts of a curve between its boundaries, named by what the values do there.
 * @param {Float64Array} values
 * @param {number[]} steps boundaries, ascending
 * @param {boolean} isRate whether a first rise is a warmup
 */
export function phasesOf(values, steps, isRate = true) {
  const last = values.length - 1, inner = steps.filter((step) => step > 0 && step < last);
  const cuts = [0, ...inner.slice(0, MOST_PHASES), last];
  const phases = cuts.slice(1).map((stop, place) => {
    const start = cuts[place];
    const way = wayOf(values, start, stop === last ? last : stop - 1);
    return { start, stop, name: isRate && way === "rise" && place === 0 && cuts.length > 2 ? "warmup" : way };
  });
  return phases.filter(({ start, stop }) => stop > start).reduce((joined, phase) => {
    const before = joined.at(-1);
    if (before && before.name === "stable" && phase.name === "stable" && values[before.start] === values[phase.start]) before.stop = phase.stop;
    else joined.push(phase);
    return joined;
  }, /** @type {{ start: number, stop: number, name: string }[]} */ ([]));
}

/** What the values do from one row to another: seen at 64 of them, since only the shading depends on it. @param {Float64Array} values @param {number} start @param {number} stop */
function wayOf(values, start, stop) {
  let up = false, down = false;
  const width = Math.max(1, (stop - start) / 64);
  for (let at = start, next; at < stop; at = next) {
    next = Math.min(stop, at + width);
    const gap = values[Math.floor(next)] - values[Math.floor(at)];
    up ||= gap > 0;
    down ||= gap < 0;
  }
  return up && down ? "" : up ? "rise" : down ? "decay" : "stable";
}

/** The sum of a column, the highest value and its first row. @param {Float64Array} values */
export function summaryOf(values) {
  let sum = 0, lost = 0, peak = 0;
  for (let row = 0; row < values.length; row++) {
    if (values[row] > values[peak]) peak = row;
    const term = values[row] - lost, next = sum + term; // compensated, so that 20 million terms keep their digits
    lost = next - sum - term;
    sum = next;
  }
  return { sum, peak, highest: values[peak], first: values[0], last: values[values.length - 1] };
}

// Compares the extremes of ranges with a walk over their rows, and prints the number of ranges that differ.
import { Extremes } from "../../service/explorer/chart/decimate.js";

let seed = 1;
const draw = (below) => (seed = (seed * 48271) % 2147483647) % below;
const values = Float64Array.from({ length: 3000 }, () => (draw(9) ? draw(1000) / 7 - 30 : 0)), extremes = new Extremes(values);
let wrong = 0;
for (let n = 0; n < 4000; n++) {
  const start = draw(3000), stop = start + 1 + draw(3000 - start), part = values.subarray(start, stop);
  const [low, high] = extremes.between(start, stop), positive = part.filter((value) => value > 0);
  wrong += low !== Math.min(...part) || high !== Math.max(...part) || extremes.positive(start, stop) !== Math.min(...positive);
}
console.log(wrong);

// Reads two tables as columns by name, and prints which columns the page compares, and which only one has.
import { readFileSync } from "node:fs";
import { pairsOf } from "../../service/explorer/compare/pairs.js";

const [left, right] = JSON.parse(readFileSync(0, "utf8")).map((columns) => Object.entries(columns).map(([name, values]) => ({ name, values: Float64Array.from(values) })));
const { pairs, lacking } = pairsOf(left, right, 2);
process.stdout.write(JSON.stringify([pairs.map((pair) => [pair.name, [...pair.left], [...pair.right]]), lacking.map(({ name, isLeft }) => `only ${isLeft ? "A" : "B"} has the column ${name}`)]));

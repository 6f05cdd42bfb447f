// Reads a pair of columns on each line of its input, and prints what the page says of them.
import { createInterface } from "node:readline";
import { difference } from "../../service/explorer/compare/difference.js";
import { verdict } from "../../service/explorer/compare/verdict.js";
import { inWords } from "../../service/explorer/compare/words.js";

for await (const line of createInterface({ input: process.stdin })) {
  const [a, b] = JSON.parse(line).map((values) => Float64Array.from(values));
  const found = difference(a, b), said = verdict(a, b, found), { relation, factor, shift, first, last, exact, restExact } = said;
  console.log(JSON.stringify({ verdict: { relation, factor, shift, first, last, exact, rest_exact: restExact }, difference: found, words: inWords(said, found, "B") }));
}

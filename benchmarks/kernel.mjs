// Reads a list of specs and a number of rounds, and writes the shortest time that each takes in milliseconds, computed
// alone and with its digest.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { compute, digestOf } = await import(`${pathToFileURL(process.argv[2])}/index.js`);

function shortest(rounds, work) {
    let best = Infinity;
    for (let round = 0; round < rounds; round += 1) {
        const begin = performance.now();
        work();
        best = Math.min(best, performance.now() - begin);
    }
    return best;
}

const { specs, rounds } = JSON.parse(readFileSync(0, "utf8"));
const told = specs.map((spec) => [
    shortest(rounds, () => compute(spec)),
    shortest(rounds, () => digestOf(compute(spec))),
]);
process.stdout.write(JSON.stringify(told));

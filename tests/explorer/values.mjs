// Reads a list of specs, each with a first step, and writes the rates of the 200 steps from there on.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { compute } = await import(`${pathToFileURL(process.argv[2])}/index.js`);

const told = JSON.parse(readFileSync(0, "utf8")).map(({ start, ...spec }) =>
    Array.from(compute(spec, { start, stop: start + 200 }).columns.get("lr")[0]),
);
process.stdout.write(JSON.stringify(told));

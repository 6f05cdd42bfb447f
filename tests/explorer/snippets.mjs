// Reads a spec from each line of the input, and writes its code for every place that the page offers, by name.

import { readFileSync } from "node:fs";
import { compute } from "../../service/explorer/kernel/index.js";
import { snippetsOf } from "../../service/explorer/share/snippets.js";

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
const told = lines.map((line) => {
    const spec = JSON.parse(line);
    const { names, columns, exactness } = compute(spec);
    const driven = [...columns.keys()];
    const values = columns.get(names[0].split(".")[0])[0];
    const isExact = exactness === "exact";
    return Object.fromEntries(snippetsOf({ spec, names: driven, values, isExact }, "http://localhost:8000"));
});
process.stdout.write(JSON.stringify(told));

// Reads a spec from each line of the input, and writes what the kernel in the given folder makes of it on a line.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const kernel = await import(`${pathToFileURL(process.argv[2])}/index.js`);

function told(spec) {
    try {
        const table = kernel.compute(spec);
        return {
            boundaries: table.boundaries.map(({ step }) => step),
            canonical: kernel.canonical(spec),
            columns: table.names,
            digest: kernel.digestOf(table),
            exactness: table.exactness,
            id: kernel.specId(spec),
            sample: table.exactness === "exact" ? undefined : Object.fromEntries(samples(table)),
            stated: kernel.statedLength(spec),
        };
    } catch (error) {
        return { error: error.name, message: error.message, problems: error.problems, stack: error.stack };
    }
}

/** Every value of a table that is a preview: so that they can be compared with the real ones. */
function samples({ names, columns }) {
    return names.map((name) => {
        const [driven, group] = name.split(".");
        return [name, Array.from(columns.get(driven)[Number(group ?? 0)])];
    });
}

const answers = readFileSync(0, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.stringify(told(JSON.parse(line))));
process.stdout.write(answers.map((line) => `${line}\n`).join(""));
